"""What a default installation takes on disk, and whether rioxarray lives beside it.

``python benchmarks/install.py`` makes a fresh virtual environment, installs this checkout into it
and prints its size; then it adds rioxarray, and lets ten processes list xarray's engines and open
a raster. It fails unless all of them end with exit code 0. ``--before REVISION`` installs another
revision of this repository, too, and prints both. pip needs a package index.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = 10
PROGRAM = """
import numpy as np
import xarray as xr

assert {"refmaker", "rasterio"} <= set(xr.backends.list_engines())
import rasterio
import rioxarray

where = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
shape = {"width": 48, "height": 64, "count": 1, "dtype": "uint16"}
values = np.arange(64 * 48, dtype="u2").reshape(64, 48)
with rasterio.open("made.tif", "w", driver="GTiff", **shape, **where) as file:
    file.write(values, 1)
raster = rioxarray.open_rasterio("made.tif")
assert (raster.values[0] == values).all() and raster.rio.crs.to_epsg() == 32633
"""


def exported(revision: str | None, folder: Path) -> Path:
    """Copy the files of a revision, or those of the checkout as they are, and nothing else."""
    folder.mkdir()
    if revision is None:
        names, packing = ran("git", "ls-files", "-z"), ("tar", "-c", "--null", "-T", "-")
    else:
        names, packing = b"", ("git", "archive", revision)
    ran("tar", "-x", "-C", str(folder), given=ran(*packing, given=names))
    return folder


def ran(*command: str, given: bytes = b"") -> bytes:
    done = subprocess.run(command, cwd=ROOT, input=given, check=True, capture_output=True)
    return done.stdout


def environment(folder: Path, source: Path) -> Path:
    """Make a virtual environment with the package in it, and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install(python, str(source))
    return python


def install(python: Path, *what: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *what], check=True)


def size(python: Path) -> dict[str, int]:
    """Return the bytes of each package's folder, without pip and setuptools."""
    site = next((python.parent.parent / "lib").glob("python*/site-packages"))
    found: dict[str, int] = {}
    for entry in site.iterdir():
        files = entry.rglob("*") if entry.is_dir() else [entry]
        total = sum(file.lstat().st_size for file in files if not file.is_dir())
        name = entry.name.partition(".")[0].lower()
        found[name] = found.get(name, 0) + total
    for own in ("pip", "pip-", "setuptools", "pkg_resources", "_distutils_hack"):
        found.pop(own, None)
    return found


def told(name: str, found: dict[str, int]) -> int:
    total = sum(found.values())
    largest = sorted(found.items(), key=lambda item: -item[1])[:8]
    shown = ", ".join(f"{package} {count / 1e6:.0f}" for package, count in largest)
    print(f"{name}: {total / 1e6:.0f} MB ({shown})")
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", metavar="REVISION")
    given = parser.parse_args()
    codes: dict[str, list[int]] = {}
    sizes: list[int] = []
    revisions = [given.before, None] if given.before else [None]
    with tempfile.TemporaryDirectory() as scratch:
        for revision in revisions:
            name = revision or "this checkout"
            home = Path(scratch, f"env-{revision or 'now'}".replace("/", "_"))
            source = exported(revision, home.with_name(f"src-{home.name}"))
            python = environment(home, source)
            sizes.append(told(name, size(python)))
            install(python, "rioxarray")
            command = [str(python), "-W", "ignore", "-c", PROGRAM]
            codes[name] = [
                subprocess.run(command, cwd=scratch, check=False).returncode for _ in range(RUNS)
            ]
            print(f"{name}, with rioxarray: exit codes {codes[name]}")
    if len(sizes) == 2:
        print(f"default install: {sizes[1] / sizes[0]:.2f} of what it was")
    return int(any(codes["this checkout"]))


if __name__ == "__main__":
    sys.exit(main())

"""The files of the examples are what their scripts make: nobody else's file is here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import eccodes
import netCDF4
import numpy as np
import pydicom
import pytest
import tifffile

import refmaker

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

from make_data import air, blobs, ct, gfs, wind  # noqa: E402 - a script's folder

sys.path.remove(str(EXAMPLES))


def contents(path: Path) -> dict[str, object]:
    """Return values and attributes of every variable of a netCDF4 file, unpacked by nobody."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        found: dict[str, object] = {"": {name: file.getncattr(name) for name in file.ncattrs()}}
        for name, variable in file.variables.items():
            attributes = {key: variable.getncattr(key) for key in variable.ncattrs()}
            found[name] = (variable[:].tolist(), str(variable.dtype), attributes)
        return found


def test_air(tmp_path: Path) -> None:
    air.write(tmp_path / "air.nc")
    assert contents(tmp_path / "air.nc") == contents(EXAMPLES / "air.nc")
    with netCDF4.Dataset(EXAMPLES / "air.nc") as file:
        np.testing.assert_allclose(file["air"][:], air.values(), atol=0.0051)


def messages(path: Path) -> list[bytes]:
    found = []
    with open(path, "rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            found.append(eccodes.codes_get_message(handle))
            eccodes.codes_release(handle)
    return found


def test_wind(tmp_path: Path) -> None:
    wind.write(tmp_path / "wind.grb")
    made, kept = messages(tmp_path / "wind.grb"), messages(EXAMPLES / "wind.grb")
    assert made == kept
    assert len(kept) == 2 * len(wind.HOURS)


def test_blobs(tmp_path: Path) -> None:
    blobs.write(tmp_path / "blobs.tif")
    for path in (tmp_path / "blobs.tif", EXAMPLES / "blobs.tif"):
        np.testing.assert_array_equal(tifffile.imread(path), blobs.values())


def test_ct(tmp_path: Path) -> None:
    ct.write(tmp_path / "ct")
    made, kept = ([pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
                  for folder in (tmp_path / "ct", EXAMPLES / "ct"))  # fmt: skip
    assert made == kept
    for number, one in enumerate(kept):
        np.testing.assert_array_equal(
            one.pixel_array.astype(int) - 1024, ct.values(number).clip(-1024)
        )


def test_the_best_series_takes_one_chunk_of_each_time(tmp_path: Path) -> None:
    gfs.write(tmp_path)
    refs = refmaker.scan(sorted(tmp_path.rglob("*.f???")))
    view = refmaker.best_estimate(refs)
    array = dict(view.group.arrays())["heightAboveGround/instant/t2m"]
    assert array.chunks.present == len(range(0, 27, 3))


@pytest.mark.parametrize("name", ["air", "wind", "blobs", "ct"])
def test_every_file_has_its_script(name: str) -> None:
    assert "`make_data/`" in (EXAMPLES / "README.md").read_text()
    assert (EXAMPLES / "make_data" / f"{name}.py").is_file()


def test_nothing_else_is_data() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "examples", "docs"],  # noqa: S607
        cwd=EXAMPLES.parent, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    texts = {".py", ".md", ".toml", ".svg", ".ipynb"}
    data = {Path(name) for name in listed if Path(name).suffix not in texts}
    made = {"air.nc", "blobs.tif", "wind.grb"} | {f"{n + 1:04d}.dcm" for n in range(ct.SLICES)}
    assert {path.name for path in data if path.parts[0] == "examples"} <= made

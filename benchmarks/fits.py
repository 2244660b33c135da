"""Scanning FITS files, side by side with kerchunk and VirtualiZarr, and reading compressed images.

*Scan*: every tool scans every input in processes of its own: one that scans it once, imports
included (*whole*), and one that scans it four times, of which the cheapest of the last three counts
(*warm*). Of compressed images the peers make nothing that can be read; astropy's opening of the
file and its table stands beside refmaker's scan instead. *Read*: processes that read an image of
4096 x 4096 elements three times, by refmaker as Zarr (64 chunks) and by astropy; the cheaper of
the last two counts. CPU seconds of all threads.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

SCAN, READ = 4.0, 2.0
"""How many times more VirtualiZarr needs to scan, and how many times more than astropy we do."""
PLAIN = ("image", "cube", "many images")
COMPRESSED = ("RICE_1", "GZIP_2", "HCOMPRESS_1")
SIDE = 4096


def make(name: str, path: Path) -> None:
    """Write an input."""
    import numpy as np
    from astropy.io import fits

    chance = np.random.default_rng(0)
    if name in COMPRESSED:
        image = chance.normal(100, 8, (SIDE, SIDE)).astype("i2")
        tile = (1, SIDE) if name == "RICE_1" else (16, SIDE)
        unit = fits.CompImageHDU(image, compression_type=name, tile_shape=tile, name="SCI")
        units = [fits.PrimaryHDU(), unit]
    elif name == "many images":
        units = [fits.PrimaryHDU()]
        units += [fits.ImageHDU(np.zeros((64, 64), "f4"), name=f"SCI{i}") for i in range(200)]
    else:
        shape = (256, 256, 256) if name == "cube" else (SIDE, SIDE)
        units = [fits.PrimaryHDU(chance.random(shape, np.float32))]
    fits.HDUList(units).writeto(path)


def refmaker_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from refmaker.scanning.one_file import scan

    return scan, lambda found: sum(1 for _ in found[0].arrays())


def virtualizarr_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import FITSParser

    def scan(path: str) -> Any:
        registry = ObjectStoreRegistry({"file://": LocalStore()})
        return FITSParser()(f"file://{path}", registry)

    return scan, lambda found: len(found._group.arrays)  # noqa: SLF001 - nothing else counts


def kerchunk_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from kerchunk.fits import process_file

    def scan(path: str) -> Any:
        from astropy.io import fits

        with fits.open(path) as file:  # without a list of units it takes the first one alone
            units = [number for number, unit in enumerate(file) if unit.is_image and unit.shape]
        return process_file(path, extension=units)

    return scan, lambda found: sum(key.endswith(".zarray") for key in found.get("refs", found))


def astropy_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from astropy.io import fits

    def scan(path: str) -> Any:
        with fits.open(path, disable_image_compression=True) as file:
            return [unit.data.shape for unit in file if unit.data is not None]

    return scan, len


TOOLS = {
    "refmaker": refmaker_scan,
    "virtualizarr": virtualizarr_scan,
    "kerchunk": kerchunk_scan,
    "astropy": astropy_scan,
}


def child(tool: str, path: str, times: str) -> dict[str, Any]:
    """Scan in this process, once or several times."""
    warnings.simplefilter("ignore")
    scan, count = TOOLS[tool]()
    spent: list[float] = []
    for _ in range(int(times)):
        start = time.process_time()
        found = scan(path)
        spent.append(time.process_time() - start)
    return {"arrays": count(found), "cpu": min(spent[1:] or spent)}


def read(tool: str, path: str, refs: str) -> dict[str, Any]:
    """Read a compressed image in this process, three times."""
    warnings.simplefilter("ignore")
    spent = []
    for _ in range(3):
        start = time.process_time()
        if tool == "astropy":
            from astropy.io import fits

            with fits.open(path) as file:
                total = int(file[1].data.sum())
        else:
            import refmaker

            total = int(refmaker.open_group(refs)["SCI/data"][...].sum())
        spent.append(time.process_time() - start)
    return {"sum": total, "cpu": min(spent[1:])}


def scanned(tool: str, path: Path, repeat: int) -> dict[str, Any]:
    """Return CPU seconds of a whole process, and of a warm scan."""
    try:
        whole = [run("fits.py", "--child", tool, path, 1)[1] for _ in range(repeat)]
        text, _ = run("fits.py", "--child", tool, path, 4)
    except RuntimeError:
        return {"failed": True}
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return {"whole": min(whole), "warm": found["cpu"], "arrays": found["arrays"]}


def was_read(path: Path, refs: Path) -> list[dict[str, Any]]:
    """Return what reading a compressed image took, ours and astropy's."""
    found = []
    for tool in ("refmaker", "astropy"):
        text, _ = run("fits.py", "--read", tool, path, refs)
        found.append(json.loads(text.splitlines()[-1]))
    if found[0]["sum"] != found[1]["sum"]:
        raise RuntimeError(f"{path}: other values than astropy's")
    return found


def main() -> int:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fits")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each whole process")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.child or given.read:
        print(json.dumps(child(*given.child) if given.child else read(*given.read)))
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    rows, readings = [], []
    for name in (*PLAIN, *COMPRESSED):
        path = given.folder / f"{name.replace(' ', '-')}.fits"
        if not path.exists():
            make(name, path)
        peers = ("astropy",) if name in COMPRESSED else ("virtualizarr", "kerchunk")
        row: dict[str, Any] = {"name": name}
        for tool in ("refmaker", *(() if given.no_peers else peers)):
            row[tool] = scanned(tool, path, given.repeat)
        rows.append(row)
        if name in COMPRESSED:
            readings.append({"name": name, "read": _reading(path)})
    if given.json:
        print(json.dumps({"scan": rows, "read": readings}))
        return 0
    _print_scans(rows)
    _print_readings(readings)
    return 0


def _reading(path: Path) -> list[dict[str, Any]]:
    import refmaker

    refs = path.with_suffix(".json")
    # 64 rows of 4096 elements of two bytes: 64 chunks.
    refmaker.scan(str(path), chunk_bytes=SIDE * 2 * 64).write(refs)
    return was_read(path, refs)


def _print_scans(rows: list[dict[str, Any]]) -> None:
    print("| scan | tool | arrays | whole | ratio | warm | ratio |")
    print("|" + "---|" * 7)
    worst: list[float] = []
    for row in rows:
        own = row["refmaker"]
        for tool in ("refmaker", "virtualizarr", "kerchunk", "astropy"):
            found = row.get(tool)
            if found is None:
                continue
            if "failed" in found:
                print(f"| {row['name']} | {tool} | fails | | | | |")
                continue
            ratios = [found[what] / own[what] for what in ("whole", "warm")]
            cells = [f"{found['whole']:.3f}", f"{ratios[0]:.1f}"]
            cells += [f"{found['warm']:.4f}", f"{ratios[1]:.1f}"]
            print(f"| {row['name']} | {tool} | {found['arrays']} | {' | '.join(cells)} |")
            if tool == "virtualizarr" and found["arrays"] == own["arrays"]:
                worst += ratios
    if worst:
        verdict = "PASS" if min(worst) >= SCAN else "FALLS SHORT"
        print(f"scan: at least {min(worst):.1f} times VirtualiZarr, target {SCAN:g}: {verdict}")


def _print_readings(rows: list[dict[str, Any]]) -> None:
    print("\n| read 4096 x 4096 | refmaker | astropy | ratio |")
    print("|" + "---|" * 4)
    for row in rows:
        own, true = (found["cpu"] for found in row["read"])
        print(f"| {row['name']} | {own:.3f} | {true:.3f} | {own / true:.2f} |")
        if row["name"] == "RICE_1":
            verdict = "PASS" if own <= READ * true else "FALLS SHORT"
            told = f"read: {own / true:.2f} times astropy's, at most {READ:g}: {verdict}"
    print(told)


if __name__ == "__main__":
    sys.exit(main())

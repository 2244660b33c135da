"""Scanning HDF4 files, side by side with kerchunk and VirtualiZarr.

Every tool scans every input in processes of its own: one that scans it once, imports included
(*whole*), and one that scans it four times, of which the cheapest of the last three counts
(*warm*). CPU seconds of all threads; the targets are those of warm scans: Python and numpy alone
take more of a whole process than these files take to scan.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS = {"kerchunk": 6.0, "virtualizarr": 8.0}
"""How many times more the peers need."""
INPUTS = {"few data sets": (14, 480), "many data sets": (200, 30), "one data set": (1, 60_000)}
"""Data sets of a file, and chunks of each; deflated, as archives of MODIS have them."""


def make(path: Path, datasets: int, chunks: int) -> None:
    """Write a file by the HDF library, to which pyhdf gives no other way to make chunks."""
    import numpy as np
    from pyhdf import hdfext

    library = ctypes.CDLL(hdfext._hdfext.__file__)  # noqa: SLF001 - where the library is
    pair = ctypes.c_int32 * 2

    class Chunks(ctypes.Structure):
        _fields_ = (("words", ctypes.c_int32 * 64),)

    file = library.SDstart(str(path).encode(), 4)
    for number in range(datasets):
        rows = chunks * 4
        made = library.SDcreate(file, f"field{number}".encode(), 22, 2, pair(rows, 100))
        words = np.zeros(64, np.int32)
        words[[0, 1, 32, 34]] = 4, 100, 4, 6
        library.SDsetchunk(made, Chunks.from_buffer_copy(words.tobytes()), 3)
        values = np.random.default_rng(number).integers(0, 90, (rows, 100)).astype("i2")
        into = values.ctypes.data_as(ctypes.c_void_p)
        library.SDwritedata(made, pair(0, 0), None, pair(rows, 100), into)
        library.SDendaccess(made)
    library.SDend(file)


def refmaker_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from refmaker.scanning.one_file import scan

    def count(found: Any) -> int:
        return sum(array.chunks.present for _, array in found[0].arrays())

    return scan, count


def kerchunk_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from kerchunk.hdf4 import HDF4ToZarr

    def count(found: Any) -> int:
        refs = found.get("refs", found)
        return sum(not key.rpartition("/")[2].startswith(".z") for key in refs)

    return lambda path: HDF4ToZarr(path).translate(), count


def virtualizarr_scan() -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDF4Parser

    def scan(path: str) -> Any:
        return HDF4Parser()(f"file://{path}", ObjectStoreRegistry({"file://": LocalStore()}))

    def count(found: Any) -> int:
        arrays = found._group.arrays  # noqa: SLF001 - nothing else counts
        return sum(len(array.manifest.dict()) for array in arrays.values())

    return scan, count


TOOLS = {
    "refmaker": refmaker_scan,
    "kerchunk": kerchunk_scan,
    "virtualizarr": virtualizarr_scan,
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
    return {"chunks": count(found) if times != "1" else 0, "cpu": min(spent[1:] or spent)}


def measured(tool: str, path: Path, repeat: int) -> dict[str, Any]:
    """Return CPU seconds of a whole process, and of a warm scan."""
    try:
        whole = min(run("hdf4.py", "--child", tool, path, 1)[1] for _ in range(repeat))
        text, _ = run("hdf4.py", "--child", tool, path, 4)
    except RuntimeError:
        return {"failed": True}
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return {"whole": whole, "warm": found["cpu"], "chunks": found["chunks"]}


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "hdf4")
    parser.add_argument("--scale", type=float, default=1.0, help="chunks, as a part of all")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each whole process")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--also", type=Path, action="append", default=[], help="another file")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(*given.child)))
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    # Modules are compiled once, as those of installed packages are.
    os.environ["PYTHONPYCACHEPREFIX"] = str(given.folder / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    inputs = {path.name: path for path in given.also}
    for name, (datasets, chunks) in INPUTS.items():
        each = max(1, round(chunks * given.scale))
        inputs[name] = given.folder / f"{datasets}-{each}.hdf"
        if not inputs[name].exists():
            make(inputs[name], datasets, each)
    tools = ("refmaker",) if given.no_peers else tuple(TOOLS)
    rows = [
        {"name": name} | {tool: measured(tool, path, given.repeat) for tool in tools}
        for name, path in inputs.items()
    ]
    if given.json:
        print(json.dumps(rows))
        return 0
    show(rows, [tool for tool in tools if tool != "refmaker"])
    return 0


def show(rows: list[dict[str, Any]], peers: list[str]) -> None:
    """Print a table, and the smallest ratio to each peer."""
    head = ["input", "chunks", "whole", "warm"]
    for peer in peers:
        head += [f"{peer}, whole", "times", "warm", "times"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        own = row["refmaker"]
        cells = [row["name"], f"{own['chunks']:,}", f"{own['whole']:.3f}", f"{own['warm']:.3f}"]
        for peer in peers:
            for what in ("whole", "warm"):
                cells += _pair(row[peer], own, what)
        print("| " + " | ".join(cells) + " |")
    for peer in peers:
        ratios = [
            row[peer]["warm"] / row["refmaker"]["warm"]
            for row in rows
            if row[peer].get("chunks", 0) >= row["refmaker"]["chunks"]
        ]
        if ratios:
            verdict = "PASS" if min(ratios) >= TARGETS[peer] else "FALLS SHORT"
            print(f"{peer}: at least {min(ratios):.1f} times, target {TARGETS[peer]:g}: {verdict}")


def _pair(peer: dict[str, Any], own: dict[str, Any], what: str) -> list[str]:
    if "failed" in peer:
        return ["fails", ""]
    same = peer["chunks"] >= own["chunks"]
    ratio = f"{peer[what] / own[what]:.1f}" if same else f"(finds {peer['chunks']:,})"
    return [f"{peer[what]:.3f}", ratio]


if __name__ == "__main__":
    sys.exit(main())

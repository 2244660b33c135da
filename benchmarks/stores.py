"""Scanning Zarr stores and DMR++ documents, side by side with VirtualiZarr.

Every tool scans every input in processes of its own: one that scans it once, imports included
(*whole*), and one that scans it four times, of which the cheapest of the last three counts
(*warm*). CPU seconds of all threads; the targets are those of whole and warm alike.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS = {"zarr": 4.0, "zip": 1.5, "dmrpp": 5.0}
"""How many times more the peer needs, by kind of input; archives it reads from version 2.8 on."""
ZARR = ("v2-dots", "v2-slashes", "v3-slashes", "v3-dots", "many-arrays")
DMRPP = ("one-dimension", "three-dimensions", "many-variables")
_HEAD = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
    '<Dataset xmlns="http://xml.opendap.org/ns/DAP/4.0#"'
    ' xmlns:dmrpp="http://xml.opendap.org/dap/dmrpp/1.0.0#" dapVersion="4.0" dmrVersion="1.0"'
    ' name="x.h5" dmrpp:href="OPeNDAP_DMRpp_DATA_ACCESS_URL" dmrpp:version="3.21.1">\n'
)


def make_store(layout: str, count: int, path: Path) -> None:
    """Write a store of some `count` chunks."""
    import numpy as np
    import zarr

    version = 2 if layout.startswith("v2") else 3
    separator = "/" if layout.endswith("slashes") else "."
    keys = {"name": "v2" if version == 2 else "default", "separator": separator}
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    arrays = 200 if layout == "many-arrays" else 1
    side = max(2, round((count / arrays) ** 0.5))
    for number in range(arrays):
        array = group.create_array(
            f"a{number}", shape=(side * 4, side * 4), chunks=(4, 4), dtype="f4",
            chunk_key_encoding=keys,
        )  # fmt: skip
        array[...] = np.random.default_rng(number).random((side * 4, side * 4))


def make_zip(store: Path, path: Path) -> None:
    """Put a store into an archive."""
    with zipfile.ZipFile(path, "w") as archive:
        files = sorted(store.rglob("*"), key=lambda file: (file.name != "zarr.json", str(file)))
        for file in files:
            if file.is_file():
                archive.write(file, file.relative_to(store).as_posix())


def make_document(layout: str, count: int, path: Path) -> None:
    """Write a document of `count` chunks beside an empty granule of the size that it tells."""
    variables = 500 if layout == "many-variables" else 1
    each = max(1, count // variables)
    rank = 1 if layout == "one-dimension" else 3
    rows = max(1, each // 25)
    shape = (each * 100,) if rank == 1 else (rows * 10, 5 * 20, 5 * 30)
    parts = [_HEAD]
    parts += [f'<Dimension name="d{axis}" size="{size}"/>' for axis, size in enumerate(shape)]
    for number in range(variables):
        chunk = "100" if rank == 1 else "10 20 30"
        dims = "".join(f'<Dim name="/d{axis}"/>' for axis in range(rank))
        parts.append(
            f'<Float32 name="v{number}">{dims}<dmrpp:chunks compressionType="shuffle deflate"'
            ' deflateLevel="4" fillValue="0" byteOrder="LE">'
            f"<dmrpp:chunkDimensionSizes>{chunk}</dmrpp:chunkDimensionSizes>"
        )
        parts += [
            f'            <dmrpp:chunk offset="{4000 + i * 90}" nBytes="90"'
            f' chunkPositionInArray="[{_position(i, rank)}]"/>'
            for i in range(each if rank == 1 else rows * 25)
        ]
        parts.append("</dmrpp:chunks></Float32>")
    path.write_text("\n".join([*parts, "</Dataset>"]))
    with open(path.with_suffix(""), "wb") as file:
        file.truncate(4000 + max(each, rows * 25) * 90)


def _position(number: int, rank: int) -> str:
    if rank == 1:
        return str(number * 100)
    return f"{number // 25 * 10},{number // 5 % 5 * 20},{number % 5 * 30}"


def refmaker_scan(_kind: str) -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from refmaker.scanning.one_file import scan

    def count(found: Any) -> int:
        return sum(array.chunks.present for _, array in found[0].arrays())

    return scan, count


def virtualizarr_scan(kind: str) -> tuple[Callable[[str], Any], Callable[[Any], int]]:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr import parsers

    names = {"zarr": "ZarrParser", "zip": "ZippedZarrParser", "dmrpp": "DMRPPParser"}
    parser: Any = getattr(parsers, names[kind])()

    def scan(path: str) -> Any:
        registry = ObjectStoreRegistry({"file://": LocalStore()})
        return parser(f"file://{path}", registry)

    def count(found: Any) -> int:
        arrays = found._group.arrays  # noqa: SLF001 - nothing else counts
        return sum(len(array.manifest.dict()) for array in arrays.values())

    return scan, count


TOOLS = {"refmaker": refmaker_scan, "virtualizarr": virtualizarr_scan}


def child(tool: str, kind: str, path: str, times: str) -> dict[str, Any]:
    """Scan in this process, once or several times."""
    warnings.simplefilter("ignore")
    scan, count = TOOLS[tool](kind)
    spent: list[float] = []
    for _ in range(int(times)):
        start = time.process_time()
        found = scan(path)
        spent.append(time.process_time() - start)
    return {"chunks": count(found) if times != "1" else 0, "cpu": min(spent[1:] or spent)}


def measured(tool: str, kind: str, path: Path, repeat: int) -> dict[str, Any]:
    """Return CPU seconds of a whole process, and of a warm scan."""
    whole = []
    try:
        for _ in range(repeat):
            whole += [run("stores.py", "--child", tool, kind, path, 1)[1]]
        text, _ = run("stores.py", "--child", tool, kind, path, 4)
    except RuntimeError:
        return {"failed": True}
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return {"whole": min(whole), "warm": found["cpu"], "chunks": found["chunks"]}


def inputs(folder: Path, count: int, documents: int) -> list[tuple[str, str, Path]]:
    """Return kind, name and path of all inputs, which are made where they are not there."""
    found = []
    for layout in ZARR:
        path = folder / f"{layout}-{count}.zarr"
        if not path.exists():
            make_store(layout, count, path)
        found.append(("zarr", layout, path))
    archive = folder / f"v3-{count}.zarr.zip"
    if not archive.exists():
        make_zip(folder / f"v3-slashes-{count}.zarr", archive)
    found.append(("zip", "v3 in a zip archive", archive))
    for layout in DMRPP:
        path = folder / f"{layout}-{documents}.h5.dmrpp"
        if not path.exists():
            make_document(layout, documents, path)
        found.append(("dmrpp", layout, path))
    return found


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "stores")
    parser.add_argument("--chunks", type=int, default=10_000, help="of each Zarr store")
    parser.add_argument("--documents", type=int, default=100_000, help="chunks of each document")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each whole process")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", action="append", help="name of an input, several times")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(*given.child)))
        return 0
    # Modules are compiled once, as those of installed packages are.
    os.environ["PYTHONPYCACHEPREFIX"] = str(given.folder / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    given.folder.mkdir(parents=True, exist_ok=True)
    tools = ("refmaker",) if given.no_peers else ("refmaker", "virtualizarr")
    rows = []
    for kind, name, path in inputs(given.folder, given.chunks, given.documents):
        if given.only and name not in given.only:
            continue
        row = {"kind": kind, "name": name, "target": TARGETS[kind]}
        for tool in tools:
            row[tool] = measured(tool, kind, path, given.repeat)
        rows.append(row)
    if given.json:
        print(json.dumps(rows))
        return 0
    head = ("input", "chunks", "whole", "peer", "ratio", "warm", "peer", "ratio", "target")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(_cells(row)) + " |")
    for kind in (kind for kind, target in TARGETS.items() if target):
        print(_worst(kind, rows))
    return 0


def _cells(row: dict[str, Any]) -> list[str]:
    own, peer = row["refmaker"], row.get("virtualizarr", {})
    cells = [f"{row['kind']}: {row['name']}", f"{own['chunks']:,}"]
    for what in ("whole", "warm"):
        cells.append(f"{own[what]:.3f}")
        if what not in peer:
            cells += ["fails" if peer else "", ""]
        elif peer["chunks"] != own["chunks"]:
            cells += [f"{peer[what]:.3f}", f"(finds {peer['chunks']:,})"]
        else:
            cells += [f"{peer[what]:.3f}", f"{peer[what] / own[what]:.1f}"]
    return [*cells, f"{row['target']:g}" if row["target"] else ""]


def _worst(kind: str, rows: list[dict[str, Any]]) -> str:
    """Return the smallest ratio of a kind of input, where both found the same."""
    ratios = [
        row["virtualizarr"][what] / row["refmaker"][what]
        for row in rows
        for what in ("whole", "warm")
        if row["kind"] == kind
        and row.get("virtualizarr", {}).get("chunks") == row["refmaker"]["chunks"]
    ]
    if not ratios:
        return f"{kind}: no peer"
    verdict = "PASS" if min(ratios) >= TARGETS[kind] else "FALLS SHORT"
    return f"{kind}: at least {min(ratios):.1f} times, target {TARGETS[kind]:g}: {verdict}"


if __name__ == "__main__":
    sys.exit(main())

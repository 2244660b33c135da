"""Scanning TIFF, side by side with tifffile, kerchunk and virtual-tiff.

Three files: 50,000 pages with their directories between them, one image of 30,000 tiles, and an
OME pyramid whose levels hang below its pages. Every tool scans every file in a process of its
own. Of remote files requests and bytes are counted.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdf5 import LONG, Bench, Local, Remote, judge, note, show_local, show_remote
from measure import child, run
from remote import STORES
from tools import LOADERS, Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PEERS = ("tifffile", "kerchunk-tiff", "virtual-tiff")
LOCAL = (
    Local(
        "pages",
        "50,000 pages, directories between the data",
        {"scan": {"tifffile": 10}, "peak": {"tifffile": 1}},
    ),
    Local(
        "tiles",
        "30,000 compressed tiles",
        {"scan": {"tifffile": 10}, "peak": {"tifffile": 1}},
    ),
    Local("pyramid", "OME pyramid, 120 planes of three levels", {"scan": {"tifffile": 1}}),
)
REMOTE = (
    Remote("pages", "50,000 pages, trusted stride", {"requests": 100, "bytes": 2**20}),
    Remote("tiles", "30,000 compressed tiles", {"requests": 4}),
    Remote("pyramid", "OME pyramid", {"requests": 400, "bytes": 3 * 2**20}),
)


def tifffile_tool() -> Tool:
    import tifffile
    import tifffile.zarr

    def scan(path: str) -> str:
        text = io.StringIO()
        with tifffile.TiffFile(path) as file, file.series[0].aszarr() as store:
            store.write_fsspec(text, url="")
        return text.getvalue()

    return Tool(tifffile.__version__, scan, _write_text, _count_text)


def _write_text(text: str, out: str) -> None:
    Path(out).write_text(text)


def _count_text(text: str) -> int:
    return sum(not key.rpartition("/")[2].startswith(".z") for key in json.loads(text))


def kerchunk_tool() -> Tool:
    import ujson
    from kerchunk import __version__
    from kerchunk.tiff import tiff_to_zarr

    def scan(path: str) -> dict[str, Any]:
        found: dict[str, Any] = tiff_to_zarr(path)
        return found

    def write(found: dict[str, Any], out: str) -> None:
        with open(out, "w") as file:
            ujson.dump(found, file)

    def count(found: dict[str, Any]) -> int:
        refs = found.get("refs", found)
        return sum(not key.rpartition("/")[2].startswith(".z") for key in refs)

    return Tool(__version__, scan, write, count)


def virtual_tiff_tool() -> Tool:
    from importlib.metadata import version

    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtual_tiff import VirtualTIFF

    def scan(path: str) -> Any:
        registry = ObjectStoreRegistry({"file://": LocalStore()})
        return VirtualTIFF(ifd_layout="nested")(f"file://{path}", registry)

    def write(found: Any, out: str) -> None:  # noqa: ARG001 - it gives a store, not a file
        Path(out).write_text("")

    def count(found: Any) -> int:
        groups = [found._group]  # noqa: SLF001 - nothing public tells it
        total = 0
        while groups:
            group = groups.pop()
            groups += group.groups.values()
            total += sum(len(array.manifest.dict()) for array in group.arrays.values())
        return total

    return Tool(version("virtual-tiff"), scan, write, count)


LOADERS |= {
    "tifffile": tifffile_tool,
    "kerchunk-tiff": kerchunk_tool,
    "virtual-tiff": virtual_tiff_tool,
}


def pages(path: Path, scale: float) -> None:
    """Pages of 64 x 64 pixels, each with its directory before it."""
    import numpy as np
    import tifffile

    data = np.random.default_rng(0).integers(0, 60000, (64, 64)).astype("u2")
    with tifffile.TiffWriter(path) as file:
        for _ in range(max(20, round(50000 * scale))):
            file.write(data, metadata=None, contiguous=False)


def tiles(path: Path, scale: float) -> None:
    """One image of small tiles."""
    import numpy as np
    import tifffile

    side = 64 * max(2, round(173 * scale**0.5))
    data = np.zeros((side, side), "u1")
    data[::7] = 3
    data[:, ::5] += 1
    tifffile.imwrite(path, data, tile=(64, 64), compression="zlib", metadata=None)


def pyramid(path: Path, scale: float) -> None:
    """Planes along t, c and z with two smaller levels below each; no two planes are alike."""
    import numpy as np
    import tifffile

    noise = np.random.default_rng(0).integers(0, 4000, (1024, 1024)).astype("u2")
    depth = max(1, round(10 * scale))
    planes = np.empty((4, 3, depth, 1024, 1024), "u2")
    for i, plane in enumerate(planes.reshape(-1, 1024, 1024)):
        plane[:] = noise >> (i % 5)
    how: dict[str, Any] = {"tile": (256, 256), "compression": "zlib", "photometric": "minisblack"}
    how["compressionargs"] = {"level": 1}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as file:
        file.write(planes, subifds=2, metadata={"axes": "TCZYX"}, **how)
        for step in (2, 4):
            file.write(planes[..., ::step, ::step], subfiletype=1, **how)


FILES: dict[str, Callable[[Path, float], None]] = {
    "pages": pages,
    "tiles": tiles,
    "pyramid": pyramid,
    "tiny": lambda path, _: tiles(path, 0),
}


class TIFFBench(Bench):
    """As for HDF5, with inputs and peers of this format."""

    def input(self, name: str, scale: float | None = None) -> Path:
        scale = self.scale if scale is None else scale
        path = self.folder / f"{name}-{scale:g}.tif"
        if not path.exists():
            note(f"generating {path.name}")
            run("tiff.py", "make", name, scale, path)
        return path

    def local(self, case: Local) -> dict[str, Any]:
        tools = self.tools
        # It refuses SubIFDs, which the pyramid consists of.
        self.tools = [t for t in tools if (t, case.name) != ("virtual-tiff", "pyramid")]
        try:
            return super().local(case)
        finally:
            self.tools = tools

    def best(self, tool: str, path: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            runs: list[dict[str, Any]] = []
            while len(runs) < self.repeat and sum(r["process_cpu"] for r in runs) < LONG:
                done, cpu = run("tiff.py", "child", tool, self.warm_up, path, Path(out, "o.json"))
                runs.append(json.loads(done.splitlines()[-1]) | {"process_cpu": cpu})
        best = min(runs, key=lambda r: r["scan_cpu"] + r["write_cpu"])
        best["written_cpu"] = best["scan_cpu"] + best["write_cpu"]
        return best | {"runs": len(runs)}

    def remote(self, case: Remote, store: str) -> dict[str, Any]:
        path = self.input(case.name)
        note(f"{case.name}: {store}")
        found: dict[str, Any] = json.loads(run("tiff.py", "remote", store, self.warm_up, path)[0])
        found["share"] = found["bytes"] / found["size"]
        judged = [
            judge(f"{what}, {store}", found[what], most=most) for what, most in case.most.items()
        ]
        return {
            "name": case.name, "title": case.title, "store": store,
            "found": found, "targets": judged,
        }  # fmt: skip


def remotely(store: str, warm_up: str, path: str) -> dict[str, Any]:
    """Scan a remote file with its stride trusted; return what it cost."""
    import remote

    import refmaker

    refmaker.scan(warm_up)
    plain = refmaker.scan
    chosen = refmaker.ScanOptions(settings={"infer-ifds": "yes"})
    refmaker.scan = lambda url: plain(url, options=chosen)
    measured = remote.over_http if store == "http" else remote.over_counting
    return measured(Path(path)) | {"size": os.path.getsize(path)}


def measured(bench: TIFFBench, names: list[str], *, local: bool, far: bool) -> Iterator[Any]:
    """Yield what each case has given, as soon as it is known."""
    for case in LOCAL if local else ():
        if case.name in names:
            yield bench.local(case)
    for one in REMOTE if far else ():
        if one.name in names:
            for store in STORES:
                yield bench.remote(one, store)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kept = Path(tempfile.gettempdir()) / "refmaker-benchmarks"
    parser.add_argument("--folder", type=Path, default=kept, help="of inputs, kept for reuse")
    parser.add_argument("--quick", action="store_true", help="inputs a tenth as large")
    parser.add_argument("--scale", type=float, help="size of the inputs (default: 1)")
    names = [case.name for case in LOCAL]
    parser.add_argument("--only", action="append", choices=names, help="cases; repeatable")
    for flag, text in {
        "no-peers": "refmaker alone",
        "no-remote": "leave remote files out",
        "no-local": "leave local files out",
        "json": "print one JSON document instead",
        "check": "fail if anything falls short",
    }.items():
        parser.add_argument(f"--{flag}", action="store_true", help=text)
    parser.add_argument("--repeat", type=int, default=3, help="runs; the best counts (default: 3)")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    scale = chosen.scale or (0.1 if chosen.quick else 1)
    tools = ["refmaker", *(() if chosen.no_peers else PEERS)]
    note(f"Python {platform.python_version()}, inputs at scale {scale:g}")
    bench = TIFFBench(chosen.folder, scale, tools, chosen.repeat)
    names = chosen.only or list(FILES)
    found = []
    for case in measured(bench, names, local=not chosen.no_local, far=not chosen.no_remote):
        found.append(case)
        if not chosen.json:
            show_remote(case) if "store" in case else show_local(case)
    short = [target for case in found for target in case["targets"] if not target["passed"]]
    if chosen.json:
        print(json.dumps({"scale": scale, "cases": found, "short": len(short)}))
    else:
        print(f"\n{len(short)} of the targets fall short" if short else "\nall targets reached")
    return 1 if short and chosen.check else 0


def step(what: str, *arguments: str) -> int:
    """Do in a process of its own what one of the steps needs."""
    if what == "make":
        name, scale, path = arguments
        part = Path(path + ".part.tif")
        FILES[name](part, float(scale))
        os.replace(part, path)
    elif what == "child":
        print(json.dumps(child(*arguments)))
    else:
        print(json.dumps(remotely(*arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(step(*sys.argv[1:]) if sys.argv[1:2] and sys.argv[1][0] != "-" else main())

"""Reading through references, beside stock fsspec and zarr, and the native library.

Run as ``python benchmarks/reading.py``; some four minutes, with ``--quick`` one. Every figure
comes from a process of its own, which first does the same with something tiny, so that imports
count nowhere. Prints what is measured, then the targets with PASS or FALLS SHORT; ``--json``
prints one document instead, ``--check`` fails if a target is missed, ``--only`` runs one part.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from commands import cost, environment
from documents import LAYOUTS
from measure import run, spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["TOOLS", "main"]

TOOLS = ("stock", "refmaker")
LATENCIES = (0.0, 0.02, 0.1)
CHUNK = 1024
PARTS = ("layouts", "open", "requests", "local")


# What is read


def references(count: int, url: str, step: int = 1000) -> Any:
    """Return a set of `count` references to one file."""
    from refmaker import ReferenceSet
    from refmaker.model import Array, ChunkTable, Group

    rows = int(count**0.5)
    grid = (rows, count // rows)
    total = grid[0] * grid[1]
    # Lengths without a rule, as compressed chunks have them.
    length = np.random.default_rng(0).integers(step // 2, step, total)
    offset = np.concatenate([[0], np.cumsum(length)[:-1]])
    table = ChunkTable.from_columns(grid, (url,), offset=offset, length=length)
    shape = (grid[0] * 10, grid[1] * 10)
    return ReferenceSet(Group({"x": Array(shape, (10, 10), np.dtype("f4"), table)}))


def adjacent(folder: Path, count: int, url: str) -> Any:
    """Write a file of small chunks, one behind the other, and return references to them."""
    from refmaker import ReferenceSet
    from refmaker.model import Array, ChunkTable, Group

    data = np.random.default_rng(0).integers(0, 256, count * CHUNK, dtype="u1")
    (folder / "data.bin").write_bytes(data.tobytes())
    offset = np.arange(count) * CHUNK
    table = ChunkTable.from_columns((count,), (url,), offset=offset, length=np.full(count, CHUNK))
    array = Array((count * CHUNK,), (CHUNK,), np.dtype("u1"), table)
    return ReferenceSet(Group({"x": array}))


def climate(path: Path, steps: int, chunks: tuple[int, int, int]) -> None:
    """Write a gzip netCDF4 file with one variable."""
    import netCDF4

    rng = np.random.default_rng(0)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in zip("tyx", (steps, 512, 1024), strict=True):
            file.createDimension(name, size)
        found = file.createVariable("v", "f4", ("t", "y", "x"), zlib=True, chunksizes=chunks)
        for step in range(steps):
            found[step] = (rng.normal(size=(512, 1024)).cumsum(axis=1) * 10).astype("i2")


# What a child process does


def opened(tool: str, path: str) -> Any:
    """Open a reference set as a Zarr group."""
    import zarr

    if tool == "refmaker":
        import refmaker

        return refmaker.open_group(path)
    options = {"fo": path, "remote_protocol": "file"}
    return zarr.open_group("reference://", mode="r", zarr_format=2, storage_options=options)


def resident() -> int:
    """Return the bytes of memory in use now."""
    gc.collect()
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


def child_open(tool: str, warm_up: str, path: str, count: int) -> dict[str, Any]:
    opened(tool, warm_up)
    before, cpu, wall = resident(), spent(), time.perf_counter()
    group = opened(tool, path)
    found = {"cpu": spent() - cpu, "wall": time.perf_counter() - wall}
    array = group["x"]
    found["bytes"] = (resident() - before) / count
    found["chunks"] = array.nchunks
    return found


def child_requests(tool: str, folder: str, count: int, latency: float) -> dict[str, Any]:
    import zarr

    from refmaker.testing.http import RangeServer

    with RangeServer(Path(folder), latency=latency) as server:
        refs = adjacent(Path(folder), count, server.url("data.bin"))
        name = f"{folder}/{tool}.json"
        refs.write(name)
        if tool == "refmaker":
            import refmaker

            array = refmaker.open_group(name)["x"]
        else:
            options = {"fo": name, "remote_options": {"asynchronous": True}}
            array = zarr.open_group(
                "reference://", mode="r", zarr_format=2, storage_options=options
            )["x"]
        array[:1]
        server.reset()
        cpu, wall = spent(), time.perf_counter()
        values = array[CHUNK:]
        found = {"wall": time.perf_counter() - wall, "cpu": spent() - cpu}
        truth = np.fromfile(f"{folder}/data.bin", "u1")[CHUNK:]
        if not np.array_equal(values, truth):
            raise RuntimeError("other values")
        return {**found, "requests": server.requests, "bytes": server.counts.bodies}


def child_local(tool: str, path: str, refs: str, threads: int) -> dict[str, Any]:
    import zarr

    zarr.config.set({"threading.max_workers": threads})
    read = {"h5py": by_h5py, "loop": by_loop}.get(tool) or (lambda *_: opened(tool, refs)["v"][:])
    read(path, refs, threads)
    walls, cpus = [], []
    for _ in range(3):
        cpu, wall = spent(), time.perf_counter()
        read(path, refs, threads)
        walls.append(time.perf_counter() - wall)
        cpus.append(spent() - cpu)
    return {"wall": min(walls), "cpu": min(cpus)}


def by_h5py(path: str, _: str, threads: int) -> Any:
    import h5py

    with h5py.File(path) as file:
        found = file["v"]
        edges = np.linspace(0, found.shape[0], threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(lambda a, b: found[a:b], edges[:-1], edges[1:]))
    return np.concatenate(parts)


def by_loop(path: str, refs: str, threads: int) -> Any:
    """Do nothing but read and decode: what no reader can beat."""

    import numcodecs

    import refmaker

    table = refmaker.read(refs).group["v"].chunks
    codec = numcodecs.Zlib()
    handle = os.open(path, os.O_RDONLY)

    def chunk(offset: int, length: int) -> Any:
        return codec.decode(os.pread(handle, length, offset))

    with ThreadPoolExecutor(threads) as pool:
        found = sum(map(len, pool.map(chunk, table.offset.tolist(), table.length.tolist())))
    os.close(handle)
    return found


# What the parent does


def child(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("reading.py", "child", *arguments)[0].splitlines()[-1])
    return found


def best(times: int, *arguments: object) -> dict[str, Any]:
    """Run a child some times; the run with the least CPU time counts."""
    return min((child(*arguments) for _ in range(times)), key=lambda found: float(found["cpu"]))


def whole(tool: str, path: Path | str, bytecode: Path) -> dict[str, float]:
    """Open a document in a process of its own; imports count, compiling modules does not."""
    command = [sys.executable, str(Path(__file__).with_name("documents.py")), tool, str(path)]
    return cost(command, {**environment(), "PYTHONPYCACHEPREFIX": str(bytecode)})._asdict()


def measure_layouts(folder: Path, quick: bool) -> list[dict[str, Any]]:
    """Open documents of every layout, the tools in turns; the least of some runs counts."""
    count = 100_000 if quick else 1_000_000
    tools = {"stock": "reference", "refmaker": "refmaker", "read": "read"}
    bytecode = folder / "bytecode"
    rows = []
    for tool, name in tools.items():
        run("documents.py", "make", LAYOUTS[0], 100, folder / "small.json")
        whole(name, folder / "small.json", bytecode)
        imports = [whole(name, "", bytecode) for _ in range(3)]
        row = min(imports, key=lambda one: one["cpu"])
        rows.append({"layout": "imports", "count": 0, "tool": tool, **row})
    for layout in LAYOUTS:
        path = folder / f"{layout}.json"
        run("documents.py", "make", layout, count, path)
        runs: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
        for _ in range(1 if quick else 3):
            for tool, name in tools.items():
                runs[tool].append(whole(name, path, bytecode))
        path.unlink()
        best_of = {tool: min(found, key=lambda one: one["cpu"]) for tool, found in runs.items()}
        rows += [
            {"layout": layout, "count": count, "tool": tool, **row} for tool, row in best_of.items()
        ]
    return rows


def measure_open(folder: Path, quick: bool) -> list[dict[str, Any]]:
    forms = {"json": "json", "parquet": "parquet", "compact": "json"}
    rows = []
    for count in (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000):
        refs = references(count, "/data/archive/some/long/path/file.nc")
        total = refs.group["x"].chunks.size
        for form, suffix in forms.items():
            names = []
            for size, found in ((total, refs), (3000, references(3000, "/tiny.nc"))):
                name = folder / f"{form}-{size}.{suffix}"
                if form == "compact":
                    found = regular(found)  # noqa: PLW2901 - the same with a rule
                found.write(name, format=form)
                names.append(name)
            for tool in TOOLS:
                if tool == "stock" and form == "compact":
                    continue
                if tool == "stock" and form == "parquet" and not _has("fastparquet"):
                    continue
                row = best(1 if quick else 2, "open", tool, names[1], names[0], total)
                rows.append({"form": form, "count": total, "tool": tool, **row})
    return rows


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def regular(refs: Any) -> Any:
    """Return the set with chunks of equal length, for which there is a rule."""
    from dataclasses import replace

    from refmaker import ReferenceSet
    from refmaker.model import ChunkTable, Group

    array = refs.group["x"]
    total = array.chunks.size
    table = ChunkTable.from_columns(
        array.chunks.grid, array.chunks.urls, offset=np.arange(total) * 400,
        length=np.full(total, 400),
    )  # fmt: skip
    return ReferenceSet(Group({"x": replace(array, chunks=table)}))


def measure_requests(folder: Path, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for count in (100, 1000) if quick else (100, 10_000):
        for latency in LATENCIES:
            for tool in TOOLS:
                row = child("requests", tool, folder, count, latency)
                rows.append({"count": count, "latency": latency, "tool": tool, **row})
    return rows


def measure_local(folder: Path, quick: bool) -> list[dict[str, Any]]:
    import refmaker

    rows = []
    shapes = {"large": (1, 512, 1024), "small": (1, 32, 64)}
    for name, chunks in shapes.items():
        path = folder / f"{name}.nc"
        climate(path, 8 if quick else {"large": 120, "small": 20}[name], chunks)
        refmaker.scan(path).write(folder / f"{name}.json")
        for threads in (1, 2):
            for tool in (*TOOLS, "h5py", "loop"):
                row = best(2, "local", tool, path, folder / f"{name}.json", threads)
                rows.append({"chunks": name, "threads": threads, "tool": tool, **row})
    return rows


def targets(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Compare the figures with what is promised."""
    rows: list[dict[str, Any]] = []
    by = {(part, *(row[key] for key in _KEYS[part])): row for part in found for row in found[part]}
    for (part, *what), row in by.items():
        if what[-1] == "refmaker":
            stock = by.get((part, *what[:-1], "stock"))
            if part == "layouts":
                floor = {tool: by[part, "imports", 0, tool] for tool in TOOLS}
                stock = {**stock, "floor": floor["stock"]}
                ours = {**row, "floor": floor["refmaker"]}
            else:
                ours = row
            text = f"{part} {' '.join(map(str, what[:-1]))}"
            for name, value, limit, least in JUDGES[part](what, ours, stock):
                passed = bool(value >= limit if least else value <= limit)
                rows.append(
                    {"name": f"{text}: {name}", "value": value, "limit": limit, "passed": passed}
                )
    return rows


Target = tuple[str, float, float, bool]
"""What, the figure, the target, and whether that is the least."""


def judge_layouts(what: list[Any], row: dict[str, Any], stock: Any) -> Iterator[Target]:
    """Judge whole processes; documents of which imports are the larger part, without these."""
    if stock is None or what[0] == "imports":
        return
    bare = 0 if what[1] > 500_000 else 1
    ours, theirs = (
        {key: one[key] - bare * one["floor"][key] for key in ("cpu", "peak")}
        for one in (row, stock)
    )
    rest = " beyond imports" if bare else ""
    yield f"stock's CPU seconds{rest} to ours", theirs["cpu"] / ours["cpu"], 2, True
    yield f"stock's peak memory{rest} to ours", theirs["peak"] / ours["peak"], 1, True


def judge_open(what: list[Any], row: dict[str, Any], stock: Any) -> Iterator[Target]:
    if what[0] != "json":
        yield "seconds", row["wall"], 0.2, False
        return
    if what[1] > 500_000:
        yield "bytes a reference", row["bytes"], 40, False
    if stock is not None and what[1] > 50_000:
        yield "stock's seconds to ours", stock["cpu"] / row["cpu"], 4, True
        yield "stock's memory to ours", stock["bytes"] / max(row["bytes"], 1), 10, True


def judge_requests(what: list[Any], row: dict[str, Any], stock: Any) -> Iterator[Target]:
    if stock is not None:
        yield "stock's to ours", stock["requests"] / max(1, row["requests"]), 50, True
        if what[1] == 0.02:
            yield "stock's seconds to ours", stock["wall"] / row["wall"], 10, True


def judge_local(_: list[Any], row: dict[str, Any], stock: Any) -> Iterator[Target]:
    if stock is not None:
        # Equal figures differ by some percent from run to run.
        yield "stock's seconds to ours", stock["wall"] / row["wall"], 0.95, True


JUDGES = {
    "layouts": judge_layouts,
    "open": judge_open,
    "requests": judge_requests,
    "local": judge_local,
}
_KEYS = {
    "layouts": ("layout", "count", "tool"),
    "open": ("form", "count", "tool"),
    "requests": ("count", "latency", "tool"),
    "local": ("chunks", "threads", "tool"),
}


def show(found: dict[str, list[dict[str, Any]]], judged: list[dict[str, Any]]) -> None:
    for part, rows in found.items():
        print(f"\n{part}")
        for row in rows:
            named = "  ".join(f"{row[key]!s:>9}" for key in _KEYS[part])
            figures = "  ".join(
                f"{key} {value:.4g}" for key, value in row.items() if key not in _KEYS[part]
            )
            print(f"  {named}  {figures}")
    print()
    for row in judged:
        word = "PASS       " if row["passed"] else "FALLS SHORT"
        print(f"{word} {row['name']}: {row['value']:.3g} (target {row['limit']:g})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="smaller inputs")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    parts: dict[str, Callable[[Path, bool], list[dict[str, Any]]]] = {
        "layouts": measure_layouts,
        "open": measure_open, "requests": measure_requests, "local": measure_local,
    }  # fmt: skip
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only or PARTS:
            found[part] = parts[part](Path(folder), options.quick)
    judged = targets(found)
    if options.json:
        print(json.dumps({**found, "targets": judged}))
    else:
        show(found, judged)
    return int(options.check and not all(row["passed"] for row in judged))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        work, *given = sys.argv[2:]
        if work == "open":
            print(json.dumps(child_open(given[0], given[1], given[2], int(given[3]))))
        elif work == "requests":
            print(json.dumps(child_requests(given[0], given[1], int(given[2]), float(given[3]))))
        else:
            print(json.dumps(child_local(given[0], given[1], given[2], int(given[3]))))
    else:
        sys.exit(main())

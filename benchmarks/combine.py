"""Combining, beside kerchunk's MultiZarrToZarr and VirtualiZarr's open_virtual_mfdataset.

Run as ``python benchmarks/combine.py``; some minutes, with ``--quick`` one. Every figure comes
from a process of its own, which first does the same with something tiny, so that imports count
nowhere. Five parts:

``alone``
    1,000 sets of 100 chunks, which are in memory already in each tool's own form, to one.
``whole``
    The same from the files: scan, combine, write JSON; refmaker also in two processes.
``large``
    10 million chunks of 10,000 files, combined at once and in batches, and written as Parquet.
``append``
    One day to a year of daily files.
``uneven``
    Months of 28 to 31 days, which kerchunk and VirtualiZarr cannot join: 1,000 of 48 chunks in
    memory, beside months of 30 days in as many chunks; 10,000 chunks of 28 to 31 rows read,
    beside as many of 31; 50,000 opened; a month appended to ten years. What needs zarr 3.2 is left
    out where it is older.

Prints what is measured, then the targets with PASS or FALLS SHORT; ``--json`` prints one document
instead, ``--check`` fails if a target is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import peak, run, spent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

PARTS = ("alone", "whole", "large", "append", "uneven")
ALONE = ("refmaker", "kerchunk", "virtualizarr")
WHOLE = ("refmaker", "refmaker-2", "kerchunk", "kerchunk-dask", "virtualizarr")
MIB = 1024**2


# What is combined


def write_files(folder: Path, count: int) -> list[str]:
    """Write daily files of one gzip variable in 100 chunks."""
    import h5py

    rng = np.random.default_rng(0)
    field = (rng.normal(size=(100, 100)).cumsum(axis=1) * 10).astype("i2")
    paths = []
    for day in range(count):
        path = folder / f"sst_{day:06d}.nc"
        paths.append(str(path))
        if path.exists():
            continue
        with h5py.File(path, "w") as file:
            for name, values, units in (
                ("time", np.array([day], "i4"), "days since 2000-01-01"),
                ("lat", np.linspace(-90, 90, 100), "degrees_north"),
                ("lon", np.linspace(0, 360, 100), "degrees_east"),
            ):
                file[name] = values
                file[name].attrs["units"] = units
                file[name].make_scale(name)
            made = file.create_dataset(
                "sst", data=(field + day)[None], chunks=(1, 10, 10), compression="gzip",
                shuffle=True, maxshape=(None, 100, 100),
            )  # fmt: skip
            made.attrs["units"] = "K"
            for axis, name in enumerate(("time", "lat", "lon")):
                made.dims[axis].attach_scale(file[name])
    return paths


def made_up(day: int, grid: tuple[int, int, int]) -> Any:
    """Return what a scan of such a file gives, with other numbers of chunks."""
    from refmaker import ReferenceSet, ScanReport
    from refmaker.model import Array, ChunkTable, Group
    from refmaker.model.report import Fingerprint

    url = f"/data/archive/some/long/path/sst_{day:06d}.nc"
    total = grid[0] * grid[1] * grid[2]
    length = np.random.default_rng(day).integers(500, 1000, total)
    table = ChunkTable.from_columns(
        grid, (url,), offset=np.cumsum(length) - length, length=length
    )  # fmt: skip
    names = ("time", "lat", "lon")
    shape = (1, grid[1] * 50, grid[2] * 50)
    codec = {"id": "zlib", "level": 4}
    members: dict[str, Any] = {
        "sst": Array(
            shape, (1, 50, 50), np.dtype("<i2"), table, compressor=codec,
            dimension_names=names, attributes={"units": "K", "scale_factor": 0.01},
        )
    }  # fmt: skip
    for name, extent in zip(names, shape, strict=True):
        values = np.array([day], "<i4") if name == "time" else np.linspace(0, 1, extent)
        kept = ChunkTable.inline((1,), {0: values.tobytes()})
        units = {"units": "days since 2000-01-01" if name == "time" else "degrees"}
        members[name] = Array(
            values.shape, values.shape, values.dtype, kept, dimension_names=(name,),
            attributes=units,
        )  # fmt: skip
    report = ScanReport(url, "hdf5", sources={url: Fingerprint(10**6, 1e9 + day)})
    return ReferenceSet(Group(members, {"history": f"made {day}"}), report)


# What each tool does


def by_refmaker(paths: list[str]) -> tuple[Any, Callable[[Any], Any]]:
    import refmaker

    return [refmaker.scan(path) for path in paths], lambda s: refmaker.combine(s, concat="time")


def by_kerchunk(paths: list[str]) -> tuple[Any, Callable[[Any], Any]]:
    from kerchunk.combine import MultiZarrToZarr
    from kerchunk.hdf import SingleHdf5ToZarr

    warnings.simplefilter("ignore")

    def combine(found: Any) -> Any:
        return MultiZarrToZarr(
            found, concat_dims=["time"], identical_dims=["lat", "lon"], remote_protocol="file"
        ).translate()

    return [SingleHdf5ToZarr(path, inline_threshold=1024).translate() for path in paths], combine


def by_virtualizarr(paths: list[str]) -> tuple[Any, Callable[[Any], Any]]:
    import virtualizarr
    import xarray as xr

    parser, registry = _virtualizarr()
    sets = [
        virtualizarr.open_virtual_dataset(f"file://{path}", parser=parser, registry=registry)
        for path in paths
    ]

    def combine(found: Any) -> Any:
        return xr.concat(
            found, "time", data_vars="minimal", coords="minimal", compat="override", join="exact",
            combine_attrs="override",
        )  # fmt: skip

    return sets, combine


def _virtualizarr() -> tuple[Any, Any]:
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser

    warnings.simplefilter("ignore")
    return HDFParser(), ObjectStoreRegistry({"file://": LocalStore()})


def whole_refmaker(paths: list[str], out: str, jobs: int) -> None:
    import refmaker

    if jobs == 1:
        sets: Any = (refmaker.scan(path) for path in paths)
    else:
        sets = (found.references() for found in refmaker.scan_many(paths, jobs=jobs, cache=False))
    refmaker.combine(sets, concat="time").write(out)


def whole_kerchunk(paths: list[str], out: str, _: int) -> None:
    import ujson

    sets, combine = by_kerchunk(paths)
    with open(out, "w") as file:
        ujson.dump(combine(sets), file)


def whole_kerchunk_dask(paths: list[str], out: str, _: int) -> None:
    import dask
    from kerchunk.combine import auto_dask
    from kerchunk.hdf import SingleHdf5ToZarr

    warnings.simplefilter("ignore")
    with dask.config.set(scheduler="processes", num_workers=2):
        auto_dask(
            paths, SingleHdf5ToZarr, {"inline_threshold": 1024},
            {"concat_dims": ["time"], "identical_dims": ["lat", "lon"]}, n_batches=2,
            remote_protocol="file", filename=out,
        )  # fmt: skip


def whole_virtualizarr(paths: list[str], out: str, _: int) -> None:
    import virtualizarr

    parser, registry = _virtualizarr()
    found = virtualizarr.open_virtual_mfdataset(
        [f"file://{path}" for path in paths], registry=registry, parser=parser, concat_dim="time",
        combine="nested", data_vars="minimal", coords="minimal", compat="override", join="exact",
        combine_attrs="override",
    )  # fmt: skip
    found.vz.to_kerchunk(out, format="json")


TOOLS = {"refmaker": by_refmaker, "kerchunk": by_kerchunk, "virtualizarr": by_virtualizarr}
WHOLES: dict[str, tuple[Callable[[list[str], str, int], None], int]] = {
    "refmaker": (whole_refmaker, 1),
    "refmaker-2": (whole_refmaker, 2),
    "kerchunk": (whole_kerchunk, 1),
    "kerchunk-dask": (whole_kerchunk_dask, 2),
    "virtualizarr": (whole_virtualizarr, 1),
}


# What a child process does


def resident() -> float:
    """Return the MiB of memory in use now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MIB


def child_alone(tool: str, folder: str, count: int) -> dict[str, Any]:
    paths = write_files(Path(folder), count)
    tiny, combine = TOOLS[tool](paths[:3])
    combine(tiny)
    sets, combine = TOOLS[tool](paths)
    Path("/proc/self/clear_refs").write_text("5")
    before, cpu, wall = resident(), spent(), time.perf_counter()
    found = combine(sets)
    row = {"cpu": spent() - cpu, "wall": time.perf_counter() - wall}
    row["memory"] = high() - before
    row["references"] = count * 100
    check_count(tool, found, count)
    return row


def high() -> float:
    """Return the largest MiB in use since that was reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return peak()


def check_count(tool: str, found: Any, count: int) -> None:
    """Refuse to measure a tool that did something else."""
    if tool == "refmaker":
        total = found.group["sst"].chunks.present
    elif tool == "kerchunk":
        total = sum(
            key.startswith("sst/") and not key.endswith(("y", "s")) for key in found["refs"]
        )
    else:
        total = int(np.prod(found["sst"].data.manifest.shape_chunk_grid))
    if total != count * 100:
        raise RuntimeError(f"{tool}: {total} references, expected {count * 100}")


def child_whole(tool: str, folder: str, count: int) -> dict[str, Any]:
    paths = write_files(Path(folder), count)
    work, jobs = WHOLES[tool]
    out = f"{folder}/{tool}.json"
    work(paths[:4], out, jobs)
    Path("/proc/self/clear_refs").write_text("5")
    before, cpu, wall = resident(), spent(), time.perf_counter()
    work(paths, out, jobs)
    row = {"cpu": spent() - cpu, "wall": time.perf_counter() - wall}
    return {**row, "memory": high() - before, "references": count * 100}


def child_large(folder: str, files: int, chunks: int, batch: int) -> dict[str, Any]:
    import refmaker

    at_once = batch or None

    side = next(n for n in range(int(chunks**0.5), 0, -1) if chunks % n == 0)
    grid = (1, side, chunks // side)
    tiny = [made_up(k, grid) for k in range(3)]
    refmaker.combine(tiny, concat="time", batch=at_once and 2).write(
        f"{folder}/tiny{batch}.parquet"
    )
    cpu, wall = spent(), time.perf_counter()
    sets = (made_up(k, grid) for k in range(files))
    cube = refmaker.combine(sets, concat="time", batch=at_once)
    row = {"cpu": spent() - cpu, "wall": time.perf_counter() - wall}
    row["references"] = cube.group["sst"].chunks.present
    row["peak"] = peak()
    cpu = spent()
    cube.write(f"{folder}/large{batch}.parquet")
    return {**row, "write_cpu": spent() - cpu, "written_peak": peak()}


def child_append(folder: str, days: int, form: str) -> dict[str, Any]:
    import refmaker

    paths = write_files(Path(folder), days + 2)
    out = f"{folder}/year.{form}"
    refmaker.combine(map(refmaker.scan, paths[:days]), concat="time").write(out)
    refmaker.append(out, [refmaker.scan(paths[days])], concat="time")
    wall = time.perf_counter()
    day = refmaker.scan(paths[days + 1])
    scan = time.perf_counter() - wall
    cpu, wall = spent(), time.perf_counter()
    done = refmaker.append(out, [day], concat="time")
    row = {"scan": scan, "cpu": spent() - cpu, "wall": time.perf_counter() - wall}
    if done.added != paths[days + 1 :]:
        raise RuntimeError(f"added {done.added}")
    return {**row, "references": (days + 2) * 100}


def month(number: int, days: int, size: int, start: int, url: str = "") -> Any:
    """Return what a scan of a month gives: padded chunks of `size` days, and 48 altogether."""
    from refmaker import ReferenceSet, ScanReport
    from refmaker.model import Array, ChunkTable, Group
    from refmaker.model.report import Fingerprint

    url = url or f"/data/archive/some/long/path/month_{number:06d}.nc"
    along = -(-days // size)
    rows = 48 // along
    length = np.full(along * rows, 96 * size // 31)
    table = ChunkTable.from_columns(
        (along, rows, 1), (url,), offset=np.cumsum(length) - length, length=length
    )
    array = Array(
        (days, rows * 4, 6), (size, 4, 6), np.dtype("<f4"), table,
        compressor={"id": "zlib", "level": 4}, dimension_names=("time", "y", "x"),
    )  # fmt: skip
    labels = np.arange(start, start + days, dtype="<i4")
    kept = ChunkTable.inline((1,), {0: labels.tobytes()})
    times = Array(
        labels.shape, labels.shape, labels.dtype, kept, dimension_names=("time",),
        attributes={"units": "days since 2000-01-01"},
    )  # fmt: skip
    report = ScanReport(url, "hdf5", sources={url: Fingerprint(10**6, 1e9 + number)})
    return ReferenceSet(Group({"v": array, "time": times}), report)


def months(count: int, *, even: bool) -> list[Any]:
    """Return months one after another."""
    found, start = [], 0
    for number in range(count):
        days = 30 if even else (31, 28, 31, 30)[number % 4]
        found.append(month(number, days, 10 if even else 8, start))
        start += days
    return found


def least(work: Callable[[], Any], rounds: int = 5) -> float:
    """Return the CPU seconds of the fastest of some rounds, after one that does not count."""
    work()
    taken = []
    for _ in range(rounds):
        cpu = spent()
        work()
        taken.append(spent() - cpu)
    return min(taken)


def uneven_join(count: int) -> list[dict[str, Any]]:
    import refmaker

    rows = []
    for even in (True, False):
        sets = months(count, even=even)
        cpu = least(lambda sets=sets: refmaker.combine(sets, concat="time"), 3)  # type: ignore[misc]
        cube = refmaker.combine(sets, concat="time").group["v"]
        if (cube.edges is None) != even:  # type: ignore[union-attr]
            raise RuntimeError(f"edges {cube.edges}")  # type: ignore[union-attr]
        tool = "join even" if even else "join uneven"
        rows.append({"tool": tool, "cpu": cpu, "references": count * 48})
    return rows


def uneven_set(folder: str, count: int, lengths: Any) -> str:
    """Write a set of chunks of one file, of so many rows each; returns its name."""
    from refmaker import ReferenceSet
    from refmaker.model import Array, ChunkTable, Group
    from refmaker.model.edges import Edges

    blob = Path(folder) / "blob.bin"
    blob.write_bytes(np.arange(31 * 24, dtype="f4").tobytes())
    even = isinstance(lengths, int)
    sizes = np.full(count, lengths) if even else np.resize(lengths, count)
    table = ChunkTable.from_columns(
        (count, 1, 1), (str(blob),), offset=np.zeros(count, np.int64), length=sizes * 96
    )
    array = Array(
        (int(sizes.sum()), 4, 6), (int(sizes.max()), 4, 6), np.dtype("<f4"), table,
        dimension_names=("time", "y", "x"), edges=None if even else (Edges(sizes), None, None),
    )  # fmt: skip
    out = f"{folder}/set_{count}_{'even' if even else 'uneven'}.json"
    ReferenceSet(Group({"v": array})).write(out, zarr_format=3)
    return out


def uneven_read(folder: str, count: int) -> list[dict[str, Any]]:
    import zarr

    import refmaker

    rows = []
    for even in (True, False):
        if not even and zarr.config.get("array.rectilinear_chunks", None) is None:
            break
        word = "even" if even else "uneven"
        out = uneven_set(folder, count, 31 if even else (31, 28, 31, 30))
        array: Any = refmaker.open_group(out)["v"]
        part = min(count, 1000)
        cpu = least(lambda: array[: part * 28], 3)  # noqa: B023 - called at once
        rows.append({"tool": f"read {word}", "cpu": cpu, "references": part})
        opened = least(lambda: refmaker.open_group(out)["v"])  # noqa: B023
        rows.append({"tool": f"open {word}", "cpu": opened, "references": count})
    return rows


def child_uneven(folder: str, count: int) -> list[dict[str, Any]]:
    import refmaker

    many = 10 * count
    rows = [*uneven_join(count), *uneven_read(folder, many)]
    out = uneven_set(folder, 5 * many, (31, 28, 31, 30))
    rows.append({"tool": "parse", "cpu": least(lambda: refmaker.read(out)), "references": 5 * many})
    start, sets = 0, []
    for number in range(121):
        days = (31, 28, 31, 30)[number % 4]
        sets.append(month(number, days, 8, start))
        start += days
    target = f"{folder}/decade.json"
    refmaker.combine(sets[:119], concat="time").write(target)
    refmaker.append(target, [sets[119]], concat="time")
    cpu, wall = spent(), time.perf_counter()
    refmaker.append(target, [sets[120]], concat="time")
    row = {"tool": "append", "cpu": spent() - cpu, "wall": time.perf_counter() - wall}
    return [*rows, {**row, "references": 121 * 48}]


# What the parent does


def child(*arguments: object) -> Any:
    found: Any = json.loads(run("combine.py", "child", *arguments)[0].splitlines()[-1])
    return found


def measure(part: str, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    count = options.files
    if part in ("alone", "whole"):
        write_files(folder, count)
        tools = [t for t in (ALONE if part == "alone" else WHOLE) if options.peers or "ref" in t]
        return [{"tool": tool, **child(part, tool, folder, count)} for tool in tools]
    if part == "large":
        files, chunks = (100, 100) if count < 1000 else (10_000, 1000)
        tools = {"refmaker": 0, "refmaker-batch": files // 20}
        return [
            {"tool": tool, "batch": batch, **child("large", folder, files, chunks, batch)}
            for tool, batch in tools.items()
        ]
    if part == "uneven":
        return list(child("uneven", folder, count))
    days = min(365, count)
    return [{"tool": form, **child("append", folder, days, form)} for form in ("json", "parquet")]


def targets(found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Compare the figures with what is promised."""
    rows: list[dict[str, Any]] = []

    def judge(name: str, value: float, limit: float, *, least: bool) -> None:
        passed = bool(value >= limit if least else value <= limit)
        rows.append({"name": name, "value": value, "limit": limit, "passed": passed})

    for part, least in (("alone", 100.0), ("whole", 10.0)):
        by = {row["tool"]: row for row in found.get(part, ())}
        for tool, row in by.items():
            if tool.startswith("refmaker"):
                continue
            ours = by["refmaker"]
            # What is promised of combining alone is promised against kerchunk.
            limit = 1.0 if (part, tool) == ("alone", "virtualizarr") else least
            ratio = row["cpu"] / ours["cpu"]
            judge(f"{part}: {tool}'s CPU seconds to ours", ratio, limit, least=True)
            if tool != "kerchunk-dask":
                share = ours["memory"] / max(row["memory"], 0.1)
                judge(f"{part}: our memory to {tool}'s", share, 0.2, least=False)
    for row in found.get("large", ()):
        judge(f"large: MiB of {row['tool']}", row["written_peak"], 2048, least=False)
    for row in found.get("append", ()):
        judge(f"append to {row['tool']}: seconds besides the scan", row["wall"], 1, least=False)
    by = {row["tool"]: row for row in found.get("uneven", ())}
    if by:
        even, uneven = (by[f"join {word}"]["cpu"] for word in ("even", "uneven"))
        judge("uneven: CPU seconds to join", uneven, 0.05, least=False)
        judge("uneven: joining to that of even months", uneven / even, 1.5, least=False)
        judge("uneven: CPU seconds to parse", by["parse"]["cpu"], 0.05, least=False)
        judge("uneven: seconds to append a month", by["append"]["wall"], 0.3, least=False)
    if "read uneven" in by:
        ratio = by["read uneven"]["cpu"] / by["read even"]["cpu"]
        judge("uneven: reading to that of even chunks", ratio, 1.1, least=False)
        judge("uneven: CPU seconds to open", by["open uneven"]["cpu"], 0.015, least=False)
    return rows


def show(found: dict[str, list[dict[str, Any]]], judged: list[dict[str, Any]]) -> None:
    for part, rows in found.items():
        print(f"\n{part}")
        for row in rows:
            figures = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "tool")
            rate = row["references"] / max(row["cpu"], 1e-9)
            print(f"  {row['tool']:>14}  {figures}  ({rate:,.0f} references a CPU second)")
    print()
    for row in judged:
        word = "PASS       " if row["passed"] else "FALLS SHORT"
        print(f"{word} {row['name']}: {row['value']:.3g} (target {row['limit']:g})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="100 files")
    parser.add_argument("--files", type=int, help="number of files  [1000]")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="refmaker alone")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    options.files = options.files or (100 if options.quick else 1000)
    with tempfile.TemporaryDirectory() as folder:
        found = {part: measure(part, Path(folder), options) for part in options.only or PARTS}
    judged = targets(found)
    if options.json:
        print(json.dumps({**found, "targets": judged}))
    else:
        show(found, judged)
    return int(options.check and not all(row["passed"] for row in judged))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        work, *given = sys.argv[2:]
        kinds: dict[str, Callable[..., Any]] = {
            "alone": child_alone, "whole": child_whole, "large": child_large,
            "append": child_append, "uneven": child_uneven,
        }  # fmt: skip
        print(json.dumps(kinds[work](*(int(g) if g.isdigit() else g for g in given))))
    else:
        sys.exit(main())

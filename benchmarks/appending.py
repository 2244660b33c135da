"""One day added to sets of one million and of four million chunks: whole commands.

Run as ``python benchmarks/appending.py``; some minutes, with ``--quick`` sets a tenth as large.
Each day is a file of a thousand chunks. Prints CPU seconds of ``refmaker append`` (Python and
imports included), of the same command where the day is in the set already, and of
``refmaker --version``, the least of some runs; then the targets with PASS or FALLS SHORT.
``--json`` prints one document instead, ``--check`` fails if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import run

__all__ = ["FORMS", "main"]

FORMS = ("parquet", "json")
DAYS = (1000, 4000)
ROWS, COLUMNS = 100, 160
CHUNK = (1, 4, 4)


def day(path: Path, number: int) -> None:
    """Write the file of one day, of 1,000 chunks."""
    import netCDF4

    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("y", ROWS), ("x", COLUMNS)):
            file.createDimension(name, size)
            found = file.createVariable(name, "f8", (name,))
            found[:] = [number] if size is None else np.arange(size)
            if size is None:
                found.units = "days since 2000-01-01"
        data = file.createVariable(
            "t", "f4", ("time", "y", "x"), zlib=True, shuffle=True, chunksizes=CHUNK
        )
        data[0] = np.random.default_rng(number).normal(size=(ROWS, COLUMNS))


def make(form: str, count: int, folder: Path) -> None:
    """Write a set of so many days, the files of all but the first of which are not there."""
    from dataclasses import replace

    import refmaker
    from refmaker.model import ChunkTable, Group
    from refmaker.model.inline import inline_like
    from refmaker.model.report import Fingerprint

    first = folder / "day0.nc"
    if not first.exists():
        day(first, 0)
    refs = refmaker.combine([refmaker.scan(first)], concat="time")
    data, times = refs.group["t"], refs.group["time"]
    urls = tuple(str(folder / f"day{number}.nc") for number in range(count))
    one = data.chunks
    table = ChunkTable.from_columns(
        (count, *one.grid[1:]), urls,
        offset=np.tile(one.offset, count), length=np.tile(one.length, count),
        url=np.repeat(np.arange(count), one.size),
    )  # fmt: skip
    members = dict(refs.group.members)
    members["t"] = replace(data, shape=(count, ROWS, COLUMNS), chunks=table)
    members["time"] = inline_like(np.arange(count, dtype="f8"), times, ("time",))
    known = refs.report.sources[str(first)]
    sources = {url: Fingerprint(known.size, known.mtime) for url in urls}
    report = replace(refs.report, sources={**sources, str(first): known})
    whole = replace(refs, group=Group(members, refs.group.attributes), report=report)
    whole.write(folder / f"{form}-{count}.{form}", format=form)


def command(*arguments: object) -> dict[str, float]:
    """Run refmaker, and return its seconds."""
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "refmaker", *map(str, arguments)],
        env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.perf_counter() - start,
        "peak": usage.ru_maxrss * unit / 1024**2,
    }


def least(runs: list[dict[str, float]]) -> dict[str, float]:
    return min(runs, key=lambda one: one["cpu"])


def measure(folder: Path, *, quick: bool, times: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    started = least([command("--version") for _ in range(times + 2)])
    rows.append({"form": "", "chunks": 0, "what": "started", **started})
    for form in FORMS:
        counts = [count // 10 if quick else count for count in DAYS]
        runs: dict[tuple[int, str], list[dict[str, float]]] = {}
        for count in counts:
            run("appending.py", "make", form, count, folder)
            if not (folder / f"day{count}.nc").exists():
                run("appending.py", "day", folder / f"day{count}.nc", count)
        for _ in range(times):
            for count in counts:
                kept, target = folder / f"{form}-{count}.{form}", folder / f"set.{form}"
                copy(kept, target)
                for what in ("added", "known"):
                    found = command("append", target, folder / f"day{count}.nc", "--concat", "time")
                    runs.setdefault((count, what), []).append(found)
        for (count, what), found in runs.items():
            chunks = count * ROWS * COLUMNS // (CHUNK[1] * CHUNK[2])
            rows.append({"form": form, "chunks": chunks, "what": what, **least(found)})
    return rows


def copy(kept: Path, target: Path) -> None:
    if kept.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(kept, target)
    else:
        shutil.copyfile(kept, target)


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the figures with what is promised."""
    by = {(row["form"], row["what"], row["chunks"]): row["cpu"] for row in rows}
    small, large = sorted({row["chunks"] for row in rows} - {0})
    start = by["parquet", "known", small]
    one, four = by["parquet", "added", small], by["parquet", "added", large]
    # Of JSON all is read and written: for sets that grow there is Parquet.
    found = [
        (f"parquet: {large} chunks to {small}", four / one, 1.3),
        (f"parquet: seconds beyond those of adding nothing, {small} chunks", one - start, 0.15),
        (f"json: seconds, {small} chunks", by["json", "added", small], 1.5),
    ]
    return [
        {"name": name, "value": value, "limit": limit, "passed": value <= limit}
        for name, value, limit in found
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the chunks")
    parser.add_argument("--times", type=int, default=3, help="runs of each command")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), quick=options.quick, times=options.times)
    judged = targets(rows)
    if options.json:
        print(json.dumps({"appending": rows, "targets": judged}))
    else:
        for row in rows:
            print(
                f"  {row['form']:>7}  {row['chunks']:>8}  {row['what']:>7}  CPU {row['cpu']:6.3f} s"
                f"  {row['wall']:6.3f} s  {row['peak']:5.0f} MiB"
            )
        print()
        for row in judged:
            word = "PASS       " if row["passed"] else "FALLS SHORT"
            print(f"{word} {row['name']}: {row['value']:.3g} (target {row['limit']:g})")
    return int(options.check and not all(row["passed"] for row in judged))


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    elif sys.argv[1:2] == ["day"]:
        day(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(main())

"""Two thousand small netCDF4 files: a set for each, and one cube, as whole commands.

Run as ``python benchmarks/many.py``; a minute, with ``--quick`` a tenth of the files. Beside them
stands a script that opens each file by h5py and walks through it, in one process: objects,
attributes and the places of chunks. Commands take turns; of each the least CPU seconds and the
least wall seconds of some runs count. Two commands that know nothing of one another and take half
of the files each show what a second process is worth on this machine at most. Wall seconds mean
something only where nothing else runs. Each run writes to a folder of its own, and nothing is
deleted before the end: where thousands of files have just been deleted, ext4 takes several times
as long to make new ones.
``--json`` prints one document instead, ``--check`` fails if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import run

__all__ = ["main"]

COUNT = 2000


def make(folder: Path, count: int) -> None:
    """Write files of 40 kB, each of four times."""
    import netCDF4

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        with netCDF4.Dataset(folder / f"f{number:05d}.nc", "w") as file:
            for name, size in (("time", None), ("y", 32), ("x", 64)):
                file.createDimension(name, size)
                found = file.createVariable(name, "f8", (name,))
                found[:] = np.arange(size) if size else np.arange(4) + 4 * number
            file["time"].units = "hours since 2020-01-01"
            data = file.createVariable(
                "t2m", "f4", ("time", "y", "x"), zlib=True, shuffle=True, chunksizes=(1, 32, 64)
            )
            data.setncatts({"units": "K", "long_name": "temperature"})
            data[:] = rng.uniform(250, 310, (4, 32, 64))


def halves(folder: Path, out: str) -> None:
    """Scan half of the files each by two commands beside one another: all that two can do here."""
    command = [sys.executable, "-m", "refmaker", "scan", "-q", "--no-cache", "-j", "1"]
    running = []
    for number in range(2):
        listed = folder.parent / f"half-{number}.txt"
        listed.write_text("\n".join(map(str, sorted(folder.iterdir())[number::2])))
        running.append(subprocess.Popen([*command, f"@{listed}", "-o", f"{out}-{number}/"]))
    if any(one.wait() for one in running):
        raise RuntimeError("a half failed")


def walk(folder: Path) -> None:
    """Open each file, and look at all that is in it."""
    import h5py

    def look(_: str, node: Any) -> None:
        dict(node.attrs)
        if isinstance(node, h5py.Dataset) and node.chunks:
            node.id.chunk_iter(lambda _: None)

    for path in sorted(folder.iterdir()):
        with h5py.File(path) as file:
            dict(file.attrs)
            file.visititems(look)


def spent(arguments: list[str], cache: Path) -> tuple[float, float]:
    """Run a command; return its CPU seconds, with those of its children, and wall seconds."""
    environment = {**os.environ, "REFMAKER_CACHE_DIR": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{arguments} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def measure(folder: Path, *, quick: bool, times: int) -> list[dict[str, Any]]:
    data = folder / "data"
    run("many.py", "make", data, COUNT // 10 if quick else COUNT)
    scan = ["-m", "refmaker", "scan", str(data), "-q", "-o"]
    cube = ["OUT.json", "--concat", "time", "--no-cache"]
    commands = {
        "h5py": [__file__, "walk", str(data)],
        "sets, 1 process": [*scan, "OUT/", "--no-cache", "-j", "1"],
        "sets, 2 processes": [*scan, "OUT/", "--no-cache", "-j", "2"],
        "sets, two halves": [__file__, "halves", str(data), "OUT"],
        "sets, kept, 1": [*scan, "OUT/", "-j", "1"],
        "sets, kept, 2": [*scan, "OUT/", "-j", "2"],
        "cube, 1 process": [*scan, *cube, "-j", "1"],
        "cube, 2 processes": [*scan, *cube, "-j", "2"],
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(times):
        for place, (name, arguments) in enumerate(commands.items()):
            out = str(folder / f"out-{number}-{place}")
            here = [argument.replace("OUT", out) for argument in arguments]
            runs[name].append(spent(here, folder / f"cache-{number}-{place}"))
    return [
        {"what": name, "cpu": min(cpu for cpu, _ in found), "wall": min(wall for _, wall in found)}
        for name, found in runs.items()
    ]


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the figures with what is promised."""
    cpu, wall = ({row["what"]: row[name] for row in rows} for name in ("cpu", "wall"))
    bare = cpu["h5py"]
    found = [
        ("sets, CPU to h5py's", cpu["sets, 1 process"] / bare, 1.0),
        ("cube, CPU to h5py's", cpu["cube, 1 process"] / bare, 1.0),
        ("sets, CPU seconds", cpu["sets, 1 process"], 3.0),
        ("cube, CPU seconds", cpu["cube, 1 process"], 3.0),
        (
            "sets, wall of 2 processes to 1",
            wall["sets, 2 processes"] / wall["sets, 1 process"],
            0.65,
        ),
    ]
    return [
        {"name": name, "value": value, "limit": limit, "passed": value <= limit}
        for name, value, limit in found
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the files")
    parser.add_argument("--times", type=int, default=3, help="runs of each command")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), quick=options.quick, times=options.times)
    judged = targets(rows)
    if options.json:
        print(json.dumps({"many": rows, "targets": judged}))
    else:
        for row in rows:
            print(f"  {row['what']:>17}  CPU {row['cpu']:6.2f} s  wall {row['wall']:6.2f} s")
        print()
        for row in judged:
            word = "PASS       " if row["passed"] else "FALLS SHORT"
            print(f"{word} {row['name']}: {row['value']:.3g} (target {row['limit']:g})")
    return int(options.check and not all(row["passed"] for row in judged))


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["halves"]:
        halves(Path(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == ["walk"]:
        walk(Path(sys.argv[2]))
    else:
        sys.exit(main())

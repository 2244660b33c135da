"""A thousand million chunks, extrapolated: a sample is scanned by a Dask cluster, and grown.

Run as ``python benchmarks/scale.py``; some three minutes. A million files of a thousand chunks are
taken to be scanned, joined in pieces of a thousand files, and the pieces appended to one Parquet
set. What is measured: CPU seconds for each file more on a `LocalCluster` of two workers; CPU
seconds, peak memory and bytes for each piece of a million chunks that is joined and written; CPU
seconds of appending to sets of one and of four million chunks, and of opening these. What is
extrapolated is the sum, with the larger of two figures where a cost was seen to grow.

Prints the table of ``docs/scale.md``; ``--write`` puts it there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from appending import day, make
from combine import made_up
from commands import HERE, cost, environment
from measure import peak, spent

FILES, CHUNKS = 1_000_000, 1000
PIECE = 1000
"""Files of a piece."""
BEGIN, END = "<!-- scale -->", "<!-- /scale -->"


def scan(folder: str, count: int) -> dict[str, float]:
    """Scan files on a cluster of two processes; what the cluster itself costs is in it."""
    from distributed import Client, LocalCluster

    import refmaker

    paths = sorted(str(path) for path in Path(folder).glob("day*.nc"))[:count]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        started = time.perf_counter()
        done = [one.error for one in refmaker.scan_many(paths, dask=client, cache=False)]
        wall = time.perf_counter() - started
    if len(done) != count or any(done):
        raise RuntimeError(f"{len(done)} files, {[error for error in done if error][:1]}")
    return {"cpu": spent(), "wall": wall}


def piece(folder: str, files: int) -> dict[str, float]:
    """Join sets of a thousand chunks that are in memory, and write them."""
    import refmaker

    before = spent()
    cube = refmaker.combine((made_up(k, (1, 25, 40)) for k in range(files)), concat="time")
    out = Path(folder, "piece.parquet")
    cube.write(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    count = files * CHUNKS
    return {"cpu": spent() - before, "peak": peak(), "bytes": size / count}


def opened(path: str) -> dict[str, float]:
    import refmaker

    data = refmaker.open_dataset(path)["t"]
    first = float(data[0, 0, 0])
    return {"first": first}


TASKS = {"scan": scan, "piece": piece, "open": opened}


def child(task: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", task, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(folder: Path, files: int, days: tuple[int, int]) -> dict[str, float]:
    """Return the figures of the sample."""
    for number in range(files):
        if not (folder / f"day{number}.nc").exists():
            day(folder / f"day{number}.nc", number)
    few, many = (child("scan", folder, count) for count in (files // 4, files))
    more = files - files // 4
    small, large = (child("piece", folder, count) for count in (PIECE // 4, PIECE))
    appended, looked = [], []
    for count in days:
        make("parquet", count, folder)
        path = folder / f"parquet-{count}.parquet"
        day(folder / f"day{count}.nc", count)
        base = [sys.executable, "-m", "refmaker", "append", str(path), "--concat", "time", "-q"]
        nothing = cost([*base, str(folder / "day0.nc")]).cpu
        appended.append(cost([*base, str(folder / f"day{count}.nc")]).cpu - nothing)
        looked.append(cost([sys.executable, __file__, "--child", "open", str(path)]).cpu)
    return {
        "file": (many["cpu"] - few["cpu"]) / more, "scan_wall": many["wall"] / files,
        "piece": large["cpu"], "piece_growth": large["cpu"] / small["cpu"] / 4,
        "peak": large["peak"], "bytes": large["bytes"],
        "append_1": appended[0], "append_4": appended[1], "open_1": looked[0], "open_4": looked[1],
    }  # fmt: skip


def table(found: dict[str, float]) -> str:
    """Return the figures, and what follows from them, as Markdown."""
    pieces = FILES // PIECE
    scanning = FILES * found["file"] / 3600
    joining = pieces * found["piece"] * max(1, found["piece_growth"]) / 3600
    # Each append of a piece costs what its chunks cost, and what was seen above that.
    growing = pieces * max(found["append_1"], found["append_4"]) / 3600
    total = scanning + joining + growing
    rows = (
        ("scanning a file of 1,000 chunks on the cluster", f"{1000 * found['file']:.2f} ms",
         f"{scanning:.2f} CPU hours for a million files"),
        ("joining 1,000 files, a million chunks, and writing them", f"{found['piece']:.2f} s",
         f"{joining:.2f} CPU hours for 1,000 pieces"),
        ("a quarter of that, times 4", f"{found['piece'] / found['piece_growth']:.2f} s",
         f"growth {found['piece_growth']:.2f} (1 is linear)"),
        ("peak memory of that", f"{found['peak']:.0f} MiB", "the same for every piece"),
        ("appending to a set of 1 million, of 4 million chunks",
         f"{found['append_1']:.3f} s, {found['append_4']:.3f} s",
         f"{growing:.2f} CPU hours for 1,000 appends"),
        ("opening such a set, and reading a value",
         f"{found['open_1']:.2f} s, {found['open_4']:.2f} s", "records are read when needed"),
        ("bytes of a chunk in Parquet", f"{found['bytes']:.1f}",
         f"{found['bytes'] * FILES * CHUNKS / 1e9:.1f} GB for all"),
        ("**altogether**", "", f"**{total:.1f} CPU hours**, {total / 32:.2f} hours on 32 cores"),
    )  # fmt: skip
    lines = ["| measured | of the sample | of 1,000,000,000 chunks |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        task, *given = sys.argv[2:]
        print(json.dumps(TASKS[task](*(int(g) if g.isdigit() else g for g in given))))
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the sample")
    parser.add_argument("--write", action="store_true", help="put the table into docs/scale.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        quick = (40, (20, 80)) if chosen.quick else (400, (1000, 4000))
        text = table(measured(Path(folder), *quick))
    print(text)
    if chosen.write:
        page = HERE.parent / "docs" / "scale.md"
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

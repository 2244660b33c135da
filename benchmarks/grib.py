"""Scanning GRIB, side by side with kerchunk, cfgrib, gribscan, gribberish and plain ecCodes.

Two files are generated: many small messages, and few large ones. Every tool scans them in a
process of its own; slow ones are given the beginning of the file only, and compared by fields
per CPU second. What reaches the targets is marked PASS, what does not FALLS SHORT.

An archive of one file for each forecast hour is asked for over HTTP as well, by refmaker alone:
all of it from its index files, and one file without any.
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
from typing import TYPE_CHECKING, Any, NamedTuple

from measure import peak, spent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEVELS = (100000, 92500, 85000, 70000, 50000, 40000, 30000, 25000, 20000, 10000)
MIB = 1024**2


class Case(NamedTuple):
    name: str
    title: str
    messages: int
    shape: tuple[int, int]
    parameters: tuple[int, ...]


CASES = (
    Case("small", "small messages, 19 x 36", 20_000, (19, 36), (130, 131, 132, 133, 157)),
    Case("large", "large messages, 721 x 1440", 2_000, (721, 1440), (130,)),
)
#: Messages that a tool gets at most, of small and of large ones.
LIMITS = {
    "refmaker": (10**9, 10**9),
    "gribberish": (20_000, 200),
    "eccodes": (2_000, 100),
    "cfgrib": (1_000, 50),
    "gribscan": (500, 30),
    "kerchunk": (100, 10),
}
ECCODES = ("eccodes", "cfgrib", "gribscan", "kerchunk")


def generate(case: Case, count: int, path: Path) -> None:
    """Write a file of messages that differ in parameter, level and step."""
    import eccodes
    import numpy as np

    rows, columns = case.shape
    values = np.random.default_rng(0).normal(280, 10, rows * columns)
    keys = {
        "Ni": columns, "Nj": rows,
        "latitudeOfFirstGridPointInDegrees": 90, "latitudeOfLastGridPointInDegrees": -90,
        "longitudeOfFirstGridPointInDegrees": 0,
        "longitudeOfLastGridPointInDegrees": 360 - 360 / columns,
        "iDirectionIncrementInDegrees": 360 / columns,
        "jDirectionIncrementInDegrees": 180 / (rows - 1), "bitsPerValue": 16,
    }  # fmt: skip
    steps = max(1, count // (len(case.parameters) * len(LEVELS)))
    with path.open("wb") as file:
        for parameter in case.parameters:
            handle = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
            for key, value in keys.items():
                eccodes.codes_set(handle, key, value)
            eccodes.codes_set(handle, "paramId", parameter)
            eccodes.codes_set_values(handle, values)
            message = bytearray(eccodes.codes_get_message(handle))
            at = section(message, 4)
            message[at + 22 : at + 24] = bytes((100, 0))
            for step in range(steps):
                for level in LEVELS:
                    message[at + 18 : at + 22] = (3 * step).to_bytes(4, "big")
                    message[at + 24 : at + 28] = level.to_bytes(4, "big")
                    file.write(message)


def section(message: bytes, number: int) -> int:
    at = 16
    while message[at + 4] != number:
        at += int.from_bytes(message[at : at + 4], "big")
    return at


def beginning(path: Path, messages: int) -> Path:
    """Return a file of the first messages, all of which are equally long."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(16)[8:], "big")
        if messages * length >= path.stat().st_size:
            return path
        part = path.with_name(f"{path.stem}-{messages}.grib2")
        if not part.exists():
            file.seek(0)
            with part.open("wb") as out:
                for _ in range(messages):
                    out.write(file.read(length))
    return part


# The tools: from a path to something written, and how many fields it holds.


def refmaker() -> Callable[[str, str], int]:
    import refmaker as package

    def run(path: str, out: str) -> int:
        refs = package.scan(path)
        refs.write(out)
        return int(refs.group.attributes["refmaker:fields"]["found"])

    return run


def eccodes() -> Callable[[str, str], int]:
    import eccodes as ec

    keys = ("paramId", "shortName", "typeOfLevel", "level", "dataDate", "endStep", "stepType",
            "md5GridSection")  # fmt: skip

    def run(path: str, out: str) -> int:
        count = 0
        with open(path, "rb") as file, open(out, "w") as lines:
            while (handle := ec.codes_grib_new_from_file(file, headers_only=True)) is not None:
                print(*(ec.codes_get(handle, key) for key in keys), file=lines)
                ec.codes_release(handle)
                count += 1
        return count

    return run


def cfgrib() -> Callable[[str, str], int]:
    import pickle

    from cfgrib import dataset, messages

    def run(path: str, out: str) -> int:
        index = dataset.open_fileindex(messages.FileStream(path), indexpath="")
        with open(out, "wb") as file:
            pickle.dump(index, file)
        return sum(len(ids) for _, ids in index.field_ids_index)

    return run


def gribscan() -> Callable[[str, str], int]:
    import gribscan as package

    def run(path: str, out: str) -> int:
        package.write_index(path, Path(out), force=True)
        with open(out) as lines:
            return sum(1 for _ in lines)

    return run


def gribberish() -> Callable[[str, str], int]:
    from gribberish import parse_grib_mapping

    def run(path: str, out: str) -> int:
        found = parse_grib_mapping(Path(path).read_bytes())
        Path(out).write_text(str(list(found)))
        return len(found)

    return run


def kerchunk() -> Callable[[str, str], int]:
    import ujson
    from kerchunk.grib2 import scan_grib

    def run(path: str, out: str) -> int:
        found = scan_grib(path)
        with open(out, "w") as file:
            ujson.dump(found, file)
        return len(found)

    return run


TOOLS = {f.__name__: f for f in (refmaker, gribberish, eccodes, cfgrib, gribscan, kerchunk)}


def helper() -> tuple[float, float]:
    """CPU seconds and largest resident size in MiB of processes that this one has running.

    Known on Linux only; elsewhere both are 0.
    """
    seconds = size = 0.0
    for list_of in Path("/proc/self/task").glob("*/children"):
        for pid in list_of.read_text().split():
            times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            seconds += sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            size += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return seconds, size


def child(name: str, warm_up: str, path: str, out: str) -> None:
    """Scan in this process, and print what it took."""
    run = TOOLS[name]()
    run(warm_up, out)
    before, cpu, wall = peak(), spent() + helper()[0], time.perf_counter()
    fields = run(path, out)
    helper_cpu, helper_peak = helper()
    print(json.dumps({
        "fields": fields, "cpu": spent() + helper_cpu - cpu, "wall": time.perf_counter() - wall,
        "import_peak": before, "peak": peak(), "helper_peak": helper_peak,
        "written": os.path.getsize(out),
    }))  # fmt: skip


def measured(name: str, warm_up: Path, path: Path, out: Path) -> dict[str, Any] | None:
    """Run a tool in a process of its own; None where it fails."""
    command = [sys.executable, __file__, "--child", name, str(warm_up), str(path), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        note(f"{name} failed: {done.stderr.strip().splitlines()[-1:]}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"rate": found["fields"] / max(found["cpu"], 1e-9)}


def remote(path: Path) -> dict[str, float]:
    """Scan over HTTP; return the share of the file that was read, and how often it was asked."""
    import refmaker as package
    from refmaker.testing.http import RangeServer

    with RangeServer(path.parent) as server:
        refs = package.scan(server.url(path.name))
    size = path.stat().st_size
    report = refs.report
    return {
        "share": report.bytes_read / size, "rounds": report.rounds, "requests": report.requests,
        "fields": refs.group.attributes["refmaker:fields"]["found"],
    }  # fmt: skip


def judge(text: str, value: float, bound: float, *, least: bool) -> dict[str, Any]:
    passed = value >= bound if least else value <= bound
    return {"text": text, "value": value, "bound": bound, "least": least, "passed": passed}


def targets(found: dict[str, dict[str, Any]], far: dict[str, float] | None) -> Iterator[Any]:
    own = found["refmaker"]
    yield judge("fields per CPU second, to a written set", own["rate"], 20_000, least=True)
    yield judge("bytes of JSON per field", own["written"] / own["fields"], 150, least=False)
    yield judge("MiB of memory", own["peak"], 100, least=False)
    yield judge("MiB of memory above imports", own["peak"] - own["import_peak"], 100, least=False)
    helper = "MiB of memory of the short-lived process that asks ecCodes for names"
    yield judge(helper, own["helper_peak"], 100, least=False)
    fastest = max((found[name]["rate"] for name in ECCODES if name in found), default=0)
    if fastest:
        yield judge("times the fastest ecCodes-based tool", own["rate"] / fastest, 50, least=True)
    if "kerchunk" in found:
        ratio = own["rate"] / found["kerchunk"]["rate"]
        yield judge("times kerchunk", ratio, 500, least=True)
    if far is not None:
        yield judge("share of the file read over HTTP", far["share"], 0.001, least=False)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def bench(case: Case, folder: Path, scale: float, tools: list[str]) -> dict[str, Any]:
    count = max(50, int(case.messages * scale))
    path = folder / f"{case.name}-{count}.grib2"
    if not path.exists():
        note(f"generating {path.name}")
        generate(case, count, path)
    column = CASES.index(case)
    found = {}
    with tempfile.TemporaryDirectory(dir=folder) as out:
        for name in tools:
            note(f"{case.name}: {name}")
            part = beginning(path, LIMITS[name][column])
            got = measured(name, beginning(path, 2), part, Path(out, "out"))
            if got is not None:
                found[name] = got
    far = remote(path) if case.name == "large" else None
    return {
        "name": case.name, "title": case.title, "messages": count, "size": path.stat().st_size,
        "tools": found, "remote": far, "targets": list(targets(found, far)),
    }  # fmt: skip


def bench_archive(folder: Path, scale: float) -> dict[str, Any]:
    """Measure an archive over HTTP: from index files, and one file of it without."""
    from grib_lists import asked_for, write_archive

    hours, runs = max(2, int(41 * scale)), max(2, int(4 * scale))
    archive, alone = folder / f"archive-{runs}x{hours}", folder / "archive-alone"
    for path, counts in ((archive, (runs, hours)), (alone, (1, 2))):
        if not path.exists():
            note(f"generating {path.name}")
            path.mkdir()
            write_archive(path, *counts, 500_000)
    names = sorted(path.name for path in archive.glob("*.grib2"))
    file = max(alone.glob("*.grib2"))
    file.with_name(f"{file.name}.idx").unlink(missing_ok=True)
    note("archive: all files from their lists, half of them, one file without")
    half = asked_for(archive, "lists", names[: len(names) // 2])
    whole = asked_for(archive, "lists", names)
    walk = asked_for(alone, "walk", [file.name])
    more = whole["files"] - half["files"]
    # Files that are read teach what the lists of all others mean: the rest is what a file costs.
    each = {name: (whole[name] - half[name]) / more for name in ("cpu", "requests")}
    share = walk["bytes"] / file.stat().st_size
    return {
        "name": "archive", "files": whole["files"], "fields": whole["fields"],
        "whole": whole, "half": half, "walk": walk,
        "targets": [
            judge("requests for each file more", each["requests"], 2, least=False),
            judge("CPU ms for each file more", 1000 * each["cpu"], 3, least=False),
            judge("seconds for all files, 50 ms away", whole["wall"], 3, least=False),
            judge("seconds for one file without a list, 50 ms away", walk["wall"], 1, least=False),
            judge("share of that file that was read", share, 0.1, least=False),
        ],
    }  # fmt: skip


def bench_joined(folder: Path, scale: float, *, peers: bool) -> dict[str, Any]:
    """Measure an archive on disk as one tree: scanned, from cached parts, appended to, viewed."""
    from grib_joined import joined

    note("joined: an archive scanned, made of cached parts, appended to, viewed")
    found = joined(folder, scale, peers=peers)
    targets = [
        judge("CPU s to written JSON, one process", found["scan"]["cpu"], 1.2, least=False),
        judge("CPU s from cached parts", found["cached"]["cpu"], 3, least=False),
        judge("MiB of memory from cached parts", found["cached"]["peak"], 300, least=False),
        judge("CPU s to append an hour, warm", found["append"]["cpu"], 0.3, least=False),
        judge("CPU s for the best view, warm", found["best"]["cpu"], 0.1, least=False),
    ]
    for peer, times in (("kerchunk", 300), ("gribberish", 4)):
        if peer in found:
            other = found[peer]
            whole = other["imports"] + other["cpu"] / other["fields"] * found["fields"]
            text = f"times {peer} scanning as many fields, which joins nothing"
            targets.append(judge(text, whole / found["scan"]["cpu"], times, least=True))
    return {"name": "joined", "found": found, "targets": targets}


def show_joined(case: dict[str, Any]) -> None:
    found = case["found"]
    print(f"\n{found['fields']:,} fields of an archive on disk as one tree")
    for name, words in (
        ("scan", "scanned in one process"), ("default", "scanned by default"),
        ("cached", f"{found['many']:,} fields of cached parts"),
        ("append command", "one hour appended, command"), ("append", "one hour appended, warm"),
        ("best", "best view, warm"), ("kerchunk", "kerchunk, some files, not joined"),
        ("gribberish", "gribberish, some files, not joined"),
    ):  # fmt: skip
        if name in found:
            size = f"{found[name]['peak']:6.0f} MiB" if "peak" in found[name] else ""
            some = f"{found[name]['fields']:,} fields" if "fields" in found[name] else ""
            print(f"  {words:36} {found[name]['cpu']:8.3f} CPU s {size}{some}")
    show_targets(case)


def show_archive(case: dict[str, Any]) -> None:
    print(f"\n{case['files']:,} files of {case['fields']:,} fields over HTTP")
    for name, words in (
        ("whole", "from lists"),
        ("half", "half of them"),
        ("walk", "one, no list"),
    ):
        found = case[name]
        print(
            f"  {words:12} {found['fields']:8,} {found['cpu']:8.3f} CPU s {found['wall']:8.3f} s "
            f"{found['requests']:6,} requests {found['bytes'] / MIB:8.1f} MiB, "
            f"{found['listed']} known from lists"
        )
    show_targets(case)


def show(case: dict[str, Any]) -> None:
    print(f"\n{case['messages']:,} {case['title']} ({case['size'] / MIB:.0f} MiB)")
    print(f"  {'':12} {'fields':>8} {'CPU s':>8} {'fields/s':>10} {'peak MiB':>9}  times slower")
    own = case["tools"]["refmaker"]["rate"]
    for name, tool in case["tools"].items():
        print(
            f"  {name:12} {tool['fields']:8,} {tool['cpu']:8.3f} {tool['rate']:10,.0f} "
            f"{tool['peak']:9.0f}  {own / tool['rate']:.1f}"
        )
    if case["remote"]:
        far = case["remote"]
        print(
            f"  HTTP: {far['requests']} requests, {far['rounds']} rounds, {far['share']:.4%} read"
        )
    show_targets(case)


def show_targets(case: dict[str, Any]) -> None:
    for item in case["targets"]:
        word = "at least" if item["least"] else "at most"
        verdict = "PASS       " if item["passed"] else "FALLS SHORT"
        print(f"  {verdict} {item['text']}: {item['value']:,.4g} ({word} {item['bound']:,g})")


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kept = Path(tempfile.gettempdir()) / "refmaker-benchmarks"
    parser.add_argument("--folder", type=Path, default=kept, help="of inputs, kept for reuse")
    parser.add_argument("--scale", type=float, default=1, help="size of the inputs (default: 1)")
    parser.add_argument("--quick", action="store_true", help="inputs a tenth as large")
    parser.add_argument("--no-peers", action="store_true", help="refmaker alone")
    parser.add_argument(
        "--only", choices=[*(case.name for case in CASES), "archive", "joined"], help="one case"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument("--check", action="store_true", help="fail if anything falls short")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    tools = ["refmaker"] if chosen.no_peers else list(TOOLS)
    scale = 0.1 * chosen.scale if chosen.quick else chosen.scale
    cases = []
    for case in CASES:
        if chosen.only in (None, case.name):
            cases.append(bench(case, chosen.folder, scale, tools))
            if not chosen.json:
                show(cases[-1])
    if chosen.only in (None, "archive"):
        cases.append(bench_archive(chosen.folder, scale))
        if not chosen.json:
            show_archive(cases[-1])
    if chosen.only in (None, "joined"):
        cases.append(bench_joined(chosen.folder, scale, peers=not chosen.no_peers))
        if not chosen.json:
            show_joined(cases[-1])
    short = sum(not item["passed"] for case in cases for item in case["targets"])
    if chosen.json:
        print(json.dumps({"scale": scale, "cases": cases, "short": short}))
    return 1 if short and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())

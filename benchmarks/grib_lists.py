"""An archive of forecasts as GFS writes them: one file for each hour, each with its index file.

Names, levels and intervals are those of the model; messages are as long as real ones and all of
different lengths, but their data are holes in the file, so that an archive takes no room.

Run as ``python benchmarks/grib_lists.py lists WARM_UP URL NAME...`` it makes one set of the files
from their index files, as ``walk WARM_UP URL NAME`` a set of one file without any; each prints one
line of JSON. WARM_UP is a local file that is scanned first, so that what is loaded on first use
counts as importing. As ``serve FOLDER LATENCY`` it is the web server that they
ask, in a process of its own.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["asked_for", "write_archive"]

LATENCY = 0.05

LEVELS = (
    1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550,
    600, 650, 700, 750, 800, 850, 900, 925, 950, 975, 1000,
)  # fmt: skip
ALOFT = (
    ("HGT", 3, 5), ("TMP", 0, 0), ("RH", 1, 1), ("SPFH", 1, 0), ("VVEL", 2, 8), ("UGRD", 2, 2),
    ("VGRD", 2, 3), ("ABSV", 2, 10),
)  # fmt: skip
NEAR = (
    ("PRMSL", 3, 1, 101, None, "mean sea level"), ("TMP", 0, 0, 103, 2, "2 m above ground"),
    ("SPFH", 1, 0, 103, 2, "2 m above ground"), ("DPT", 0, 6, 103, 2, "2 m above ground"),
    ("RH", 1, 1, 103, 2, "2 m above ground"), ("UGRD", 2, 2, 103, 10, "10 m above ground"),
    ("VGRD", 2, 3, 103, 10, "10 m above ground"), ("PRES", 3, 0, 1, None, "surface"),
    ("HGT", 3, 5, 1, None, "surface"), ("TMP", 0, 0, 1, None, "surface"),
)  # fmt: skip
OVER = (
    ("TMAX", 0, 4, 103, 2, "2 m above ground", "max", 2),
    ("TMIN", 0, 5, 103, 2, "2 m above ground", "min", 3),
    ("DSWRF", 4, 192, 1, None, "surface", "ave", 0), ("APCP", 1, 8, 1, None, "surface", "acc", 1),
    ("ACPCP", 1, 10, 1, None, "surface", "acc", 1),
)  # fmt: skip


class Field(NamedTuple):
    """A field of one hour: how it is listed, its octets, and where its step begins."""

    text: str
    category: int
    number: int
    surface: int
    level: int | None
    statistic: int | None
    begin: int


def fields(hour: int) -> Iterator[Field]:
    """Yield the fields of a forecast hour."""
    lead = f"{hour} hour fcst" if hour else "anl"
    for level in LEVELS:
        for name, category, number in ALOFT:
            text = f"{name}:{level} mb:{lead}:"
            yield Field(text, category, number, 100, level * 100, None, hour)
    for name, category, number, surface, at, words in NEAR:
        yield Field(f"{name}:{words}:{lead}:", category, number, surface, at, None, hour)
    if not hour:
        return
    bucket = hour - (hour % 6 or 6)
    for name, category, number, surface, at, words, kind, statistic in OVER:
        for begin in (bucket, 0) if kind == "acc" else (bucket,):
            days = begin % 24 == 0 and hour % 24 == 0
            span = f"{begin // 24}-{hour // 24} day" if days else f"{begin}-{hour} hour"
            text = f"{name}:{words}:{span} {kind} fcst:"
            yield Field(text, category, number, surface, at, statistic, begin)


def written(field: Field, run: datetime, hour: int, hole: int) -> tuple[bytes, int]:
    """Return the sections of a message up to its data, and its whole length."""
    clock = struct.pack(">H5B", *run.timetuple()[:6])
    one = struct.pack(">IBHHBBB", 21, 1, 7, 0, 2, 1, 1) + clock + bytes((0, bool(hour)))
    corners = struct.pack(">iiBii", 60_000_000, 0, 48, 10_000_000, 70_000_000)
    three = struct.pack(">IBBIBBH", 72, 3, 0, 48, 0, 0, 0) + bytes((6, *bytes(15)))
    three += struct.pack(">IIII", 8, 6, 0, 0xFFFFFFFF) + corners
    three += struct.pack(">IIB", 10_000_000, 10_000_000, 0)
    scale, value = (255, 0xFFFFFFFF) if field.level is None else (0, field.level)
    template = 0 if field.statistic is None else 8
    process = 96 if hour else 81
    four = struct.pack(
        ">BBBBBHBBIBBIBBI", field.category, field.number, 2, 0, process, 0, 0, 1, field.begin,
        field.surface, scale, value, 255, 255, 0xFFFFFFFF,
    )  # fmt: skip
    if field.statistic is not None:
        end = struct.pack(">H5B", *(run + timedelta(hours=hour)).timetuple()[:6])
        four += end + struct.pack(">BI", 1, 0)
        four += struct.pack(">BBBIBI", field.statistic, 2, 1, hour - field.begin, 255, 0)
    four = struct.pack(">IBHH", 9 + len(four), 4, 0, template) + four
    five = struct.pack(">IBIHfhhBB", 21, 5, 48, 0, 280.0, 0, 0, 12, 0)
    body = one + three + four + five + struct.pack(">IBB", 6, 6, 255)
    body += struct.pack(">IB", 5 + 72 + hole, 7)
    length = 16 + len(body) + 72 + hole + 4
    return b"GRIB" + bytes((0, 0, 0, 2)) + length.to_bytes(8, "big") + body, length


def write_archive(folder: Path, runs: int, hours: int, hole: int) -> int:
    """Write an archive, and return how many fields it has.

    Parameters
    ----------
    folder : Path
        Where to.
    runs : int
        Runs, six hours apart.
    hours : int
        Files of each run, three hours apart.
    hole : int
        Bytes by which messages are longer than their data, at least; the half more at most.
    """
    count = 0
    for run in range(runs):
        begin = datetime(2024, 1, 15) + timedelta(hours=6 * run)  # noqa: DTZ001 - as in the file
        for step in range(hours):
            name = f"gfs.{begin:%Y%m%d}.t{begin:%H}z.f{3 * step:03}.grib2"
            lines, offset = [], 0
            with open(folder / name, "wb") as file:
                for number, field in enumerate(fields(3 * step), 1):
                    more = hole and hole + (hole * ((count * 7919) % 911)) // 1822
                    head, length = written(field, begin, 3 * step, more)
                    file.write(head)
                    file.seek(offset + length - 4)
                    file.write(b"7777")
                    lines.append(f"{number}:{offset}:d={begin:%Y%m%d%H}:{field.text}\n")
                    offset += length
                    count += 1
            Path(folder, f"{name}.idx").write_text("".join(lines))
    return count


def serve(folder: str, latency: str) -> None:
    """Serve a folder until the input ends; tell what was asked for on every line of it."""
    from refmaker.testing.http import RangeServer

    with RangeServer(folder, latency=float(latency)) as server:
        print(server.url(""), flush=True)
        for _ in sys.stdin:
            print(json.dumps([server.requests, server.counts.bodies]), flush=True)
            server.reset()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a folder in another process."""
    command = [sys.executable, __file__, "serve", str(folder), str(LATENCY)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None  # noqa: S101 - opened as pipes
        assert process.stdout is not None  # noqa: S101
        yield process.stdout.readline().strip(), process
        process.stdin.close()


def asked_for(folder: Path, way: str, names: Sequence[str]) -> dict[str, Any]:
    """Make a set of files over HTTP in a process of its own; return what it took."""
    with served(folder) as (url, server):
        warm_up = str(min(folder.glob("*.grib2")))
        command = [sys.executable, __file__, way, warm_up, url, *names]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert server.stdin is not None  # noqa: S101
        assert server.stdout is not None  # noqa: S101
        server.stdin.write("\n")
        server.stdin.flush()
        requests, nbytes = json.loads(server.stdout.readline())
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"requests": requests, "bytes": nbytes}


def made(way: str, warm_up: str, url: str, *names: str) -> dict[str, Any]:
    """Make a set in this process, once what is needed is imported."""
    import aiohttp  # noqa: F401 - imported before the clock starts
    import fsspec.implementations.http  # noqa: F401

    from refmaker.scanners.grib import GRIBScanner
    from refmaker.scanning.options import ScanOptions

    GRIBScanner().collect([warm_up], None, ScanOptions())
    options = ScanOptions(settings={"index-files": "map" if way == "lists" else "verify"})
    cpu, wall = time.process_time(), time.perf_counter()
    group, report = GRIBScanner().collect([url + name for name in names], None, options)
    return {
        "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
        "fields": group.attributes["refmaker:fields"]["found"], "files": len(names),
        "listed": sum(row.code == "from-list" for row in report.rows),
    }  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        print(json.dumps(made(*sys.argv[1:])))

"""One tool on one file in a process of its own: CPU seconds and memory, step by step.

Run as ``python benchmarks/measure.py TOOL WARM_UP INPUT OUTPUT``: scans WARM_UP first, so that
what is loaded on first use counts as importing, then scans INPUT and writes OUTPUT; prints one
line of JSON. The functions here start such processes and wait for them.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["make", "run", "tool_on_file"]

HERE = Path(__file__).parent


def run(script: str, *arguments: object) -> tuple[str, float]:
    """Run a script beside this one.

    Returns
    -------
    str
        What it printed.
    float
        CPU seconds, user and system, of the whole process and of those that it started.
    """
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("a process without output")
    with process.stdout as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return text, usage.ru_utime + usage.ru_stime


def make(name: str, scale: float, path: Path) -> None:
    """Generate an input, unless it is there."""
    if not path.exists():
        run("files.py", name, scale, path)


def tool_on_file(tool: str, warm_up: Path, path: Path, out: Path) -> dict[str, Any]:
    """Measure a tool once; see `child` for what is returned, with ``process_cpu`` added."""
    text, cpu = run("measure.py", tool, warm_up, path, out)
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    found["process_cpu"] = cpu
    return found


def spent() -> float:
    """CPU seconds of this process and of those of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak() -> float:
    """Largest resident size so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2


def child(name: str, warm_up: str, path: str, out: str) -> dict[str, Any]:
    """Scan and write in this process.

    Returns
    -------
    dict
        ``import_cpu, scan_cpu, write_cpu`` and ``scan_wall, write_wall`` in seconds;
        ``import_peak, scan_peak, peak`` in MiB; ``references``; ``version``; ``bytes`` written.
    """
    from tools import LOADERS

    tool = LOADERS[name]()
    tool.write(tool.scan(warm_up), out)
    import_peak, clock = peak(), [spent()]
    wall = [time.perf_counter()]
    found = tool.scan(path)
    clock.append(spent())
    wall.append(time.perf_counter())
    scan_peak = peak()
    tool.write(found, out)
    clock.append(spent())
    wall.append(time.perf_counter())
    return {
        "version": tool.version,
        "import_cpu": clock[0],
        "scan_cpu": clock[1] - clock[0],
        "write_cpu": clock[2] - clock[1],
        "scan_wall": wall[1] - wall[0],
        "write_wall": wall[2] - wall[1],
        "import_peak": import_peak,
        "scan_peak": scan_peak,
        "peak": peak(),
        "references": tool.count(found),
        "bytes": os.path.getsize(out),
    }


if __name__ == "__main__":
    print(json.dumps(child(*sys.argv[1:])))

"""What a whole command costs: CPU seconds, wall seconds and peak memory, as it is typed.

Python's start, imports and processes that the command starts are part of it. Bytecode is kept,
as it is for users: the first run of a command writes it, and counts nowhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["NUMPY", "Cost", "cost", "environment", "least"]

HERE = Path(__file__).parent
NUMPY = (sys.executable, "-c", "import numpy")
"""What every tool of this field has to load: the yardstick for how busy the machine is."""


class Cost(NamedTuple):
    """What one run of a command needed."""

    cpu: float
    """CPU seconds, user and system, of the process and of all that it started."""
    wall: float
    """Seconds."""
    peak: float
    """MiB: the largest resident size of any of its processes."""


def environment() -> dict[str, str]:
    """Return the environment of commands, in which compiled modules are kept."""
    return {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def cost(command: Sequence[str], env: Mapping[str, str] | None = None) -> Cost:
    """Run a command, and return what it needed.

    Raises
    ------
    RuntimeError
        If it fails: with the end of what it printed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=dict(environment() if env is None else env), cwd=HERE.parent,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None  # noqa: S101 - a pipe was asked for
    with process.stderr as pipe:
        text = pipe.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {text[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * unit / 1024**2)


def least(runs: Sequence[Cost]) -> Cost:
    """Return the least of each figure."""
    return Cost(*(min(figures) for figures in zip(*runs, strict=True)))

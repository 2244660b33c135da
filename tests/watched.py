"""A worker whose memory is watched, apart from that of all other processes of a test run."""

from __future__ import annotations

import re
from pathlib import Path

from refmaker.scanning.one_file import scan
from refmaker.scanning.worker import Worker

LIMIT = 1024**2
"""KiB that scanning may take."""


class WatchedWorker(Worker):
    """Remembers the largest resident size, in KiB, that any of its processes reached.

    Where the system does not tell, it is taken to be endless: a test that asks then fails.
    """

    def __init__(self):
        super().__init__()
        self.peak = 0.0

    def scan(self, path, timeout=None):
        try:
            return self.run(scan, path, name=str(path), timeout=timeout)
        finally:
            if self._process is not None:
                self.peak = max(self.peak, resident(self._process.pid))


def resident(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return float("inf")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    # A process that has just ended has no memory any more.
    return float(found[1]) if found else 0.0

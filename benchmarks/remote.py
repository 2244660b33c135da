"""What scanning a remote file costs: rounds, requests and bytes, on two kinds of store.

Run as ``python benchmarks/remote.py STORE WARM_UP INPUT``; STORE is ``counting``, a filesystem
in memory that counts, or ``http``, a web server on the loopback interface whose every answer
comes 50 ms late. Prints one line of JSON. What the source says of itself is put beside what the
store has counted.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["LATENCY", "STORES"]

LATENCY = 0.05
STORES = ("counting", "http")


def over_http(path: Path) -> dict[str, Any]:
    from refmaker.testing.http import RangeServer

    with RangeServer(path.parent, latency=LATENCY) as server:
        found = scanned(server.url(path.name))
        found |= {"counted_requests": server.requests, "counted_bytes": server.counts.bodies}
    return found


def over_counting(path: Path) -> dict[str, Any]:
    from refmaker.testing.counting import CountingFileSystem

    CountingFileSystem.install(**{path.name: path.read_bytes()})
    found = scanned(f"counting://{path.name}")
    batches = CountingFileSystem.batches
    # The first request asks for the file's size, and is no range.
    found["counted_requests"] = 1 + sum(map(len, batches))
    found["counted_rounds"] = 1 + len(batches)
    found["counted_bytes"] = sum(stop - start for batch in batches for start, stop in batch)
    return found


def scanned(url: str) -> dict[str, Any]:
    import refmaker

    started = time.perf_counter(), time.process_time()
    report = refmaker.scan(url).report
    return {
        "rounds": report.rounds,
        "requests": report.requests,
        "bytes": report.bytes_read,
        "wall": time.perf_counter() - started[0],
        "cpu": time.process_time() - started[1],
    }


def main() -> None:
    import refmaker

    store, warm_up, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    refmaker.scan(warm_up)
    found = over_http(path) if store == "http" else over_counting(path)
    print(json.dumps(found | {"size": path.stat().st_size}))


if __name__ == "__main__":
    main()

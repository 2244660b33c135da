"""Chunks over HTTP, 20 ms away: adjacent, near, scattered, and each in a file of its own.

Run as ``python benchmarks/ranges.py``; about a minute. The same chunks are fetched by refmaker
and by stock fsspec through zarr (at zarr's own concurrency of 10, and at 64), and without zarr, 64
requests at a time: by aiohttp alone with each answer checked, which is the floor of one request a
chunk, and by obstore, which checks only that lengths are right.
The server is a process of its own; tools take turns, and the least of some runs counts. Prints
seconds, CPU seconds and requests, then the targets with PASS or FALLS SHORT; ``--json`` prints
one document instead, ``--check`` fails if a target is missed, ``--quick`` takes fewer chunks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import run, spent

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PATTERNS", "main"]

SIZE = 1 << 31
LATENCY = 0.02
PATTERNS = {
    "adjacent": (10_000, 1024, 0),
    "near": (2_000, 10_000, 20_000),
    "scattered": (500, 100_000, 1_000_000),
    "files": (500, 100_000, 0),
}
"""Number of chunks, their bytes, and those between two of them; in `files` each has its own."""
TOOLS = ("refmaker:10", "refmaker:64", "stock:10", "stock:64", "aiohttp:64", "obstore:64")
_BLOCK = bytes((i * 31 + 7) & 255 for i in range(1 << 16)) * 8
_SPAN = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


# The server


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection, each late."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b" /count " in head.split(b"\r\n", 1)[0]:
                text = str(answer.count).encode()  # type: ignore[attr-defined]
                answer.count = 0  # type: ignore[attr-defined]
                lines = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                writer.write(lines % len(text) + text)
                continue
            answer.count += 1  # type: ignore[attr-defined]
            await asyncio.sleep(LATENCY)
            same = b'ETag: "a"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n'
            found = re.search(rb"[Rr]ange: bytes=(\d+)-(\d+)", head)
            if found is None:
                lines = b"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\n%sContent-Length: %d\r\n\r\n"
                writer.write(lines % (same, SIZE))
                continue
            start, stop = int(found[1]), int(found[2]) + 1
            lines = (
                b"HTTP/1.1 206 P\r\nContent-Range: bytes %d-%d/%d\r\n%sContent-Length: %d\r\n\r\n"
            )
            writer.write(lines % (start, stop - 1, SIZE, same, stop - start))
            for low in range(start, stop, len(_BLOCK) // 2):
                place = low % (1 << 16)
                writer.write(_BLOCK[place : place + min(len(_BLOCK) // 2, stop - low)])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def serve() -> None:
    """Serve files of any name, and print the port."""
    answer.count = 0  # type: ignore[attr-defined]
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def serving() -> Iterator[str]:
    """Start the server, and yield the URL below which it serves."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("a process without output")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def requests(server: str) -> int:
    with urllib.request.urlopen(f"{server}/count") as found:  # noqa: S310 - the server from above
        return int(found.read())


# What a child process does


def places(pattern: str, server: str, count: int) -> list[tuple[str, int, int]]:
    """Return URL, first byte and length of each chunk."""
    _, nbytes, gap = PATTERNS[pattern]
    if pattern == "files":
        return [(f"{server}/{i}.bin", 4096, nbytes) for i in range(count)]
    return [(f"{server}/all.bin", 4096 + i * (nbytes + gap), nbytes) for i in range(count)]


def references(path: Path, wanted: list[tuple[str, int, int]]) -> None:
    """Write one array of bytes, whose chunks these are."""
    nbytes = wanted[0][2]
    array = {
        "zarr_format": 2, "shape": [len(wanted) * nbytes], "chunks": [nbytes], "dtype": "|u1",
        "order": "C", "fill_value": 0, "filters": None, "compressor": None,
    }  # fmt: skip
    refs: dict[str, Any] = {".zgroup": '{"zarr_format":2}', "x/.zarray": json.dumps(array)}
    refs.update((f"x/{i}", place) for i, place in enumerate(wanted))
    path.write_text(json.dumps({"version": 1, "refs": refs}))


async def by_aiohttp(wanted: list[tuple[str, int, int]], limit: int) -> bytes:
    """Fetch every chunk by a request of its own, and look at each answer."""
    import aiohttp

    gate = asyncio.Semaphore(limit)
    connector = aiohttp.TCPConnector(limit=limit)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(url: str, start: int, nbytes: int) -> bytes:
            headers = {
                "Range": f"bytes={start}-{start + nbytes - 1}",
                "Accept-Encoding": "identity",
            }
            async with gate, session.get(url, headers=headers, allow_redirects=False) as found:
                data = await found.read()
                span = _SPAN.fullmatch(found.headers.get("Content-Range", ""))
                right = found.status == 206 and found.headers.get("ETag") == '"a"'
                if span is None or not right or int(span[1]) != start or len(data) != nbytes:
                    raise RuntimeError("another answer")
                return data

        return b"".join(await asyncio.gather(*(one(*place) for place in wanted)))


async def by_obstore(wanted: list[tuple[str, int, int]], limit: int) -> bytes:
    """Fetch every chunk by a request of its own."""
    from obstore import get_range_async
    from obstore.store import HTTPStore

    server = wanted[0][0].rpartition("/")[0]
    store = HTTPStore.from_url(server, client_options={"allow_http": True})
    gate = asyncio.Semaphore(limit)

    async def one(url: str, start: int, nbytes: int) -> bytes:
        async with gate:
            name = url.rpartition("/")[2]
            return bytes(await get_range_async(store, name, start=start, length=nbytes))

    return b"".join(await asyncio.gather(*(one(*place) for place in wanted)))


BARE = {"aiohttp": by_aiohttp, "obstore": by_obstore}
"""What fetches without zarr."""


def child(tool: str, pattern: str, server: str, count: int) -> dict[str, float]:
    name, _, limit = tool.partition(":")
    wanted = places(pattern, server, count)
    truth = b"".join((_BLOCK[a % 65536 :][:n]) for _, a, n in wanted)
    if name in BARE:
        asyncio.run(BARE[name](wanted[:1], 1))  # what is imported on first use
        requests(server)
        cpu, wall = spent(), time.perf_counter()
        values = asyncio.run(BARE[name](wanted, int(limit)))
    else:
        import zarr

        zarr.config.set({"async.concurrency": int(limit)})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "refs.json")
            references(path, wanted)
            if name == "refmaker":
                import refmaker

                array: Any = refmaker.open_group(path)["x"]
            else:
                options = {"fo": str(path), "remote_options": {"asynchronous": True}}
                array = zarr.open_group(
                    "reference://", mode="r", zarr_format=2, storage_options=options
                )["x"]
            array[:1]
            requests(server)
            cpu, wall = spent(), time.perf_counter()
            values = array[...]
    found = {"wall": time.perf_counter() - wall, "cpu": spent() - cpu}
    if bytes(memoryview(values)) != truth:
        raise RuntimeError("other values")
    return {**found, "requests": requests(server)}


# What the parent does


def measure(server: str, *, quick: bool, times: int) -> list[dict[str, Any]]:
    rows = []
    for pattern, (full, *_) in PATTERNS.items():
        count = full // 5 if quick else full
        runs: dict[str, list[dict[str, Any]]] = {tool: [] for tool in TOOLS}
        for _ in range(times):
            for tool, found in runs.items():
                text, _ = run("ranges.py", "child", tool, pattern, server, count)
                found.append(json.loads(text))
        for tool, found in runs.items():
            row = min(found, key=lambda one: float(one["wall"]))
            rows.append({"pattern": pattern, "count": count, "tool": tool, **row})
    return rows


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare the figures with what is promised."""
    by = {(row["pattern"], row["tool"]): row for row in rows}
    found: list[tuple[str, float, float]] = []
    for pattern in PATTERNS:
        for limit in (10, 64):
            ours, stock = (by[pattern, f"{tool}:{limit}"]["wall"] for tool in ("refmaker", "stock"))
            found.append((f"{pattern}, {limit} at a time: ours to stock's", ours / stock, 1.0))
        ours = by[pattern, "refmaker:10"]["wall"]
        # Where ranges are merged, one request a chunk is no floor.
        found.append(
            (f"{pattern}: ours to aiohttp's", ours / by[pattern, "aiohttp:64"]["wall"], 1.3)
        )
    found.append(("adjacent: requests", by["adjacent", "refmaker:10"]["requests"], 3))
    return [
        {"name": name, "value": value, "limit": limit, "passed": value <= limit}
        for name, value, limit in found
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a fifth of the chunks")
    parser.add_argument("--times", type=int, default=3, help="runs of each tool")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    with serving() as server:
        rows = measure(server, quick=options.quick, times=options.times)
    judged = targets(rows)
    if options.json:
        print(json.dumps({"ranges": rows, "targets": judged}))
    else:
        for row in rows:
            print(
                f"  {row['pattern']:>9}  {row['count']:>6}  {row['tool']:>11}"
                f"  {row['wall']:6.3f} s  CPU {row['cpu']:6.3f} s  {row['requests']:>6} requests"
            )
        print()
        for row in judged:
            word = "PASS       " if row["passed"] else "FALLS SHORT"
            print(f"{word} {row['name']}: {row['value']:.3g} (target {row['limit']:g})")
    return int(options.check and not all(row["passed"] for row in judged))


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["child"]:
        tool, pattern, server, count = sys.argv[2:]
        print(json.dumps(child(tool, pattern, server, int(count))))
    else:
        sys.exit(main())

"""The first bytes of many files, or others, read concurrently: one request for each remote file.

For formats whose headers lie in one place of thousands of files. Local files are
read with ``pread``; of remote ones the answer to the first range tells the size as well, where
the protocol can (HTTP, S3), and other stores are asked for the size unless they know it from a
listing.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, TruncatedError
from refmaker.io.known_heads import FirstBytes, head_of
from refmaker.io.local_file import LocalFile, local_path
from refmaker.model.report import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from refmaker.io.remote_file import RemoteFile

__all__ = ["LOCAL", "REMOTE", "FirstBytes", "read_first_bytes", "read_pieces"]

LOCAL = 16 * 1024
"""Bytes read of a local file."""
REMOTE = 64 * 1024
"""Bytes fetched of a remote file; a round trip costs more than they do."""
_BATCH = 64
"""Local files that one thread reads in a go."""
_SLOW = 2e-4
"""Seconds for a local file from which on threads gain more than they cost."""
_THREADS = 4
_CONNECTIONS, _TOGETHER = 32, 16
"""Requests under way at a time, and those sent together over HTTP."""
_AHEAD = 4
"""How many times as many heads are in memory as are being read."""


def read_first_bytes(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    local: int = LOCAL,
    remote: int = REMOTE,
    cost: Cost | None = None,
) -> Iterator[FirstBytes]:
    """Yield the first bytes of files, in the order given; a failure costs no other file.

    Parameters
    ----------
    urls : sequence of str
        Paths and URLs that fsspec knows.
    storage_options : mapping, optional
        Passed to fsspec.
    local, remote : int
        Bytes to read of each file.
    cost : Cost, optional
        Counted up with every request.
    """
    yield from _pieces([(url, 0) for url in urls], storage_options, local, remote, cost)


def read_pieces(
    places: Sequence[tuple[str, int]],
    length: int,
    storage_options: Mapping[str, Any] | None = None,
    *,
    cost: Cost | None = None,
) -> Iterator[FirstBytes]:
    """Yield bytes from some place of each file on; otherwise as `read_first_bytes`.

    Parameters
    ----------
    places : sequence of (str, int)
        Path or URL, and the first byte. A place that the file does not have is an error of it.
    length : int
        Bytes to read of each; fewer where the file ends.
    storage_options, cost
        As for `read_first_bytes`.
    """
    yield from _pieces(places, storage_options, length, length, cost)


def _pieces(
    places: Sequence[tuple[str, int]],
    storage_options: Mapping[str, Any] | None,
    local: int,
    remote: int,
    cost: Cost | None,
) -> Iterator[FirstBytes]:
    cost = Cost() if cost is None else cost
    options = dict(storage_options or {})
    start = 0
    while start < len(places):
        near = local_path(places[start][0]) is not None
        stop = start + 1
        while stop < len(places) and (local_path(places[stop][0]) is not None) == near:
            stop += 1
        run = places[start:stop]
        if near:
            yield from _read_local(run, local, cost)
        else:
            yield from _read_remote(run, options, remote, cost)
        start = stop


def _read_local(places: Sequence[tuple[str, int]], length: int, cost: Cost) -> Iterator[FirstBytes]:
    """Yield bytes of local files; by threads from where on that takes long."""
    batches = [places[at : at + _BATCH] for at in range(0, len(places), _BATCH)]
    for number, batch in enumerate(batches):
        started = time.perf_counter()
        heads = _local(batch, length, cost)
        slow = time.perf_counter() - started > _SLOW * len(batch)
        yield from heads
        if slow:
            # A disk that has to be asked, or another machine: requests can wait side by side.
            following = batches[number + 1 :]
            yield from _ordered(following, lambda batch: _local(batch, length, cost), _THREADS)
            return


def _ordered(
    batches: Sequence[Sequence[tuple[str, int]]],
    read: Callable[[Sequence[tuple[str, int]]], list[FirstBytes]],
    threads: int,
) -> Iterator[FirstBytes]:
    """Yield what `read` returns for each batch, in order, some batches ahead of the reader."""
    if len(batches) < 2:
        for only in batches:
            yield from read(only)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(read, batch) for batch in batches[: threads * _AHEAD])
        following = iter(batches[threads * _AHEAD :])
        try:
            while waiting:
                heads = waiting.popleft().result()
                batch = next(following, None)
                if batch is not None:
                    waiting.append(pool.submit(read, batch))
                yield from heads
        finally:
            for future in waiting:
                future.cancel()


def _local(places: Sequence[tuple[str, int]], length: int, cost: Cost) -> list[FirstBytes]:
    heads = []
    for url, start in places:
        path = os.path.abspath(local_path(url) or url)
        try:
            file = LocalFile(path, cost)
            room = file.fingerprint.size - start
            if start and room <= 0:
                file.close()
                raise _outside(path, start)
            data = file.read(start, min(length, room))
            file.close()
            heads.append(FirstBytes(path, data, file.fingerprint))
        except RefmakerError as error:
            heads.append(FirstBytes(path, b"", None, error))
    return heads


def _read_remote(
    places: Sequence[tuple[str, int]], options: Mapping[str, Any], length: int, cost: Cost
) -> Iterator[FirstBytes]:
    """Yield bytes of remote files, those that are at hand without a request.

    Of others those behind HTTP are asked for without a thread for each.
    """
    at_hand = 0
    for place in places:
        known = _known(*place, options, length)
        if known is None:
            break
        at_hand += 1
        # It was asked for on behalf of who reads it now.
        cost.requests += 1
        cost.bytes_read += len(known.data)
        yield known
    places = places[at_hand:]
    if not places:
        return
    cost.rounds += 1
    if all(_is_http(url) for url, _ in places):
        batches = [places[at : at + _TOGETHER] for at in range(0, len(places), _TOGETHER)]
        threads = _CONNECTIONS // _TOGETHER
        yield from _ordered(
            batches, lambda batch: _over_http(batch, options, length, cost), threads
        )
        return
    singles = [[place] for place in places]
    yield from _ordered(
        singles, lambda batch: [_remote(*batch[0], options, length, cost)], _CONNECTIONS
    )


def _known(url: str, start: int, options: Mapping[str, Any], length: int) -> FirstBytes | None:
    """Return the first bytes of a file that were read before, if they are as many as are wanted."""
    head = None if start else head_of(url, options)
    if head is None or head.fingerprint is None:
        return None
    enough = len(head.data) >= min(length, head.fingerprint.size)
    return FirstBytes(url, head.data[:length], head.fingerprint) if enough else None


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://")) and "::" not in url


def _over_http(
    places: Sequence[tuple[str, int]], options: Mapping[str, Any], length: int, cost: Cost
) -> list[FirstBytes]:
    from refmaker.io.remote_file import RemoteFile

    own = Cost()
    whole = _STRAY if any(start for _, start in places) else _WHOLE
    opened = RemoteFile.open_many(places, options, own, first=length, largest=whole)
    cost.requests += own.requests
    cost.bytes_read += own.bytes_read
    return [
        _piece(url, start, length, file) for (url, start), file in zip(places, opened, strict=True)
    ]


def _piece(url: str, start: int, length: int, file: RemoteFile | RefmakerError) -> FirstBytes:
    """Return what came with the description of a file."""
    if isinstance(file, RefmakerError):
        return FirstBytes(url, b"", None, file)
    if start and start >= file.fingerprint.size:
        return FirstBytes(url, b"", None, _outside(url, start))
    # A server that ignores ranges gives the file from its first byte on.
    at, data = file.head[0] if file.head else (start, b"")
    return FirstBytes(url, data[start - at :][:length], file.fingerprint)


def _outside(url: str, start: int) -> TruncatedError:
    return TruncatedError("the file ends before that", url=url, offset=start)


def _remote(
    url: str, start: int, options: Mapping[str, Any], length: int, cost: Cost
) -> FirstBytes:
    from refmaker.io.archive_members import open_member
    from refmaker.io.remote_file import RemoteFile

    own = Cost()
    try:
        ranges = open_member(url, options, own, 0 if start else length) or RemoteFile.open(
            url, options, own, start=start, first=length, largest=_WHOLE
        )
        size = ranges.fingerprint.size
        if start and start >= size:
            return FirstBytes(url, b"", None, _outside(url, start))
        stop = min(start + length, size)
        came = ranges.head[0] if ranges.head else (start, b"")
        if came[0] + len(came[1]) < stop:
            (came,) = ranges.fetch([(start, stop)])
    except RefmakerError as error:
        return FirstBytes(url, b"", None, error.located(url=url))
    finally:
        cost.requests += own.requests
        cost.bytes_read += own.bytes_read
    return FirstBytes(url, came[1][start - came[0] :][:length], ranges.fingerprint)


_WHOLE, _STRAY = 512 * 1024**2, 16 * 1024**2
"""Largest file taken whole from a server that ignores ranges: for its beginning, for a piece."""

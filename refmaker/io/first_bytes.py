"""The first bytes of many files, read concurrently: one request for each remote file.

For formats whose headers lie in the first kilobytes of thousands of files. Local files are
read with ``pread``; of remote ones the answer to the first range tells the size as well, where
the protocol can (HTTP, S3), and other stores are asked for the size unless they know it from a
listing.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError
from refmaker.io.local_file import LocalFile, local_path
from refmaker.model.report import Cost, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["LOCAL", "REMOTE", "FirstBytes", "read_first_bytes"]

log = logging.getLogger("refmaker.io.first_bytes")

LOCAL = 16 * 1024
"""Bytes read of a local file."""
REMOTE = 64 * 1024
"""Bytes fetched of a remote file; a round trip costs more than they do."""
_BATCH = 64
"""Local files that one thread reads in a go."""
_SLOW = 2e-4
"""Seconds for a local file from which on threads gain more than they cost."""
_THREADS = 4
_CONNECTIONS = 32
"""Requests under way at a time."""
_AHEAD = 4
"""How many times as many heads are in memory as are being read."""


@dataclass(frozen=True, slots=True)
class FirstBytes:
    """The first bytes of one file, or why they could not be read.

    Parameters
    ----------
    url : str
        The absolute path or the URL, as it goes into references.
    data : bytes
        The first bytes; all of a short file.
    fingerprint : Fingerprint, optional
        The file as it was when they were read; None after a failure.
    error : RefmakerError, optional
        What went wrong.
    """

    url: str
    data: bytes
    fingerprint: Fingerprint | None
    error: RefmakerError | None = None


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
    cost = Cost() if cost is None else cost
    options = dict(storage_options or {})
    start = 0
    while start < len(urls):
        near = local_path(urls[start]) is not None
        stop = start + 1
        while stop < len(urls) and (local_path(urls[stop]) is not None) == near:
            stop += 1
        run = urls[start:stop]
        if near:
            yield from _read_local(run, local, cost)
        else:
            cost.rounds += 1
            singles = [[url] for url in run]
            yield from _ordered(
                singles, lambda batch: [_remote(batch[0], options, remote, cost)], _CONNECTIONS
            )
        start = stop


def _read_local(urls: Sequence[str], length: int, cost: Cost) -> Iterator[FirstBytes]:
    """Yield the first bytes of local files; by threads from where on that takes long."""
    batches = [urls[at : at + _BATCH] for at in range(0, len(urls), _BATCH)]
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
    batches: Sequence[Sequence[str]],
    read: Callable[[Sequence[str]], list[FirstBytes]],
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


def _local(urls: Sequence[str], length: int, cost: Cost) -> list[FirstBytes]:
    heads = []
    for url in urls:
        path = os.path.abspath(local_path(url) or url)
        try:
            file = LocalFile(path, cost)
            data = file.read(0, min(length, file.fingerprint.size))
            heads.append(FirstBytes(path, data, file.fingerprint))
            file.close()
        except RefmakerError as error:
            heads.append(FirstBytes(path, b"", None, error))
    return heads


def _remote(url: str, options: Mapping[str, Any], length: int, cost: Cost) -> FirstBytes:
    from refmaker.io.policy import policy_of
    from refmaker.io.remote_file import RemoteFile

    head = _from_s3(url, policy_of(url, options)[1], length)
    if head is not None:
        cost.requests += 1
        cost.bytes_read += len(head.data)
        return head
    own = Cost()
    try:
        ranges = RemoteFile.open(url, options, own, first=length, largest=_WHOLE)
        if not ranges.head and ranges.fingerprint.size:
            stop = min(length, ranges.fingerprint.size)
            ranges.head = ranges.fetch([(0, stop)])
    except RefmakerError as error:
        return FirstBytes(url, b"", None, error.located(url=url))
    finally:
        cost.requests += own.requests
        cost.bytes_read += own.bytes_read
    data = ranges.head[0][1] if ranges.head else b""
    return FirstBytes(url, data[:length], ranges.fingerprint)


def _from_s3(url: str, options: Mapping[str, Any], length: int) -> FirstBytes | None:
    """Fetch the first bytes of an object of S3, whose answer tells its size as HTTP's does.

    Returns
    -------
    FirstBytes or None
        None if it is no object of S3, or the request fails: what then asks again will say why.
    """
    if not url.startswith(("s3://", "s3a://")) or "::" in url:
        return None
    try:
        from fsspec.asyn import sync
        from fsspec.core import url_to_fs

        fs, name = url_to_fs(url, **options)
        answer, data = sync(fs.loop, _get_object, fs, name, length)
        size = int(str(answer["ContentRange"]).rpartition("/")[2])
        etag, modified = str(answer["ETag"]).strip('"'), answer["LastModified"].timestamp()
    except Exception as error:  # noqa: BLE001 - stores raise what they like
        log.debug("%s: %s", url, type(error).__name__)
        return None
    if len(data) != min(size, length):
        return None
    return FirstBytes(url, data, Fingerprint(size, modified, etag))


async def _get_object(fs: Any, name: str, length: int) -> tuple[Any, bytes]:
    bucket, key, version = fs.split_path(name)
    which = {} if version is None else {"VersionId": version}
    answer = await fs._call_s3(  # noqa: SLF001 - nothing public gives the answer's headers
        "get_object", Bucket=bucket, Key=key, Range=f"bytes=0-{length - 1}", **which
    )
    try:
        return answer, await answer["Body"].read()
    finally:
        answer["Body"].close()


_WHOLE = 512 * 1024**2
"""Largest file that is taken whole from a server that ignores ranges."""

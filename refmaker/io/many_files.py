"""Byte ranges of many files, read side by side; a failure costs no other range."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import RefmakerError, SourceError, TruncatedError
from refmaker.io.local_file import local_path
from refmaker.model.report import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model.report import Fingerprint

__all__ = ["FileRange", "read_ranges"]

_CONNECTIONS = 32
"""Requests under way at a time."""


class FileRange(NamedTuple):
    """A part of a file: bytes from `start` to `stop`, or to the end of the file if that is None.

    A negative start counts from the end of the file.
    """

    url: str
    start: int = 0
    stop: int | None = None


def read_ranges(
    ranges: Sequence[FileRange],
    storage_options: Mapping[str, Any] | None = None,
    *,
    known: Mapping[str, Fingerprint] | None = None,
    cost: Cost | None = None,
) -> list[bytes | RefmakerError]:
    """Return the bytes of ranges, in their order, or why they could not be read.

    Parameters
    ----------
    ranges : sequence of FileRange
        Local files, or remote ones that fsspec knows.
    storage_options : mapping, optional
        Passed to fsspec.
    known : mapping of str to Fingerprint, optional
        How files are known to look; of others the size is asked for where it is needed.
    cost : Cost, optional
        Counted up with every request.
    """
    cost = Cost() if cost is None else cost
    found: list[bytes | RefmakerError] = [b""] * len(ranges)
    far = []
    for number, part in enumerate(ranges):
        path = local_path(part.url)
        if path is None:
            far.append(number)
        else:
            found[number] = _local(path, part, cost)
    if far:
        answers = _remote([ranges[number] for number in far], storage_options, known or {}, cost)
        for number, answer in zip(far, answers, strict=True):
            found[number] = answer
    return found


def _local(path: str, part: FileRange, cost: Cost) -> bytes | RefmakerError:
    from refmaker.io.local_file import LocalFile

    try:
        file = LocalFile(os.path.abspath(path), cost)
        try:
            start, stop = _within(part, file.fingerprint.size)
            return file.read(start, stop - start) if stop > start else b""
        finally:
            file.close()
    except RefmakerError as error:
        return error


def _within(part: FileRange, size: int) -> tuple[int, int]:
    """Return a range that is counted from the start of its file."""
    start = part.start if part.start >= 0 else size + part.start
    stop = size if part.stop is None else part.stop
    if start < 0 or stop > size:
        raise TruncatedError(
            f"bytes {start} to {stop} are needed where the file has {size} in all",
            url=part.url,
            hint="the file is incomplete or damaged",
        )
    return start, stop


def _remote(
    ranges: Sequence[FileRange],
    storage_options: Mapping[str, Any] | None,
    known: Mapping[str, Fingerprint],
    cost: Cost,
) -> list[bytes | RefmakerError]:
    import asyncio

    from fsspec.asyn import get_loop, sync

    from refmaker.io.policy import policy_of
    from refmaker.io.remote_file import RemoteFiles

    policy, options = policy_of(ranges[0].url, storage_options)
    files = RemoteFiles(policy, options, known, "size")

    async def one(part: FileRange, free: asyncio.Semaphore) -> bytes | RefmakerError:
        async with free:
            try:
                start, stop = part.start, part.stop
                if start < 0:
                    size = known[part.url].size if part.url in known else None
                    cost.requests += size is None
                    whole = await files.size(part.url) if size is None else size
                    start, stop = _within(part, whole)
                cost.requests += 1
                data = await files.fetch(part.url, start, stop)
            except RefmakerError as error:
                return error
            except OSError as error:
                return SourceError(str(error), url=part.url)
            cost.bytes_read += len(data)
            return data

    async def every() -> list[bytes | RefmakerError]:
        free = asyncio.Semaphore(_CONNECTIONS)
        return list(await asyncio.gather(*(one(part, free) for part in ranges)))

    cost.rounds += 1
    answers: list[bytes | RefmakerError] = sync(get_loop(), every)
    return answers

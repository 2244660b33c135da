"""Byte ranges over HTTP, on the session of an fsspec filesystem.

Implements what RFC 9110, section 14, asks of a client: it looks at the status and the
``Content-Range`` of each answer before it takes the body for the range that it wanted.
"""

from __future__ import annotations

import asyncio
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import SourceChangedError, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.model.report import Fingerprint

__all__ = ["RangeResponse", "get_first", "get_ranges", "http_time"]

CONCURRENT = 32
"""Requests under way at a time."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def http_time(text: str) -> float | None:
    """Return the seconds since 1970 that an HTTP date (RFC 9110, 5.6.7) means, or None."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


class RangeResponse(NamedTuple):
    """The body of an answer, and what its headers say of the file."""

    start: int
    data: bytes
    size: int
    mtime: float | None
    etag: str | None


def get_first(fs: Any, name: str, length: int, largest: int) -> RangeResponse:
    """Fetch the first bytes of a file, and learn its size from the same answer.

    Parameters
    ----------
    fs : fsspec.implementations.http.HTTPFileSystem
        Whose session, headers and other request options are used.
    name : str
        The URL.
    length : int
        Bytes wanted; a shorter file comes whole.
    largest : int
        Largest file to take from a server that ignores ranges.

    Raises
    ------
    SourceError
        If the server ignores ranges and the file is larger, or its size stays unknown.
    FileNotFoundError, aiohttp.ClientError, OSError
        As the request fails.
    """
    from fsspec.asyn import sync

    answer: RangeResponse = sync(fs.loop, _get, fs, name, 0, length, largest)
    return answer


def get_ranges(
    fs: Any,
    name: str,
    ranges: Sequence[tuple[int, int]],
    known: Fingerprint,
    largest: int,
) -> list[bytes | Exception]:
    """Fetch many ranges concurrently.

    Parameters
    ----------
    fs, name, largest
        As for `get_first`.
    ranges : sequence of (int, int)
        First byte, and the byte behind the last.
    known : Fingerprint
        The file as it was when opened.

    Returns
    -------
    list of bytes or Exception
        Each range, or the whole file from a server that ignores ranges, or what went wrong.
    """
    from fsspec.asyn import sync

    answers: list[bytes | Exception] = sync(fs.loop, _gather, fs, name, ranges, known, largest)
    return answers


async def _gather(
    fs: Any,
    name: str,
    ranges: Sequence[tuple[int, int]],
    known: Fingerprint,
    largest: int,
) -> list[bytes | Exception]:
    gate = asyncio.Semaphore(CONCURRENT)

    async def one(start: int, stop: int) -> bytes | Exception:
        async with gate:
            try:
                answer = await _get(fs, name, start, stop, largest)
                _compare(answer, known, name)
            except Exception as error:  # noqa: BLE001 - handed to the caller, who names it
                return error
        return answer.data

    return list(await asyncio.gather(*(one(start, stop) for start, stop in ranges)))


def _compare(answer: RangeResponse, known: Fingerprint, url: str) -> None:
    """Refuse bytes of another file than the one that was opened."""
    strong = answer.etag is not None and known.etag is not None
    weak = strong and "W/" in (str(answer.etag)[:2], str(known.etag)[:2])
    if answer.size != known.size or (strong and not weak and answer.etag != known.etag):
        raise SourceChangedError(
            "the file changed while it was read", url=url, hint="scan it again"
        )


async def _get(fs: Any, name: str, start: int, stop: int, largest: int) -> RangeResponse:
    session = await fs.set_session()
    options = dict(fs.kwargs)
    headers = {
        **(options.pop("headers", None) or {}),
        # A range of compressed text is a range of other bytes.
        "Accept-Encoding": "identity",
        "Range": f"bytes={start}-{stop - 1}",
    }
    async with session.get(fs.encode_url(name), headers=headers, **options) as response:
        if response.status in (404, 410):
            raise FileNotFoundError(name)
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if response.status == 416:
            return await _nothing(response, span, start, name)
        response.raise_for_status()
        if response.status != 206:
            return await _everything(response, largest, name)
        if span is None or span[1] is None or span[3] == "*" or int(span[1]) != start:
            raise SourceError("the server answers a range without saying which", url=name)
        data = await _body(response, stop - start, name)
        return _answer(response, start, data, int(span[3]))


async def _nothing(
    response: Any, span: re.Match[str] | None, start: int, url: str
) -> RangeResponse:
    """Take the answer that there are no bytes: right for an empty file."""
    if start == 0 and span is not None and span[3] == "0":
        return _answer(response, 0, b"", 0)
    raise SourceChangedError(
        "the server says that the range lies outside the file", url=url, offset=start
    )


async def _everything(response: Any, largest: int, url: str) -> RangeResponse:
    """Take a whole file from a server that ignores ranges, if it is not large."""
    chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
    if response.content_length is None and not chunked:
        raise SourceError(
            "the server does not tell the file's size",
            url=url,
            hint="download the file, or use a server that supports byte ranges",
        )
    if (response.content_length or 0) > largest:
        raise SourceError(
            f"the server ignores byte ranges, and the file has {response.content_length} bytes",
            url=url,
            hint="download the file, or use a server that supports byte ranges",
        )
    data = await _body(response, largest, url)
    return _answer(response, 0, data, len(data))


async def _body(response: Any, most: int, url: str) -> bytes:
    """Return the body, which may be shorter than announced, never longer."""
    parts, total = [], 0
    while part := await response.content.readany():
        total += len(part)
        if total > most:
            raise SourceError(f"the server sends more than {most} bytes", url=url)
        parts.append(part)
    return b"".join(parts)


def _answer(response: Any, start: int, data: bytes, size: int) -> RangeResponse:
    modified, etag = response.headers.get("Last-Modified"), response.headers.get("ETag")
    return RangeResponse(
        start,
        data,
        size,
        http_time(modified) if modified else None,
        etag.strip('"') if etag and not etag.startswith("W/") else etag,
    )

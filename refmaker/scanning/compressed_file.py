"""Files that are compressed as a whole: their first bytes, and their data as one chunk.

Of what such a file unpacks to, a chunk is the part that ``refmaker.crop`` keeps: any read of it
unpacks the file from its beginning. What stands before the part is bounded, as headers are.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import MAX_CHUNK, MAX_HEADER
from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.model import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from refmaker.io.source import Source

__all__ = ["UnpackedHead", "compressed_chunk", "compression_warning", "unpacked_file"]

_STEP = 64 * 1024
_MAX_HEAD = 16 * 1024**2
"""Unpacked bytes that a header with all that stands before the data may have."""
_UNPACK = "unpack the file, with gunzip or bunzip2"


class UnpackedHead:
    """The first bytes of a file, of what it unpacks to if it is a gzip stream.

    Parameters
    ----------
    source : Source
        The file.
    limit : int
        Unpacked bytes up to which ranges may be read; all before them are kept in memory.

    Attributes
    ----------
    codec : dict or None
        The configuration of the codec that unpacks the whole file.
    """

    def __init__(self, source: Source, limit: int = _MAX_HEAD) -> None:
        self._source = source
        self._limit = limit
        packed = source.read_upto(0, 2) == b"\x1f\x8b"
        self.codec: dict[str, Any] | None = {"id": "gzip", "level": 1} if packed else None
        self._stream = zlib.decompressobj(31) if packed else None
        self._known = bytearray()
        self._at = 0

    def read_upto(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range that are there.

        Raises
        ------
        FormatError
            If the range ends beyond any header, or the stream is damaged.
        """
        if offset + length > self._limit:
            raise FormatError(
                f"a header that goes on to byte {offset + length}",
                url=self._source.url,
                offset=offset,
            )
        if self._stream is None:
            return self._source.read_upto(offset, length)
        self._unpack(offset + length)
        return bytes(self._known[offset : offset + length])

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly the bytes of a range.

        Raises
        ------
        TruncatedError
            If the file ends before it does.
        FormatError
            As for `read_upto`.
        """
        found = self.read_upto(offset, length)
        if len(found) < length:
            raise TruncatedError(
                f"the header ends at byte {offset + len(found)}, {offset + length} are needed",
                url=self._source.url,
                offset=offset + len(found),
            )
        return found

    def _unpack(self, end: int) -> None:
        while self._stream is not None and len(self._known) < end and not self._stream.eof:
            packed = self._stream.unconsumed_tail
            if not packed:
                packed = self._source.read_upto(self._at, _STEP)
                self._at += len(packed)
            if not packed:
                return
            try:
                self._known += self._stream.decompress(packed, end - len(self._known))
            except zlib.error as error:
                raise FormatError(
                    f"the gzip stream is damaged: {error}", url=self._source.url, offset=self._at
                ) from error


def compressed_chunk(
    source: Source, offset: int, nbytes: int, rank: int, start: int = 0
) -> tuple[ChunkTable, Mapping[str, Any]]:
    """Return the table of an array that is one chunk, a part of what a file unpacks to.

    Parameters
    ----------
    source : Source
        The file.
    offset : int
        First byte of the part.
    nbytes : int
        Its bytes, 1 or more.
    rank : int
        Dimensions of the array.
    start : int
        First byte of the compressed stream; the stream ends with the file.

    Returns
    -------
    ChunkTable
        The compressed bytes.
    mapping
        The filter that keeps the part; the codec of the file is the array's compressor.

    Raises
    ------
    UnsupportedError
        If the part begins later, or is larger, than a chunk's may.
    """
    if not 0 <= offset <= MAX_HEADER:
        told = f"its data begin at byte {offset} of what the file unpacks to"
        raise UnsupportedError(told, code="geometry", url=source.url, hint=_UNPACK)
    if nbytes > MAX_CHUNK:
        told = f"it is compressed as a whole and unpacks to {nbytes} bytes, more than a chunk may"
        raise UnsupportedError(f"{told} have", code="limit", url=source.url, hint=_UNPACK)
    place = np.array([start], np.uint64)
    length = np.array([source.size - start], np.uint64)
    table = ChunkTable.from_columns((1,) * rank, (source.url,), offset=place, length=length)
    return table, {"id": "refmaker.crop", "offset": offset, "nbytes": nbytes}


def compression_warning(path: str, codec: Mapping[str, Any]) -> str:
    """Return what a report says of an object that lies in a file compressed as a whole."""
    return (
        f"{path} is compressed with {codec['id']} as a whole: "
        "reading any of it reads and unpacks all of it"
    )


def unpacked_file(source: Source, stack: ExitStack) -> Any:
    """Return a binary file object of what a file holds, unpacked if it is a gzip stream.

    Parameters
    ----------
    source : Source
        A local file is opened in place, any other is read into memory.
    stack : ExitStack
        Closes it.
    """
    if source.path is None:
        file: Any = io.BytesIO(source.read(0, source.size))
    else:
        file = stack.enter_context(io.FileIO(source.path))
    packed = source.read_upto(0, 2) == b"\x1f\x8b"
    return stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file

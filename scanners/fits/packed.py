"""Files that are compressed with gzip as a whole: headers as they unpack, data as one chunk.

A stream is unpacked from its beginning only, so that every array of such a file is one chunk of
the whole file, and extensions are found as far as unpacking may go while scanning.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.codecs.checks import MAX_CHUNK, MAX_HEADER
from refmaker.errors import FormatError, LimitError, TruncatedError, UnsupportedError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.model.contiguous import contiguous_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions

__all__ = ["GUNZIP", "PackedSource", "Placed", "open_packed", "place"]

GUNZIP: Final = "unpack the file with gunzip"
_MAX_HEAD: Final = 16 * 1024**2
"""Bytes that are unpacked while scanning at most."""
_SIGNATURE: Final = b"\x1f\x8b"
_UNKNOWN: Final = 2**62
_TRAILER: Final = 18
"""Bytes of the shortest stream; the last four tell how much it unpacks to."""


class PackedSource:
    """What a gzip file holds, read from its beginning on.

    Attributes
    ----------
    url : str
        The file.
    size : int
        Bytes that it unpacks to; more than any where its end has not been reached.
    packed_size : int
        Bytes of the file itself.
    """

    def __init__(self, source: Source) -> None:
        self.url, self.packed_size = source.url, source.size
        self._source = source
        self.size = _UNKNOWN
        self._stream = gzip.GzipFile(fileobj=io.BufferedReader(source.open(), 64 * 1024))
        self._known = bytearray()

    def read_upto(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range that are there.

        Raises
        ------
        LimitError
            If the range lies too far behind the beginning of the file.
        FormatError
            If the stream is damaged.
        """
        end = min(offset + length, self.size)
        if end > _MAX_HEAD:
            raise LimitError(
                f"byte {offset} of what the gzip stream unpacks to is too far in to be looked at",
                url=self.url,
                offset=offset,
                hint=GUNZIP,
            )
        missing = end - len(self._known)
        if missing > 0:
            try:
                more = self._stream.read(missing)
            except (OSError, EOFError, zlib.error) as error:
                raise FormatError(
                    f"the gzip stream is damaged: {error}", url=self.url, offset=0, hint=GUNZIP
                ) from error
            self._known += more
            if len(more) < missing:
                self.size = len(self._known)
        return bytes(self._known[offset:end])

    def ends_at(self, offset: int) -> bool:
        """Tell whether the stream ends there, as its last bytes say (modulo 4 GiB)."""
        if self.size != _UNKNOWN or offset <= _MAX_HEAD or self.packed_size < _TRAILER:
            return offset >= self.size
        told = int.from_bytes(self._source.read(self.packed_size - 4, 4), "little")
        return told == offset % 2**32

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly the bytes of a range.

        Raises
        ------
        TruncatedError
            If the stream ends before it does.
        LimitError, FormatError
            As for `read_upto`.
        """
        found = self.read_upto(offset, length)
        if len(found) < length:
            raise TruncatedError(
                f"the file unpacks to {self.size} bytes", url=self.url, offset=self.size
            )
        return found


def open_packed(source: Source) -> Source | PackedSource:
    """Return a file, or what it holds if it is a gzip stream."""
    return PackedSource(source) if source.read_upto(0, 2) == _SIGNATURE else source


class Placed:
    """Where the bytes of an array lie.

    Attributes
    ----------
    chunk : tuple of int
        Shape of a chunk.
    table : ChunkTable
        Its chunks.
    filters : tuple of mapping
        Codecs that take the array out of what is unpacked.
    compressor : mapping or None
        What a whole file is compressed with.
    """

    def __init__(
        self,
        chunk: tuple[int, ...],
        table: ChunkTable,
        filters: tuple[Mapping[str, Any], ...] = (),
        compressor: Mapping[str, Any] | None = None,
    ) -> None:
        self.chunk, self.table = chunk, table
        self.filters, self.compressor = filters, compressor


def place(
    source: Source | PackedSource,
    shape: Sequence[int],
    itemsize: int,
    offset: int,
    options: ScanOptions,
) -> Placed:
    """Return where contiguous data lie: inlined, in pieces, or within a file that is compressed.

    Parameters
    ----------
    source : Source or PackedSource
        The file; small data are read.
    shape : sequence of int
        Elements along each dimension, in C order.
    itemsize : int
        Bytes of an element.
    offset : int
        First byte.
    options : ScanOptions
        Thresholds.

    Raises
    ------
    UnsupportedError
        If a compressed file would have to be unpacked to more than a chunk may have.
    """
    nbytes = math.prod(shape) * itemsize
    whole = tuple(max(1, extent) for extent in shape)
    if not nbytes:
        return Placed(whole, ChunkTable.empty(chunk_grid(shape, whole)))
    packed = isinstance(source, PackedSource)
    if nbytes <= options.inline_threshold and (not packed or offset + nbytes <= _MAX_HEAD):
        data = source.read(offset, nbytes)
        return Placed(whole, ChunkTable.inline((1,) * len(whole), {0: data}))
    if isinstance(source, PackedSource):
        return _whole(source, whole, offset, nbytes)
    return Placed(
        *contiguous_table(tuple(shape), itemsize, offset, source.url, options.chunk_bytes)
    )


def _whole(source: PackedSource, whole: tuple[int, ...], offset: int, nbytes: int) -> Placed:
    """Return the whole file as the one chunk of an array."""
    if offset > MAX_HEADER or nbytes > MAX_CHUNK:
        raise UnsupportedError(
            f"{nbytes} bytes from byte {offset} on of what the gzip stream unpacks to",
            code="fits-gzip",
            hint=GUNZIP,
        )
    table = ChunkTable.from_columns(
        (1,) * len(whole),
        (source.url,),
        offset=np.zeros(1, np.uint64),
        length=np.array([source.packed_size], np.uint64),
    )
    crop = {"id": "refmaker.crop", "offset": offset, "nbytes": nbytes}
    return Placed(whole, table, (crop,), {"id": "gzip", "level": 1})

"""The bytes of a data set, window by window, as far as a walk over its elements needs them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError, TruncatedError
from refmaker.scanners.dicom.walk import ShortError, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.scanners.dicom.tags import Element

__all__ = ["DataSetReader", "InflatingReader"]

_WINDOW = 64 * 1024
_LARGEST = 512 * 1024**2
"""Bytes of one element that is kept, or of one sequence whose end is looked for."""
_PIECE = 256 * 1024
"""Compressed bytes read at a time."""


class DataSetReader:
    """A data set that stands in the file as it is.

    Parameters
    ----------
    data : bytes
        The first bytes of the file.
    size : int
        Bytes of the file.
    read : callable
        Returns what of ``(offset, length)`` lies inside the file.
    """

    def __init__(self, data: bytes, size: int, read: Callable[[int, int], bytes]) -> None:
        self.size = size
        self._data = data
        self._base = 0
        self._read = read

    def window(self, at: int, length: int) -> bytes:
        """Return bytes, fewer where the data set ends."""
        start = at - self._base
        if start < 0 or (start + length > len(self._data) and self._end < self.size):
            return self._read(at, length)
        return self._data[start : start + length]

    def at_hand(self, at: int, length: int) -> bytes:
        """Return bytes as far as they need not be read."""
        start = at - self._base
        return self._data[start : start + length] if start >= 0 else b""

    def walk(
        self,
        at: int,
        into: dict[int, Element],
        wanted: frozenset[int] | None,
        *,
        implicit: bool,
        big: bool,
    ) -> int:
        """Collect elements as `refmaker.scanners.dicom.walk.walk`, and return where it ended.

        Raises
        ------
        TruncatedError
            If the data set ends inside an element.
        FormatError, LimitError
            If the bytes are no elements, or one is larger than any real one.
        """
        while True:
            base = self._base
            try:
                end = base + walk(
                    self._data,
                    at - base,
                    self.size - base,
                    into,
                    implicit=implicit,
                    big=big,
                    wanted=wanted,
                )
            except ShortError as short:
                at = base + short.at
                self._more(at)
            except FormatError as error:
                error.offset = base + (error.offset or 0)
                raise
            else:
                if end > self.size:
                    raise self._truncated(at)
                return end

    @property
    def _end(self) -> int:
        return self._base + len(self._data)

    def _more(self, at: int) -> None:
        """Have more bytes from an element on than there were."""
        if at >= self._end:
            length = _WINDOW
        elif self._end >= self.size:
            raise self._truncated(at)
        else:
            length = max(_WINDOW, 4 * (self._end - at))
        if length > 4 * _LARGEST:
            raise LimitError("an element has no end", offset=at)
        self._data = self._read(at, min(length, _LARGEST + _WINDOW))
        self._base = at

    def _truncated(self, at: int) -> TruncatedError:
        return TruncatedError(
            "the file ends inside a data element",
            offset=at,
            hint="the file is incomplete or damaged",
        )


class InflatingReader(DataSetReader):
    """A data set that is one deflate stream (PS3.5, A.5); positions are those of the elements.

    Parameters
    ----------
    size : int
        Bytes of the stream.
    read : callable
        Returns what of ``(offset, length)`` lies inside the stream.
    """

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        super().__init__(b"", 1 << 62, self._inflated)
        self._compressed = read
        self._left = size
        self._at = 0
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._all = bytearray()

    def _inflated(self, at: int, length: int) -> bytes:
        while len(self._all) < at + length and not self._inflate.eof:
            if at + length > _LARGEST:
                raise LimitError("the deflated header has no end", offset=at)
            self._step(at + length - len(self._all))
        if self._inflate.eof:
            self.size = len(self._all)
        return bytes(self._all[at : at + length])

    def _step(self, most: int) -> None:
        piece = self._inflate.unconsumed_tail
        if not piece:
            piece = self._compressed(self._at, _PIECE)
            self._at += len(piece)
            if not piece:
                raise TruncatedError("the file ends inside its deflate stream")
        try:
            self._all += self._inflate.decompress(piece, most)
        except zlib.error:
            raise FormatError("the data set is no deflate stream") from None

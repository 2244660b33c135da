"""Small pieces of a file that lie near each other, read in few and larger ones."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import TruncatedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.io.source import Source

__all__ = ["Windows"]

_BYTES: Final = 16 * 1024
_KEPT: Final = 256
_NEAR: Final = 2048
"""Bytes between two pieces up to which they are read as one."""
_AHEAD: Final = 1024**2
"""Bytes that are read ahead from remote files: descriptors lie close to what they describe."""


class Windows:
    """Reads a file by aligned windows, of which it keeps some.

    Parameters
    ----------
    source : Source
        The file.
    """

    def __init__(self, source: Source) -> None:
        source.cluster(_AHEAD)
        self._source = source
        self._windows: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes.

        Raises
        ------
        TruncatedError
            If the file ends before they do.
        """
        if length > _BYTES or offset < 0:
            return self._source.read(offset, length)
        window = self._windows.get(offset // _BYTES)
        if window is not None and offset % _BYTES + length <= len(window):
            at = offset % _BYTES
            return window[at : at + length]
        found = self.read_upto(offset, length)
        if len(found) < length:
            raise TruncatedError(
                f"{length} bytes are needed where the file has {self._source.size} in all",
                offset=offset,
                hint="the file is incomplete or damaged",
            )
        return found

    def read_upto(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range of at most a window that lie inside the file."""
        if not length:
            return b""
        first, last = offset // _BYTES, (offset + length - 1) // _BYTES
        data = self._window(first)
        if last != first:
            data += self._window(last)
        at = offset - first * _BYTES
        return data[at : at + length]

    def read_rows(self, offset: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Return many pieces of equal length, those that lie near each other read as one.

        Parameters
        ----------
        offset : ndarray of int64, shape (n,)
            First byte of each.
        length : int
            Bytes of each.

        Returns
        -------
        ndarray of uint8, shape (n, length)

        Raises
        ------
        TruncatedError
            If one reaches past the end of the file.
        """
        if not offset.size:
            return np.empty((0, length), np.uint8)
        order = np.argsort(offset, kind="stable")
        start = offset[order]
        first = np.concatenate([[0], np.flatnonzero(np.diff(start) > length + _NEAR) + 1])
        last = np.concatenate([first[1:], [start.size]]) - 1
        size = start[last] + length - start[first]
        parts = self._source.read_many(list(zip(start[first].tolist(), size.tolist(), strict=True)))
        base = np.repeat(np.cumsum(size) - size - start[first], last - first + 1)
        joined: NDArray[Any] = np.frombuffer(b"".join(parts), np.uint8)
        rows = np.empty((offset.size, length), np.uint8)
        rows[order] = joined[(base + start)[:, None] + np.arange(length)]
        return rows

    def _window(self, number: int) -> bytes:
        found = self._windows.get(number)
        if found is None:
            found = self._source.read_upto(number * _BYTES, _BYTES)
            self._windows[number] = found
            if len(self._windows) > _KEPT:
                self._windows.popitem(last=False)
        return found

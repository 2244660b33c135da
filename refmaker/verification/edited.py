"""Native values of edited arrays: those of the arrays that they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanning.protocol import RemarkingReader, TolerantReader
from refmaker.verification.compare import NotComparableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanning.protocol import LibraryReader, Tolerance

__all__ = ["EditedReader", "file_axes"]


def file_axes(array: Array, native: Array) -> tuple[int | None, ...]:
    """Return which dimension of an array each of its file's is, counted from the last.

    Parameters
    ----------
    array : Array
        The array of a set; dimensions that joining has added stand before those of the file.

    Returns
    -------
    tuple of int or None
        None where the set has one element of it, and no such dimension.
    """
    rank = len(native.shape)
    axes = () if array.origin is None else array.origin.axes
    # One element was taken by whole chunks, or else that is not what happened.
    taken = all(n == 1 for axis, n in zip(axes, native.chunk_shape, strict=False) if axis is None)
    return axes if len(axes) == rank and taken else tuple(range(-rank, 0))


class EditedReader:
    """Reads arrays of an edited set from the one file, or the files, that were scanned together.

    Parameters
    ----------
    reader : LibraryReader
        Of the file.
    scanned : callable
        Returns the arrays that scanning it again gives, by path.
    """

    def __init__(self, reader: LibraryReader, scanned: Callable[[], Mapping[str, Array]]) -> None:
        self._reader = reader
        self._scanned = scanned

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the values that the file has where the region comes from."""
        if array.origin is None:
            return self._reader.read(path, array, region)
        there = self._there(array)
        found = self._reader.read(array.origin.path, there, array.origin.region(region))
        return np.asarray(found).reshape([part.stop - part.start for part in region])

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return how far values may be off, as the file's own reader says."""
        if not isinstance(self._reader, TolerantReader):
            return None
        if array.origin is None:
            return self._reader.tolerance(path, array)
        try:
            return self._reader.tolerance(array.origin.path, self._there(array))
        except NotComparableError:
            return None

    def remark(self, path: str) -> str:
        """Return what the file's own reader has to tell of an array with its path there."""
        told = isinstance(self._reader, RemarkingReader)
        return self._reader.remark(path) if told else ""  # type: ignore[attr-defined]

    def _there(self, array: Array) -> Array:
        """Return the array that an edited one comes from."""
        origin = array.origin
        there = None if origin is None else self._scanned().get(origin.path)
        if origin is None or there is None or there.shape != origin.shape:
            name = "" if origin is None else origin.path
            raise NotComparableError(
                f"it was edited, and the file scanned anew has no such array {name!r}"
            )
        if not origin.places(array.shape):
            raise NotComparableError(
                f"it was edited, and is no part of {origin.path!r} in its file"
            )
        return there

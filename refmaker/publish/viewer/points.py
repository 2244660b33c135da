"""Values at points on the globe, such as those of reduced Gaussian grids, as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PointGrid"]

_ROWS = 360
"""Rows of the picture at most."""


class PointGrid:
    """Cells of a picture, each with a point in it or near it.

    Parameters
    ----------
    latitudes, longitudes : ndarray of float, shape (points,)
        In degrees.

    Attributes
    ----------
    size : (int, int)
        Rows and columns.
    """

    def __init__(self, latitudes: NDArray[Any], longitudes: NDArray[Any]) -> None:
        north = np.asarray(latitudes, np.float64)
        east = np.asarray(longitudes, np.float64)
        rows = int(min(_ROWS, max(2, math.sqrt(north.size / 2))))
        self.size = rows, 2 * rows
        self._ends = [(float(np.nanmin(one)), float(np.nanmax(one))) for one in (north, east)]
        self._cells = _cells(north, east, self._ends, self.size)

    def picture(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values of the cells as numbers, southernmost row first; NaN of empty ones."""
        numbers = values if values.dtype.kind in "fc" else values.astype(np.float64)
        return np.where(self._cells >= 0, numbers[self._cells], np.nan)

    def nearest(self, row: int, column: int) -> int:
        """Return the point that a cell shows; -1 if none is near."""
        rows, columns = self.size
        return int(self._cells[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)])

    def places(self, which: int) -> tuple[float, float]:
        """Return the middle of the first row or column, and the distance to the next."""
        low, high = self._ends[which]
        step = (high - low or 1.0) / self.size[which]
        return low + step / 2, step


def _cells(
    north: NDArray[np.float64], east: NDArray[np.float64], ends: Any, size: tuple[int, int]
) -> NDArray[np.intp]:
    """Return for each cell a point in it, or the nearest one in its row; -1 far from any."""
    known = np.flatnonzero(np.isfinite(north) & np.isfinite(east))
    places = []
    for values, (low, high), count in zip((north, east), ends, size, strict=True):
        part = (values[known] - low) / (high - low or 1.0) * count
        places.append(np.clip(part.astype(np.intp), 0, count - 1))
    found = np.full(size, -1, np.intp)
    # Of several in one cell one stays.
    found[tuple(places)] = known
    _fill_rows(found)
    return found


def _fill_rows(found: NDArray[np.intp]) -> None:
    """Give empty cells the point of the nearest cell in their row, as far as gaps of it go."""
    columns = found.shape[1]
    at = np.arange(columns)
    for row in found:
        full = np.flatnonzero(row >= 0)
        if not full.size:
            continue
        right = np.clip(np.searchsorted(full, at), 0, full.size - 1)
        left = np.clip(right - 1, 0, full.size - 1)
        nearer = np.where(abs(full[left] - at) <= abs(full[right] - at), full[left], full[right])
        near = abs(nearer - at) <= -(-columns // full.size)
        row[near] = row[nearer[near]]

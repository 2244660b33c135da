"""Longitudes on reduced grids, whose rows have their own numbers of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.grib_definition import GridDefinition

__all__ = ["circle_rows", "reduced_longitudes", "reduced_rows"]

_J_CONSECUTIVE, _ALTERNATING, _I_NEGATIVE = 0x20, 0x10, 0x80
_NEAR = 1e-9
"""What division may add to a number of grid lengths."""


def reduced_longitudes(grid: GridDefinition) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the longitude of each point, row by row, and the number of points of each row.

    Rows of a Gaussian grid divide the whole circle, beginning at longitude 0; the message holds
    those points that lie between its first and its last longitude. Rows of a latitude/longitude
    grid are divided from the first to the last longitude.

    Raises
    ------
    FormatError
        If the rows do not have as many points as the grid.
    UnsupportedError
        If rows run westwards or in turns, or points are consecutive along columns.
    """
    lengths, begin, counts = reduced_rows(grid)
    if begin is None:
        return _divided(grid, lengths), lengths
    return _circles(lengths, begin, counts) % 360, counts


def reduced_rows(
    grid: GridDefinition,
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]]:
    """Check the rows of a reduced grid.

    Returns
    -------
    lengths : ndarray of int64, shape (rows,)
        Points of each row, of the whole circle on Gaussian grids.
    begin : ndarray of int64, shape (rows,), or None
        The first of them that the message holds; None for other than Gaussian grids.
    counts : ndarray of int64, shape (rows,)
        How many it holds.

    Raises
    ------
    FormatError, UnsupportedError
        See `reduced_longitudes`.
    """
    mode = grid.scanning if grid.edition == 2 else grid.scanning & ~_ALTERNATING
    if mode & (_I_NEGATIVE | _J_CONSECUTIVE | _ALTERNATING):
        raise UnsupportedError(
            f"a reduced grid of scanning mode {grid.scanning:08b}", code="grib-grid"
        )
    lengths = grid.row_lengths
    if lengths is None:
        raise FormatError("a reduced grid without lengths of rows")
    first, last = _ends(grid.values["Lo1"], grid.values["Lo2"])
    if "N" not in grid.values:
        begin, counts = None, lengths
    else:
        begin, counts = circle_rows(lengths, first, last, grid.values["unit"])
        if grid.edition == 2 and int(counts.sum()) != grid.points:
            # Older software counted otherwise: as many steps as fit between the longitudes,
            # wherever they begin; and ends are wrong on grids that are whole.
            steps = np.floor(lengths * (last - first) / 360 + _NEAR).astype(np.int64) + 1
            counts = lengths if grid.points == int(lengths.sum()) else np.minimum(steps, lengths)
    if int(counts.sum()) != grid.points:
        raise FormatError(
            f"{int(counts.sum())} points between longitudes {first} and {last} on a grid of "
            f"{grid.points}"
        )
    return lengths, begin, counts


def circle_rows(
    lengths: NDArray[np.int64], first: float, last: float, unit: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the points of whole circles that lie between two longitudes.

    Parameters
    ----------
    lengths : ndarray of int64, shape (rows,)
        Points of the whole circle on each row.
    first, last : float
        Longitudes in degrees.
    unit : float
        Unit of longitudes in degrees: by as much whole circles may be open.

    Returns
    -------
    begin, counts : ndarray of int64, shape (rows,)
        Number of the first point, counted from longitude 0, and number of points.
    """
    first, last = _ends(first, last)
    begin = np.ceil(lengths * first / 360 - _NEAR).astype(np.int64)
    if last - first + 360 / max(1, int(lengths.max())) >= 360 - unit:
        return begin, lengths
    end = np.floor(lengths * last / 360 + _NEAR).astype(np.int64)
    return begin, np.clip(end - begin + 1, 0, lengths)


def _ends(first: float, last: float) -> tuple[float, float]:
    if max(abs(first), abs(last)) > 720:
        raise FormatError(f"longitudes from {first} to {last}")
    return first, last if last >= first else last + 360


def _circles(
    lengths: NDArray[np.int64], begin: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[Any]:
    place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts - begin, counts)
    return place * 360.0 / np.repeat(lengths, counts)


def _divided(grid: GridDefinition, lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Return points that divide the way from the first to the last longitude."""
    first, last = _ends(grid.values["Lo1"], grid.values["Lo2"])
    longest = max(1, int(lengths.max()))
    span = last - first
    # Whole circles end one step before they would begin again.
    around = span + span / max(1, longest - 1) >= 360 - 2e-3
    steps = np.where(around, lengths, np.maximum(lengths - 1, 1))
    place = np.arange(grid.points) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = (360.0 if around else span) / np.maximum(steps, 1)
    longitudes: NDArray[Any] = first + place * np.repeat(step, lengths)
    return longitudes

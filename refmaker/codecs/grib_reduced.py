"""Longitudes on reduced grids, whose rows have their own numbers of points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.grib_grid import I_NEGATIVE
from refmaker.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.grib_grid import Definition

__all__ = ["reduced_longitudes"]

_J_CONSECUTIVE, _ALTERNATING = 0x20, 0x10


def reduced_longitudes(grid: Definition) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the longitude of each point, row by row, and the number of points of each row.

    Rows of a Gaussian grid divide the whole circle; of a part of the globe the message holds
    the points from its first to its last longitude. Rows of a latitude/longitude grid are
    divided from the first to the last longitude.

    Raises
    ------
    FormatError
        If the rows do not have as many points as the grid.
    UnsupportedError
        If rows run westwards or in turns, or points are consecutive along columns.
    """
    mode = grid.scanning if grid.edition == 2 else grid.scanning & ~_ALTERNATING
    if mode & (I_NEGATIVE | _J_CONSECUTIVE | _ALTERNATING):
        raise UnsupportedError(
            f"a reduced grid of scanning mode {grid.scanning:08b}", code="grib-grid"
        )
    lengths = grid.row_lengths
    if lengths is None or (lengths < 0).any():
        raise FormatError("a reduced grid without lengths of rows")
    first, last = grid.values["Lo1"], grid.values["Lo2"]
    if max(abs(first), abs(last)) > 720:
        raise FormatError(f"longitudes from {first} to {last}")
    if last < first:
        first, last = (first, last + 360) if last < 0 else (first - 360, last)
    if "N" not in grid.values:
        return _divided(grid, lengths, first, last)
    whole = int(lengths.sum()) == grid.points
    if whole and last - first >= 360 - 360 / max(1, int(lengths.max())) - 2e-3:
        return _circles(lengths, np.zeros_like(lengths), lengths, first), lengths
    return _part(grid, lengths, first, last)


def _part(
    grid: Definition, lengths: NDArray[np.int64], first: float, last: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the points of whole circles that lie between two longitudes."""
    # Longitudes are rounded to the unit of angles: of the message itself, or of edition 1.
    slack = grid.values["unit"] / 360
    begin = np.ceil(lengths * (first / 360 - slack)).astype(np.int64)
    end = np.floor(lengths * (last / 360 + slack)).astype(np.int64)
    counts = np.clip(end - begin + 1, 0, lengths)
    if int(counts.sum()) != grid.points:
        raise FormatError(
            f"{int(counts.sum())} points between longitudes {first} and {last} on a grid "
            f"of {grid.points}"
        )
    return _circles(lengths, begin, counts, 0.0), counts


def _circles(
    lengths: NDArray[np.int64], begin: NDArray[np.int64], counts: NDArray[np.int64], first: float
) -> NDArray[np.float64]:
    place = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts - begin, counts)
    return first + place * 360.0 / np.repeat(lengths, counts)


def _divided(
    grid: Definition, lengths: NDArray[np.int64], first: float, last: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return points that divide the way from the first to the last longitude."""
    if int(lengths.sum()) != grid.points:
        raise FormatError(f"rows of {int(lengths.sum())} points on a grid of {grid.points}")
    longest = max(1, int(lengths.max()))
    span = last - first
    # Whole circles end one step before they would begin again.
    around = span + span / max(1, longest - 1) >= 360 - 2e-3
    steps = np.where(around, lengths, np.maximum(lengths - 1, 1))
    place = np.arange(grid.points) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = (360.0 if around else span) / np.maximum(steps, 1)
    return first + place * np.repeat(step, lengths), lengths

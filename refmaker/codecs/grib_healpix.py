"""Centres of HEALPix cells (K. M. Gorski et al., ApJ 622, 2005; template 3.150)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.grib_definition import GridDefinition

    Points = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = ["check_healpix", "healpix"]

_CENTRE = 4
"""Position of a point in its cell (code table 3.8)."""
_FACE_ROW = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
_FACE_TURN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])
"""Ring, in units of Nside, and longitude, in units of 45 degrees, of the base cells' centres."""


def healpix(grid: GridDefinition) -> Points:
    """Return latitudes and longitudes, shape (12 Nside^2,), in degrees.

    Raises
    ------
    FormatError, UnsupportedError
        See `check_healpix`.
    """
    check_healpix(grid)
    side, nested = int(grid.values["Nside"]), bool(grid.values["nested"])
    ring, turn, cells = _nested(side) if nested else _rings(side)
    # Number of cells from the pole, in units of a quarter of a ring, gives the height.
    polar = np.minimum(ring, 4 * side - ring)
    z = np.where(
        polar < side,
        np.where(ring < 2 * side, 1, -1) * (1 - polar**2 / (3.0 * side**2)),
        (4 * side - 2 * ring) / (3.0 * side),
    )
    # Near the poles the arcsine loses digits that this keeps.
    with np.errstate(invalid="ignore"):
        cap = 90 - 2 * np.rad2deg(np.arcsin(polar / (np.sqrt(6.0) * side)))
    latitude = np.where(polar < side, np.sign(z) * cap, np.rad2deg(np.arcsin(np.clip(z, -1, 1))))
    longitude = turn * 90 / cells + (grid.values["Lo1"] - 45)
    return latitude, longitude % 360


def check_healpix(grid: GridDefinition) -> None:
    """Check the definition of a HEALPix grid.

    Raises
    ------
    FormatError
        If the number of points is another one, or Nside of nested cells is no power of two.
    UnsupportedError
        If the points are not the centres of their cells, or not in the plain order.
    """
    side, nested = int(grid.values["Nside"]), int(grid.values["nested"])
    if side < 1 or 12 * side**2 != grid.points:
        raise FormatError(f"{grid.points} points on a HEALPix grid of Nside {side}")
    if grid.values["position"] != _CENTRE:
        raise UnsupportedError("points that are not centres of their cells", code="grib-grid")
    if nested and side & (side - 1):
        raise FormatError(f"nested cells of Nside {side}, not a power of two")
    if nested > 1 or grid.scanning:
        raise UnsupportedError(
            f"HEALPix cells of order {nested}, scanning mode {grid.scanning:08b}", code="grib-grid"
        )


def _rings(side: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return ring, place in the ring and cells in a quarter of it, ring by ring."""
    rings = np.arange(1, 4 * side)
    quarter = np.minimum(np.minimum(rings, 4 * side - rings), side)
    ring, cells = np.repeat(rings, 4 * quarter), np.repeat(quarter, 4 * quarter)
    begins = np.cumsum(4 * quarter) - 4 * quarter
    place = np.arange(ring.size) - np.repeat(begins, 4 * quarter)
    # Between the caps every second ring begins at longitude 0, the others half a cell later.
    whole = (quarter == side) & ((rings - side) % 2 == 1)
    return ring, place + np.where(np.repeat(whole, 4 * quarter), 0.0, 0.5), cells


def _nested(side: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the same for cells that are numbered within each of the twelve base cells."""
    index = np.arange(12 * side**2, dtype=np.int64)
    face, inside = index // side**2, index % side**2
    x, y = _every_second_bit(inside), _every_second_bit(inside >> 1)
    ring = _FACE_ROW[face] * side - x - y - 1
    cells = np.minimum(np.minimum(ring, 4 * side - ring), side)
    # Longitude in units of 90 / cells degrees.
    turn = (_FACE_TURN[face] * cells + x - y) / 2
    return ring, turn % (4 * cells), cells


def _every_second_bit(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.zeros_like(numbers)
    for bit in range(31):
        found |= (numbers >> (2 * bit) & 1) << bit
    return found

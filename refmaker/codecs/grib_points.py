"""Latitude and longitude of every point of a GRIB grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.grib_axes import (
    LATLON,
    PROJECTED,
    check_scanning,
    geostationary,
    latlon_axes,
    projected_axes,
    projection,
    row_latitudes,
)
from refmaker.codecs.grib_healpix import healpix
from refmaker.codecs.grib_reduced import reduced_longitudes
from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.grib_definition import GridDefinition

    Points = tuple[NDArray[np.float64], NDArray[np.float64]]

__all__ = ["KNOWN", "points", "unrotated"]

_REDUCED = frozenset({"reduced_ll", "reduced_gg", "reduced_rotated_ll", "reduced_rotated_gg"})
#: Kinds of grids that are known here.
KNOWN = LATLON | PROJECTED | _REDUCED | {"healpix"}


def points(grid: GridDefinition) -> Points:
    """Return latitudes and longitudes of all points, in the order of the data put into rows.

    Returns
    -------
    tuple of two ndarrays of float64, each of the shape of the grid
        Degrees; NaN where a view from space misses the earth.

    Raises
    ------
    FormatError
        If the definition contradicts itself.
    UnsupportedError
        If nothing here knows such grids, with code ``grib-grid``.
    """
    if grid.kind in LATLON:
        rows, columns = latlon_axes(grid)
        latitude, longitude = _meshed(rows, columns)
    elif grid.kind in PROJECTED:
        y, x = projected_axes(grid)
        view = geostationary(grid) if grid.kind == "space_view" else projection(grid)
        latitude, longitude = map(np.rad2deg, view.inverse(x[None, :], y[:, None]))
        return np.broadcast_to(latitude, grid.shape), _east(np.broadcast_to(longitude, grid.shape))
    elif grid.kind in _REDUCED and grid.row_lengths is not None:
        check_scanning(grid)
        longitude, lengths = reduced_longitudes(grid)
        latitude = np.repeat(row_latitudes(grid), lengths)
    elif grid.kind == "healpix":
        return healpix(grid)
    else:
        raise UnsupportedError(f"grids of the kind {grid.kind}", code="grib-grid")
    return unrotated(grid, latitude, longitude) if "rotated" in grid.kind else (latitude, longitude)


def _meshed(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> Points:
    shape = (rows.size, columns.size)
    return np.broadcast_to(rows[:, None], shape), np.broadcast_to(columns, shape)


def _east(longitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return longitudes between 0 and 360."""
    longitude = longitude % 360
    # The remainder of a tiny negative number is 360 itself.
    longitude[longitude == 360] = 0
    return longitude


def unrotated(
    grid: GridDefinition, latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> Points:
    """Turn coordinates on a rotated sphere back (template 3.1, regulation 92.4.2)."""
    pole = np.deg2rad(grid.values["pole_latitude"])
    # Clockwise, seen from the southern pole, is eastwards. PROJ agrees; ecCodes takes the angle
    # off the longitudes that come out.
    phi, away = np.deg2rad(latitude), np.deg2rad(longitude + grid.values["rotation"])
    # The rotation takes the geographic south pole to the given point.
    sine, cosine = -np.sin(pole), -np.cos(pole)
    x, y, z = np.cos(phi) * np.cos(away), np.cos(phi) * np.sin(away), np.sin(phi)
    east, up = sine * x + cosine * z, -cosine * x + sine * z
    found = np.rad2deg(np.arcsin(np.clip(up, -1, 1)))
    turned = np.rad2deg(np.arctan2(y, east)) + grid.values["pole_longitude"]
    turned = 180 - (180 - turned) % 360
    # ecCodes rounds what it has turned so, but it does not turn regular Gaussian grids at all.
    return (found, turned) if grid.kind == "rotated_gg" else (_rounded(found), _rounded(turned))


def _rounded(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as ecCodes does: to millionths of a degree, counted in single precision.

    Coordinates of one grid from two tools then are equal, not just less than a metre apart.
    """
    millionths = (degrees * 1e6).astype(np.float32).astype(np.float64)
    rounded: NDArray[np.float64] = np.copysign(np.floor(np.abs(millionths) + 0.5), degrees) / 1e6
    return rounded

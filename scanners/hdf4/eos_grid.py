"""Grids of HDF-EOS2: coordinates of their pixels, and the grid mapping.

Implements the grid interface of the HDF-EOS Library User's Guide, volume 1: the corners are those
of the outermost pixels, and pixels are registered at their centre unless the file says otherwise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import MissingDependencyError, UnsupportedError
from refmaker.model.inline import inline_array
from refmaker.scanners.hdf4.projections import (
    angle,
    cf_attributes,
    knows_figure,
    proj_text,
)
from refmaker.scanning.pixel_grid import (
    LARGEST,
    crs_attributes,
    geotransform_text,
    map_coordinates,
)

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.hdf4.eos import Structure

__all__ = ["GRID_MAPPING", "grid_coordinates"]

GRID_MAPPING: Final = "spatial_ref"
_GEOGRAPHIC: Final = "GCTP_GEO"
_PACKED: Final = (_GEOGRAPHIC, "GCTP_BCEA")
"""Projections of which the corners are longitudes and latitudes, packed."""
_CENTRE, _CORNER, _UPPER_LEFT = "HDFE_CENTER", "HDFE_CORNER", "HDFE_GD_UL"


def grid_coordinates(grid: Structure) -> dict[str, Array]:
    """Return ``x``, ``y`` and the grid mapping of a grid.

    Parameters
    ----------
    grid : Structure
        A grid.

    Raises
    ------
    UnsupportedError
        If the coordinates cannot be told; code ``hdf4-grid`` or ``hdf4-projection``.
    MissingDependencyError
        If pyproj is needed and not installed.
    """
    width, height = _extent(grid, "XDim"), _extent(grid, "YDim")
    name = str(grid.said.get("Projection"))
    geographic = name == _GEOGRAPHIC
    crs, attributes = _reference(grid, name)
    left, top, right, bottom = _corners(grid, name, crs)
    dx, dy = (right - left) / width, (bottom - top) / height
    if not dx or not dy or not all(map(math.isfinite, (left, top, dx, dy))):
        raise _refused(f"its corners are ({left}, {top}) and ({right}, {bottom})")
    shift = _shift(grid)
    transform = (left - shift * dx, dx, 0.0, top - shift * dy, 0.0, dy)
    found = map_coordinates(transform, width, height, attributes, geographic=geographic)
    attributes["GeoTransform"] = geotransform_text(transform)
    found[GRID_MAPPING] = inline_array(np.zeros((), np.int64), (), attributes)
    return found


def _refused(why: str) -> UnsupportedError:
    return UnsupportedError(why, code="hdf4-grid")


def _extent(grid: Structure, name: str) -> int:
    value = grid.said.get(name)
    if not isinstance(value, int) or not 0 < value <= LARGEST:
        raise _refused(f"its {name} is {value!r}")
    return value


def _shift(grid: Structure) -> float:
    """Return how far the place of a pixel is before its centre, in pixels."""
    origin = grid.said.get("GridOrigin", _UPPER_LEFT)
    if origin != _UPPER_LEFT:
        raise _refused(f"its first element is at the corner {origin}")
    registration = grid.said.get("PixelRegistration", _CENTRE)
    if registration not in (_CENTRE, _CORNER):
        raise _refused(f"its pixels are registered at {registration}")
    return 0.5 if registration == _CORNER else 0.0


def _numbers(grid: Structure, name: str) -> list[float] | None:
    value = grid.said.get(name)
    if not isinstance(value, list) or not all(isinstance(one, int | float) for one in value):
        return None
    return [float(one) for one in value]


def _integer(grid: Structure, name: str) -> int | None:
    value = grid.said.get(name)
    return value if isinstance(value, int) else None


def _corners(grid: Structure, name: str, crs: Any) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom, in degrees or metres."""
    first, last = _numbers(grid, "UpperLeftPointMtrs"), _numbers(grid, "LowerRightMtrs")
    if first is None or last is None or len(first) != 2 or len(last) != 2:
        raise _refused("its corners are not told")
    if name not in _PACKED:
        return first[0], first[1], last[0], last[1]
    (left, top), (right, bottom) = map(angle, first), map(angle, last)
    if name == _GEOGRAPHIC:
        return left, top, right, bottom
    from pyproj import Transformer

    there = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    return *there.transform(left, top), *there.transform(right, bottom)


def _reference(grid: Structure, name: str) -> tuple[Any, dict[str, Any]]:
    """Return the reference system, and the attributes of the grid mapping."""
    parameters = _numbers(grid, "ProjParams") or []
    sphere = _integer(grid, "SphereCode")
    if name == _GEOGRAPHIC and not knows_figure(parameters, sphere):
        return None, {"grid_mapping_name": "latitude_longitude"}
    text = proj_text(name, parameters, sphere, _integer(grid, "ZoneCode"))
    try:
        import pyproj
    except ImportError as error:
        raise MissingDependencyError(
            "describing its projection needs pyproj", hint="pip install 'refmaker[hdf4]'"
        ) from error
    try:
        crs = pyproj.CRS.from_proj4(text)
        attributes = cf_attributes(name, parameters) | crs_attributes(crs)
    except pyproj.exceptions.ProjError as error:
        told = " ".join(str(error).split())
        raise UnsupportedError(
            f"its projection is not understood ({told})", code="hdf4-projection"
        ) from error
    if "semi_major_axis" not in attributes and crs.ellipsoid is not None:
        attributes["earth_radius"] = crs.ellipsoid.semi_major_metre
    return crs, attributes

"""Grids of pixels on a map: coordinates of pixels' centres, and the reference system as CF has it.

A geotransform is GDAL's: ``x, dx, rx, y, ry, dy``, from the corners of pixels (column, row) to
``x + dx * column + rx * row`` and ``y + ry * column + dy * row``.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model import Array

__all__ = ["LARGEST", "crs_attributes", "geotransform_text", "map_coordinates", "pixel_centres"]

LARGEST = 1 << 18
"""Places along an axis up to which coordinates are written; larger ones follow from their
scale, and would outweigh the references."""
_LINEAR = {
    "metre": "metre", "foot": "foot", "US survey foot": "US_survey_foot", "kilometre": "km",
}  # fmt: skip
"""Units of length, as WKT and UDUNITS name them."""


def pixel_centres(transform: Sequence[float], width: int, height: int) -> tuple[Any, Any]:
    """Return x of the columns and y of the rows, at the centres of pixels.

    Parameters
    ----------
    transform : sequence of float
        The geotransform, without rotation.
    width, height : int
        Pixels.

    Returns
    -------
    x, y : ndarray of float64
        Computed in the same steps as by rasterio, so that they are equal to the last bit.
    """
    x, dx, rx, y, ry, dy = transform
    return (
        np.arange(width) * dx + np.zeros(width) * rx + (dx * 0.5 + rx * 0.5 + x),
        np.zeros(height) * ry + np.arange(height) * dy + (ry * 0.5 + dy * 0.5 + y),
    )


def geotransform_text(transform: Sequence[float]) -> str:
    """Return a geotransform as the attribute ``GeoTransform`` of GDAL and rioxarray has it."""
    return " ".join(repr(float(value)) for value in transform)


def map_coordinates(
    transform: Sequence[float],
    width: int,
    height: int,
    crs: Mapping[str, Any],
    *,
    geographic: bool,
) -> dict[str, Array]:
    """Return the coordinates ``x`` and ``y`` of pixels' centres, by name.

    Parameters
    ----------
    transform : sequence of float
        The geotransform.
    width, height : int
        Pixels. There are no coordinates of more than `LARGEST`, nor of a rotated grid.
    crs : mapping
        What `crs_attributes` returns; units are told where there is a reference system.
    geographic : bool
        Whether coordinates are degrees.
    """
    if transform[2] or transform[4] or max(width, height) > LARGEST:
        return {}
    x, y = pixel_centres(transform, width, height)
    length = _linear_unit(crs) if "crs_wkt" in crs else None
    found = {}
    for name, values, angle, degrees in (
        ("x", x, "longitude", "degrees_east"), ("y", y, "latitude", "degrees_north"),
    ):  # fmt: skip
        standard = angle if geographic else f"projection_{name}_coordinate"
        unit = degrees if geographic else length
        attributes = {"axis": name.upper(), "standard_name": standard, "long_name": standard}
        if unit is not None:
            attributes["units"] = unit
        found[name] = inline_array(values, (name,), attributes)
    return found


def crs_attributes(crs: Any) -> dict[str, Any]:
    """Return the attributes of CF's grid mapping of a ``pyproj.CRS``, its WKT among them."""
    with warnings.catch_warnings():
        # What CF has no attribute for is in the text beside.
        warnings.simplefilter("ignore")
        attributes = dict(crs.to_cf())
    wkt = crs.to_wkt()
    return {**attributes, "crs_wkt": wkt, "spatial_ref": wkt}


def _linear_unit(crs: Mapping[str, Any]) -> str | None:
    """Return the unit of projected coordinates, None for one that CF's readers may not know."""
    text = str(crs.get("crs_wkt", "")).partition("CS[Cartesian")[2]
    found = re.search(r'LENGTHUNIT\["([^"]*)"', text)
    return _LINEAR.get(found[1]) if found else "metre"

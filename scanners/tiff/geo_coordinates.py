"""Coordinates of georeferenced images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanners.tiff.coordinates import LARGEST, centres, spatial_reference
from refmaker.scanners.tiff.tag_groups import geo_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model import Array
    from refmaker.scanners.tiff.geo import Georeference

__all__ = ["geographic"]


def geographic(
    geo: Georeference, sizes: Mapping[str, int], whole: Mapping[str, int]
) -> dict[str, Array]:
    """Return x, y, band and the grid mapping of one level, as far as it has them.

    Parameters
    ----------
    sizes, whole : mapping of str to int
        Extents of the dimensions at this level, and at the largest.
    """
    width, height = sizes["x"], sizes["y"]
    transform = geo.at(whole["x"] / max(width, 1), whole["y"] / max(height, 1))
    found: dict[str, Array] = {}
    reference = spatial_reference(geo, transform)
    keys = {"geo_keys": geo_keys(geo.keys)} if geo.keys else {}
    found["spatial_ref"] = replace(reference, attributes={**reference.attributes, **keys})
    if "band" in sizes:
        found["band"] = inline_array(np.arange(1, sizes["band"] + 1), ("band",))
    if transform is not None and geo.rectilinear and max(width, height) <= LARGEST:
        x, y = centres(transform, width, height)
        if geo.geographic:
            kinds = ("longitude", "degrees_east"), ("latitude", "degrees_north")
        else:
            kinds = ("projection_x_coordinate", "metre"), ("projection_y_coordinate", "metre")
        for name, values, (standard, unit), axis in (
            ("x", x, kinds[0], "X"), ("y", y, kinds[1], "Y"),
        ):  # fmt: skip
            attributes = {"axis": axis, "standard_name": standard, "long_name": standard}
            if geo.geographic or "crs_wkt" in geo.crs:
                attributes["units"] = _linear_unit(geo.crs, unit)
            found[name] = inline_array(values, (name,), attributes)
    return found


def _linear_unit(crs: Mapping[str, Any], default: str) -> str:
    """Return the unit of the coordinates: metres unless the reference system says feet."""
    if default != "metre":
        return default
    text = str(crs.get("crs_wkt", ""))
    for name, unit in (("US survey foot", "US_survey_foot"), ("foot", "foot")):
        if f'LENGTHUNIT["{name}"' in text.partition("CS[Cartesian")[2]:
            return unit
    return default

"""Coordinates of georeferenced images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanners.tiff.coordinates import spatial_reference
from refmaker.scanners.tiff.tag_groups import geo_keys
from refmaker.scanning.pixel_grid import map_coordinates

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
    factors = whole["x"] / max(width, 1), whole["y"] / max(height, 1)
    transform = geo.at(*factors)
    found: dict[str, Array] = {}
    reference = spatial_reference(geo, *factors)
    keys = {"geo_keys": geo_keys(geo.keys)} if geo.keys else {}
    found["spatial_ref"] = replace(reference, attributes={**reference.attributes, **keys})
    if "band" in sizes:
        found["band"] = inline_array(np.arange(1, sizes["band"] + 1), ("band",))
    if transform is not None and geo.rectilinear:
        found |= map_coordinates(transform, width, height, geo.crs, geographic=geo.geographic)
    return found

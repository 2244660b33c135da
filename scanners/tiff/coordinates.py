"""Small arrays that are computed or read once, and kept in the reference set itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanning.pixel_grid import LARGEST, geotransform_text

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.tiff.geo import Georeference
    from refmaker.scanners.tiff.image_model import Axis

__all__ = ["axis_coordinate", "spatial_reference"]


def axis_coordinate(axis: Axis, size: int, factor: float = 1.0) -> Array | None:
    """Return the coordinate of an axis, or None if it is nothing but the index.

    Parameters
    ----------
    axis : Axis
        The axis at the base level.
    factor : float
        How much farther neighbours are apart at this level.
    """
    attributes = {} if axis.unit is None else {"units": axis.unit}
    if len(axis.labels) == size > 0:
        return inline_array(np.array(axis.labels, np.str_), (axis.name,))
    if len(axis.values) == size > 0:
        return inline_array(np.array(axis.values, np.float64), (axis.name,), attributes)
    if axis.scale is None or size > LARGEST:
        return None
    return inline_array(np.arange(size) * (axis.scale * factor), (axis.name,), attributes)


def spatial_reference(geo: Georeference, columns: float, rows: float) -> Array:
    """Return the scalar that carries the grid mapping, as CF and rioxarray have it.

    Parameters
    ----------
    columns, rows : float
        How much larger the pixels of the level are than those of the base level.
    """
    attributes: dict[str, Any] = dict(geo.crs)
    transform = geo.at(columns, rows)
    if transform is not None:
        attributes["GeoTransform"] = geotransform_text(transform)
    if geo.ties:
        points = [
            _control_point(at, row / rows, column / columns, place)
            for at, (column, row, _, *place) in enumerate(geo.ties, 1)
        ]
        # A text, as rioxarray writes and reads it.
        attributes["gcps"] = json.dumps({"type": "FeatureCollection", "features": points})
    return inline_array(np.zeros((), np.int64), (), attributes)


def _control_point(at: int, row: float, column: float, place: list[float]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"id": str(at), "info": "", "row": row, "col": column},
        "geometry": {"type": "Point", "coordinates": place},
    }

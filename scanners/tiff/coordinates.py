"""Small arrays that are computed or read once, and kept in the reference set itself."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, ChunkTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.geo import Georeference
    from refmaker.scanners.tiff.image_model import Axis

__all__ = ["LARGEST", "axis_coordinate", "centres", "inline_array", "spatial_reference"]

_PLAIN = 1024
"""Bytes up to which nothing is compressed."""
LARGEST = 1 << 18
"""Places along an axis up to which coordinates are written; larger ones follow from their
scale, and would outweigh the references."""


def inline_array(
    values: NDArray[Any], names: Sequence[str], attributes: Mapping[str, Any] | None = None
) -> Array:
    """Return an array of one inlined chunk.

    Parameters
    ----------
    values : ndarray
        Numbers or fixed-length strings.
    names : sequence of str
        One name for each dimension.
    attributes : mapping, optional
        JSON values.
    """
    values = np.asarray(values, order="C")
    shape = values.shape
    raw = values.tobytes()
    filters: tuple[Mapping[str, Any], ...] = ()
    compressor: Mapping[str, Any] | None = None
    if len(raw) > _PLAIN:
        width = values.dtype.itemsize
        if width > 1:
            # Neighbouring coordinates differ in their last bytes alone.
            raw = np.frombuffer(raw, np.uint8).reshape(-1, width).T.tobytes()
            filters = ({"id": "shuffle", "elementsize": width},)
        raw = zlib.compress(raw, 6)
        compressor = {"id": "zlib", "level": 6}
    grid = (1,) * len(shape)
    return Array(
        shape,
        tuple(max(1, extent) for extent in shape),
        values.dtype,
        ChunkTable.inline(grid, {0: raw}) if values.size else ChunkTable.empty((0,) * len(shape)),
        filters=filters,
        compressor=compressor,
        dimension_names=tuple(names),
        attributes=dict(attributes or {}),
    )


def axis_coordinate(axis: Axis, size: int, factor: float = 1.0) -> Array | None:
    """Return the coordinate of an axis, or None if it is nothing but the index.

    Parameters
    ----------
    axis : Axis
        The axis at the base level.
    size : int
        Its extent at this level.
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


def centres(transform: Sequence[float], width: int, height: int) -> tuple[Any, Any]:
    """Return x of the columns and y of the rows, at the centres of pixels.

    Parameters
    ----------
    transform : sequence of float
        GDAL's geotransform, without rotation.
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


def spatial_reference(geo: Georeference, transform: Sequence[float] | None) -> Array:
    """Return the scalar that carries the grid mapping, as CF and rioxarray have it.

    Parameters
    ----------
    geo : Georeference
        Where the image is.
    transform : sequence of float, optional
        GDAL's geotransform of this level.
    """
    attributes: dict[str, Any] = dict(geo.crs)
    if transform is not None:
        attributes["GeoTransform"] = " ".join(repr(float(value)) for value in transform)
    if geo.ties:
        attributes["gcps"] = {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"id": str(at), "info": "", "row": row, "col": column},
                    "geometry": {"type": "Point", "coordinates": [x, y, z]},
                }
                for at, (column, row, _, x, y, z) in enumerate(geo.ties, 1)
            ],
        }
    return inline_array(np.zeros((), np.int64), (), attributes)

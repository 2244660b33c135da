"""What a STAC item says of a cube: the properties of the datacube extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.publish.catalog.footprint import DEGREES, axis_of, mapping_of

if TYPE_CHECKING:
    from collections.abc import Hashable
    from datetime import datetime

    import xarray as xr

    from refmaker.publish.catalog.footprint import Footprint

__all__ = ["cube", "instants"]

_MANY = 1000
"""Names of a dimension's places that an item still lists."""


def cube(data: xr.Dataset, place: Footprint) -> dict[str, Any]:
    """Return dimensions and variables as the datacube extension has them, version 2.2.0.

    Returns
    -------
    dict
        ``cube:dimensions`` and ``cube:variables``; empty if there is no dimension, as the
        extension asks for one.
    """
    if not data.sizes:
        return {}
    mappings = {mapping_of(data, name) for name in data.data_vars}
    variables = {}
    for name, variable in data.data_vars.items():
        fields = {"type": "auxiliary" if name in mappings else "data"}
        if "units" in variable.attrs:
            fields["unit"] = str(variable.attrs["units"])
        if "long_name" in variable.attrs:
            fields["description"] = str(variable.attrs["long_name"])
        variables[str(name)] = {"dimensions": [str(dim) for dim in variable.dims], **fields}
    dimensions = {str(name): _dimension(data, name, place) for name in data.sizes}
    return {"cube:dimensions": dimensions, "cube:variables": variables}


def instants(variable: xr.DataArray) -> tuple[datetime, datetime] | None:
    """Return the first and the last of the times of a coordinate, in UTC; None if it has none."""
    from datetime import UTC, datetime, timedelta

    import numpy as np

    values = variable.to_numpy()
    values = values[~np.isnat(values)]
    if not values.size:
        return None
    ends = values.min(), values.max()
    counts = [int(end.astype("datetime64[us]").astype(np.int64)) for end in ends]
    first, last = (
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=count) for count in counts
    )
    return first, last


def _dimension(data: xr.Dataset, name: Hashable, place: Footprint) -> dict[str, Any]:
    known = data.coords.get(name)
    if known is not None and known.dtype.kind == "M":
        span = instants(known)
        return {
            "type": "temporal",
            "extent": [end and end.isoformat() for end in span or (None, None)],
        }
    unit = "" if known is None else str(known.attrs.get("units", ""))
    extent = None if known is None else _extent(known)
    axis = axis_of(data, name)
    if axis in ("x", "y"):
        edges = place.projection.get("proj:bbox")
        if extent is None and edges is not None:
            extent = edges[axis == "y" :: 2]
        system = place.projection.get("proj:epsg") or place.projection.get("proj:wkt2")
        if extent is not None and (system or unit in DEGREES):
            told = {"reference_system": system} if system else {}
            return {"type": "spatial", "axis": axis, "extent": extent, **told}
    units = {"unit": unit} if unit else {}
    if axis == "z" and extent is not None:
        return {"type": "spatial", "axis": "z", "extent": extent, **units}
    if name == "band":
        return {"type": "bands", "values": _values(data, name)}
    if extent is None and known is not None and known.dtype.kind in "OSTU":
        return {"type": "other", "values": _values(data, name)}
    return {"type": "other", "extent": extent or [0, data.sizes[name] - 1], **units}


def _extent(known: xr.DataArray) -> list[Any] | None:
    """Return the least and the greatest of a coordinate's numbers."""
    import numpy as np

    values = known.to_numpy()
    if values.dtype.kind not in "iuf":
        return None
    values = values[np.isfinite(values)]
    return [values.min().item(), values.max().item()] if values.size else None


def _values(data: xr.Dataset, name: Hashable) -> list[Any]:
    """Return the names of a dimension's places, or their numbers from 1."""
    known = data.coords.get(name)
    if known is None:
        return list(range(1, min(data.sizes[name], _MANY) + 1))
    values = known.to_numpy()[:_MANY].tolist()
    return [value if isinstance(value, int) else str(value) for value in values]

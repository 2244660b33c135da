"""Coordinate reference systems as people call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.wkt import named
from refmaker.publish.pictures.axes import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["crs_name", "is_projected"]

_NAMELESS = frozenset({"", "unknown", "unnamed", "undefined"})
_TOLD = (
    ("standard_parallel", "standard parallel"),
    ("longitude_of_central_meridian", "central meridian"),
    ("straight_vertical_longitude_from_pole", "straight longitude"),
    ("latitude_of_projection_origin", "latitude of origin"),
    ("longitude_of_projection_origin", "longitude of origin"),
    ("grid_north_pole_latitude", "north pole latitude"),
    ("grid_north_pole_longitude", "north pole longitude"),
    ("perspective_point_height", "height in metres"),
)


def crs_name(attributes: Mapping[str, Any]) -> str:
    """Return what a grid mapping is called: its name and code, or its projection and parameters.

    Parameters
    ----------
    attributes : mapping
        Of a grid mapping variable (CF conventions, section 5.6), with or without ``crs_wkt``.
    """
    name, code = named(text_of(attributes, "crs_wkt", "spatial_ref"))
    if name.lower() not in _NAMELESS:
        return f"{name} ({code})" if code else name
    kind = text_of(attributes, "grid_mapping_name").replace("_", " ")
    told = [
        f"{words} {value:g}"
        for key, words in _TOLD
        if isinstance(value := attributes.get(key), int | float)
    ]
    radius = attributes.get("earth_radius")
    if isinstance(radius, int | float):
        told.append(f"sphere of {radius / 1000:,.3f} km")
    return f"{kind} ({', '.join(told)})" if kind and told else kind


def is_projected(attributes: Mapping[str, Any]) -> bool:
    """Whether places are lengths on a plane, rather than degrees."""
    wkt = text_of(attributes, "crs_wkt", "spatial_ref").lstrip().upper()
    if wkt:
        return wkt.startswith(("PROJCRS", "PROJCS"))
    kind = text_of(attributes, "grid_mapping_name")
    return bool(kind) and kind not in ("latitude_longitude", "rotated_latitude_longitude")

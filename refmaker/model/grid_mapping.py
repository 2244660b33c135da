"""Coordinate reference systems of grid mappings (CF conventions, section 5.6)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.model.attributes import is_number, text_of
from refmaker.model.wkt import named

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ReferenceSystem", "geotransform", "mapping_name", "reference_system"]

_NAMELESS = frozenset({"", "unknown", "unnamed", "undefined"})
_PROJECTED = re.compile(
    r'"(?:[^"]|"")*"|\b(?:(PROJCRS|PROJECTEDCRS|PROJCS|DERIVEDPROJCRS)|'
    r"(?:GEO[A-Z]*CRS|GEOGCS|GEOCCS|ENG[A-Z]*CRS|LOCAL_CS|VERT[A-Z]*CRS|VERT_CS))\b",
    re.IGNORECASE,
)
"""Kinds of simple systems; the first of a compound or bound one is the one on the ground."""
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


@dataclass(frozen=True, slots=True)
class ReferenceSystem:
    """What a grid mapping says of its reference system; what it does not say is empty.

    Parameters
    ----------
    name : str
    code : str
        Such as ``EPSG:4326``.
    kind : str
        ``grid_mapping_name``.
    wkt : str
        Well-known text, as it stands there.
    label : str
        What people call it: name and code, or projection and parameters.
    projected : bool
        Whether places are lengths on a plane, rather than degrees.
    """

    name: str = ""
    code: str = ""
    kind: str = ""
    wkt: str = ""
    label: str = ""
    projected: bool = False


def mapping_name(attributes: Mapping[str, Any]) -> str:
    """Return the name of an array's grid mapping, of several the first; empty if it has none."""
    return re.split(r"[:\s]", text_of(attributes, "grid_mapping"), maxsplit=1)[0]


def geotransform(attributes: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return the six numbers of GDAL's ``GeoTransform``, of a text or a list; None if it is none.

    They are x, its steps along columns and rows; y, its steps along columns and rows.
    """
    told = attributes.get("GeoTransform")
    parts = told.split() if isinstance(told, str) else told
    try:
        numbers = tuple(float(part) for part in parts or ())
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 6 and all(map(math.isfinite, numbers)) else None


def reference_system(attributes: Mapping[str, Any]) -> ReferenceSystem:
    """Return the reference system of a grid mapping variable.

    Parameters
    ----------
    attributes : mapping
        Of the variable, with or without ``crs_wkt``.
    """
    wkt = text_of(attributes, "crs_wkt", "spatial_ref")
    kind = text_of(attributes, "grid_mapping_name")
    name, code = named(wkt)
    others = (text_of(attributes, key) for key in ("projected_crs_name", "geographic_crs_name"))
    name = next((one for one in (name, *others) if one.lower() not in _NAMELESS), "")
    given = text_of(attributes, "epsg_code").upper()
    code = code or (given if given.startswith("EPSG:") else "")
    return ReferenceSystem(
        name=name,
        code=code,
        kind=kind,
        wkt=wkt,
        label=_label(name, code, kind, attributes),
        projected=_is_projected(wkt, kind),
    )


def _label(name: str, code: str, kind: str, attributes: Mapping[str, Any]) -> str:
    if name or code:
        return f"{name} ({code})" if name and code else name or code
    told = [f"{words} {value:g}" for key, words in _TOLD if is_number(value := attributes.get(key))]
    radius = attributes.get("earth_radius")
    if isinstance(radius, int | float):
        told.append(f"sphere of {radius / 1000:,.3f} km")
    kind = kind.replace("_", " ")
    if not kind:
        return "a system without a name" if text_of(attributes, "crs_wkt", "spatial_ref") else ""
    return f"{kind} ({', '.join(told)})" if told else kind


def _is_projected(wkt: str, kind: str) -> bool:
    for found in _PROJECTED.finditer(wkt):
        if not found[0].startswith('"'):
            return found[1] is not None
    return bool(kind) and kind not in ("latitude_longitude", "rotated_latitude_longitude")

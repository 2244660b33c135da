"""Projected reference systems of GeoKeys (OGC GeoTIFF 1.1, section 7.5.4)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from refmaker.scanners.tiff.crs_geographic import geographic
from refmaker.scanners.tiff.crs_keys import KEY_NAMES, USER, RefusedKeyError, known_code, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.tiff.crs_keys import Key

__all__ = ["projected"]

_GEOGRAPHIC, _CODE, _CONVERSION, _METHOD, _UNIT, _UNIT_SIZE = 2048, 3072, 3074, 3075, 3076, 3077
_METRES = {
    9001: ("metre", 1.0), 9002: ("foot", 0.3048), 9003: ("US survey foot", 1200 / 3937),
    9005: ("Clarke's foot", 0.3047972654), 9030: ("nautical mile", 1852.0),
    9036: ("kilometre", 1000.0), 9093: ("statute mile", 1609.344),
    9037: ("Clarke's yard", 0.9143917962),
}  # fmt: skip
"""Name and metres of each linear unit."""
_REBASED = frozenset({9801, 9802, 9804, 9805, 9806, 9807, 9809, 9810, 9812, 9815, 9820, 9822, 9829})
"""Methods of EPSG whose parameters GDAL takes to another datum, where a key names one."""
_NATURAL = "lon_0 lat_0"
_METHODS = {
    1: ("tmerc", "lon_0 lat_0 k"), 3: ("omerc +no_uoff", "lonc lat_0 alpha gamma k"),
    7: ("merc", "lon_0 lat_ts k"), 8: ("lcc", "lon_0 lat_0 lat_1 lat_2"),
    9: ("lcc", "lon_0 lat_0 lat_1 k"), 10: ("laea", _NATURAL),
    11: ("aea", "lon_0 lat_0 lat_1 lat_2"), 12: ("aeqd", _NATURAL),
    13: ("eqdc", "lon_0 lat_0 lat_1 lat_2"), 14: ("stere", "lon_0 lat_0 k"),
    15: ("stere", "polar"), 16: ("sterea", "lon_0 lat_0 k"), 17: ("eqc", "lon_0 lat_0 lat_ts"),
    18: ("cass", _NATURAL), 19: ("gnom", _NATURAL), 20: ("mill", "lon_0"),
    21: ("ortho", _NATURAL), 22: ("poly", _NATURAL), 23: ("robin", "lon_0"),
    24: ("sinu", "lon_0"), 25: ("vandg", "lon_0"), 28: ("cea", "lon_0 lat_ts"),
    9815: ("omerc", "lonc lat_0 alpha gamma k"),
}  # fmt: skip
"""PROJ's name of each method (section 7.5.4 and Annex C), and the parameters it takes."""
_ORIGIN = {"lon_0": (3080, 3084, 3088), "lat_0": (3081, 3085, 3089)}
_PARAMETERS = {
    **_ORIGIN, "lat_1": (3078,), "lat_2": (3079,), "lat_ts": (3078,), "k": (3092, 3093),
    "lonc": (3080, 3084, 3088), "alpha": (3094,), "gamma": (3096,),
}  # fmt: skip
"""Keys of each parameter, the first that is there counts."""
_OTHER_PLACES: dict[int, dict[str, tuple[int, ...]]] = {
    14: {"k": (3092,)},
    15: {"lon_0": (3095, 3080, 3084, 3088)},
}
"""Where methods have them in another order, or elsewhere."""
_EASTING, _NORTHING = (3082, 3090, 3086), (3083, 3091, 3087)
_CITATION, _PROJECTED_CITATION, _MERCATOR = 1026, 3073, 7
_SPHERICAL = {
    "google maps global mercator": "EPSG:3857",
    "wgs_1984_web_mercator_auxiliary_sphere": "EPSG:3857",
    "wgs_1984_web_mercator": "ESRI:102113",
}
"""Mercator projections that only their name tells from those of an ellipsoid."""
_CITED = re.compile(r"^IMAGINE GeoTIFF Support\b.*?^Units = ([^\n|]+)", re.DOTALL | re.MULTILINE)
"""Where Erdas Imagine writes the unit of coordinates, which counts more than that of a code."""


def projected(keys: Mapping[int, Key]) -> Any:
    """Return the pyproj CRS that the keys of a projection describe.

    Raises
    ------
    RefusedKeyError
        If they do not describe one.
    """
    from pyproj import CRS
    from pyproj.crs.coordinate_operation import CoordinateOperation  # type: ignore[attr-defined]

    code = known_code(keys, _CODE)
    if code is not None:
        found: Any = CRS.from_epsg(code)
        if not found.is_projected:
            raise RefusedKeyError(f"{KEY_NAMES[_CODE]} {code} is no projected reference system")
        if _GEOGRAPHIC in keys:
            base = geographic(keys, below=True)
            if base != found.geodetic_crs:
                method = int(found.coordinate_operation.method_code or 0)
                if method not in _REBASED:
                    told = f"{KEY_NAMES[_GEOGRAPHIC]} {keys[_GEOGRAPHIC]}"
                    raise RefusedKeyError(f"{told} beside {KEY_NAMES[_CODE]} {code}")
                return _on(
                    base, found.coordinate_operation, found.name, found.coordinate_system, keys
                )
        return _in_unit(found, keys)
    name = str(keys.get(_PROJECTED_CITATION) or keys.get(_CITATION) or "unknown")
    conversion = known_code(keys, _CONVERSION)
    if name.lower() in _SPHERICAL and conversion is None and keys.get(_METHOD) == _MERCATOR:
        return CRS.from_user_input(_SPHERICAL[name.lower()])
    base = geographic(keys, below=True)
    operation: Any
    system: Any
    if conversion is not None:
        operation, system = CoordinateOperation.from_epsg(conversion), None
    else:
        if abs(math.degrees(base.axis_info[0].unit_conversion_factor) - 1) > 1e-9:
            raise RefusedKeyError("parameters of the projection in other units than degrees")
        like = CRS.from_proj4(_proj_text(keys))
        # Near the poles axes have directions of their own.
        operation, system = like.coordinate_operation, like.coordinate_system
    return _on(base, operation, name, system, keys, always=True)


def _on(
    base: Any,
    operation: Any,
    name: str,
    system: Any,
    keys: Mapping[int, Key],
    *,
    always: bool = False,
) -> Any:
    """Return a projection of a geographic reference system, with its shift to another if any."""
    from pyproj.crs import BoundCRS, ProjectedCRS

    bare = base.source_crs if base.is_bound else base
    made = ProjectedCRS(operation, name, cartesian_cs=system, geodetic_crs=bare)
    made = _in_unit(made, keys, always=always)
    return BoundCRS(made, base.target_crs, base.coordinate_operation) if base.is_bound else made


def _unit(keys: Mapping[int, Key]) -> tuple[str, float] | None:
    """Return name and metres of the linear unit, None where no key gives it."""
    code = keys.get(_UNIT)
    if code is None or code == 0:
        return None
    if code == USER:
        size = number(keys, _UNIT_SIZE)
        if size is None or not size > 0:
            raise RefusedKeyError(f"{KEY_NAMES[_UNIT]} is user-defined without a size")
        return "unknown", size
    if not isinstance(code, int) or code not in _METRES:
        raise RefusedKeyError(f"{KEY_NAMES[_UNIT]} {code}")
    return _METRES[code]


def _cited_unit(keys: Mapping[int, Key]) -> tuple[str, float] | None:
    """Return name and metres of the unit that Erdas Imagine wrote, None where it wrote none."""
    citations = (
        (_CITATION,) if known_code(keys, _CODE) is not None else (_PROJECTED_CITATION, _CITATION)
    )
    found = next((one for key in citations if (one := _CITED.search(str(keys.get(key, ""))))), None)
    name = "" if found is None else found[1].strip().lower()
    if "feet" in name or "foot" in name:
        return _METRES[9002 if "international" in name else 9003]
    if "yard" in name:
        return "yard", 0.9144
    return _METRES[9001] if "meter" in name or "metre" in name else None


def _in_unit(found: Any, keys: Mapping[int, Key], *, always: bool = False) -> Any:
    """Return a reference system with coordinates in the unit of the keys."""
    from pyproj import CRS

    unit = _cited_unit(keys) or _unit(keys)
    if unit is None and always:
        unit = _METRES[9001]
    factors = {axis.unit_conversion_factor for axis in found.axis_info}
    if unit is None or (len(factors) == 1 and abs(next(iter(factors)) / unit[1] - 1) < 1e-9):
        return found
    content = found.to_json_dict()
    for axis in content["coordinate_system"]["axis"]:
        axis["unit"] = {"type": "LinearUnit", "name": unit[0], "conversion_factor": unit[1]}
    content.pop("id", None)
    return CRS.from_json_dict(content)


def _proj_text(keys: Mapping[int, Key]) -> str:
    """Return PROJ's description of the projection itself, without its ellipsoid."""
    method = keys.get(_METHOD)
    if not isinstance(method, int) or method not in _METHODS:
        raise RefusedKeyError(f"{KEY_NAMES[_METHOD]} {method}")
    metres = (_unit(keys) or _METRES[9001])[1]
    name, wanted = _METHODS[method]
    places = {**_PARAMETERS, **_OTHER_PLACES.get(method, {})}
    values = {key: number(keys, *codes) for key, codes in places.items()}
    _check(method, values)
    if method == 7 and values["lat_ts"] is None:
        values["lat_ts"] = values["lat_0"] or None
    if method == 9:
        # With one standard parallel PROJ wants it as such.
        values["lat_1"] = values["lat_0"]
    if "gamma" in wanted:
        values["gamma"] = 90.0 if values["gamma"] is None else values["gamma"]
    if wanted == "polar":
        latitude = values["lat_0"] or 0.0
        values["lat_0"] = 90.0 if latitude >= 0 else -90.0
        values["lat_ts"] = latitude if abs(latitude) < 90 else None
        wanted = "lon_0 lat_0 lat_ts" + ("" if abs(latitude) < 90 else " k")
    parts = [f"+proj={name}"]
    parts += [f"+{key}={values[key]!r}" for key in wanted.split() if values[key] is not None]
    # PROJ takes these in metres, whatever the unit of the coordinates.
    parts.append(f"+x_0={(number(keys, *_EASTING) or 0.0) * metres!r}")
    parts.append(f"+y_0={(number(keys, *_NORTHING) or 0.0) * metres!r}")
    return " ".join([*parts, "+units=m +ellps=WGS84 +no_defs +type=crs"])


def _check(method: int, values: Mapping[str, float | None]) -> None:
    """Refuse parameters that are missing, or of which one excludes another."""
    if method in (8, 11, 13) and None in (values["lat_1"], values["lat_2"]):
        raise RefusedKeyError(f"{KEY_NAMES[3078]} or {KEY_NAMES[3079]} is missing")
    latitude = values["lat_0"]
    if method == 15 and not latitude:
        # Neither pole is meant more than the other.
        raise RefusedKeyError(f"{KEY_NAMES[3081]} {latitude} of a polar projection")
    if method == 7 and latitude and values["lat_ts"] is not None:
        raise RefusedKeyError(f"{KEY_NAMES[3081]} beside {KEY_NAMES[3078]}")
    scaled = values["k"] is not None and values["k"] != 1
    pole = abs(latitude or 0.0) >= 90
    if scaled and ((method == 7 and latitude) or (method == 15 and not pole)):
        raise RefusedKeyError(f"{KEY_NAMES[3092]} beside {KEY_NAMES[3081]}")

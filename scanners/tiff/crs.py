"""GeoKeys to a coordinate reference system, as a CF grid mapping.

Implements the keys of OGC GeoTIFF 1.1, section 7.5: codes of EPSG and the keys that override
what they say, user-defined projections, datums and ellipsoids, and the strings that Esri's
software writes instead. Positions are those of GDAL; keys that it does not read either, or reads
against the specification, are refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.scanners.tiff.crs_geographic import geographic
from refmaker.scanners.tiff.crs_keys import KEY_NAMES, USER, Key, RefusedKeyError, known_code
from refmaker.scanners.tiff.crs_projected import projected
from refmaker.scanning.pixel_grid import crs_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_NAMES", "Key", "grid_mapping"]

_MODEL, _GEOGRAPHIC, _PROJECTED, _VERTICAL, _VERTICAL_UNITS = 1024, 2048, 3072, 4096, 4099
_HEIGHTS = (_VERTICAL, 4097, 4098, _VERTICAL_UNITS)
_ESRI = "ESRI PE String = "


def grid_mapping(keys: Mapping[int, Key]) -> tuple[dict[str, Any], str]:
    """Return the attributes of the CF grid mapping that GeoKeys describe.

    Returns
    -------
    dict
        CF's attributes with ``crs_wkt`` and ``spatial_ref``; empty if there is no reference system
        or it cannot be understood.
    str
        What of the keys could not be understood; else empty.
    """
    if not keys:
        return {}, ""
    try:
        import pyproj
    except ImportError:
        return {}, (
            "its coordinate reference system is not described, which needs pyproj "
            "(pip install 'refmaker[tiff]'); the GeoKeys are kept"
        )
    try:
        crs, problem = _reference_system(keys)
        if crs is None:
            return (
                {},
                "its GeoKeys name no coordinate reference system that is known; they are kept",
            )
        attributes = crs_attributes(crs)
    except RefusedKeyError as error:
        return {}, f"its coordinate reference system is not described: {error}; GeoKeys are kept"
    except (pyproj.exceptions.ProjError, ValueError, TypeError, KeyError) as error:
        told = " ".join(str(error).split())
        return {}, f"its coordinate reference system is not understood ({told}); GeoKeys are kept"
    return attributes, problem


def _reference_system(keys: Mapping[int, Key]) -> tuple[Any, str]:
    """Return the pyproj CRS, None if the keys name none, and what of them it leaves out."""
    from pyproj import CRS

    for citation in (3073, 1026, 2049):
        text = keys.get(citation)
        if isinstance(text, str) and text.startswith(_ESRI):
            return CRS.from_wkt(text.removeprefix(_ESRI)), ""
    horizontal = _horizontal(keys)
    if horizontal is None or not any(key in keys for key in _HEIGHTS):
        return horizontal, ""
    if known_code(keys, _VERTICAL) is None:
        told = ", ".join(f"{KEY_NAMES[key]} {keys[key]}" for key in _HEIGHTS if key in keys)
        return horizontal, f"heights are not described ({told})"
    return _with_heights(keys, horizontal)


def _with_heights(keys: Mapping[int, Key], horizontal: Any) -> tuple[Any, str]:
    """Return a reference system with the vertical one, where that is named by a code."""
    from pyproj import CRS

    code, epsg = known_code(keys, _VERTICAL), horizontal.to_epsg()
    if (epsg, code) == (4326, 4979):
        return CRS.from_epsg(4979), ""
    if code is None or epsg is None or code < 5600:
        # Such codes are those of datums and ellipsoids, as old files have them.
        return horizontal, f"heights are not described ({KEY_NAMES[_VERTICAL]} {keys[_VERTICAL]})"
    both = CRS.from_user_input(f"EPSG:{epsg}+{code}")
    unit = keys.get(_VERTICAL_UNITS)
    axis = both.sub_crs_list[1].axis_info[0]
    if unit not in (None, 0, USER) and str(unit) != axis.unit_code:
        told = f"{KEY_NAMES[_VERTICAL_UNITS]} {unit} is not the unit of EPSG:{code}"
        return horizontal, f"heights are not described: {told}"
    return both, ""


def _horizontal(keys: Mapping[int, Key]) -> Any:
    model = keys.get(_MODEL)
    has_projection = any(key in keys for key in (_PROJECTED, 3074, 3075))
    if model not in (2, 3) and has_projection:
        return projected(keys)
    if model == 2:
        return geographic(keys)
    if model == 3:
        return _geocentric(keys)
    if model is None and not any(2048 <= key < 4096 for key in keys):
        return None
    told = "is missing" if model is None else f"is {model}, without a projection"
    raise RefusedKeyError(f"{KEY_NAMES[_MODEL]} {told}")


def _geocentric(keys: Mapping[int, Key]) -> Any:
    from pyproj import CRS

    code = known_code(keys, _GEOGRAPHIC)
    found = None if code is None else CRS.from_epsg(code)
    if found is None or not found.is_geocentric:
        raise RefusedKeyError(f"{KEY_NAMES[_MODEL]} 3 (geocentric) without the code of such")
    return found

"""GeoKeys to a coordinate reference system, as a CF grid mapping.

Implements the keys of OGC GeoTIFF 1.1, section 7.5, for EPSG codes, user-defined projections
and ellipsoids, and the strings that Esri's software writes instead.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_NAMES", "Key", "grid_mapping"]

Key = int | float | str | tuple[int, ...] | tuple[float, ...]
"""The value of a GeoKey."""

_MODEL, _GEOGRAPHIC, _PROJECTED, _VERTICAL = 1024, 2048, 3072, 4096
_USER = 32767
_ESRI = "ESRI PE String = "
KEY_NAMES = {
    1024: "GTModelTypeGeoKey", 1025: "GTRasterTypeGeoKey", 1026: "GTCitationGeoKey",
    2048: "GeodeticCRSGeoKey", 2049: "GeodeticCitationGeoKey", 2050: "GeodeticDatumGeoKey",
    2051: "PrimeMeridianGeoKey", 2052: "GeogLinearUnitsGeoKey", 2053: "GeogLinearUnitSizeGeoKey",
    2054: "GeogAngularUnitsGeoKey", 2055: "GeogAngularUnitSizeGeoKey", 2056: "EllipsoidGeoKey",
    2057: "EllipsoidSemiMajorAxisGeoKey", 2058: "EllipsoidSemiMinorAxisGeoKey",
    2059: "EllipsoidInvFlatteningGeoKey", 2060: "GeogAzimuthUnitsGeoKey",
    2061: "PrimeMeridianLongitudeGeoKey", 2062: "GeogTOWGS84GeoKey",
    3072: "ProjectedCRSGeoKey", 3073: "ProjectedCitationGeoKey", 3074: "ProjectionGeoKey",
    3075: "ProjMethodGeoKey", 3076: "ProjLinearUnitsGeoKey", 3077: "ProjLinearUnitSizeGeoKey",
    3078: "ProjStdParallel1GeoKey", 3079: "ProjStdParallel2GeoKey",
    3080: "ProjNatOriginLongGeoKey", 3081: "ProjNatOriginLatGeoKey",
    3082: "ProjFalseEastingGeoKey", 3083: "ProjFalseNorthingGeoKey",
    3084: "ProjFalseOriginLongGeoKey", 3085: "ProjFalseOriginLatGeoKey",
    3086: "ProjFalseOriginEastingGeoKey", 3087: "ProjFalseOriginNorthingGeoKey",
    3088: "ProjCenterLongGeoKey", 3089: "ProjCenterLatGeoKey", 3090: "ProjCenterEastingGeoKey",
    3091: "ProjCenterNorthingGeoKey", 3092: "ProjScaleAtNatOriginGeoKey",
    3093: "ProjScaleAtCenterGeoKey", 3094: "ProjAzimuthAngleGeoKey",
    3095: "ProjStraightVertPoleLongGeoKey", 3096: "ProjRectifiedGridAngleGeoKey",
    4096: "VerticalGeoKey", 4097: "VerticalCitationGeoKey", 4098: "VerticalDatumGeoKey",
    4099: "VerticalUnitsGeoKey", 5120: "CoordinateEpochGeoKey",
}  # fmt: skip
"""Names of GeoKeys."""
_METRES = {9001: 1.0, 9002: 0.3048, 9003: 1200 / 3937, 9036: 1000.0}
_UNITS = {9001: "m", 9002: "ft", 9003: "us-ft", 9036: "km"}
_METHODS = {
    1: ("tmerc", "lon_0 lat_0 k"), 7: ("merc", "lon_0 lat_ts k"),
    8: ("lcc", "lon_0 lat_0 lat_1 lat_2"), 9: ("lcc", "lon_0 lat_0 lat_1 k"),
    10: ("laea", "lon_0 lat_0"), 11: ("aea", "lon_0 lat_0 lat_1 lat_2"),
    12: ("aeqd", "lon_0 lat_0"), 13: ("eqdc", "lon_0 lat_0 lat_1 lat_2"),
    14: ("stere", "lon_0 lat_0 k"), 15: ("stere", "polar"), 16: ("sterea", "lon_0 lat_0 k"),
    17: ("eqc", "lon_0 lat_0 lat_ts"), 18: ("cass", "lon_0 lat_0"), 19: ("gnom", "lon_0 lat_0"),
    20: ("mill", "lon_0"), 21: ("ortho", "lon_0 lat_0"), 22: ("poly", "lon_0 lat_0"),
    23: ("robin", "lon_0"), 24: ("sinu", "lon_0"), 25: ("vandg", "lon_0"),
    28: ("cea", "lon_0 lat_ts"), 3: ("omerc +no_uoff", "lonc lat_0 alpha gamma k"),
    9812: ("omerc +no_uoff", "lonc lat_0 alpha gamma k"),
    9815: ("omerc", "lonc lat_0 alpha gamma k"),
}  # fmt: skip
"""PROJ's name of each method (section 7.5.4 and Annex C), and the parameters it takes."""
_PARAMETERS = {
    "lon_0": (3080, 3084, 3088, 3095), "lat_0": (3081, 3085, 3089), "lat_1": (3078,),
    "lat_2": (3079,), "lat_ts": (3078,), "k": (3092, 3093),
    "lonc": (3088, 3080), "alpha": (3094,), "gamma": (3096, 3094),
}  # fmt: skip
_EASTING, _NORTHING = (3082, 3086, 3090), (3083, 3087, 3091)


def grid_mapping(keys: Mapping[int, Key]) -> tuple[dict[str, Any], str]:
    """Return the attributes of the CF grid mapping that GeoKeys describe.

    Parameters
    ----------
    keys : mapping of int to Key
        The GeoKeys.

    Returns
    -------
    dict
        CF's attributes with ``crs_wkt`` and ``spatial_ref``; empty if there is no reference system
        or it cannot be understood.
    str
        Why it could not; else empty.
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
        crs = _reference_system(keys)
        if crs is None:
            return (
                {},
                "its GeoKeys name no coordinate reference system that is known; they are kept",
            )
        with warnings.catch_warnings():
            # What CF has no attribute for is in the text beside.
            warnings.simplefilter("ignore")
            attributes = dict(crs.to_cf())
        wkt = crs.to_wkt()
    except (pyproj.exceptions.ProjError, ValueError, TypeError, KeyError) as error:
        told = " ".join(str(error).split())
        return {}, f"its coordinate reference system is not understood ({told}); GeoKeys are kept"
    return {**attributes, "crs_wkt": wkt, "spatial_ref": wkt}, ""


def _reference_system(keys: Mapping[int, Key]) -> Any:
    """Return the pyproj CRS, or None if the keys name none."""
    from pyproj import CRS

    for citation in (3073, 1026, 2049):
        text = keys.get(citation)
        if isinstance(text, str) and text.startswith(_ESRI):
            return CRS.from_wkt(text.removeprefix(_ESRI))
    horizontal = _horizontal(keys)
    vertical = keys.get(_VERTICAL)
    if horizontal is None or not isinstance(vertical, int) or not 1 < vertical < _USER:
        return horizontal
    epsg = horizontal.to_epsg()
    if (epsg, vertical) == (4326, 4979):
        return CRS.from_epsg(4979)
    if epsg is None or vertical < 5600:
        # Such codes are those of datums and ellipsoids, as old files have them.
        return horizontal
    return CRS.from_user_input(f"EPSG:{epsg}+{vertical}")


def _horizontal(keys: Mapping[int, Key]) -> Any:
    from pyproj import CRS

    model = keys.get(_MODEL)
    projected, geographic = keys.get(_PROJECTED), keys.get(_GEOGRAPHIC)
    if model != 2 and isinstance(projected, int) and 0 < projected < _USER:
        return CRS.from_epsg(projected)
    if model != 2 and (projected == _USER or 3074 in keys or 3075 in keys):
        return _user_projected(keys)
    if model in (2, 3) or geographic is not None:
        return _geographic(keys)
    return None


def _geographic(keys: Mapping[int, Key]) -> Any:
    from pyproj import CRS
    from pyproj.crs import GeographicCRS
    from pyproj.crs.coordinate_system import Ellipsoidal2DCS
    from pyproj.crs.crs import Datum, Ellipsoid  # type: ignore[attr-defined]
    from pyproj.crs.datum import CustomDatum, CustomEllipsoid
    from pyproj.crs.enums import Ellipsoidal2DCSAxis

    code = keys.get(_GEOGRAPHIC)
    if isinstance(code, int) and 0 < code < _USER:
        return CRS.from_epsg(code)
    if keys.get(_MODEL) == 3:
        # Geocentric coordinates without a code are no x and y of anything.
        return None
    told = _names(keys)
    datum = keys.get(2050)
    if isinstance(datum, int) and 0 < datum < _USER:
        return GeographicCRS(told["gcs name"], Datum.from_epsg(datum))
    ellipsoid = keys.get(2056)
    if isinstance(ellipsoid, int) and 0 < ellipsoid < _USER:
        body: Any = Ellipsoid.from_epsg(ellipsoid)
    elif 2057 in keys and (2058 in keys or 2059 in keys):
        radius, name = _float(keys[2057]), told.get("ellipsoid", "unknown")
        if 2059 in keys:
            flat = _float(keys[2059])
            body = CustomEllipsoid(name, semi_major_axis=radius, inverse_flattening=flat)
        else:
            body = CustomEllipsoid(name, semi_major_axis=radius, semi_minor_axis=_float(keys[2058]))
    else:
        return None
    prime = _meridian(keys, told)
    if prime is None:
        return None
    axes = Ellipsoidal2DCS(axis=Ellipsoidal2DCSAxis.LATITUDE_LONGITUDE)
    datum_name = told.get("datum", told["gcs name"])
    return GeographicCRS(told["gcs name"], CustomDatum(datum_name, body, prime), axes)


def _meridian(keys: Mapping[int, Key], told: Mapping[str, str]) -> Any:
    """Return the prime meridian; None if it is not described."""
    from pyproj.crs.crs import PrimeMeridian  # type: ignore[attr-defined]
    from pyproj.crs.datum import CustomPrimeMeridian

    code, longitude = keys.get(2051), keys.get(2061)
    if isinstance(code, int) and 0 < code < _USER:
        return PrimeMeridian.from_epsg(code)
    if longitude is not None and _float(longitude) != 0:
        return CustomPrimeMeridian(longitude=_float(longitude), name=told.get("primem", "unknown"))
    return None if code == _USER and longitude is None else PrimeMeridian.from_epsg(8901)


def _names(keys: Mapping[int, Key]) -> dict[str, str]:
    """Return the names of a user-defined geographic reference system and of its parts.

    GDAL writes them into one citation, as ``GCS Name = a|Datum = b|Ellipsoid = c|Primem = d``.
    """
    text = str(keys.get(2049) or keys.get(1026) or "unknown")
    pairs = (part.partition("=") for part in text.split("|"))
    told = {key.strip().lower(): value.strip() for key, found, value in pairs if found}
    return {"gcs name": "unknown" if told else text, **told}


def _user_projected(keys: Mapping[int, Key]) -> Any:
    """Return a projection that is described by its method and parameters, or by a code."""
    from pyproj import CRS
    from pyproj.crs import ProjectedCRS
    from pyproj.crs.coordinate_operation import CoordinateOperation  # type: ignore[attr-defined]

    base = _geographic(keys)
    if base is None:
        return None
    name = str(keys.get(3073) or keys.get(1026) or "unknown")
    unit = keys.get(3076, 9001)
    conversion = keys.get(3074)
    if isinstance(conversion, int) and 0 < conversion < _USER and unit == 9001:
        return ProjectedCRS(CoordinateOperation.from_epsg(conversion), name, geodetic_crs=base)
    text = _proj_text(keys)
    if text is None:
        return None
    like = CRS.from_proj4(text)
    return ProjectedCRS(
        like.coordinate_operation, name, cartesian_cs=like.coordinate_system, geodetic_crs=base
    )


def _proj_text(keys: Mapping[int, Key]) -> str | None:
    """Return PROJ's description of the projection itself, without its ellipsoid."""
    method = keys.get(3075)
    if not isinstance(method, int) or method not in _METHODS:
        return None
    unit = keys.get(3076, 9001)
    metres = _METRES.get(unit) if isinstance(unit, int) else None
    if unit == _USER and 3077 in keys:
        metres = _float(keys[3077])
    if metres is None:
        return None
    name, wanted = _METHODS[method]
    values = {key: _first(keys, codes) for key, codes in _PARAMETERS.items()}
    if method == 9:
        # With one standard parallel PROJ wants it as such.
        values["lat_1"] = values["lat_0"]
    if wanted == "polar":
        latitude = values["lat_0"] if values["lat_0"] is not None else 90.0
        values["lat_0"] = 90.0 if latitude >= 0 else -90.0
        values["lat_ts"] = latitude if abs(latitude) < 90 else None
        wanted = "lon_0 lat_0 lat_ts" + ("" if abs(latitude) < 90 else " k")
    parts = [f"+proj={name}"]
    parts += [f"+{key}={values[key]!r}" for key in wanted.split() if values[key] is not None]
    # PROJ takes these in metres, whatever the unit of the coordinates.
    parts.append(f"+x_0={(_first(keys, _EASTING) or 0.0) * metres!r}")
    parts.append(f"+y_0={(_first(keys, _NORTHING) or 0.0) * metres!r}")
    known = _UNITS.get(unit) if isinstance(unit, int) else None
    parts.append(f"+units={known}" if known else f"+to_meter={metres!r}")
    return " ".join([*parts, "+ellps=WGS84 +no_defs +type=crs"])


def _first(keys: Mapping[int, Key], codes: tuple[int, ...]) -> float | None:
    return next((_float(keys[code]) for code in codes if code in keys), None)


def _float(value: Key) -> float:
    if isinstance(value, tuple | str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)

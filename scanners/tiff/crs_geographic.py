"""Geographic reference systems of GeoKeys (OGC GeoTIFF 1.1, section 7.5.3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from refmaker.scanners.tiff.crs_keys import KEY_NAMES, USER, RefusedKeyError, known_code, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.tiff.crs_keys import Key

__all__ = ["angle_unit", "geographic"]

_CODE, _DATUM, _MERIDIAN, _UNIT, _UNIT_SIZE, _ELLIPSOID = 2048, 2050, 2051, 2054, 2055, 2056
_MAJOR, _MINOR, _FLATTENING, _LONGITUDE, _SHIFT = 2057, 2058, 2059, 2061, 2062
_DEGREES = {
    9101: 180 / math.pi, 9102: 1.0, 9103: 1 / 60, 9104: 1 / 3600, 9105: 0.9, 9106: 0.9,
    9107: 1.0, 9108: 1.0, 9109: 180e-6 / math.pi, 9122: 1.0,
}  # fmt: skip
"""Degrees of each angular unit; the notations of degrees in several parts count as such."""
_UNIT_NAMES = {
    9101: "radian", 9103: "arc-minute", 9104: "arc-second", 9105: "grad", 9106: "gon",
    9109: "microradian",
}  # fmt: skip
_EPSG_RULES = frozenset({4258, 4322, 4324, 4326, 4740, 4760})
"""Codes of which GDAL takes no other key's word."""
_NEW = 8888
"""Codes from here on GDAL treats in one way or the other."""
_GREENWICH = 8901


def geographic(keys: Mapping[int, Key], *, below: bool = False) -> Any:
    """Return the pyproj CRS that the geographic keys describe.

    Parameters
    ----------
    below : bool
        Whether it is that of a projection.

    Raises
    ------
    RefusedKeyError
        If they do not describe one.
    """
    from pyproj import CRS

    code = known_code(keys, _CODE)
    overriding = [key for key in (_DATUM, _ELLIPSOID, _MAJOR, _MINOR, _FLATTENING) if key in keys]
    if code is None:
        return _built(keys, None)
    found = CRS.from_epsg(code)
    if not found.is_geographic:
        raise RefusedKeyError(f"{KEY_NAMES[_CODE]} {code} is no geographic reference system")
    if _meridian(keys, None) is not None:
        overriding.append(_MERIDIAN if _MERIDIAN in keys else _LONGITUDE)
    if _UNIT in keys and abs(angle_unit(keys) - _own_unit(found)) > 1e-12:
        overriding.append(_UNIT)
    if not overriding or (code in _EPSG_RULES and not below):
        return found
    if code >= _NEW:
        told = ", ".join(KEY_NAMES[key] for key in overriding)
        raise RefusedKeyError(f"{told} beside {KEY_NAMES[_CODE]} {code}")
    return _built(keys, found)


def angle_unit(keys: Mapping[int, Key]) -> float:
    """Return the degrees of the angular unit.

    Raises
    ------
    RefusedKeyError
        If it is not known.
    """
    code = keys.get(_UNIT, 9102)
    size = number(keys, _UNIT_SIZE)
    if code == USER and size is not None and abs(math.degrees(size) - 1) < 1e-9:
        return 1.0
    if not isinstance(code, int) or code not in _DEGREES:
        raise RefusedKeyError(f"{KEY_NAMES[_UNIT]} {code}")
    return _DEGREES[code]


def _own_unit(found: Any) -> float:
    return math.degrees(found.axis_info[0].unit_conversion_factor)


def _built(keys: Mapping[int, Key], like: Any) -> Any:
    """Return a reference system of its parts, those that no key gives from one like it."""
    from pyproj import CRS

    told = _names(keys)
    unit = angle_unit(keys) if _UNIT in keys or like is None else _own_unit(like)
    datum, body = _datum(keys, like, told)
    meridian = _meridian(keys, like)
    if meridian is None:
        own = None if like is None else like.prime_meridian
        meridian = (
            ("Greenwich", 0.0)
            if own is None
            else (own.name, own.longitude * math.degrees(own.unit_conversion_factor))
        )
    if meridian[1] and not _plain(unit):
        raise RefusedKeyError(f"{KEY_NAMES[_UNIT]} {keys.get(_UNIT)} with a prime meridian")
    name = told["gcs name"] if like is None else like.name
    shift = keys.get(_SHIFT)
    to_wgs84 = ""
    # How a datum of EPSG is shifted is known better than by the file, as for GDAL.
    if isinstance(shift, tuple) and len(shift) in (3, 7) and not datum[1]:
        values = [*shift, 0.0, 0.0, 0.0, 0.0][:7]
        to_wgs84 = f",TOWGS84[{','.join(repr(float(value)) for value in values)}]"
    named = _UNIT_NAMES.get(int(str(keys.get(_UNIT, 9102))), "degree")
    # The older dialect is GDAL's: datums keep their names, units are those of the whole.
    text = (
        f'GEOGCS["{name}",DATUM["{datum[0]}",SPHEROID["{body[0]}",{body[1]!r},{body[2]!r}]'
        f'{to_wgs84}{datum[1]}],PRIMEM["{meridian[0]}",{meridian[1]!r}],'
        f'UNIT["{named}",{math.radians(unit)!r}],AXIS["Latitude",NORTH],AXIS["Longitude",EAST]]'
    )
    return CRS.from_wkt(text)


def _plain(unit: float) -> bool:
    return any(abs(unit - one) < 1e-9 for one in (1.0, 0.9))


def _datum(
    keys: Mapping[int, Key], like: Any, told: Mapping[str, str]
) -> tuple[tuple[str, str], tuple[str, float, float]]:
    """Return the datum's name and identity, and its ellipsoid: name, axis, inverse flattening."""
    from pyproj.crs.crs import Datum, Ellipsoid  # type: ignore[attr-defined]

    code = known_code(keys, _DATUM)
    datum = None if like is None else like.datum
    if code is not None:
        datum = Datum.from_epsg(code)
    own_body = None if datum is None else _ellipsoid(datum)
    ellipsoid = own_body
    body_code = known_code(keys, _ELLIPSOID)
    if body_code is not None:
        ellipsoid = Ellipsoid.from_epsg(body_code)
    body = _body(keys, ellipsoid, told)
    if datum is not None and own_body is not None and not _same(body, own_body):
        over = [KEY_NAMES[key] for key in (_ELLIPSOID, _MAJOR, _MINOR, _FLATTENING) if key in keys]
        raise RefusedKeyError(f"{', '.join(over)} beside the datum {datum.name}")
    if datum is None:
        return (told.get("datum", told["gcs name"]), ""), body
    own = datum.to_json_dict().get("id", {}).get("code")
    identity = f',AUTHORITY["EPSG","{own}"]' if own is not None else ""
    return (datum.name, identity), body


def _ellipsoid(datum: Any) -> Any:
    """Return a datum's ellipsoid; that of an ensemble stands in its description only."""
    from pyproj.crs.crs import Ellipsoid  # type: ignore[attr-defined]

    if datum.ellipsoid is not None:
        return datum.ellipsoid
    return Ellipsoid.from_json_dict({"type": "Ellipsoid", **datum.to_json_dict()["ellipsoid"]})


def _same(body: tuple[str, float, float], ellipsoid: Any) -> bool:
    """Tell whether an ellipsoid is another, to the millimetre."""
    _, major, inverse = body
    minor = major if inverse == 0 else major * (1 - 1 / inverse)
    alike = abs(major - ellipsoid.semi_major_metre) < 1e-3
    return bool(alike and abs(minor - ellipsoid.semi_minor_metre) < 1e-3)


def _body(
    keys: Mapping[int, Key], ellipsoid: Any, told: Mapping[str, str]
) -> tuple[str, float, float]:
    major, minor = number(keys, _MAJOR), number(keys, _MINOR)
    inverse = number(keys, _FLATTENING)
    name = told.get("ellipsoid", "unknown") if ellipsoid is None else ellipsoid.name
    if ellipsoid is None:
        if major is None or (minor is None and inverse is None):
            raise RefusedKeyError(
                f"{KEY_NAMES[_CODE]} is user-defined without a datum or an ellipsoid"
            )
    else:
        major = ellipsoid.semi_major_metre if major is None else major
        minor = ellipsoid.semi_minor_metre if minor is None and inverse is None else minor
    if inverse is None and minor is not None:
        inverse = 0.0 if major == minor else major / (major - minor)
    if inverse is None or not major > 0:
        raise RefusedKeyError(f"{KEY_NAMES[_MAJOR]} {major}")
    return name, float(major), float(inverse)


def _meridian(keys: Mapping[int, Key], like: Any) -> tuple[str, float] | None:
    """Return name and longitude of the prime meridian in degrees; None if no key gives one.

    Beside a code of EPSG that of Greenwich counts as one only where the code has another.
    """
    from pyproj.crs.crs import PrimeMeridian  # type: ignore[attr-defined]

    code = known_code(keys, _MERIDIAN)
    if code is not None:
        if code == _GREENWICH and like is None:
            return None
        found = PrimeMeridian.from_epsg(code)
        return found.name, found.longitude * math.degrees(float(found.unit_conversion_factor))
    longitude = number(keys, _LONGITUDE)
    if longitude is None:
        if keys.get(_MERIDIAN) == USER:
            raise RefusedKeyError(f"{KEY_NAMES[_MERIDIAN]} is user-defined without a longitude")
        return None
    if longitude == 0:
        return None
    unit = angle_unit(keys) if like is None else _own_unit(like)
    if abs(unit - 1) > 1e-9:
        raise RefusedKeyError(f"{KEY_NAMES[_LONGITUDE]} in other units than degrees")
    return _names(keys).get("primem", "unknown"), longitude


def _names(keys: Mapping[int, Key]) -> dict[str, str]:
    """Return the names of a user-defined geographic reference system and of its parts.

    GDAL writes them into one citation, as ``GCS Name = a|Datum = b|Ellipsoid = c|Primem = d``.
    """
    text = str(keys.get(2049) or keys.get(1026) or "unknown").replace('"', "'")
    pairs = (part.partition("=") for part in text.split("|"))
    told = {key.strip().lower(): value.strip() for key, found, value in pairs if found}
    return {"gcs name": "unknown" if told else text, **told}

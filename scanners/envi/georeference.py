"""Where on Earth an ENVI image is.

Implements the fields ``map info``, ``projection info`` and ``coordinate system string`` of "ENVI
Header Files" (NV5 Geospatial documentation); positions are those of GDAL. A pixel's place is told
from its upper left corner, and pixels are counted from 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.scanning.pixel_grid import crs_attributes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model.report import ScanReport
    from refmaker.scanners.envi.header import Header

__all__ = ["Georeference", "read_georeference"]

_DATUMS = (
    ("wgs-84", 4326), ("wgs-72", 4322), ("north america 1983", 4269),
    ("north america 1927", 4267), ("nad27", 4267), ("nad-27", 4267), ("european 1950", 4230),
    ("ordnance survey of great britain '36", 4277), ("sad-69/brazil", 4291),
    ("geocentric datum of australia 1994", 4283), ("australian geodetic 1984", 4203),
    ("nouvelle triangulation francaise ign", 4275),
)  # fmt: skip
"""What a datum's name begins with, and the geographic reference system that has it."""
_ANGLES = {"": 1.0, "degrees": 1.0, "minutes": 60.0, "seconds": 3600.0}
_LENGTHS = {"": "metre", "meters": "metre", "feet": "foot"}
_PROJECTIONS = {
    3: ("TransverseMercatorConversion", (
        "latitude_natural_origin", "longitude_natural_origin", "false_easting", "false_northing",
        "scale_factor_natural_origin")),
    4: ("LambertConformalConic2SPConversion", (
        "latitude_false_origin", "longitude_false_origin", "easting_false_origin",
        "northing_false_origin", "latitude_first_parallel", "latitude_second_parallel")),
    9: ("AlbersEqualAreaConversion", (
        "latitude_false_origin", "longitude_false_origin", "easting_false_origin",
        "northing_false_origin", "latitude_first_parallel", "latitude_second_parallel")),
    11: ("LambertAzimuthalEqualAreaConversion", (
        "latitude_natural_origin", "longitude_natural_origin", "false_easting",
        "false_northing")),
    31: ("PolarStereographicBConversion", (
        "latitude_standard_parallel", "longitude_origin", "false_easting", "false_northing")),
}  # fmt: skip
"""Conversions of pyproj by the number that begins ``projection info``, and what follows the two
axes of the ellipsoid in it."""


@dataclass(frozen=True, slots=True)
class Georeference:
    """Where an image is.

    Parameters
    ----------
    transform : tuple of float, optional
        GDAL's geotransform, from the corners of pixels; None where readers disagree on it.
    geographic : bool
        Whether coordinates are degrees.
    crs : mapping
        The attributes of CF's grid mapping; empty if there is no reference system, or none that
        is understood.
    """

    transform: tuple[float, ...] | None
    geographic: bool
    crs: Mapping[str, Any] = field(default_factory=dict)


class _UnknownError(ValueError):
    """What is written is not understood; the message says why."""


def read_georeference(header: Header, report: ScanReport) -> Georeference | None:
    """Return where an image is, or None if its header does not say.

    Parameters
    ----------
    header : Header
        Of the image.
    report : ScanReport
        Gets a warning for what cannot be understood: no coordinates are made of it.
    """
    words = header.words("map info")
    if not words:
        return None
    options = dict(_option(word) for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    geographic = plain[:1] != [] and plain[0].lower().startswith("geographic lat")
    try:
        transform = _transform(plain, options, report, geographic=geographic)
    except _UnknownError as error:
        report.warn(f"/data: its map info is not understood, {error}; there are no coordinates")
        return None
    try:
        crs = _reference_system(header, plain, options.get("units", "").lower(), report)
    except ImportError:
        crs = None
        report.warn(
            "/data: its coordinate reference system is not described, which needs pyproj "
            "(pip install pyproj); the header's text is kept"
        )
    except _UnknownError as error:
        crs = None
        report.warn(f"/data: its coordinate reference system is not described: {error}")
    if crs is not None:
        geographic = crs.is_geographic
    return Georeference(transform, geographic, {} if crs is None else crs_attributes(crs))


def _option(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name.strip().lower(), value.strip()


def _transform(
    plain: Sequence[str], options: Mapping[str, str], report: ScanReport, *, geographic: bool
) -> tuple[float, ...] | None:
    """Return the geotransform, in degrees where that is what it tells."""
    column, row, x, y, dx, dy = _numbers(plain[1:7], 6)
    (rotation,) = _numbers([options.get("rotation", "0")], 1)
    unit = options.get("units", "").lower()
    if geographic:
        if unit not in _ANGLES:
            raise _UnknownError(f"its unit is {unit!r}")
        x, y, dx, dy = (value / _ANGLES[unit] for value in (x, y, dx, dy))
    left, top = x - (column - 1) * dx, y + (row - 1) * dy
    if dx == 0 or dy == 0:
        raise _UnknownError("its pixels have no size")
    if rotation == 0:
        return left, dx, 0.0, top, 0.0, -dy
    if abs(rotation) == 180:
        report.warn("/data: it is rotated by 180 degrees; read as south up, as by GDAL")
        return left, dx, 0.0, top, 0.0, dy
    if dx != dy or (column, row) != (1, 1):
        told = "pixels are not square, or its tie point is no corner of the image"
        report.warn(f"/data: it is rotated, and {told}: readers disagree; there is no geotransform")
        return None
    cosine, sine = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    return left, cosine * dx, sine * dx, top, sine * dy, -cosine * dy


def _numbers(words: Sequence[str], count: int) -> list[float]:
    """Return finite numbers, of which there are to be so many."""
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) < count or not all(map(math.isfinite, values)):
        raise _UnknownError(f"which says {', '.join(words)[:60]!r} where {count} numbers stand")
    return values[:count]


def _reference_system(header: Header, plain: Sequence[str], unit: str, report: ScanReport) -> Any:
    """Return the ``pyproj.CRS``, None if the header names none."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    text = header.fields.get("coordinate system string")
    if isinstance(text, str) and text:
        try:
            crs = CRS.from_wkt(text)
        except CRSError as error:
            told = " ".join(str(error).split())[:200]
            report.warn(f"/data: its coordinate system string is not understood ({told})")
        else:
            return _checked(crs, unit)
    name = plain[0].lower()
    try:
        if name.startswith("utm") and len(plain) >= 9:
            return _checked(_utm(plain, report), unit)
        if name.startswith("geographic lat"):
            if not plain[7:8] and not unit:
                raise _UnknownError("it names neither datum nor unit")
            return _datum(plain[7:8], 4326, report)
        if header.words("projection info"):
            return _checked(_projected(header.words("projection info"), report), unit)
    except (CRSError, ValueError) as error:
        raise _UnknownError(" ".join(str(error).split())[:200]) from error
    if name.startswith(("arbitrary", "pseudo")):
        return None
    raise _UnknownError(f"nothing here knows {plain[0]!r} without a coordinate system string")


def _checked(crs: Any, unit: str) -> Any:
    """Return a reference system whose axes have the unit that the map info tells."""
    axis = crs.axis_info[0].unit_name if crs.axis_info else ""
    if crs.is_projected and unit and _LENGTHS.get(unit) != axis:
        raise _UnknownError(f"its axes are in {axis}, the map info in {unit}")
    return crs


def _utm(plain: Sequence[str], report: ScanReport) -> Any:
    """Return a zone of UTM; its datum is that of 1927 where none is named (GDAL, ENVI)."""
    from pyproj.crs import ProjectedCRS
    from pyproj.crs.coordinate_operation import UTMConversion

    (zone,) = _numbers(plain[7:8], 1)
    side = plain[8].lower()
    if zone not in range(1, 61) or side not in ("north", "south"):
        raise _UnknownError(f"there is no zone {plain[7]} {plain[8]} of UTM")
    base = _datum(plain[9:10], 4267, report)
    conversion = UTMConversion(str(int(zone)), side.upper()[0])
    return ProjectedCRS(
        conversion, f"{base.name} / UTM zone {int(zone)}{side.upper()[0]}", None, base
    )


def _datum(named: Sequence[str], default: int, report: ScanReport) -> Any:
    """Return the geographic reference system of a datum."""
    from pyproj import CRS

    if not named:
        crs = CRS.from_epsg(default)
        report.warn(f"/data: it names no datum; {crs.name} is taken, as by GDAL")
        return crs
    text = named[0].lower()
    code = next((code for start, code in _DATUMS if text.startswith(start)), None)
    if code is None:
        raise _UnknownError(f"its datum is {named[0]!r}")
    return CRS.from_epsg(code)


def _projected(words: Sequence[str], report: ScanReport) -> Any:
    """Return the reference system of ``projection info``: kind, axes, parameters, datum, name."""
    from pyproj.crs import GeographicCRS, ProjectedCRS, coordinate_operation
    from pyproj.crs.datum import CustomDatum, CustomEllipsoid

    plain = [word for word in words if "=" not in word]
    kind, parameters = _PROJECTIONS.get(int(_numbers(plain[:1], 1)[0]), ("", ()))
    if not kind:
        raise _UnknownError(f"its projection is {plain[0]}, {plain[-1]}")
    major, minor, *values = _numbers(plain[1 : 3 + len(parameters)], 2 + len(parameters))
    conversion = getattr(coordinate_operation, kind)(**dict(zip(parameters, values, strict=True)))
    named = plain[3 + len(parameters) : -1]
    try:
        base = _datum(named[-1:], 0, report) if named else None
    except _UnknownError as error:
        base = None
        report.warn(f"/data: {error}; of its projection the ellipsoid alone counts")
    if base is None:
        shape = {"inverse_flattening": 0} if minor == major else {"semi_minor_axis": minor}
        datum = CustomDatum("unnamed", CustomEllipsoid("unnamed", major, **shape))
        base = GeographicCRS("unnamed", datum)
    return ProjectedCRS(conversion, plain[-1] or "unnamed", None, base)

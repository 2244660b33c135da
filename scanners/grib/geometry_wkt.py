"""Coordinate reference systems of grids as WKT 2 (ISO 19162:2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Parameter", "geographic", "projected", "rotated"]

#: Name, EPSG code (0: none), value and unit (``degree``, ``metre`` or ``unity``) of a parameter.
Parameter = tuple[str, int, float, str]

_DEGREE = 'ANGLEUNIT["degree",0.0174532925199433]'
_UNITS = {"degree": _DEGREE, "metre": 'LENGTHUNIT["metre",1]', "unity": 'SCALEUNIT["unity",1]'}
_LATLON = f'CS[ellipsoidal,2],AXIS["latitude",north],AXIS["longitude",east],{_DEGREE}'
_XY = 'CS[Cartesian,2],AXIS["easting",east],AXIS["northing",north],LENGTHUNIT["metre",1]'


def geographic(axes: tuple[float, float]) -> str:
    """Return a geographic system on an earth of these half axes, in metres."""
    return f'GEOGCRS["unknown",{_datum(axes)},{_LATLON}]'


def projected(axes: tuple[float, float], method: str, parameters: Sequence[Parameter]) -> str:
    """Return a projected system.

    Parameters
    ----------
    axes : tuple of float
        Half axes of the earth in metres.
    method : str
        Name of the projection, and its EPSG code behind a slash.
    """
    base = f'BASEGEOGCRS["unknown",{_datum(axes)}]'
    return f'PROJCRS["unknown",{base},CONVERSION[{_method(method, parameters)}],{_XY}]'


def rotated(axes: tuple[float, float], latitude: float, longitude: float, rotation: float) -> str:
    """Return a geographic system whose south pole is elsewhere (template 3.1), in degrees."""
    names = (
        "Latitude of the southern pole (GRIB convention)",
        "Longitude of the southern pole (GRIB convention)",
        "Axis rotation (GRIB convention)",
    )
    parameters = [
        (name, 0, value, "degree")
        for name, value in zip(names, (latitude, longitude, rotation), strict=True)
    ]
    conversion = _method("Pole rotation (GRIB convention)", parameters)
    base = f'BASEGEOGCRS["unknown",{_datum(axes)}]'
    return f'GEOGCRS["unknown",{base},DERIVINGCONVERSION[{conversion}],{_LATLON}]'


def _method(method: str, parameters: Sequence[Parameter]) -> str:
    name, _, code = method.partition("/")
    parts = [f'METHOD["{name}"{_epsg(int(code or 0))}]']
    parts += [
        f'PARAMETER["{name}",{value!r},{_UNITS[unit]}{_epsg(code)}]'
        for name, code, value, unit in parameters
    ]
    return ",".join(['"unknown"', *parts])


def _epsg(code: int) -> str:
    return f',ID["EPSG",{code}]' if code else ""


def _datum(axes: tuple[float, float]) -> str:
    major, minor = axes
    flattening = 0.0 if major == minor else major / (major - minor)
    figure = f'ELLIPSOID["unknown",{major!r},{flattening!r},LENGTHUNIT["metre",1]]'
    return f'DATUM["unknown",{figure}],PRIMEM["Greenwich",0,{_DEGREE}]'

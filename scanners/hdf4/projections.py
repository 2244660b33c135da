"""Projections of HDF-EOS grids: GCTP's parameters as coordinate reference systems.

Implements the parameters of the General Cartographic Transformation Package as section 6 of the
HDF-EOS Library User's Guide, volume 1, lists them. Angles are packed: DDDMMMSSS.SS.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["angle", "cf_attributes", "knows_figure", "proj_text"]

_ELLIPSOIDS: Final[dict[int, tuple[float, float]]] = {
    0: (6378206.4, 6356583.8),
    1: (6378249.145, 6356514.86955),
    2: (6377397.155, 6356078.96284),
    3: (6378157.5, 6356772.2),
    4: (6378388.0, 6356911.94613),
    5: (6378135.0, 6356750.519915),
    6: (6377276.3452, 6356075.4133),
    7: (6378145.0, 6356759.769356),
    8: (6378137.0, 6356752.31414),
    9: (6377563.396, 6356256.91),
    10: (6377304.063, 6356103.039),
    11: (6377341.89, 6356036.143),
    12: (6378137.0, 6356752.314245),
    13: (6378155.0, 6356773.3205),
    14: (6378160.0, 6356774.719),
    15: (6378245.0, 6356863.0188),
    16: (6378270.0, 6356794.343479),
    17: (6378166.0, 6356784.283666),
    18: (6378150.0, 6356768.337303),
    19: (6370997.0, 6370997.0),
}
"""Semi-major and semi-minor axis by sphere code."""
_SPHERES: Final = ("GCTP_SNSOID", "GCTP_LAMAZ")


def angle(packed: float) -> float:
    """Return degrees of an angle in degrees, minutes and seconds: DDDMMMSSS.SS.

    Parameters
    ----------
    packed : float
    """
    degrees = math.trunc(packed / 1e6)
    minutes = math.trunc((packed - degrees * 1e6) / 1e3)
    seconds = packed - degrees * 1e6 - minutes * 1e3
    return degrees + minutes / 60 + seconds / 3600


def proj_text(name: str, parameters: Sequence[float], sphere: int | None, zone: int | None) -> str:
    """Return a projection as PROJ writes it.

    Parameters
    ----------
    name : str
        As in the metadata, such as ``"GCTP_SNSOID"``.
    parameters : sequence of float
        The 13 parameters; fewer stand for zeros behind them.
    sphere : int or None
        Code of the ellipsoid.
    zone : int or None
        Of UTM; negative in the south.

    Raises
    ------
    UnsupportedError
        If it is not known here, or its parameters say nothing; code ``hdf4-projection``.
    """
    said = [*parameters, *(0.0,) * 13][:13]
    build = _PROJECTIONS.get(name)
    if build is None and name not in ("GCTP_GEO", "GCTP_UTM"):
        raise _unknown(f"the projection {name}")
    if name == "GCTP_UTM":
        # Its first parameters are a place, no axes.
        return _utm(zone, _figure([], sphere))
    figure = _radius(said, sphere) if name in _SPHERES else _figure(said, sphere)
    if build is None:
        return f"+proj=longlat {figure} +no_defs"
    return f"{build(said)} {figure} +units=m +no_defs"


def cf_attributes(name: str, parameters: Sequence[float]) -> dict[str, Any]:
    """Return what CF's grid mapping has of a projection and pyproj leaves out, mostly on spheres.

    Parameters
    ----------
    name, parameters
        As for `proj_text`.
    """
    said = [*parameters, *(0.0,) * 13][:13]
    longitude, latitude = angle(said[4]), angle(said[5])
    false = {"false_easting": said[6], "false_northing": said[7]}
    if name == "GCTP_PS":
        return {"latitude_of_projection_origin": math.copysign(90, latitude)}
    if name == "GCTP_LAMAZ":
        return {
            "grid_mapping_name": "lambert_azimuthal_equal_area",
            "longitude_of_projection_origin": longitude,
            "latitude_of_projection_origin": latitude,
            **false,
        }
    if name in ("GCTP_CEA", "GCTP_BCEA"):
        return {
            "grid_mapping_name": "lambert_cylindrical_equal_area",
            "longitude_of_central_meridian": longitude,
            "standard_parallel": _true_latitude(said[5]),
            **false,
        }
    return {}


def knows_figure(parameters: Sequence[float], sphere: int | None) -> bool:
    """Whether the figure of the earth is told, not taken from GCTP's default."""
    return (sphere is not None and sphere >= 0) or any(parameters[:2])


def _unknown(what: str) -> UnsupportedError:
    return UnsupportedError(f"{what} cannot be described", code="hdf4-projection")


def _figure(said: Sequence[float], sphere: int | None) -> str:
    """Return the semi-axes: those of the code, else those that the first two parameters tell."""
    coded = sphere is not None and sphere >= 0
    major, second = (0.0, 0.0) if coded or not said else (abs(said[0]), abs(said[1]))
    if not math.isfinite(major) or not math.isfinite(second):
        raise _unknown(f"a figure of the earth of {major} and {second}")
    if not major:
        # Nothing told is Clarke 1866.
        number = sphere if coded and sphere is not None else 0
        if number not in _ELLIPSOIDS:
            raise _unknown(f"the sphere code {sphere}")
        major, minor = _ELLIPSOIDS[number]
    elif second > 1:
        minor = second
    else:  # the square of the eccentricity
        minor = major * math.sqrt(1 - second)
    if not minor:
        raise _unknown(f"a figure of the earth of {major} and {second}")
    return f"+R={major!r}" if major == minor else f"+a={major!r} +b={minor!r}"


def _radius(said: Sequence[float], sphere: int | None) -> str:
    """Return the sphere of projections that GCTP knows of spheres only."""
    told = (sphere is None or sphere < 0) and math.isfinite(said[0])
    return f"+R={(abs(said[0]) if told else 0) or _ELLIPSOIDS[19][0]!r}"


def _utm(zone: int | None, figure: str) -> str:
    if zone is None or not 1 <= abs(zone) <= 60:
        raise _unknown(f"the zone {zone} of UTM")
    south = " +south" if zone < 0 else ""
    return f"+proj=utm +zone={abs(zone)}{south} {figure} +units=m +no_defs"


def _shifts(said: Sequence[float]) -> str:
    return f"+x_0={said[6]!r} +y_0={said[7]!r}"


def _conic(projection: str, said: Sequence[float]) -> str:
    first, second, longitude, latitude = (angle(said[at]) for at in (2, 3, 4, 5))
    return (
        f"+proj={projection} +lat_1={first!r} +lat_2={second!r} +lat_0={latitude!r} "
        f"+lon_0={longitude!r} {_shifts(said)}"
    )


def _polar(said: Sequence[float]) -> str:
    longitude, true = angle(said[4]), angle(said[5])
    if not true:
        raise _unknown("a polar stereographic projection without a pole")
    pole = math.copysign(90, true)
    return f"+proj=stere +lat_0={pole!r} +lat_ts={true!r} +lon_0={longitude!r} {_shifts(said)}"


def _centred(projection: str, said: Sequence[float]) -> str:
    longitude, latitude = angle(said[4]), angle(said[5])
    return f"+proj={projection} +lat_0={latitude!r} +lon_0={longitude!r} {_shifts(said)}"


def _true_latitude(packed: float) -> float:
    # Files have 300 degrees for 60: only the sine and cosine are used, and PROJ wants a latitude.
    return abs((angle(packed) + 90) % 180 - 90)


def _true_scale(projection: str, said: Sequence[float]) -> str:
    longitude, true = angle(said[4]), _true_latitude(said[5])
    return f"+proj={projection} +lat_ts={true!r} +lon_0={longitude!r} {_shifts(said)}"


def _sinusoidal(said: Sequence[float]) -> str:
    return f"+proj=sinu +lon_0={angle(said[4])!r} {_shifts(said)}"


def _transverse(said: Sequence[float]) -> str:
    if not said[2] > 0:
        raise _unknown(f"a transverse Mercator projection of the scale {said[2]}")
    return f"{_centred('tmerc', said)} +k_0={said[2]!r}"


_PROJECTIONS: Final[dict[str, Callable[..., str]]] = {
    "GCTP_ALBERS": lambda said: _conic("aea", said),
    "GCTP_LAMCC": lambda said: _conic("lcc", said),
    "GCTP_MERCAT": lambda said: _true_scale("merc", said),
    "GCTP_PS": _polar,
    "GCTP_TM": _transverse,
    "GCTP_LAMAZ": lambda said: _centred("laea", said),
    "GCTP_SNSOID": _sinusoidal,
    "GCTP_CEA": lambda said: _true_scale("cea", said),
    "GCTP_BCEA": lambda said: _true_scale("cea", said),
}

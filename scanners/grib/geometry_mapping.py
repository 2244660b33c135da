"""Grid mappings: the attributes by which CF says what x and y of a grid mean (CF 1.11, app. F)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.scanners.grib import geometry_wkt as wkt

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.codecs.grib_definition import GridDefinition

    Attributes = dict[str, Any]

__all__ = ["mapping_of"]

_FALSE = (("False easting", 8806, 0.0, "metre"), ("False northing", 8807, 0.0, "metre"))
_ZERO = {"false_easting": 0.0, "false_northing": 0.0}


def mapping_of(grid: GridDefinition) -> Attributes | None:
    """Return the attributes of the grid mapping variable, or None where there is no mapping."""
    build = _MAPPINGS.get(grid.kind.removeprefix("reduced_"))
    if build is None:
        return None
    major, minor = grid.axes
    if major <= 0:
        # The figure of the earth is not known: nothing but the kind of coordinates is.
        return {"grid_mapping_name": "latitude_longitude"} if build is _latlon else None
    earth: Attributes = {"earth_radius": major}
    if major != minor:
        earth = {
            "semi_major_axis": major,
            "semi_minor_axis": minor,
            "inverse_flattening": major / (major - minor),
        }
    return earth | build(grid)


def _latlon(grid: GridDefinition) -> Attributes:
    return {"grid_mapping_name": "latitude_longitude", "crs_wkt": wkt.geographic(grid.axes)}


def _rotated(grid: GridDefinition) -> Attributes:
    latitude, longitude = grid.values["pole_latitude"], grid.values["pole_longitude"]
    rotation = grid.values["rotation"]
    return {
        "grid_mapping_name": "rotated_latitude_longitude",
        "grid_north_pole_latitude": -latitude,
        "grid_north_pole_longitude": longitude % 360 - 180,
        "north_pole_grid_longitude": -rotation if rotation else 0.0,
        "crs_wkt": wkt.rotated(grid.axes, latitude, longitude, rotation),
    }


def _conic(grid: GridDefinition) -> Attributes:
    number = grid.values
    lambert = grid.kind == "lambert"
    first, second = number["Latin1"], number["Latin2"]
    name = "lambert_conformal_conic" if lambert else "albers_conical_equal_area"
    method = "Lambert Conic Conformal (2SP)/9802" if lambert else "Albers Equal Area/9822"
    parameters = (
        ("Latitude of false origin", 8821, number["LaD"], "degree"),
        ("Longitude of false origin", 8822, number["LoV"], "degree"),
        ("Latitude of 1st standard parallel", 8823, first, "degree"),
        ("Latitude of 2nd standard parallel", 8824, second, "degree"),
        ("Easting at false origin", 8826, 0.0, "metre"),
        ("Northing at false origin", 8827, 0.0, "metre"),
    )
    return {
        "grid_mapping_name": name,
        "standard_parallel": first if first == second else [first, second],
        "longitude_of_central_meridian": number["LoV"],
        "latitude_of_projection_origin": number["LaD"],
        **_ZERO,
        "crs_wkt": wkt.projected(grid.axes, method, parameters),
    }


def _polar(grid: GridDefinition) -> Attributes:
    number = grid.values
    pole = -90.0 if number["south"] else 90.0
    true = abs(number["LaD"]) * (-1 if number["south"] else 1)
    parameters = (
        ("Latitude of standard parallel", 8832, true, "degree"),
        ("Longitude of origin", 8833, number["LoV"], "degree"),
        *_FALSE,
    )
    return {
        "grid_mapping_name": "polar_stereographic",
        "straight_vertical_longitude_from_pole": number["LoV"],
        "latitude_of_projection_origin": pole,
        "standard_parallel": true,
        **_ZERO,
        "crs_wkt": wkt.projected(grid.axes, "Polar Stereographic (variant B)/9829", parameters),
    }


def _mercator(grid: GridDefinition) -> Attributes:
    number = grid.values
    parameters = (
        ("Latitude of 1st standard parallel", 8823, number["LaD"], "degree"),
        ("Longitude of natural origin", 8802, number["Lo1"], "degree"),
        *_FALSE,
    )
    return {
        "grid_mapping_name": "mercator",
        "longitude_of_projection_origin": number["Lo1"],
        "standard_parallel": number["LaD"],
        **_ZERO,
        "crs_wkt": wkt.projected(grid.axes, "Mercator (variant B)/9805", parameters),
    }


def _equal_area(grid: GridDefinition) -> Attributes:
    number = grid.values
    parameters = (
        ("Latitude of natural origin", 8801, number["La0"], "degree"),
        ("Longitude of natural origin", 8802, number["Lo0"], "degree"),
        *_FALSE,
    )
    sphere = grid.axes[0] == grid.axes[1]
    code = 1027 if sphere else 9820
    name = "Lambert Azimuthal Equal Area" + (" (Spherical)" if sphere else "")
    return {
        "grid_mapping_name": "lambert_azimuthal_equal_area",
        "longitude_of_projection_origin": number["Lo0"],
        "latitude_of_projection_origin": number["La0"],
        **_ZERO,
        "crs_wkt": wkt.projected(grid.axes, f"{name}/{code}", parameters),
    }


def _transverse(grid: GridDefinition) -> Attributes:
    number = grid.values
    east, north = number["false_easting"], number["false_northing"]
    parameters = (
        ("Latitude of natural origin", 8801, number["La0"], "degree"),
        ("Longitude of natural origin", 8802, number["Lo0"], "degree"),
        ("Scale factor at natural origin", 8805, number["scale"], "unity"),
        ("False easting", 8806, east, "metre"),
        ("False northing", 8807, north, "metre"),
    )
    return {
        "grid_mapping_name": "transverse_mercator",
        "scale_factor_at_central_meridian": number["scale"],
        "longitude_of_central_meridian": number["Lo0"],
        "latitude_of_projection_origin": number["La0"],
        "false_easting": east,
        "false_northing": north,
        "crs_wkt": wkt.projected(grid.axes, "Transverse Mercator/9807", parameters),
    }


def _space_view(grid: GridDefinition) -> Attributes:
    # No WKT: there x and y are lengths, here they are angles, which CF knows.
    return {
        "grid_mapping_name": "geostationary",
        "longitude_of_projection_origin": grid.values["Lop"],
        "latitude_of_projection_origin": 0.0,
        "perspective_point_height": (grid.values["Nr"] - 1) * grid.axes[0],
        "sweep_angle_axis": "y",
        **_ZERO,
    }


_MAPPINGS: dict[str, Callable[[GridDefinition], Attributes]] = {
    "regular_ll": _latlon,
    "regular_gg": _latlon,
    "ll": _latlon,
    "gg": _latlon,
    "healpix": _latlon,
    "rotated_ll": _rotated,
    "rotated_gg": _rotated,
    "lambert": _conic,
    "albers": _conic,
    "polar_stereographic": _polar,
    "mercator": _mercator,
    "lambert_azimuthal_equal_area": _equal_area,
    "transverse_mercator": _transverse,
    "space_view": _space_view,
}

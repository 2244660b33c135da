"""What coordinates and dimensions are for: by CF conventions (section 4), or by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from refmaker.model.attributes import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["role_of", "side_of"]

_LATITUDES = frozenset(
    {"degrees_north", "degree_north", "degree_N", "degrees_N", "degreeN", "degreesN"}
)
_LONGITUDES = frozenset(
    {"degrees_east", "degree_east", "degree_E", "degrees_E", "degreeE", "degreesE"}
)
_PRESSURES = frozenset(
    {"Pa", "hPa", "kPa", "pascal", "hectopascal", "bar", "mb", "mbar", "millibar", "millibars"}
)
_NAMES = {
    "latitude": "latitude",
    "longitude": "longitude",
    "grid_latitude": "y",
    "grid_longitude": "x",
    "projection_y_coordinate": "y",
    "projection_x_coordinate": "x",
    "time": "time",
    "forecast_reference_time": "reference time",
    "forecast_period": "step",
    "air_pressure": "vertical",
    "altitude": "vertical",
    "depth": "vertical",
    "height": "vertical",
    "model_level_number": "vertical",
}
"""Standard names, and what coordinates with them are for."""
_AXES = {"X": "x", "Y": "y", "Z": "vertical", "T": "time"}
_SIDES = {
    "longitude": "x",
    "x": "x",
    "latitude": "y",
    "y": "y",
    "vertical": "z",
    **dict.fromkeys(("time", "reference time", "step"), "time"),
}
_DIMENSIONS = {
    "x": r"x|lon|longitude|rlon|easting|col|column|columns|west_east|nav_lon|xc|ni|NAXIS1",
    "y": r"y|lat|latitude|rlat|northing|row|rows|south_north|nav_lat|yc|nj|NAXIS2",
    "time": r"t|time|times|step|valid_time|date|day|month|year|time_counter",
    "z": r"z|lev|level|levels|plev|depth|deptht|height|altitude|pressure|isobaric\w*|hybrid|NAXIS3",
    "channel": r"c|s|band|bands|channel|channels|rgb|sample|samples",
}
"""Names of dimensions that are as good as told."""
_PATTERNS = {side: re.compile(rf"({names})(_\d+)?") for side, names in _DIMENSIONS.items()}


def role_of(attributes: Mapping[str, Any]) -> str:
    """Return what a coordinate is for, by its attributes.

    Returns
    -------
    str
        ``"latitude"``, ``"longitude"``, ``"x"``, ``"y"``, ``"vertical"``, ``"time"``,
        ``"reference time"``, ``"step"``; empty where its attributes do not say.
    """
    standard, units = text_of(attributes, "standard_name"), text_of(attributes, "units")
    if standard in _NAMES:
        return _NAMES[standard]
    if units in _LATITUDES:
        return "latitude"
    if units in _LONGITUDES:
        return "longitude"
    if " since " in units:
        return "time"
    axis = text_of(attributes, "axis")
    if axis in _AXES:
        return _AXES[axis]
    upright = text_of(attributes, "positive").lower() in ("up", "down")
    return "vertical" if upright or units in _PRESSURES else ""


def side_of(name: str, attributes: Mapping[str, Any]) -> str:
    """Return what a dimension is: by the attributes of its coordinate, else by its name.

    Parameters
    ----------
    name : str
        Of the dimension.
    attributes : mapping
        Of its coordinate; empty where it has none.

    Returns
    -------
    str
        ``"x"``, ``"y"``, ``"z"``, ``"time"``, ``"channel"``, or empty.
    """
    role = role_of(attributes)
    if role:
        return _SIDES[role]
    return next((side for side, names in _PATTERNS.items() if names.fullmatch(name)), "")

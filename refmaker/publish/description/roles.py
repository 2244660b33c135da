"""What coordinates are for, by CF conventions (section 4), and which arrays use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.model import Array, Group
from refmaker.model.attributes import words

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["coordinates_of", "found_above", "role_of"]

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


def role_of(array: Array) -> str:
    """Return what a coordinate is for.

    Returns
    -------
    str
        ``"latitude"``, ``"longitude"``, ``"x"``, ``"y"``, ``"vertical"``, ``"time"``,
        ``"reference time"``, ``"step"``; empty where its attributes do not say.
    """
    told = array.attributes
    standard, units = told.get("standard_name"), told.get("units")
    units = units if isinstance(units, str) else ""
    if isinstance(standard, str) and standard in _NAMES:
        return _NAMES[standard]
    if units in _LATITUDES:
        return "latitude"
    if units in _LONGITUDES:
        return "longitude"
    if " since " in units:
        return "time"
    axis = told.get("axis")
    if isinstance(axis, str) and axis in _AXES:
        return _AXES[axis]
    if told.get("positive") in ("up", "down") or units in _PRESSURES:
        return "vertical"
    return ""


def found_above(nodes: dict[str, Array | Group], home: str, name: str) -> str | None:
    """Return the path of an array that a name in a group means: there, or in a group above."""
    while True:
        path = f"{home}/{name}" if home else name
        if isinstance(nodes.get(path), Array):
            return path
        if not home:
            return None
        home = home.rpartition("/")[0]


def coordinates_of(nodes: dict[str, Array | Group], path: str, array: Array) -> Iterator[str]:
    """Yield the paths of an array's coordinates: of its dimensions, then those that it names."""
    home = path.rpartition("/")[0]
    seen = {path}
    for name in (*(array.dimension_names or ()), *words(array.attributes.get("coordinates"))):
        at = found_above(nodes, home, name) if name else None
        if at is not None and at not in seen:
            seen.add(at)
            yield at

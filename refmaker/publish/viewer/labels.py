"""Places and values as people read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

__all__ = ["labels", "number_text", "value_text", "with_units"]

_LONGEST = 200
_HOURS = {
    **dict.fromkeys(("s", "second", "seconds"), 1 / 3600),
    **dict.fromkeys(("min", "minute", "minutes"), 1 / 60),
    **dict.fromkeys(("h", "hour", "hours"), 1.0),
    **dict.fromkeys(("d", "day", "days"), 24.0),
}
"""Units of times since the beginning of a forecast, in hours."""
_SIGNS = {
    "degrees_north": "\N{DEGREE SIGN}N",
    "degrees_east": "\N{DEGREE SIGN}E",
    "degrees": "\N{DEGREE SIGN}",
}
_OTHER_SIDE = {"\N{DEGREE SIGN}N": "\N{DEGREE SIGN}S", "\N{DEGREE SIGN}E": "\N{DEGREE SIGN}W"}
_PERIOD = re.compile(r"\bstep|period|lead")


def number_text(value: Any) -> str:
    """Return a number with as many digits as a reader wants."""
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, complex | np.complexfloating):
        return f"{value:.6g}"
    return f"{float(value):.7g}"


def value_text(value: Any) -> str:
    """Return a value as text: numbers, times, texts, records."""
    if isinstance(value, np.datetime64):
        return "no time" if np.isnat(value) else _time_text(value)
    if isinstance(value, np.bool_ | bool):
        return "true" if value else "false"
    if isinstance(value, int | float | complex | np.number):
        return number_text(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def labels(coordinate: xr.DataArray | None, start: int, stop: int) -> list[str]:
    """Return what the places of a dimension are called: dates, numbers with units, numbers.

    Parameters
    ----------
    coordinate : xarray.DataArray, optional
        One dimension; without it places are counted from 0.
    """
    if coordinate is None:
        return [str(at) for at in range(start, stop)]
    values: Iterable[Any] = coordinate[start:stop].to_numpy()
    texts = [value_text(value) for value in values]
    midnight = " 00:00"
    if coordinate.dtype.kind == "M" and all(text.endswith(midnight) for text in texts):
        return [text.removesuffix(midnight) for text in texts]
    units = str(coordinate.attrs.get("units", ""))
    if coordinate.dtype.kind not in "iuf" or not units or units == "1":
        return texts
    if units in _HOURS and _PERIOD.search(
        f"{coordinate.name} {coordinate.attrs.get('standard_name')}"
    ):
        return [_period(float(value) * _HOURS[units]) for value in values]
    return [with_units(text, coordinate) for text in texts]


def with_units(text: str, coordinate: xr.DataArray) -> str:
    """Return a number as text with the units of a coordinate, if it has some."""
    units = str(coordinate.attrs.get("units", ""))
    if not units or units == "1" or coordinate.dtype.kind not in "iuf":
        return text
    sign = _SIGNS.get(units, f" {units}")
    if text.startswith("-") and sign in _OTHER_SIDE:
        return f"{text[1:]}{_OTHER_SIDE[sign]}"
    return f"{text}{sign}"


def _time_text(value: np.datetime64) -> str:
    text = str(np.datetime_as_string(value, unit="ms")).replace("T", " ")
    return text.removesuffix(".000").removesuffix(":00") if text.endswith(":00.000") else text


def _period(hours: float) -> str:
    minutes = round(hours * 60)
    if abs(hours * 60 - minutes) > 1e-6 or minutes % 60:
        return f"{hours * 60:+.7g} min"
    return f"{minutes // 60:+d} h"

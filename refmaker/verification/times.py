"""Times of files in the units of a set, whose joining may have written them anew.

cftime does it, and shares nothing with `refmaker.model.times`, by which they were written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.verification.compare import NotComparableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["in_units_of", "time_attributes"]

_UNITS = re.compile(
    r"\s*(\w+\s+since)\s+(-?\d+-\d+-\d+)(?:[T\s]\s*([\d:.]+))?\s*(Z|UTC|GMT|[+-][\d:]+)?\s*",
    re.IGNORECASE,
)


def time_attributes(arrays: Mapping[str, Array], path: str) -> dict[str, str]:
    """Return units and calendar of an array of times, which boundaries take from another one.

    Returns
    -------
    dict
        Empty if it holds no times.
    """
    own = arrays[path].attributes
    if "units" not in own:
        group, _, name = path.rpartition("/")
        for other, array in arrays.items():
            bounds = (array.attributes.get(word) for word in ("bounds", "climatology"))
            if other.rpartition("/")[0] == group and name in bounds:
                own = array.attributes
    if " since " not in str(own.get("units", "")):
        return {}
    calendar = str(own.get("calendar", "standard")).lower()
    return {
        "units": str(own["units"]),
        "calendar": "standard" if calendar == "gregorian" else calendar,
    }


def in_units_of(
    values: NDArray[Any], theirs: Mapping[str, Any], ours: Mapping[str, Any]
) -> NDArray[Any]:
    """Return times in other units.

    Parameters
    ----------
    theirs, ours : mapping
        Units and calendar that they have, and that are wanted.

    Raises
    ------
    NotComparableError
        If one of them are no units of times, or cftime is not installed.
    """
    try:
        import cftime
    except ImportError as error:
        raise NotComparableError(
            "its times are in other units, which need the package cftime (pip install cftime)"
        ) from error
    try:
        dates = cftime.num2date(np.asarray(values), _spelled(theirs["units"]), theirs["calendar"])
        found = cftime.date2num(dates, _spelled(ours["units"]), ours["calendar"])
    except (ValueError, TypeError, OverflowError) as error:
        raise NotComparableError(f"its times cannot be compared: {error}") from error
    return np.asarray(found)


def _spelled(units: str) -> str:
    """Return units with hour and zone in full: cftime passes over ``06``, ``-6``, ``-6:00``."""
    match = _UNITS.fullmatch(units)
    if match is None:
        return units
    since, date, clock, zone = match.groups(default="")
    if clock and ":" not in clock:
        clock = f"{clock}:00"
    if zone[:1] in ("+", "-"):
        digits = zone[1:]
        hours, _, minutes = digits.partition(":")
        if ":" not in digits and len(digits) > 2:
            hours, minutes = digits[:-2], digits[-2:]
        zone = f"{zone[0]}{int(hours):02}:{int(minutes or 0):02}"
    return f"{since} {date} {clock or '00:00'} {zone}".rstrip()

"""Times of the CF conventions (section 4.4): units, calendars, distances, and texts of ISO 8601.

All arithmetic is on whole microseconds. The calendar of our days needs no library; other calendars,
and dates before there was this one, are left to cftime.
"""

from __future__ import annotations

import re
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "EPOCH",
    "GREGORIAN",
    "REFORM",
    "SIZES",
    "as_microseconds",
    "calendar_of",
    "distance",
    "needs_cftime",
    "parsed_units",
    "time_texts",
    "unit_name",
]

SIZES = {
    "days": 86_400_000_000, "hours": 3_600_000_000, "minutes": 60_000_000, "seconds": 1_000_000,
    "milliseconds": 1000, "microseconds": 1,
}  # fmt: skip
"""Microseconds of the units of constant length, the largest first."""
GREGORIAN = frozenset({"standard", "gregorian", "proleptic_gregorian"})
"""Calendars that agree since 1582-10-15."""
_SYNONYMS = {"gregorian": "standard", "365_day": "noleap", "366_day": "all_leap"}
EPOCH = "days since 1970-01-01"
"""What microseconds of numpy's dates are counted from."""
REFORM = np.datetime64("1582-10-15", "us").astype(np.int64)
"""First day of the Gregorian calendar, in microseconds since 1970."""
_FIRST = np.datetime64("0001-01-01", "us").astype(np.int64)
_LAST = np.datetime64("9999-12-31T23:59:59.999999", "us").astype(np.int64)
_UNITS = re.compile(r"\s*([A-Za-z]+)\s+since\s+(\S.*?)\s*", re.IGNORECASE)
_NAMES = {
    "day": "days", "d": "days", "hour": "hours", "hr": "hours", "hrs": "hours", "h": "hours",
    "minute": "minutes", "min": "minutes", "mins": "minutes", "second": "seconds",
    "sec": "seconds", "secs": "seconds", "s": "seconds", "msec": "milliseconds",
    "millisecond": "milliseconds", "msecs": "milliseconds", "ms": "milliseconds",
    "microsecond": "microseconds",
}  # fmt: skip
_REFERENCE = re.compile(
    r"(?P<year>-?\d{1,6})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:(?:\s*T|\s+)(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:\.\d*)?))?)?)?"
    r"\s*(?:Z|UTC|GMT"
    r"|(?P<sign>[+-])(?P<east>\d{2}(?=\d{2}\Z)|\d{1,2}(?!\d))(?::?(?P<minutes>\d{1,2}))?)?",
    re.IGNORECASE,
)
"""Date, time of day and time zone."""


def unit_name(word: str) -> str:
    """Return the name of a unit, such as ``hours`` for ``hrs``; other words as they are."""
    return _NAMES.get(word.lower(), word.lower())


def parsed_units(units: str) -> tuple[str, str] | None:
    """Return unit and reference of ``days since 2000-01-01``; None if it is no such text."""
    match = _UNITS.fullmatch(units)
    return None if match is None else (unit_name(match[1]), match[2])


def calendar_of(attributes: Mapping[str, Any]) -> str:
    """Return the name of the calendar of times: one for those that are the same."""
    calendar = str(attributes.get("calendar", "standard")).lower()
    return _SYNONYMS.get(calendar, calendar)


def as_microseconds(values: NDArray[Any], unit: str) -> NDArray[np.int64]:
    """Return times in a unit as microseconds, rounded to one.

    Raises
    ------
    MetadataError
        If the unit has no constant length, or a time is no number or out of reach.
    """
    if unit not in SIZES:
        raise MetadataError(f"{unit!r} have no constant length")
    size = SIZES[unit]
    limit = 2**62 // size
    if values.dtype.kind not in "iuf" or not bool(np.all(np.abs(values.astype(float)) < limit)):
        raise MetadataError("a time is not a number, or out of reach")
    if values.dtype.kind in "iu":
        return values.astype(np.int64) * size
    whole = np.floor(values.astype(np.float64))
    part = values.astype(np.float64) - whole
    return whole.astype(np.int64) * size + np.rint(part * size).astype(np.int64)


def distance(units: str, other: str, calendar: str) -> int:
    """Return the microseconds from the reference of other units to that of these.

    Parameters
    ----------
    units, other : str
        Such as ``hours since 2000-01-01 06:00 +1:00``.
    calendar : str
        Of `calendar_of`.

    Raises
    ------
    MetadataError
        If they are no units of times, or their zone is not understood.
    MissingDependencyError
        If only cftime knows the calendar.
    """
    start, end = _since_1970(other, calendar), _since_1970(units, calendar)
    if start is not None and end is not None:
        return end - start
    cftime = _cftime(calendar)
    (one, east), (two, other_east) = _without_zone(units), _without_zone(other)
    try:
        here, there = (cftime.num2date(0, text, calendar) for text in (one, two))
        delta = here - there
    except (ValueError, TypeError, OverflowError) as error:
        raise MetadataError(f"{units!r} are no units of times: {error}") from error
    apart = int((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds)
    return apart - east + other_east


def time_texts(values: Sequence[Any], units: str, calendar: Any = "standard") -> list[str] | None:
    """Return times as texts of ISO 8601, in UTC.

    Parameters
    ----------
    values : sequence of number
        Finite.
    units : str
        Such as ``hours since 2000-01-01``.
    calendar : object
        The attribute of this name.

    Returns
    -------
    list of str or None
        None where CF knows no such units, a time is out of all bounds, or only cftime, which is
        not installed, knows the calendar.
    """
    parsed = parsed_units(units)
    if parsed is None:
        return None
    name = calendar_of({"calendar": calendar})
    numbers = np.asarray(values)
    try:
        start = _since_1970(units, name)
        if start is not None:
            found = as_microseconds(numbers, parsed[0]) + start
            first = REFORM if name == "standard" else _FIRST
            if bool(np.all((found >= first) & (found <= _LAST))):
                return [time.isoformat() for time in found.astype("M8[us]").tolist()]
        plain, east = _without_zone(units)
        dates = _cftime(name).num2date(numbers, plain, name)
        return [(time - timedelta(microseconds=east)).isoformat() for time in dates]
    except (MetadataError, MissingDependencyError, ValueError, OverflowError, TypeError):
        return None


def needs_cftime(units: str) -> bool:
    """Whether cftime is not installed, which may know times that are not told as texts."""
    return parsed_units(units) is not None and find_spec("cftime") is None


def _since_1970(units: str, calendar: str) -> int | None:
    """Return the microseconds from 1970 to the reference of units; None of what numpy has not."""
    match = _reference(units)
    if calendar not in GREGORIAN or not 1 <= int(match["year"]) <= 9999:
        return None
    try:
        day = np.datetime64(
            f"{int(match['year']):04}-{int(match['month']):02}-{int(match['day']):02}", "us"
        )
    except ValueError as error:
        raise MetadataError(f"{units!r} are no units of times: {error}") from error
    hour, minute = int(match["hour"] or 0), int(match["minute"] or 0)
    second = round(float(match["second"] or 0) * 1_000_000)
    if hour > 23 or minute > 59 or second >= 60_000_000:
        raise MetadataError(f"{units!r} are no units of times: there is no such time of day")
    found = int(day.astype(np.int64)) + (hour * 60 + minute) * 60_000_000 + second
    return None if calendar == "standard" and found < REFORM else found - _east(match, units)


def _reference(units: str) -> re.Match[str]:
    parsed = parsed_units(units)
    match = None if parsed is None else _REFERENCE.fullmatch(parsed[1])
    if match is None:
        raise MetadataError(f"the date or its time zone in {units!r} is not understood")
    return match


def _east(match: re.Match[str], units: str) -> int:
    """Return the microseconds of a time zone from UTC."""
    east, minutes = int(match["east"] or 0), int(match["minutes"] or 0)
    if east > 14 or minutes > 59:
        raise MetadataError(f"the time zone in {units!r} is not understood")
    offset = (east * 60 + minutes) * 60_000_000
    return -offset if match["sign"] == "-" else offset


def _without_zone(units: str) -> tuple[str, int]:
    """Return units as cftime reads them, and the microseconds of their zone from UTC.

    cftime passes over hours without minutes and zones such as ``-6:00`` without a word.
    """
    match = _reference(units)
    unit, _ = parsed_units(units) or ("", "")
    date = f"{match['year']}-{match['month']}-{match['day']}"
    time = f"{match['hour'] or 0}:{match['minute'] or 0}:{match['second'] or 0}"
    return f"{unit} since {date} {time}", _east(match, units)


def _cftime(calendar: str) -> Any:
    try:
        import cftime
    except ImportError as error:
        raise MissingDependencyError(
            f"dates of the calendar {calendar!r}, or before 1582-10-15, need the package cftime",
            hint="pip install cftime, or 'refmaker[combine]'",
        ) from error
    return cftime

"""Times of the CF conventions: decoded, and written in other units without losing any.

Implements sections 4.4 (time coordinate, calendars) and 7.1 (units of boundaries) of the CF
conventions for units of constant length. All arithmetic is on whole microseconds.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine import remedies
from refmaker.combine.calendars import calendar_of
from refmaker.combine.values import inline_like, read_values
from refmaker.errors import MetadataError, MissingDependencyError
from refmaker.model.missing_values import number_of
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.context import Context, Trees
    from refmaker.model import Array

    Item = tuple[int, Array]

__all__ = [
    "boundaries",
    "dates",
    "dates_of_texts",
    "in_same_units",
    "known_calendar",
    "microseconds",
    "since",
    "whole_units",
]

_UNITS = re.compile(r"\s*([A-Za-z]+)\s+since\s+(\S.*?)\s*", re.IGNORECASE)
_MICROSECONDS = {
    "days": 86_400_000_000, "hours": 3_600_000_000, "minutes": 60_000_000, "seconds": 1_000_000,
    "milliseconds": 1000, "microseconds": 1,
}  # fmt: skip
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
"""Date, time of day and time zone (CF conventions, section 4.4)."""
_WRITTEN = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[_ T](\d{2}(?::\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?)Z?)?")
_GREGORIAN = frozenset({"standard", "gregorian", "proleptic_gregorian"})
_EPOCH = "days since 1970-01-01"
_REFORM = np.datetime64("1582-10-15", "us").astype(np.int64)


def _parsed(units: str) -> tuple[str, str] | None:
    """Return unit and reference of ``days since 2000-01-01``; None if it is no such text."""
    match = _UNITS.fullmatch(units)
    if match is None:
        return None
    word = match[1].lower()
    return _NAMES.get(word, word), match[2]


def _plain(units: str) -> tuple[str, int]:
    """Return units as cftime reads them, and the microseconds of their zone from UTC.

    cftime passes over hours without minutes and zones such as ``-6:00`` without a word.
    """
    parsed = _parsed(units)
    match = None if parsed is None else _REFERENCE.fullmatch(parsed[1])
    if parsed is None or match is None:
        raise MetadataError(f"the date or its time zone in {units!r} is not understood")
    east, minutes = int(match["east"] or 0), int(match["minutes"] or 0)
    if east > 14 or minutes > 59:
        raise MetadataError(f"the time zone in {units!r} is not understood")
    offset = (east * 60 + minutes) * 60_000_000
    date = f"{match['year']}-{match['month']}-{match['day']}"
    time = f"{match['hour'] or 0}:{match['minute'] or 0}:{match['second'] or 0}"
    return f"{parsed[0]} since {date} {time}", -offset if match["sign"] == "-" else offset


def known_calendar(attributes: Mapping[str, Any]) -> str:
    """Return the name of a calendar, one for all that agree since 1582-10-15."""
    calendar = calendar_of(attributes)
    return "standard" if calendar in _GREGORIAN else calendar


def _distance(units: str, other: str, calendar: str) -> int:
    try:
        import cftime
    except ImportError as error:
        raise MissingDependencyError(
            "times in other units need the package cftime",
            hint="pip install cftime, or 'refmaker[combine]'",
        ) from error
    try:
        (one, east), (two, other_east) = _plain(units), _plain(other)
        here, there = (cftime.num2date(0, text, calendar) for text in (one, two))
        delta = here - there
    except (ValueError, TypeError, OverflowError) as error:
        raise MetadataError(f"{units!r} are no units of times: {error}") from error
    apart = int((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds)
    return apart - east + other_east


def _counted(values: NDArray[Any], unit: str) -> NDArray[np.int64]:
    """Return times in a unit as microseconds, rounded to one."""
    if unit not in _MICROSECONDS:
        raise MetadataError(f"{unit!r} have no constant length")
    size = _MICROSECONDS[unit]
    limit = 2**62 // size
    if values.dtype.kind not in "iuf" or not bool(np.all(np.abs(values.astype(float)) < limit)):
        raise MetadataError("a time is not a number, or out of reach")
    if values.dtype.kind in "iu":
        return values.astype(np.int64) * size
    whole = np.floor(values.astype(np.float64))
    part = values.astype(np.float64) - whole
    return whole.astype(np.int64) * size + np.rint(part * size).astype(np.int64)


def _check_plain(values: NDArray[Any], attributes: Mapping[str, Any]) -> None:
    """Refuse times that are packed or missing."""
    if any(name in attributes for name in ("scale_factor", "add_offset")):
        raise MetadataError("packed times are not decoded")
    fill = attributes.get("_FillValue", attributes.get("missing_value"))
    if isinstance(fill, int | float) and bool(np.any(values == fill)):
        raise MetadataError("a time is missing")


def microseconds(values: NDArray[Any], attributes: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return times since their own epoch, or durations, as whole microseconds.

    Parameters
    ----------
    attributes : mapping
        ``units``.

    Raises
    ------
    MetadataError
        If the units are none of times or durations, or a time is missing.
    """
    units = str(attributes.get("units", "")).strip()
    parsed = _parsed(units)
    word = units.lower() if parsed is None else parsed[0]
    _check_plain(values, attributes)
    return _counted(values, _NAMES.get(word, word))


def since(unit: str, attributes: Mapping[str, Any]) -> str:
    """Return another unit with the epoch of times.

    Raises
    ------
    MetadataError
        If their units are none of times.
    """
    units = str(attributes.get("units", ""))
    parsed = _parsed(units)
    if parsed is None:
        raise MetadataError(f"{units!r} are no units of times")
    return f"{unit} since {parsed[1]}"


def dates(values: NDArray[Any], attributes: Mapping[str, Any]) -> NDArray[Any]:
    """Return times as datetime64[us].

    Parameters
    ----------
    attributes : mapping
        ``units`` and ``calendar``.

    Raises
    ------
    MetadataError
        If the units are none of times, or the calendar is not the one that everybody uses.
    """
    units = str(attributes.get("units", ""))
    parsed = _parsed(units)
    if parsed is None:
        raise MetadataError(f"{units!r} are no units of times")
    _check_plain(values, attributes)
    calendar = calendar_of(attributes)
    if calendar not in _GREGORIAN:
        raise MetadataError(
            f"dates in the calendar {calendar!r} are none that numpy has",
            hint="take the numbers, which are in the units of the files (data: instead of cf:)",
        )
    shift = _distance(units, _EPOCH, calendar)
    found = _counted(values, parsed[0]) + shift
    if calendar == "standard" and bool(np.any(found < _REFORM)):
        raise MetadataError("dates before 1582-10-15 in the standard calendar are not decoded")
    return found.astype("M8[us]")


def dates_of_texts(values: NDArray[Any]) -> NDArray[Any]:
    """Return dates that are written out, such as ``2024-01-01_06:00:00``, as datetime64[us].

    Raises
    ------
    MetadataError
        If one is none, or has a time zone.
    """
    found = []
    for text in values.tolist():
        match = _WRITTEN.fullmatch(text.strip(" \0"))
        if match is None:
            raise MetadataError(f"{text!r} is no date such as 2024-01-01_06:00:00")
        try:
            found.append(np.datetime64(f"{match[1]}T{match[2] or '00'}", "us"))
        except ValueError as error:
            raise MetadataError(f"{text!r} is no date: {error}") from error
    return np.array(found, "M8[us]")


def whole_units(values: NDArray[Any]) -> tuple[NDArray[np.int64], str]:
    """Return dates as whole numbers of the largest unit since 1970-01-01 that allows it.

    Returns
    -------
    str
        ``days`` to ``microseconds``.
    """
    counted = values.astype("M8[us]").astype(np.int64)
    unit = _fitting(counted, "days")
    return counted // _MICROSECONDS[unit], unit


def _fitting(counted: NDArray[np.int64], largest: str) -> str:
    """Return the largest unit, from one on, of which all times are whole numbers."""
    units = list(_MICROSECONDS)
    for unit in units[units.index(largest) :]:
        if not bool(np.any(counted % _MICROSECONDS[unit])):
            return unit
    return "microseconds"


def in_same_units(trees: Trees, context: Context) -> Trees:
    """Write times that are counted from different dates in the same units.

    Parameters
    ----------
    context : Context
        The inputs, and how to combine them; its findings get what cannot be done.

    Returns
    -------
    Trees
        With variables replaced: times, and boundaries of times.
    """
    if context.options.times != "reencode":
        return trees
    arrays = {path: dict(names) for path, names in trees.arrays.items()}
    for path, names in arrays.items():
        for name, items in list(names.items()):
            if not all(_key(array) for _, array in items):
                continue
            inner = joined_path(path, name)
            group = [name, *_bounds(items, names)]
            group += [n for n in _followers(name, names) if n not in group]
            if not _differ(items) and not any(_marked_apart(names[n]) for n in group):
                continue
            try:
                made = _rewritten([(n, names[n]) for n in group], context, inner)
            except MetadataError as error:
                context.found.say(inner, error.message, error.hint or remedies.drop(inner))
                continue
            names.update(made)
            units = made[name][0][1].attributes["units"]
            context.warnings[
                f"{inner}: times were written in the same units, {units} (`times='keep'` refuses)"
            ] = None
    return type(trees)(trees.groups, arrays)


def _key(array: Array) -> tuple[str, str] | None:
    units = array.attributes.get("units")
    if not isinstance(units, str) or _parsed(units) is None:
        return None
    return units, calendar_of(array.attributes)


def _differ(items: Sequence[Item]) -> bool:
    return len({_key(array) for _, array in items}) > 1


def _marked_apart(items: Sequence[Item]) -> bool:
    """Whether inputs mark missing times in different ways: there may be none at all."""
    (_, first), *others = items
    return any(_marks(array) != _marks(first) for _, array in others)


def _marks(array: Array) -> frozenset[str]:
    """Return the values that stand for a missing time, as texts: NaN equals itself."""
    values = (array.fill_value, *map(array.attributes.get, ("_FillValue", "missing_value")))
    numbers = (v.item() if isinstance(v, np.generic) else v for v in values if v is not None)
    return frozenset(str(number_of(number)).lower() for number in numbers)


def boundaries(items: Iterable[Item]) -> dict[str, None]:
    """Return the names of the variables that a coordinate's inputs call its boundaries."""
    return {
        array.attributes[word]: None
        for _, array in items
        for word in ("bounds", "climatology")
        if isinstance(array.attributes.get(word), str)
    }


def _bounds(items: Sequence[Item], names: Mapping[str, Sequence[Item]]) -> list[str]:
    """Return the names of boundaries without units of their own."""
    found = [name for name in boundaries(items) if name in names]
    return [name for name in found if all("units" not in a.attributes for _, a in names[name])]


def _followers(name: str, names: Mapping[str, Sequence[Item]]) -> list[str]:
    """Return nothing but what has the very units of a coordinate, file by file.

    Boundaries often repeat the units of their coordinate; then they change with it.
    """
    own = {i: _key(array) for i, array in names[name]}
    bounds = boundaries(names[name])
    return [
        other
        for other, items in names.items()
        if other in bounds and all(_key(a) is not None and _key(a) == own.get(i) for i, a in items)
    ]


def _rewritten(
    group: Sequence[tuple[str, Sequence[Item]]], context: Context, path: str
) -> dict[str, list[Item]]:
    """Return a variable and its boundaries in the units of the first input, or finer ones."""
    (_, items), *_ = group
    own = {i: array.attributes for i, array in items}
    calendars = {calendar_of(attributes) for attributes in own.values()}
    if len(calendars) > 1 and not calendars <= _GREGORIAN:
        named = " and ".join(sorted(calendars))
        raise MetadataError(
            f"the calendars {named} cannot be brought together", hint=remedies.of_storage(path)
        )
    calendar = calendar_of(items[0][1].attributes)
    parsed = {i: _parsed(str(attributes["units"])) or ("", "") for i, attributes in own.items()}
    base = str(items[0][1].attributes["units"])
    total = sum(array.nbytes for _, arrays in group for _, array in arrays)
    if total > context.options.inline_budget:
        raise MetadataError(
            f"writing its {total} bytes anew is more than may be kept in the set",
            hint=f"allow more (`inline_budget={total}`), {remedies.drop(path)}",
        )
    # Each input is counted from 1970 in its own calendar: there the calendars agree.
    shifts = {i: _distance(str(at["units"]), _EPOCH, calendar_of(at)) for i, at in own.items()}
    origin = _distance(base, _EPOCH, calendar)
    counted: dict[str, list[NDArray[np.int64]]] = {}
    for name, arrays in group:
        values = read_values([(context.members[i], path, array) for i, array in arrays])
        counted[name] = []
        for (i, array), part in zip(arrays, values, strict=True):
            if i not in own:
                raise MetadataError(f"{name} is in inputs that lack the variable that it bounds")
            _check_missing(part, array)
            since = _counted(part, parsed[i][0]) + shifts[i]
            if len(calendars) > 1 and bool(np.any(since < _REFORM)):
                raise MetadataError(
                    f"the calendars {' and '.join(sorted(calendars))} differ on dates before"
                    " 1582-10-15",
                    hint=remedies.drop(path),
                )
            counted[name].append(since - origin)
    unit = parsed[items[0][0]][0]
    if any(array.dtype.kind != "f" for _, arrays in group for _, array in arrays):
        every = np.concatenate([part.reshape(-1) for parts in counted.values() for part in parts])
        unit = _fitting(every, unit)
    units = f"{unit} since {parsed[items[0][0]][1]}"
    base_calendar = items[0][1].attributes.get("calendar")
    return {
        name: [
            (i, _array(part, array, unit, units, base_calendar))
            for (i, array), part in zip(arrays, counted[name], strict=True)
        ]
        for name, arrays in group
    }


def _check_missing(values: NDArray[Any], array: Array) -> None:
    if any(name in array.attributes for name in ("scale_factor", "add_offset")):
        raise MetadataError("packed times are not written anew")
    marks = [array.attributes.get(name) for name in ("_FillValue", "missing_value")]
    marks = [*marks, array.fill_value]
    if any(isinstance(m, int | float | np.generic) and bool(np.any(values == m)) for m in marks):
        zero = all(m is None or m == 0 for m in marks)
        if not zero:
            raise MetadataError("missing times are not written anew")


def _array(
    counted: NDArray[np.int64], array: Array, unit: str, units: str, calendar: str | None
) -> Array:
    """Return times in a unit, in a type that holds all of them."""
    size = _MICROSECONDS[unit]
    attributes = dict(array.attributes)
    if "units" in attributes:
        attributes["units"] = units
    if calendar is None:
        attributes.pop("calendar", None)
    elif "calendar" in attributes or "units" in attributes:
        attributes["calendar"] = calendar
    if array.dtype.kind == "f":
        values: NDArray[Any] = counted / size
        dtype: np.dtype[Any] = np.dtype("<f8")
        if bool(np.any(_counted(values, unit) != counted)):
            raise MetadataError("a time is lost in floating-point numbers")
    else:
        values, dtype = counted // size, np.dtype("<i8")
    # What marked missing values in the old type need not exist in the new one; there are none.
    for name in ("_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"):
        attributes.pop(name, None)
    like = replace(array, dtype=dtype, attributes=attributes, fill_value=None)
    names = array.dimension_names or ()
    return replace(inline_like(values, like, names), dimension_names=array.dimension_names)

"""Times of the CF conventions: decoded, and written in other units without losing any.

Implements sections 4.4 (time coordinate, calendars) and 7.1 (units of boundaries) of the CF
conventions for units of constant length.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine import remedies
from refmaker.combine.values import inline_like, read_values
from refmaker.errors import MetadataError
from refmaker.model.missing_values import number_of
from refmaker.model.times import (
    EPOCH,
    GREGORIAN,
    REFORM,
    SIZES,
    as_microseconds,
    calendar_of,
    distance,
    parsed_units,
    unit_name,
)
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

_WRITTEN = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[_ T](\d{2}(?::\d{2}(?::\d{2}(?:\.\d{1,6})?)?)?)Z?)?")


def known_calendar(attributes: Mapping[str, Any]) -> str:
    """Return the name of a calendar, one for all that agree since 1582-10-15."""
    calendar = calendar_of(attributes)
    return "standard" if calendar in GREGORIAN else calendar


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
    parsed = parsed_units(units)
    word = units.lower() if parsed is None else parsed[0]
    _check_plain(values, attributes)
    return as_microseconds(values, unit_name(word))


def since(unit: str, attributes: Mapping[str, Any]) -> str:
    """Return another unit with the epoch of times.

    Raises
    ------
    MetadataError
        If their units are none of times.
    """
    units = str(attributes.get("units", ""))
    parsed = parsed_units(units)
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
    parsed = parsed_units(units)
    if parsed is None:
        raise MetadataError(f"{units!r} are no units of times")
    _check_plain(values, attributes)
    calendar = calendar_of(attributes)
    if calendar not in GREGORIAN:
        raise MetadataError(
            f"dates in the calendar {calendar!r} are none that numpy has",
            hint="take the numbers, which are in the units of the files (data: instead of cf:)",
        )
    shift = distance(units, EPOCH, calendar)
    found = as_microseconds(values, parsed[0]) + shift
    if calendar == "standard" and bool(np.any(found < REFORM)):
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
    return counted // SIZES[unit], unit


def _fitting(counted: NDArray[np.int64], largest: str) -> str:
    """Return the largest unit, from one on, of which all times are whole numbers."""
    units = list(SIZES)
    for unit in units[units.index(largest) :]:
        if not bool(np.any(counted % SIZES[unit])):
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
    if not isinstance(units, str) or parsed_units(units) is None:
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
    if len(calendars) > 1 and not calendars <= GREGORIAN:
        named = " and ".join(sorted(calendars))
        raise MetadataError(
            f"the calendars {named} cannot be brought together", hint=remedies.of_storage(path)
        )
    calendar = calendar_of(items[0][1].attributes)
    parsed = {i: parsed_units(str(at["units"])) or ("", "") for i, at in own.items()}
    base = str(items[0][1].attributes["units"])
    total = sum(array.nbytes for _, arrays in group for _, array in arrays)
    if total > context.options.inline_budget:
        raise MetadataError(
            f"writing its {total} bytes anew is more than may be kept in the set",
            hint=f"allow more (`inline_budget={total}`), {remedies.drop(path)}",
        )
    # Each input is counted from 1970 in its own calendar: there the calendars agree.
    shifts = {i: distance(str(at["units"]), EPOCH, calendar_of(at)) for i, at in own.items()}
    origin = distance(base, EPOCH, calendar)
    counted: dict[str, list[NDArray[np.int64]]] = {}
    for name, arrays in group:
        values = read_values([(context.members[i], path, array) for i, array in arrays])
        counted[name] = []
        for (i, array), part in zip(arrays, values, strict=True):
            if i not in own:
                raise MetadataError(f"{name} is in inputs that lack the variable that it bounds")
            _check_missing(part, array)
            since = as_microseconds(part, parsed[i][0]) + shifts[i]
            if len(calendars) > 1 and bool(np.any(since < REFORM)):
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
    size = SIZES[unit]
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
        if bool(np.any(as_microseconds(values, unit) != counted)):
            raise MetadataError("a time is lost in floating-point numbers")
    else:
        values, dtype = counted // size, np.dtype("<i8")
    # What marked missing values in the old type need not exist in the new one; there are none.
    for name in ("_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"):
        attributes.pop(name, None)
    like = replace(array, dtype=dtype, attributes=attributes, fill_value=None)
    names = array.dimension_names or ()
    return replace(inline_like(values, like, names), dimension_names=array.dimension_names)

"""Fields sorted into variables: which belong to one array, and where in it each lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.model.distinct import distinct
from refmaker.scanners.grib.identity import differences, label_of
from refmaker.scanners.grib.layouts import ArrayPath, interval_label
from refmaker.scanners.grib.products import ABSENT
from refmaker.scanners.grib.wave_spectra import spectrum

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from numpy.typing import NDArray

    from refmaker.scanners.grib.identity import Identity
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.names import Names, Sections

__all__ = ["DUPLICATES", "DimensionCoordinate", "Variable", "axes", "variables"]

DUPLICATES = "_duplicates"
"""Group of fields that are in the file more than once."""
_RESERVED = frozenset({
    "number", "time", "step", "valid_time", "latitude", "longitude", "x", "y", "crs", "values",
    "percentile", "threshold", "directionNumber", "frequencyNumber", "direction", "frequency",
    "ap", "b",
})  # fmt: skip
"""Names of coordinates, which no variable of the same group can have."""
_ANALYSES = {(b"\0\7", b"\x51"): b"\x60", (b"\7", b"\x51"): b"\x60"}
"""By centre and generating process: the process whose analysis that is (GFS, both editions)."""
_SINCE = -1
"""Stands for the length of intervals from the reference time on."""
_DESCENDING = ("isobaricInhPa", "isobaricInPa")


class DimensionCoordinate(NamedTuple):
    """The coordinates of a variable along one of its dimensions.

    Parameters
    ----------
    name : str
        Usual name of the dimension.
    values : ndarray, shape (n,)
        Distinct coordinates in the order of the dimension.
    bounds : ndarray, shape (n, 2), or None
        Both ends of each, where it is an interval.
    numbers : ndarray, shape (n,), or None
        What the fields bear in place of the values, where that is another thing.
    """

    name: str
    values: NDArray[np.generic]
    bounds: NDArray[np.generic] | None = None
    numbers: NDArray[np.int64] | None = None

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Equal for axes of equal coordinates."""
        rest = (b"" if one is None else one.tobytes() for one in (self.bounds, self.numbers))
        return self.values.tobytes(), b"".join(rest)


@dataclass(slots=True, eq=False)
class Variable:
    """Fields that make one array.

    Parameters
    ----------
    place : ArrayPath
        Group and name.
    grid : int
        Number of the grid.
    rows : ndarray of int64, shape (n,)
        Rows of the message table.
    axes : list of DimensionCoordinate
        The dimensions before those of the grid, of any length.
    at : list of ndarray of int64, shape (n,)
        Position of each field along each axis.
    told : dict
        Attributes that say what keeps the fields apart from others.
    """

    place: ArrayPath
    grid: int
    rows: NDArray[np.int64]
    axes: list[DimensionCoordinate]
    at: list[NDArray[np.int64]]
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Flat position of each field in the grid of chunks, shape (n,)."""
        shape = [len(axis.values) for axis in self.axes]
        return np.ravel_multi_index(tuple(self.at), shape) if shape else np.zeros(1, np.int64)


def variables(
    table: MessageTable,
    grid: NDArray[np.int64],
    labels: list[str],
    place: Callable[[Names, Sections, str], ArrayPath],
) -> Iterator[Variable]:
    """Sort fields into variables.

    Parameters
    ----------
    table : MessageTable
        Fields that can be placed.
    grid : ndarray of int64
        Number of the grid of each row of `shared`; equal grids have one number.
    place : callable
        A layout: names, sections and label of a grid to a place.

    Yields
    ------
    Variable
        In the order in which their first fields stand in the file. Every field is in exactly
        one of them.
    """
    shared = table.shared
    used, _ = table.distinct(np.arange(len(table)))
    pairs, first, inverse = np.unique(
        shared.template[used] * len(labels) + grid[used], return_index=True, return_inverse=True
    )
    groups: dict[tuple[ArrayPath, int], dict[Hashable, int]] = {}
    of_pair = np.empty(len(pairs), np.int64)
    count = 0
    for i in np.argsort(first, kind="stable").tolist():
        template, where = divmod(int(pairs[i]), len(labels))
        identity = shared.identities[template]
        found = place(shared.names[template], shared.sections[template], labels[where])
        products = groups.setdefault((found.labelled(identity.label), where), {})
        of_pair[i] = products.setdefault(identity.key, count)
        count = max(count, int(of_pair[i]) + 1)
    order, bounds = _sorted_out(table, used, of_pair[inverse], count)
    taken: set[tuple[tuple[str, ...], str]] = set()
    for (found, where), products in groups.items():
        rows = [order[bounds[number] : bounds[number + 1]] for number in products.values()]
        for product in _products(table, Variable(found, where, order[:0], [], []), rows):
            for item in _intervals(table, product):
                yield from _unique(_apart(table, item), taken)


def _sorted_out(
    table: MessageTable, used: NDArray[np.int64], variable: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return fields in the order of their variables, and where those of each begin."""
    # Numbers of two octets are sorted in linear time.
    dtype = np.uint16 if count < 65536 else np.uint32
    of_row = np.zeros(len(table.shared), dtype)
    of_row[used] = variable
    of_field = of_row[table.row]
    bounds = np.append(0, np.cumsum(np.bincount(of_field, minlength=count)))
    return np.argsort(of_field, kind="stable"), bounds


def _products(
    table: MessageTable, found: Variable, parts: list[NDArray[np.int64]]
) -> Iterator[Variable]:
    """Yield a variable for each product; names of several tell in what they differ."""
    parts = _models(table, parts)
    identities = [_identity(table, rows) for rows in parts]
    several = differences([identity.aspects for identity in identities])
    for rows, identity, told in zip(parts, identities, several, strict=True):
        label = label_of(told)
        known = [aspect for aspect in identity.aspects if aspect.always] + told
        attributes = {key: value for each in known for key, value in each.attributes.items()}
        yield replace(found, place=found.place.labelled(label), rows=rows, told=attributes)


def _identity(table: MessageTable, rows: NDArray[np.int64]) -> Identity:
    shared = table.shared
    return shared.identities[int(shared.template[table.row[rows[0]]])]


def _models(
    table: MessageTable, parts: list[NDArray[np.int64]]
) -> list[NDArray[np.int64]]:  # fmt: skip
    """Join what NCEP calls the analysis of a model with the forecasts of that model.

    Table A of NCEP has two numbers for one model: fields of hour 0 bear the first.
    """
    keys = [dict(_identity(table, rows).key) for rows in parts]
    ends = [table.shared.end[table.distinct(rows)[0]] for rows in parts]
    joined = list(parts)
    for i, key in enumerate(keys):
        model = _ANALYSES.get((key.get("centre", b""), key.get("process", b"")))
        if model is None or ends[i].any():
            continue
        for j, other in enumerate(keys):
            if other == {**key, "process": model} and ends[j].all():
                joined[j] = np.sort(np.concatenate([joined[j], parts[i]]))
                joined[i] = parts[i][:0]
    return [rows for rows in joined if len(rows)]


def _unique(
    found: Iterator[Variable], taken: set[tuple[tuple[str, ...], str]]
) -> Iterator[Variable]:
    """Give each variable a name of its own."""
    for variable in found:
        if variable.place.name in _RESERVED:
            variable.place = variable.place._replace(name=f"{variable.place.name}_field")
        place, count = variable.place, 1
        while (variable.place.path, variable.place.name) in taken:
            count += 1
            variable.place = place._replace(name=f"{place.name}_{count}")
        taken.add((variable.place.path, variable.place.name))
        yield variable


def _intervals(table: MessageTable, found: Variable) -> Iterator[Variable]:
    """Part fields that end at one time and begin at several by the lengths of their intervals."""
    used, at = table.distinct(found.rows)
    start, end = table.shared.start[used], table.shared.end[used]
    pairs = np.unique(np.stack([end, start]), axis=1) if (start != end).any() else None
    if pairs is None or len(np.unique(pairs[0])) == pairs.shape[1]:
        yield found
        return
    lengths = _series(table, found, np.where(start == 0, _SINCE, end - start)[at])
    for length in np.unique(lengths).tolist():
        place = found.place
        if length >= 0:
            place = place.with_interval(interval_label(length))
        yield replace(found, place=place, rows=found.rows[lengths == length])


def _series(
    table: MessageTable, found: Variable, lengths: NDArray[np.int64]
) -> NDArray[np.int64]:  # fmt: skip
    """Let the second copy of an interval from the start belong to the series of its length.

    NCEP writes the first bucket twice, once as such and once as the total since the start, with
    equal octets.
    """
    known = distinct(lengths[lengths >= 0])
    rows = found.rows
    end = table.column("end", rows)
    first = (lengths == _SINCE) & np.isin(end, known)
    if not first.any():
        return lengths
    columns = ("reference", "end", "member", "percentile", "template")
    keys = [table.column(name, rows[first]) for name in columns]
    keys += [
        np.unique(table.column(name, rows[first]), return_inverse=True)[1]
        for name in ("level", "bottom", "lower", "upper")
    ]
    _, inverse = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)
    second = np.flatnonzero(first)[_rank(inverse.reshape(-1)) == 1]
    lengths[second] = end[second]
    return lengths


def _apart(table: MessageTable, found: Variable) -> Iterator[Variable]:
    """Part fields that would lie on one chunk: other products, or duplicates."""
    axes(table, found)
    numbers = found.numbers
    if _apart_already(numbers, found.axes):
        yield found
        return
    # Fields of one place that differ in anything else are no duplicates.
    template = table.column("template", found.rows)
    kinds = {number: table.shared.identities[number].rest for number in distinct(template).tolist()}
    rests = {tuple((a.name, a.value) for a in kind): kind for kind in kinds.values()}
    several = dict(zip(rests, differences(list(rests.values())), strict=True))
    for rest, told in several.items():
        those = [n for n, kind in kinds.items() if tuple((a.name, a.value) for a in kind) == rest]
        part = np.isin(template, those)
        place = found.place.labelled(label_of(told))
        attributes = {key: value for each in told for key, value in each.attributes.items()}
        rank = _rank(numbers[part])
        for copy in range(int(rank.max()) + 1):
            if copy:
                path = (DUPLICATES, *found.place.path)
                place = place._replace(path=path, step=-1)
            some = replace(
                found, place=place, rows=found.rows[part][rank == copy],
                told=found.told | attributes,
            )  # fmt: skip
            axes(table, some)
            yield some


def _apart_already(numbers: NDArray[np.int64], axes: list[DimensionCoordinate]) -> bool:
    """Whether each place has one field at most."""
    size = math.prod(len(axis.values) for axis in axes)
    if len(numbers) == 1:
        return True
    if size > 16 * len(numbers) + 1024:
        return len(distinct(numbers)) == len(numbers)
    seen = np.zeros(size, bool)
    seen[numbers] = True
    return int(np.count_nonzero(seen)) == len(numbers)


def _rank(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many equal numbers stand before each."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.empty_like(numbers)
    rank[order] = np.arange(len(numbers)) - first
    return rank


def axes(table: MessageTable, variable: Variable) -> None:
    """Find the coordinates of a variable, and where its fields lie along them."""
    shared = table.shared
    used, inverse = table.distinct(variable.rows)
    found: list[tuple[DimensionCoordinate, NDArray[np.int64]]] = []
    number = shared.member[used]
    if (number != ABSENT).any():
        found.append(_plain("number", number))
    found.append(_pairs("step", shared.end[used], shared.start[used], shared.end[used]))
    level = shared.level[used]
    if not np.isnan(level).all():
        kind = shared.names[int(shared.template[used[0]])].type_of_level
        found.append(_pairs(kind, level, level, shared.bottom[used]))
    percentile = shared.percentile[used]
    if (percentile != ABSENT).any():
        found.append(_plain("percentile", percentile))
    lower, upper = shared.lower[used], shared.upper[used]
    if not (np.isnan(lower) & np.isnan(upper)).all():
        found.append(_pairs("threshold", np.where(np.isnan(lower), upper, lower), lower, upper))
    for name in ("direction", "frequency"):
        values = getattr(shared, name)[used]
        if (values != ABSENT).any():
            found.append(_spectral(table, used, name, *_plain(f"{name}Number", values)))
    times, of_time = table.references(variable.rows)
    place = 1 if found[0][0].name == "number" else 0
    variable.axes = [axis for axis, _ in found]
    variable.at = [at[inverse] for _, at in found]
    variable.axes.insert(place, DimensionCoordinate("time", times))
    variable.at.insert(place, of_time)


def _spectral(
    table: MessageTable,
    used: NDArray[np.int64],
    name: str,
    axis: DimensionCoordinate,
    at: NDArray[np.int64],
) -> tuple[DimensionCoordinate, NDArray[np.int64]]:
    """Return the axis of what numbers of a wave spectrum count, where all fields say so alike."""
    templates = distinct(table.shared.template[used]).tolist()
    lists = [spectrum(table.shared.sections[template]).get(name) for template in templates]
    first = lists[0]
    if first is None or not all(one is not None and np.array_equal(one, first) for one in lists):
        return axis, at
    numbers = np.asarray(axis.values, np.int64)
    if numbers[0] < 1 or numbers[-1] > len(first) or len(distinct(first)) < len(first):
        return axis, at
    return DimensionCoordinate(name, first[numbers - 1], numbers=numbers), at


def _plain(name: str, values: NDArray[np.int64]) -> tuple[DimensionCoordinate, NDArray[np.int64]]:
    if (values == values[0]).all():
        return DimensionCoordinate(name, values[:1]), np.zeros(len(values), np.int64)
    found, at = np.unique(values, return_inverse=True)
    return DimensionCoordinate(name, found), at


def _pairs(
    name: str, values: NDArray[np.generic], low: NDArray[np.generic], high: NDArray[np.generic]
) -> tuple[DimensionCoordinate, NDArray[np.int64]]:
    """Return the axis of intervals, or of plain values where no interval has a width."""
    missing = np.isnan(low) | np.isnan(high) if values.dtype.kind == "f" else np.zeros(1, bool)
    bounded = bool(((low != high) & ~missing).any())
    # Where intervals differ that end alike, or levels that begin alike, each is one coordinate.
    columns = (values, high, low) if bounded else (values,)
    numbers = [np.unique(column, return_inverse=True) for column in columns]
    code = numbers[0][1]
    for found, inverse in numbers[1:]:
        code = code * len(found) + inverse
    _, first, at = np.unique(code, return_index=True, return_inverse=True)
    if name in _DESCENDING:
        first, at = first[::-1], len(first) - 1 - at
    bounds = None
    if bounded:
        ends = [np.where(missing, values, end)[first] for end in (low, high)]
        bounds = np.stack(ends, axis=1)
    return DimensionCoordinate(name, values[first], bounds), at

"""Fields sorted into variables: which belong to one array, and where in it each lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.scanners.grib.layouts import ArrayPath, interval_label
from refmaker.scanners.grib.products import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.names import Names, Sections

__all__ = ["DUPLICATES", "DimensionCoordinate", "Variable", "axes", "variables"]

DUPLICATES = "_duplicates"
"""Group of fields that are in the file more than once."""
_RESERVED = frozenset({
    "number", "time", "step", "valid_time", "latitude", "longitude", "x", "y", "crs", "values",
    "percentile", "threshold", "directionNumber", "frequencyNumber",
})  # fmt: skip
"""Names of coordinates, which no variable of the same group can have."""
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
    """

    name: str
    values: NDArray[np.generic]
    bounds: NDArray[np.generic] | None = None

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Equal for axes of equal coordinates."""
        bounds = b"" if self.bounds is None else self.bounds.tobytes()
        return self.values.tobytes(), bounds


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
    """

    place: ArrayPath
    grid: int
    rows: NDArray[np.int64]
    axes: list[DimensionCoordinate]
    at: list[NDArray[np.int64]]

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
    grid : ndarray of int64, shape (n,)
        Number of each field's grid; equal grids have one number.
    labels : list of str
        Short name of each grid.
    place : callable
        A layout: names, sections and label of a grid to a place.

    Yields
    ------
    Variable
        In the order in which their first fields stand in the file. Every field is in exactly
        one of them.
    """
    pairs, first, inverse = np.unique(
        table.template * len(labels) + grid, return_index=True, return_inverse=True
    )
    numbers: dict[tuple[ArrayPath, int], int] = {}
    of_pair = np.empty(len(pairs), np.int64)
    for i in np.argsort(first, kind="stable").tolist():
        template, where = divmod(int(pairs[i]), len(labels))
        found = place(table.names[template], table.sections[template], labels[where])
        of_pair[i] = numbers.setdefault((found, where), len(numbers))
    variable = of_pair[inverse]
    order = np.argsort(variable, kind="stable")
    bounds = np.searchsorted(variable[order], np.arange(len(numbers) + 1))
    taken: set[tuple[tuple[str, ...], str]] = set()
    for number, (found, where) in enumerate(numbers):
        rows = order[bounds[number] : bounds[number + 1]]
        for item in _intervals(table, Variable(found, where, rows, [], [])):
            yield from _unique(_apart(table, item), taken)


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
    start, end = table.start[found.rows], table.end[found.rows]
    pairs = np.unique(np.stack([end, start]), axis=1) if (start != end).any() else None
    if pairs is None or len(np.unique(pairs[0])) == pairs.shape[1]:
        yield found
        return
    lengths = np.where(start == 0, -1, end - start)
    for length in np.unique(lengths).tolist():
        place = found.place
        if length >= 0:
            place = place.with_interval(interval_label(length))
        yield Variable(place, found.grid, found.rows[lengths == length], [], [])


def _apart(table: MessageTable, found: Variable) -> Iterator[Variable]:
    """Part fields that would lie on one chunk: other products, or duplicates."""
    axes(table, found)
    numbers = found.numbers
    if len(numbers) == 1 or len(np.unique(numbers)) == len(numbers):
        yield found
        return
    template = table.template[found.rows]
    parts: list[NDArray[np.bool_]] = []
    for number in dict.fromkeys(template.tolist()):
        these = template == number
        host = next((p for p in parts if not np.isin(numbers[these], numbers[p]).any()), None)
        if host is None:
            parts.append(these)
        else:
            host |= these
    for part in parts:
        rank = _rank(numbers[part])
        for copy in range(int(rank.max()) + 1):
            place = found.place
            if copy:
                place = place._replace(path=(DUPLICATES, *place.path), step=-1)
            some = Variable(place, found.grid, found.rows[part][rank == copy], [], [])
            axes(table, some)
            yield some


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
    rows = variable.rows
    found: list[tuple[DimensionCoordinate, NDArray[np.int64]]] = []
    number = table.member[rows]
    if (number != ABSENT).any():
        found.append(_plain("number", number))
    found.append(_plain("time", table.reference[rows]))
    found.append(_pairs("step", table.end[rows], table.start[rows], table.end[rows]))
    level = table.level[rows]
    if not np.isnan(level).all():
        kind = table.names[int(table.template[rows[0]])].type_of_level
        found.append(_pairs(kind, level, level, table.bottom[rows]))
    percentile = table.percentile[rows]
    if (percentile != ABSENT).any():
        found.append(_plain("percentile", percentile))
    lower, upper = table.lower[rows], table.upper[rows]
    if not (np.isnan(lower) & np.isnan(upper)).all():
        found.append(_pairs("threshold", np.where(np.isnan(lower), upper, lower), lower, upper))
    for name in ("direction", "frequency"):
        values = getattr(table, name)[rows]
        if (values != ABSENT).any():
            found.append(_plain(f"{name}Number", values))
    variable.axes = [axis for axis, _ in found]
    variable.at = [at for _, at in found]


def _plain(name: str, values: NDArray[np.int64]) -> tuple[DimensionCoordinate, NDArray[np.int64]]:
    if (values == values[0]).all():
        return DimensionCoordinate(name, values[:1]), np.zeros(len(values), np.int64)
    distinct, at = np.unique(values, return_inverse=True)
    return DimensionCoordinate(name, distinct), at


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
    for distinct, inverse in numbers[1:]:
        code = code * len(distinct) + inverse
    _, first, at = np.unique(code, return_index=True, return_inverse=True)
    if name in _DESCENDING:
        first, at = first[::-1], len(first) - 1 - at
    bounds = None
    if bounded:
        ends = [np.where(missing, values, end)[first] for end in (low, high)]
        bounds = np.stack(ends, axis=1)
    return DimensionCoordinate(name, values[first], bounds), at

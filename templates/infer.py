"""From a table of chunks to the rule that generates it, exactly or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refmaker.templates.affine import Coordinate, fit
from refmaker.templates.errors import TemplateError
from refmaker.templates.evaluate import INT64_MAX, Int64Array
from refmaker.templates.rule import Rule
from refmaker.templates.running import url_template

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ReferenceColumns", "infer"]

_WINDOW = 1 << 20
"""Rows that are compared at once when a rule is checked."""


@dataclass(frozen=True, slots=True)
class ReferenceColumns:
    """References of the chunks of one array, in C order of the chunk grid.

    Parameters
    ----------
    shape : tuple of int
        Number of chunks along each dimension.
    urls : sequence of str
    url : int64[n] or int
        Index into `urls` of each chunk, or the one of all.
    offset : uint64[n] or None
        Bytes. None if each chunk is a whole file.
    length : uint64[n], int or None
        Bytes, or the length of all; None if and only if `offset` is.
    index : int64[n], optional
        Flat numbers of the chunks that exist, ascending; all by default.
    """

    shape: tuple[int, ...]
    urls: Sequence[str]
    url: npt.NDArray[np.integer] | int
    offset: npt.NDArray[np.unsignedinteger] | None
    length: npt.NDArray[np.unsignedinteger] | int | None
    index: npt.NDArray[np.integer] | None = None


@dataclass(frozen=True, slots=True)
class _ChunkDimension:
    """One dimension of the grid in which chunks exist."""

    name: str
    values: Int64Array
    """Chunk numbers along it."""
    text: str
    """Position along it (or chunk number, if those are irregular), as an operand."""
    coordinate: Int64Array
    """Value of `text` at each position."""
    regular: bool
    """Whether the chunk numbers are a range."""

    def entry(self) -> dict[str, int] | list[int]:
        """Dimension of a ``gen`` entry."""
        if not self.regular:
            return [int(value) for value in self.values]
        start, step = int(self.values[0]), int(self.values[1] - self.values[0])
        stop = {"stop": int(self.values[-1]) + 1}
        entry = stop if start == 0 else {"start": start, **stop}
        return entry if step == 1 else {**entry, "step": step}


def infer(prefix: str, columns: ReferenceColumns, separator: str = ".") -> Rule | None:
    """Find a rule that makes exactly these references.

    Offsets and lengths may be constant or grow by constant steps along each dimension. URLs may
    hold numbers, zero-padded or not, that grow by constant steps, and dates at constant
    distances; they may also stay the same for a constant number of chunks while the offsets
    start again.

    Parameters
    ----------
    prefix : str
        What stands before the chunk number in the keys, such as ``"temperature/"``.
    columns : ReferenceColumns
    separator : str, optional
        Between the parts of the chunk number.

    Returns
    -------
    Rule or None
        A rule whose every key, URL, offset and length has been compared with the table, or
        None if none was found (also for fewer than two chunks).
    """
    axes = _axes(columns)
    size = prod(axis.values.size for axis in axes or ())
    if axes is None or size < 2 or (columns.offset is None) != (columns.length is None):
        return None
    url = _url_numbers(columns, size)
    if url is None:
        return None
    varying = [axis for axis in axes if axis.values.size > 1]
    grid = tuple(axis.values.size for axis in varying)
    entry: dict[str, object] = {"key": _key(prefix, axes, separator)}
    numbers = np.broadcast_to(url, size).reshape(grid) if url.size > 1 else url
    periods = [_period(numbers, place, axis) for place, axis in enumerate(varying)]
    coordinates = _coordinates(varying, periods)
    # Offsets first: most tables without a rule fail here, and quickly.
    if columns.offset is not None and columns.length is not None:
        for member, column in (("offset", columns.offset), ("length", columns.length)):
            text = _number_template(column, grid, coordinates)
            if text is None:
                return None
            entry[member] = text
    template = _files(columns.urls, numbers, varying, periods)
    if template is None:
        return None
    entry["url"] = template
    entry["dimensions"] = {axis.name: axis.entry() for axis in varying}
    try:
        rule = Rule(entry)
        same = rule.size == size and _same_keys(rule, prefix, axes, separator)
        return rule if same and _same_table(rule, columns, url) else None
    except TemplateError:
        # Texts that hold braces of their own cannot be written as templates.
        return None


def _axes(columns: ReferenceColumns) -> list[_ChunkDimension] | None:
    """Chunk numbers along each dimension, if those present are all combinations of some."""
    shape = columns.shape
    if not shape or prod(shape) > INT64_MAX:
        return None
    if columns.index is None:
        return [_axis(number, np.arange(size)) for number, size in enumerate(shape)]
    index = np.asarray(columns.index, np.int64)
    if not index.size or index[0] < 0 or index[-1] >= prod(shape) or np.any(np.diff(index) <= 0):
        return None
    values = [np.unique(places) for places in np.unravel_index(index, shape)]
    # Every chunk lies in the product of these sets; equal counts make it the whole product.
    if prod(value.size for value in values) != index.size:
        return None
    return [_axis(number, value) for number, value in enumerate(values)]


def _axis(number: int, values: Int64Array) -> _ChunkDimension:
    name = f"i{number}"
    steps = np.diff(values)
    if values.size < 2 or np.any(steps != steps[0]):
        return _ChunkDimension(name, values, name, values, regular=False)
    text = name if values[0] == 0 else f"({name} - {values[0]})"
    text = text if steps[0] == 1 else f"({text} // {steps[0]})"
    return _ChunkDimension(name, values, text, np.arange(values.size), regular=True)


def _url_numbers(columns: ReferenceColumns, size: int) -> Int64Array | None:
    """Index of each chunk's URL among the distinct ones: n numbers, or 1 if all are the same."""
    url = np.atleast_1d(np.asarray(columns.url, np.int64))
    if url.shape not in ((1,), (size,)) or url.min() < 0 or url.max() >= len(columns.urls):
        return None
    first: dict[str, int] = {}
    same = [first.setdefault(text, number) for number, text in enumerate(columns.urls)]
    if len(first) < len(same):
        url = np.array(same, np.int64)[url]
    return url[:1] if bool((url == url[0]).all()) else url


def _period(numbers: Int64Array, place: int, axis: _ChunkDimension) -> int:
    """Count the chunks along an axis that share a file; 0 if all do."""
    if numbers.size == 1:
        return 0
    at: list[int | slice] = [0] * numbers.ndim
    at[place] = slice(None)
    line = numbers[tuple(at)]
    changes = np.flatnonzero(line != line[0])
    if not changes.size:
        return 0
    return int(changes[0]) if axis.regular else 1


def _coordinates(axes: list[_ChunkDimension], periods: list[int]) -> list[Coordinate]:
    found = []
    for place, (axis, period) in enumerate(zip(axes, periods, strict=True)):
        if period > 1:
            text = f"({axis.text} // {period})", f"({axis.text} % {period})"
            found.append(Coordinate(text[0], place, axis.coordinate // period, period))
            found.append(Coordinate(text[1], place, axis.coordinate % period, 1))
        else:
            found.append(Coordinate(axis.text, place, axis.coordinate, 1))
    return found


def _number_template(
    column: npt.NDArray[np.unsignedinteger] | int,
    grid: tuple[int, ...],
    coordinates: list[Coordinate],
) -> str | None:
    values = np.asarray(column)
    if (
        values.shape not in ((), (prod(grid),))
        or not 0 <= values.min() <= values.max() <= INT64_MAX
    ):
        return None
    if values.shape == () or bool((values == values[0]).all()):
        return str(int(values.flat[0]))
    expression = fit(values.astype(np.int64).reshape(grid), coordinates)
    return None if expression is None else f"{{{{ {expression} }}}}"


def _files(
    urls: Sequence[str], numbers: Int64Array, axes: list[_ChunkDimension], periods: list[int]
) -> str | None:
    """Template of the URLs, from the first chunk of each file."""
    if numbers.size == 1:
        return urls[int(numbers[0])]
    coordinates, firsts, shape, back = [], [], [], []
    for place, (axis, period) in enumerate(zip(axes, periods, strict=True)):
        positions = np.arange(axis.values.size)
        first = positions[::period] if period else positions[:1]
        firsts.append(first)
        shape.append(first.size)
        back.append(positions // period if period else positions * 0)
        if period > 1:
            text = f"({axis.text} // {period})"
            coordinates.append(Coordinate(text, place, axis.coordinate[first] // period, 1))
        elif period:
            coordinates.append(Coordinate(axis.text, place, axis.coordinate, 1))
    files = numbers[np.ix_(*firsts)]
    if not np.array_equal(files[np.ix_(*back)], numbers):
        return None
    return url_template(
        [urls[number] for number in files.ravel().tolist()], tuple(shape), coordinates
    )


def _key(prefix: str, axes: list[_ChunkDimension], separator: str) -> str:
    parts = (
        f"{{{{{axis.name}}}}}" if axis.values.size > 1 else str(axis.values[0]) for axis in axes
    )
    return prefix + separator.join(parts)


def _same_keys(rule: Rule, prefix: str, axes: list[_ChunkDimension], separator: str) -> bool:
    literals, names = [prefix], []
    for place, axis in enumerate(axes):
        literals[-1] += separator if place else ""
        if axis.values.size > 1:
            names.append(axis.name)
            literals.append("")
        else:
            literals[-1] += str(axis.values[0])
    pattern = rule.pattern
    written = [field.program for field in pattern.fields]
    return pattern.literals == tuple(literals) and written == [(name,) for name in names]


def _same_table(rule: Rule, columns: ReferenceColumns, url: Int64Array) -> bool:
    numbers = {columns.urls[number]: number for number in np.unique(url).tolist()}
    for start in range(0, rule.size, _WINDOW):
        stop = min(start + _WINDOW, rule.size)
        table = rule.table(start, stop)
        made = np.array([numbers.get(text, -1) for text in table.urls])
        if not np.array_equal(made[table.url], np.broadcast_to(url, rule.size)[start:stop]):
            return False
        pairs = ((table.offset, columns.offset), (table.length, columns.length))
        for column, given in pairs:
            if column is None or given is None:
                if column is not given:
                    return False
                continue
            # Of one type, as numpy before 2.0 compares signed with unsigned through floats.
            window = np.broadcast_to(np.asarray(given), rule.size)[start:stop]
            if not np.array_equal(column, window.astype(np.uint64)):
                return False
    return True

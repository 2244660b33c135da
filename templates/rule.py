"""One ``gen`` entry: many references described by one pattern, evaluated on demand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import repeat
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refmaker.templates.dimension import Dimension
from refmaker.templates.entry import number, texts
from refmaker.templates.errors import TemplateError, TemplateLimitError
from refmaker.templates.evaluate import (
    INT64_MAX,
    Int64Array,
    evaluate,
    evaluate_columns,
    interval,
)
from refmaker.templates.expand import Segments, Templates, render
from refmaker.templates.pattern import KeyPattern
from refmaker.templates.table import Reference, RuleReferences, compact, distinct
from refmaker.templates.tree import NumberExpression

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Rule"]

_BLOCK = 1 << 16
"""Rows computed together: few enough that temporary columns stay in the processor's cache."""

_NO_TEMPLATES = Templates()


class Rule:
    """References described by a pattern over the cartesian product of dimensions.

    Nothing is expanded when it is made: that takes the same time for ten references and for
    a million million. Rows are numbered in C order: the last dimension runs fastest.

    Parameters
    ----------
    entry : mapping
        One item of the ``gen`` list: ``key``, ``url``, ``dimensions`` and optionally both
        ``offset`` and ``length``.
    templates : Templates, optional
        What the texts may use; also carries the limits.

    Attributes
    ----------
    dimensions : tuple of Dimension
    shape : tuple of int
        Number of values of each dimension.
    size : int
        Number of references (may be more than ``len`` can say).
    pattern : KeyPattern
        The key: ``literals`` around ``fields``.

    Raises
    ------
    TemplateError
        If a member is missing or unknown, or a text is not in the language.
    """

    __slots__ = (
        "_length",
        "_names",
        "_offset",
        "_ranges",
        "_texts",
        "_url",
        "dimensions",
        "limits",
        "pattern",
        "shape",
        "size",
    )

    def __init__(self, entry: Mapping[str, object], templates: Templates = _NO_TEMPLATES) -> None:
        self.limits = templates.limits
        self._texts = texts(entry)
        self.dimensions = self._read_dimensions(entry["dimensions"], templates)
        self.shape = tuple(dimension.size for dimension in self.dimensions)
        self.size = prod(self.shape)
        if self.size > INT64_MAX // 2:
            raise TemplateLimitError("a rule of more references than 64 bits can number")
        names = self._names = tuple(dimension.name for dimension in self.dimensions)
        self.pattern = KeyPattern(templates.link(self._texts["key"], names), self.dimensions)
        self._url = templates.link(self._texts["url"], names)
        self._offset = self._length = None
        if "offset" in self._texts:
            self._offset = number(templates.link(self._texts["offset"], names), "offset")
            self._length = number(templates.link(self._texts["length"], names), "length")
        self._ranges = {d.name: d.bounds() for d in self.dimensions} if self.size else {}

    def __len__(self) -> int:
        return self.size

    def to_json(self) -> dict[str, object]:
        """Write the ``gen`` entry (templates stay names).

        Returns
        -------
        dict
        """
        dimensions = {dimension.name: dimension.to_json() for dimension in self.dimensions}
        return {**self._texts, "dimensions": dimensions}

    def lookup(self, key: str) -> Reference | None:
        """Find the reference of one key, in a time that does not depend on `size`.

        Parameters
        ----------
        key : str

        Returns
        -------
        Reference or None
            None if the rule does not make this key.

        Raises
        ------
        TemplateError
            If this rule's keys cannot be read backwards (``pattern.obstacle`` says why; its
            `table` and `iter_keys` are still available), or the reference cannot be computed.
        """
        if not self.size:
            return None
        values = self.pattern.match(key)
        if values is None:
            return None
        url = render(self._url, values)
        if self._offset is None or self._length is None:
            return Reference(url, None, None)
        offset, length = evaluate(self._offset, values), evaluate(self._length, values)
        if offset < 0 or length < 0 or offset + length > INT64_MAX:
            raise _bad_range(self._offset)
        return Reference(url, offset, length)

    def table(self, start: int = 0, stop: int | None = None) -> RuleReferences:
        """Compute the references of a window of rows as columns.

        Parameters
        ----------
        start, stop : int, optional
            Row numbers; everything by default.

        Returns
        -------
        RuleReferences

        Raises
        ------
        TemplateError
            If any of these references cannot be computed.
        TemplateLimitError
            If the window has more rows, or more or longer URLs, than the limits allow.
        """
        start, stop = self._window(start, stop)
        urls, url = self._url_column(start, stop)
        offset = length = None
        if self._offset is not None and self._length is not None:
            offset = self._number_column(self._offset, start, stop)
            length = self._number_column(self._length, start, stop)
            if offset.size and np.any(offset > np.uint64(INT64_MAX) - length):
                raise _bad_range(self._offset)
        return RuleReferences(urls, url, offset, length)

    def key_columns(self, start: int = 0, stop: int | None = None) -> tuple[Int64Array, ...]:
        """Compute the numbers in the keys of a window of rows, without making the keys.

        Parameters
        ----------
        start, stop : int, optional
            Row numbers; everything by default.

        Returns
        -------
        tuple of int64[stop - start]
            One column for each of ``pattern.fields``.

        Raises
        ------
        TemplateError
        """
        start, stop = self._window(start, stop)
        columns = []
        for field in self.pattern.fields:
            column = np.empty(stop - start, np.int64)
            for low, high, block in self._blocks(start, stop):
                column[low:high] = self._evaluate(field, block)
            columns.append(column)
        return tuple(columns)

    def iter_keys(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """Make the keys of a window of rows, a block at a time.

        Parameters
        ----------
        start, stop : int, optional
            Row numbers; everything by default.

        Returns
        -------
        iterator of str

        Raises
        ------
        TemplateError
        """
        start, stop = self._window(start, stop)
        segments = _interleave(self.pattern.literals, self.pattern.fields)
        return (
            key
            for low, high, block in self._blocks(start, stop)
            for key in self._render(segments, block, high - low)
        )

    def _read_dimensions(self, entry: object, templates: Templates) -> tuple[Dimension, ...]:
        if not isinstance(entry, Mapping):
            raise TemplateError("'dimensions' of a gen entry is not an object")
        if len(entry) > self.limits.dimensions:
            raise TemplateLimitError(
                f"a rule of {len(entry)} dimensions (allowed: {self.limits.dimensions})"
            )
        for name in entry:
            if name in templates:
                raise TemplateError(f"{name} is both a dimension and a template")
        return tuple(Dimension.from_json(name, item, self.limits) for name, item in entry.items())

    def _window(self, start: int, stop: int | None) -> tuple[int, int]:
        stop = self.size if stop is None else stop
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"rows {start} to {stop} of {self.size}")
        if stop - start > self.limits.rows:
            raise TemplateLimitError(
                f"{stop - start} references at once (allowed: {self.limits.rows})"
            )
        return start, stop

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[int, int, dict[str, Int64Array]]]:
        """Positions in the window, and each dimension's positions in these rows."""
        for low in range(start, stop, _BLOCK):
            high = min(low + _BLOCK, stop)
            rows = np.arange(low, high, dtype=np.int64)
            places = np.unravel_index(rows, self.shape) if self.shape else ()
            block = dict(zip(self._names, places, strict=True))
            yield low - start, high - start, block

    def _evaluate(
        self, field: NumberExpression, places: Mapping[str, Int64Array]
    ) -> Int64Array | np.int64:
        used = set(field.program)
        columns = {d.name: d.take(places[d.name]) for d in self.dimensions if d.name in used}
        proven = interval(field.program, self._ranges) is not None
        return evaluate_columns(field, columns, proven=proven)

    def _number_column(
        self, field: NumberExpression, start: int, stop: int
    ) -> npt.NDArray[np.uint64]:
        bounds = interval(field.program, self._ranges) if self.size else (0, 0)
        if bounds is not None and 0 <= bounds[0] == bounds[1]:
            return np.broadcast_to(np.uint64(bounds[0]), stop - start)
        column = np.empty(stop - start, np.int64)
        for low, high, block in self._blocks(start, stop):
            column[low:high] = self._evaluate(field, block)
            if (bounds is None or bounds[0] < 0) and column[low:high].min() < 0:
                raise _bad_range(field)
        return column.view(np.uint64)

    def _url_column(self, start: int, stop: int) -> tuple[tuple[str, ...], Int64Array]:
        """Distinct URLs, and which of them each row has."""
        rows = stop - start
        fields = [item for item in self._url if isinstance(item, NumberExpression)]
        used = {item for field in fields for item in field.program}
        dimensions = [d for d in self.dimensions if d.name in used and d.size > 1]
        if not rows:
            return (), np.empty(0, np.int64)
        sizes = tuple(dimension.size for dimension in dimensions)
        first = np.unravel_index(start, self.shape) if self.shape else ()
        places = {name: np.array([p]) for name, p in zip(self._names, first, strict=True)}
        if not dimensions:
            return (self._render(self._url, places, 1)[0],), np.broadcast_to(np.int64(0), rows)
        combination = np.empty(rows, np.int64)
        for low, high, block in self._blocks(start, stop):
            selected = [block[dimension.name] for dimension in dimensions]
            combination[low:high] = np.ravel_multi_index(selected, sizes)
        present, column = compact(combination, prod(sizes))
        self._check_urls(present.size)
        names = (dimension.name for dimension in dimensions)
        places |= dict(zip(names, np.unravel_index(present, sizes), strict=True))
        return distinct(self._render(self._url, places, present.size), column)

    def _check_urls(self, count: int) -> None:
        length = sum(
            len(item) if isinstance(item, str) else max(20, item.width or 0) for item in self._url
        )
        if count > self.limits.urls or count * length > self.limits.characters:
            raise TemplateLimitError(
                f"{count} URLs of up to {length} characters at once (allowed: "
                f"{self.limits.urls} URLs, {self.limits.characters} characters)"
            )

    def _render(
        self, segments: Segments, places: Mapping[str, Int64Array], count: int
    ) -> list[str]:
        columns: list[repeat[str] | list[str]] = []
        for item in segments:
            if isinstance(item, str):
                columns.append(repeat(item, count))
                continue
            values = np.broadcast_to(self._evaluate(item, places), count).tolist()
            width = item.width or 1
            columns.append([f"{value:0{width}d}" for value in values])
        return ["".join(row) for row in zip(*columns, strict=True)] if columns else [""] * count


def _bad_range(field: NumberExpression) -> TemplateError:
    return TemplateError("a byte range that is negative or too large", field.text, field.position)


def _interleave(literals: tuple[str, ...], fields: tuple[NumberExpression, ...]) -> Segments:
    segments: list[str | NumberExpression] = [literals[0]]
    for field, literal in zip(fields, literals[1:], strict=True):
        segments += [field, literal]
    return tuple(segments)

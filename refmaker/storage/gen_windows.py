"""References that rules describe, in windows of rows that can be read ahead."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from refmaker.model.chunk_table import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refmaker.templates import Rule

__all__ = ["GenWindows"]

ROWS = 4096
"""References that are computed together."""
KEPT = 64
"""Windows kept."""


class GenWindows:
    """Tables of the references near a key, computed when neighbours are asked for."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_prefix: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_prefix.setdefault(rule.pattern.literals[0], []).append(rule)
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})
        self._last: dict[int, int] = {}
        self._tables: OrderedDict[tuple[int, int], ChunkTable] = OrderedDict()
        self._lock = Lock()

    def find(self, key: str) -> tuple[ChunkTable, int] | None:
        """Return a table and the row of it that is a key's reference.

        Returns
        -------
        ChunkTable, int
            Or None where no neighbour was asked for just before, or several rules may make
            such a key, or none of its kind gives byte ranges.

        Raises
        ------
        TemplateError
            If the references in the window cannot be computed.
        """
        rule = self._rule(key)
        if rule is None:
            return None
        values = rule.pattern.match(key)
        if values is None:
            return None
        row = 0
        for dimension in rule.dimensions:
            row = row * dimension.size + (dimension.place(values[dimension.name]) or 0)
        number = row // ROWS
        with self._lock:
            last = self._last.get(id(rule))
            self._last[id(rule)] = number
            table = self._tables.get((id(rule), number))
            if table is not None:
                self._tables.move_to_end((id(rule), number))
        if table is None:
            if last != number:
                return None
            table = self._make(rule, number)
            with self._lock:
                self._tables[id(rule), number] = table
                if len(self._tables) > KEPT:
                    self._tables.popitem(last=False)
        return table, row - number * ROWS

    def _rule(self, key: str) -> Rule | None:
        found: list[Rule] = []
        for length in self._lengths:
            found += self._by_prefix.get(key[:length], ())
        one = found[0] if len(found) == 1 else None
        return one if one is not None and "offset" in one.to_json() else None

    @staticmethod
    def _make(rule: Rule, number: int) -> ChunkTable:
        stop = min((number + 1) * ROWS, rule.size)
        made = rule.table(number * ROWS, stop)
        count = stop - number * ROWS
        none = np.zeros(count, np.uint64)
        return ChunkTable.from_columns(
            (count,),
            made.urls,
            offset=none if made.offset is None else made.offset,
            length=none if made.length is None else made.length,
            url=made.url,
        )

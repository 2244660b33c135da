"""What the ``gen`` rules of a reference document make, as columns of chunk tables.

Reference specification, version 1: a rule describes the references of the cartesian product of
its dimensions. What rules make replaces what ``refs`` says of the same key, and later rules
replace earlier ones, as in the reference implementation.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import LimitError, MetadataError
from refmaker.model import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.templates import Rule

__all__ = ["EXPANSION_LIMIT", "Ranges", "chunk_numbers", "expanded", "overlaid", "rules_by_path"]

EXPANSION_LIMIT = 1 << 25
"""References that are made from rules when a set is read as a whole."""
_WINDOW = 1 << 20
_FIELD = "\0"
_NONE: Mapping[int, Sequence[Any]] = MappingProxyType({})


class Ranges(NamedTuple):
    """Byte ranges of some chunks of one array; offset 0 and length 0 is the whole file."""

    number: NDArray[np.int64]
    urls: tuple[str, ...]
    url: NDArray[Any]
    offset: NDArray[np.uint64]
    length: NDArray[Any]


def rules_by_path(rules: Iterable[Rule]) -> tuple[dict[str, list[Rule]], list[Rule]]:
    """Sort rules by the array whose chunks they make.

    Parameters
    ----------
    rules : iterable of Rule
        Those of the member ``gen``.

    Returns
    -------
    dict of str to list of Rule
        Rules whose keys are the chunks of one array, such as ``a/{{i}}.0``; in order.
    list of Rule
        All others, such as ``run{{i}}/a/0``.
    """
    sorted_rules: dict[str, list[Rule]] = {}
    others: list[Rule] = []
    for rule in rules:
        path = None if _parts(rule) is None else rule.pattern.literals[0].rpartition("/")[0]
        if path is None:
            others.append(rule)
        else:
            sorted_rules.setdefault(path, []).append(rule)
    return sorted_rules, others


def _parts(rule: Rule) -> list[str] | None:
    """Return the parts of the chunk number in the key: digits, or the mark of a field."""
    literals, fields = rule.pattern.literals, rule.pattern.fields
    if "/" not in literals[0] or any("/" in text for text in literals[1:]):
        return None
    if any(field.width is not None for field in fields):
        return None
    parts = _FIELD.join([literals[0].rpartition("/")[2], *literals[1:]]).split(".")
    plain = all(part == _FIELD or (part.isascii() and part.isdigit()) for part in parts)
    return parts if plain else None


def expanded(rules: Sequence[Rule]) -> Iterator[tuple[str, list[Any]]]:
    """Yield key and reference of every row of some rules, one by one.

    Raises
    ------
    TemplateError
        If one cannot be computed.
    """
    for rule in rules:
        for start in range(0, rule.size, _WINDOW):
            stop = min(start + _WINDOW, rule.size)
            table = rule.table(start, stop)
            spans: Any = [()] * (stop - start)
            if table.offset is not None and table.length is not None:
                spans = zip(table.offset.tolist(), table.length.tolist(), strict=True)
            rows = zip(rule.iter_keys(start, stop), table.url.tolist(), spans, strict=True)
            for key, file, span in rows:
                yield key, [table.urls[file], *span]


def chunk_numbers(rule: Rule, grid: tuple[int, ...], start: int, stop: int) -> NDArray[np.int64]:
    """Return the flat chunk numbers of a window of a rule's rows.

    Parameters
    ----------
    rule : Rule
        One whose keys are chunks of one array.

    Raises
    ------
    MetadataError
        If a key lies outside the grid.
    """
    parts = _parts(rule) or []
    if len(parts) != max(1, len(grid)):
        raise MetadataError(f"a rule whose keys are no chunks of a grid of {grid}", path="gen")
    columns = iter(rule.key_columns(start, stop))
    at = tuple(
        next(columns) if part == _FIELD else np.broadcast_to(np.int64(int(part)), stop - start)
        for part in parts
    )
    try:
        return np.ravel_multi_index(at, grid or (1,)).astype(np.int64, copy=False)
    except ValueError as error:
        raise MetadataError(f"a rule's key lies outside the grid of {grid} chunks") from error


def overlaid(
    base: ChunkTable, rules: Sequence[Rule], single: Mapping[int, Sequence[Any]] = _NONE
) -> ChunkTable:
    """Return a table with what rules make put over it.

    Parameters
    ----------
    base : ChunkTable
        What ``refs`` says.
    rules : sequence of Rule
        Rules of this one array, in order.
    single : mapping of int to sequence
        What rules of several arrays make: ``[url]`` or ``[url, offset, length]``, by flat
        chunk number.

    Raises
    ------
    MetadataError
        If a key lies outside the grid, or a range has no bytes.
    TemplateError
        If a reference cannot be computed.
    LimitError
        If there are more than `EXPANSION_LIMIT` references.
    """
    total = sum(rule.size for rule in rules)
    if total > EXPANSION_LIMIT:
        raise LimitError(
            f"rules that make {total} references, at most {EXPANSION_LIMIT} are held in memory",
            path="gen",
            hint="open the set instead of reading it as a whole",
        )
    layers = [_base(base)] if base.referenced else []
    layers += [_single(single)] if single else []
    layers += [part for rule in rules for part in _windows(rule, base.grid)]
    return _merged(base, layers)


def _windows(rule: Rule, grid: tuple[int, ...]) -> Iterator[Ranges]:
    for start in range(0, rule.size, _WINDOW):
        stop = min(start + _WINDOW, rule.size)
        table = rule.table(start, stop)
        offset = length = np.zeros(stop - start, np.uint64)
        if table.offset is not None and table.length is not None:
            offset, length = table.offset, table.length
            if bool(((offset == 0) & (length == 0)).any()):
                raise MetadataError("a rule makes a range of no bytes", path="gen")
        index = chunk_numbers(rule, grid, start, stop)
        yield Ranges(index, table.urls, table.url, offset, length)


def _single(values: Mapping[int, Sequence[Any]]) -> Ranges:
    urls = {url: number for number, url in enumerate(dict.fromkeys(v[0] for v in values.values()))}
    rows = [(number, urls[v[0]], *(v[1:] or (0, 0))) for number, v in values.items()]
    number, url, offset, length = np.array(rows, np.int64).T
    if any(len(v) > 1 and not any(v[1:]) for v in values.values()):
        raise MetadataError("a rule makes a range of no bytes", path="gen")
    return Ranges(number, tuple(urls), url, offset.astype(np.uint64), length)


def _base(table: ChunkTable) -> Ranges:
    url = np.zeros(table.referenced, np.int32) if table.url is None else table.url
    index = table.numbers().astype(np.int64)
    return Ranges(index, table.urls, url, table.offset, table.length)


def _merged(base: ChunkTable, layers: Sequence[Ranges]) -> ChunkTable:
    """Put layers over one another; the last that has a chunk counts."""
    urls = tuple(dict.fromkeys(url for layer in layers for url in layer.urls))
    number_of = {url: number for number, url in enumerate(urls)}
    files = [
        np.array([number_of[url] for url in layer.urls] or [0], np.int32)[layer.url]
        for layer in layers
    ]
    index = np.concatenate([layer.number for layer in layers] or [np.empty(0, np.int64)])
    if not index.size:
        return base
    columns = {
        "offset": np.concatenate([layer.offset for layer in layers]),
        "length": np.concatenate([layer.length.astype(np.uint64) for layer in layers]),
        "url": np.concatenate(files),
    }
    if bool((index[1:] <= index[:-1]).any()):
        # The first of equals in the reversed column is the last of them.
        index, last = np.unique(index[::-1], return_index=True)
        columns = {name: column[::-1][last] for name, column in columns.items()}
    inlined = dict(base.inlined)
    if inlined:
        keys = np.fromiter(inlined, np.int64, len(inlined))
        for key in keys[np.isin(keys, index)].tolist():
            del inlined[key]
    return ChunkTable.from_columns(base.grid, urls, index=index, inlined=inlined, **columns)

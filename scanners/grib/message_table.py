"""The message table: one row for every field of a file, as columns.

It is what a scan finds out; the layouts are views of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.grib.eccodes_process import lookup_names
from refmaker.scanners.grib.identity import Identity, identity_of
from refmaker.scanners.grib.names import Names, Sections
from refmaker.scanners.grib.packings import check_packings
from refmaker.scanners.grib.products import ABSENT, Product, read_products, section4
from refmaker.scanners.grib.times import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.grib.fields import FieldList, ProductTemplate

__all__ = ["MessageTable", "joined", "message_table"]

# Odd multipliers without a pattern: multiples of the golden ratio, squared.
_GOLDEN = np.arange(1, 4097, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
_HASH = (_GOLDEN * (_GOLDEN >> np.uint64(29))) | np.uint64(1)


@dataclass(frozen=True, slots=True, eq=False)
class MessageTable:
    """One row per field, in file order; all columns have shape (n,).

    Parameters
    ----------
    file : ndarray of int64
        Number of the file.
    message : ndarray of int64
        Offset of the message that holds the field.
    offset, length : ndarray of int64
        The chunk: the message, or the sections of one of its fields.
    part : ndarray of int64
        Number of the field in its message, from 1.
    grid : ndarray of int64
        Position in `grids`.
    template : ndarray of int64
        Position in `names`, `kinds` and `sections`.
    packing : ndarray of int64
        Data representation template (edition 1: flags of section 4).
    vertical : ndarray of int64
        Number of vertical coordinate values.
    coefficients : ndarray of int64
        Position of the list of vertical coordinate values in `lists`.
    values : ndarray of int64
        How many values the packing counts; see `refmaker.scanners.grib.packings`.
    problem : ndarray of int64
        0, or one more than the position in `reasons` of why the field cannot be decoded.
    reference : ndarray of int64
        Reference time, seconds since 1970-01-01T00:00:00.
    start, end : ndarray of int64
        Forecast step in seconds, of an interval both ends.
    until : ndarray of int64
        End of the interval, seconds since 1970, as the message says.
    level, bottom : ndarray of float64
        Level, and second level of a layer, in the unit of the type of level; NaN for none.
    member, percentile : ndarray of int64
        `ABSENT` for none.
    lower, upper : ndarray of float64
        Limits of a probability; NaN for none.
    direction, frequency : ndarray of int64
        Numbers of a wave spectrum; `ABSENT` for none.
    grids : list of (int, bytes)
        Edition and grid definition.
    grid_places : list of (int, int, int)
        File, offset and length of each; length 0 where it is in no file.
    names : list of Names
    kinds : list of ProductTemplate
    sections : list of Sections
        Of one field of each template.
    identities : list of Identity
        What the fields of each template are, and who made them.
    lists : list of (int, bytes)
        Edition and list of vertical coordinate values; the first is none.
    reasons : list of str
        Why fields cannot be decoded.
    """

    file: NDArray[np.int64]
    message: NDArray[np.int64]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    part: NDArray[np.int64]
    grid: NDArray[np.int64]
    template: NDArray[np.int64]
    packing: NDArray[np.int64]
    vertical: NDArray[np.int64]
    coefficients: NDArray[np.int64]
    values: NDArray[np.int64]
    problem: NDArray[np.int64]
    reference: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    until: NDArray[np.int64]
    level: NDArray[np.float64]
    bottom: NDArray[np.float64]
    member: NDArray[np.int64]
    percentile: NDArray[np.int64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    direction: NDArray[np.int64]
    frequency: NDArray[np.int64]
    grids: list[tuple[int, bytes]]
    grid_places: list[tuple[int, int, int]]
    names: list[Names]
    kinds: list[ProductTemplate]
    sections: list[Sections]
    identities: list[Identity]
    lists: list[tuple[int, bytes]]
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.message)

    def take(self, rows: NDArray[Any]) -> MessageTable:
        """Return some rows as a table of their own."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    @property
    def placeable(self) -> NDArray[np.bool_]:
        """Which fields have a time; others cannot be told apart."""
        known = (self.reference != UNKNOWN) & (self.start != UNKNOWN) & (self.end != UNKNOWN)
        return np.asarray(known)


COLUMNS = tuple(
    item.name for item in fields(MessageTable)
    if item.name not in {
        "grids", "grid_places", "names", "kinds", "sections", "identities", "lists", "reasons",
    }
)  # fmt: skip


def message_table(found: FieldList) -> MessageTable:
    """Return the table of the fields of a file.

    Parameters
    ----------
    found : FieldList
        What the walk found.
    """
    n = found.mark()
    pile = found.column("pile")
    columns: dict[str, NDArray[Any]] = {
        name: found.column(name)
        for name in (
            "message",
            "offset",
            "length",
            "part",
            "grid",
            "packing",
            "vertical",
            "coefficients",
        )
    }
    columns["file"] = np.zeros(n, np.int64)
    columns["values"], columns["problem"], reasons = check_packings(found)
    for name in ("template", "reference", "start", "end", "until", "member", "percentile"):
        columns[name] = np.full(n, ABSENT)
    for name in ("level", "bottom", "lower", "upper"):
        columns[name] = np.full(n, np.nan)
    table = MessageTable(
        **columns,
        direction=np.full(n, ABSENT), frequency=np.full(n, ABSENT),
        grids=list(found.grids), grid_places=[(0, *place) for place in found.grid_places],
        names=[], kinds=[], sections=[], identities=[], lists=list(found.coefficients),
        reasons=reasons,
    )  # fmt: skip
    keys: list[Hashable] = []
    blanked: list[bytes] = []
    local = list(found.locals)
    order = np.argsort(pile, kind="stable")
    bounds = np.searchsorted(pile[order], np.arange(len(found.piles) + 1))
    for number, kind in enumerate(found.piles):
        where = order[bounds[number] : bounds[number + 1]]
        rows = found.rows(kind)
        product = read_products(kind, rows)
        for name in Product.__slots__:
            if name != "template":
                getattr(table, name)[where] = getattr(product, name)
        first, inverse = _distinct(product.template)
        table.template[where] = inverse + len(keys)
        for row in first.tolist():
            grid = table.grids[int(table.grid[where[row]])][1]
            sections = _sections(kind, bytes(rows[row]), local[kind.local], grid)
            keys.append((
                kind._replace(local=0, grid=-1), bytes(product.template[row]), sections.local,
                grid if kind.grid >= 0 else b"",
            ))  # fmt: skip
            blanked.append(bytes(product.template[row]))
            table.kinds.append(kind)
            table.sections.append(sections)
    table.names.extend(lookup_names(list(zip(keys, table.sections, strict=True))))
    table.identities.extend(
        identity_of(kind, row, sections.local, names)
        for kind, row, sections, names in zip(
            table.kinds, blanked, table.sections, table.names, strict=True
        )
    )
    _complete(table)
    return table


def joined(tables: Sequence[MessageTable]) -> MessageTable:
    """Return the fields of many files as one table.

    Parameters
    ----------
    tables : sequence of MessageTable
        One for each file, whose number is its position.
    """
    grids: dict[tuple[int, bytes], int] = {}
    templates: dict[Hashable, int] = {}
    reasons: dict[str, int] = {}
    lists: dict[tuple[int, bytes], int] = {(0, b""): 0}
    empty: dict[str, Any] = {name: np.empty(0, np.int64) for name in COLUMNS}
    whole = MessageTable(
        **empty, grids=[], grid_places=[], names=[],
        kinds=[], sections=[], identities=[], lists=[], reasons=[],
    )  # fmt: skip
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
    for number, table in enumerate(tables):
        for at, grid in enumerate(table.grids):
            if grids.setdefault(grid, len(grids)) == len(whole.grids):
                whole.grids.append(grid)
                whole.grid_places.append((number, *table.grid_places[at][1:]))
        for at, names in enumerate(table.names):
            # Names are kept: those of one template are one object for all files.
            kind = table.kinds[at]._replace(local=0, grid=-1)
            key = id(names), kind, table.sections[at].local, table.identities[at].key
            if templates.setdefault(key, len(templates)) == len(whole.names):
                for name in ("names", "kinds", "sections", "identities"):
                    getattr(whole, name).append(getattr(table, name)[at])
        new = {
            "file": np.full(len(table), number),
            "grid": np.array([grids[grid] for grid in table.grids], np.int64)[table.grid],
            "template": _renumbered(table, templates)[table.template],
            "coefficients": np.array(
                [lists.setdefault(one, len(lists)) for one in table.lists], np.int64
            )[table.coefficients],
            "problem": np.array(
                [0, *(reasons.setdefault(text, len(reasons)) + 1 for text in table.reasons)]
            )[table.problem],
        }
        for name, parts in columns.items():
            parts.append(new.get(name, getattr(table, name)))
    whole.reasons.extend(reasons)
    whole.lists.extend(lists)
    merged: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    return replace(whole, **merged)


def _renumbered(table: MessageTable, templates: Mapping[Hashable, int]) -> NDArray[np.int64]:
    numbers = [
        templates[
            id(names), kind._replace(local=0, grid=-1), sections.local, identity.key
        ]
        for names, kind, sections, identity in zip(
            table.names, table.kinds, table.sections, table.identities, strict=True
        )
    ]  # fmt: skip
    return np.array(numbers, np.int64)


def _distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first of equal rows, and for every row the number of its equal."""
    if rows.shape[1] <= len(_HASH):
        hashed = rows.astype(np.uint64) @ _HASH[: rows.shape[1]]
        _, first, inverse = np.unique(hashed, return_index=True, return_inverse=True)
        if bool((rows[first[inverse]] == rows).all()):
            return first, inverse
    whole = np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").reshape(-1)
    numbers: dict[bytes, int] = {}
    inverse = np.array([numbers.setdefault(bytes(row), len(numbers)) for row in whole], np.int64)
    return np.unique(inverse, return_index=True)[1], inverse


def _sections(kind: ProductTemplate, row: bytes, local: bytes, grid: bytes) -> Sections:
    if kind.edition == 1:
        return Sections(1, 0, row, b"", grid, b"")
    product = row[: kind.identification]
    return Sections(2, kind.discipline, product, local, grid, section4(kind, row))


def _complete(table: MessageTable) -> None:
    """Fill in what only the names tell."""
    template = table.template

    def told(values: list[Any], missing: Any) -> NDArray[Any]:
        column = np.array([missing if value is None else value for value in values])
        return column[template] if column.size else column

    names = table.names
    _fill(table.level, np.isnan(table.level), told([n.level for n in names], np.nan))
    _fill(table.bottom, np.isnan(table.bottom), told([n.bottom for n in names], np.nan))
    _fill(table.member, table.member == ABSENT, told([n.member for n in names], ABSENT))
    unknown = (table.end == UNKNOWN) & (table.reference != UNKNOWN)
    steps = [n.step or (UNKNOWN, UNKNOWN) for n in names]
    _fill(table.start, unknown, told([step[0] for step in steps], UNKNOWN))
    _fill(table.end, unknown, told([step[1] for step in steps], UNKNOWN))
    table.direction[:] = told([n.direction for n in names], ABSENT)
    table.frequency[:] = told([n.frequency for n in names], ABSENT)


def _fill(column: NDArray[Any], where: NDArray[np.bool_], values: NDArray[Any]) -> None:
    if where.any():
        column[where] = values[where]

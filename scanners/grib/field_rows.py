"""What fields of many files have in common: a row for each field of each kind of file.

Files of one forecast hour differ in their reference time, and in where their fields lie; all else
is kept once, however many files there are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.scanners.grib.eccodes_process import lookup_names
from refmaker.scanners.grib.identity import Identity, identity_of
from refmaker.scanners.grib.names import Names, Sections
from refmaker.scanners.grib.products import ABSENT, dated, section4
from refmaker.scanners.grib.times import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.grib.fields import ProductTemplate

__all__ = ["COLUMNS", "FieldRows", "FieldTemplate", "merged", "named"]


class FieldTemplate(NamedTuple):
    """Fields that differ only in what columns hold.

    Parameters
    ----------
    kind : ProductTemplate
        Layout of their sections.
    row : bytes
        Sections 1 and 4 of the first of them, without the dates that columns hold.
    blanked : bytes
        The same without all that columns hold.
    local : bytes
        Section 2 of edition 2.
    first : int
        Row of the first of them.
    """

    kind: ProductTemplate
    row: bytes
    blanked: bytes
    local: bytes
    first: int


@dataclass(frozen=True, slots=True, eq=False)
class FieldRows:
    """One row for each field that differs from others in more than its place; shapes (n,).

    Parameters
    ----------
    grid : ndarray of int64
        Position in `grids`.
    template : ndarray of int64
        Position in `templates`, `names`, `sections` and `identities`.
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
        Reference time, seconds since that of the file.
    start, end : ndarray of int64
        Forecast step in seconds, of an interval both ends.
    until : ndarray of int64
        End of the interval as the message says, seconds since the reference time of the file.
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
    templates : list of FieldTemplate
    names : list of Names
    sections : list of Sections
        Of one field of each template.
    identities : list of Identity
        What the fields of each template are, and who made them.
    lists : list of (int, bytes)
        Edition and list of vertical coordinate values; the first is none.
    reasons : list of str
        Why fields cannot be decoded.
    """

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
    templates: list[FieldTemplate]
    names: list[Names]
    sections: list[Sections]
    identities: list[Identity]
    lists: list[tuple[int, bytes]]
    reasons: list[str]

    def __len__(self) -> int:
        return len(self.grid)

    @property
    def placeable(self) -> NDArray[np.bool_]:
        """Which fields have a time; others cannot be told apart."""
        known = (self.reference != UNKNOWN) & (self.start != UNKNOWN) & (self.end != UNKNOWN)
        return np.asarray(known)


_LISTS = ("grids", "templates", "names", "sections", "identities", "lists", "reasons")
COLUMNS = tuple(item.name for item in fields(FieldRows) if item.name not in _LISTS)


def named(rows: FieldRows, base: int) -> None:
    """Fill in what fields of each template are called, and what only that tells.

    Parameters
    ----------
    base : int
        Reference time of one of them, seconds since 1970.
    """
    keys: list[Hashable] = []
    for one in rows.templates:
        grid = rows.grids[int(rows.grid[one.first])][1]
        when, until = (int(column[one.first]) for column in (rows.reference, rows.until))
        row = dated(one.kind, one.row, *(t if t == UNKNOWN else t + base for t in (when, until)))
        rows.sections.append(_sections(one.kind, row, one.local, grid))
        keys.append((
            one.kind._replace(local=0, grid=-1), one.blanked, one.local,
            grid if one.kind.grid >= 0 else b"",
        ))  # fmt: skip
    rows.names.extend(lookup_names(list(zip(keys, rows.sections, strict=True))))
    for key, one, names in zip(keys, rows.templates, rows.names, strict=True):
        known = _identities.get(key)
        if known is None or known[0] is not names:
            known = names, identity_of(one.kind, one.blanked, one.local, names)
            _identities[key] = known
        rows.identities.append(known[1])
    _complete(rows)


_identities: dict[Hashable, tuple[Names, Identity]] = {}
"""By what names depend on: the names, and the identity that goes with them."""


def _sections(kind: ProductTemplate, row: bytes, local: bytes, grid: bytes) -> Sections:
    if kind.edition == 1:
        return Sections(1, 0, row, b"", grid, b"")
    product = row[: kind.identification]
    return Sections(2, kind.discipline, product, local, grid, section4(kind, row))


def _complete(rows: FieldRows) -> None:
    """Fill in what only the names tell."""

    def told(values: list[Any], missing: Any) -> NDArray[Any]:
        column = np.array([missing if value is None else value for value in values])
        return column[rows.template] if column.size else column

    names = rows.names
    _fill(rows.level, np.isnan(rows.level), told([n.level for n in names], np.nan))
    _fill(rows.bottom, np.isnan(rows.bottom), told([n.bottom for n in names], np.nan))
    _fill(rows.member, rows.member == ABSENT, told([n.member for n in names], ABSENT))
    unknown = (rows.end == UNKNOWN) & (rows.reference != UNKNOWN)
    steps = [n.step or (UNKNOWN, UNKNOWN) for n in names]
    _fill(rows.start, unknown, told([step[0] for step in steps], UNKNOWN))
    _fill(rows.end, unknown, told([step[1] for step in steps], UNKNOWN))
    rows.direction[:] = told([n.direction for n in names], ABSENT)
    rows.frequency[:] = told([n.frequency for n in names], ABSENT)


def _fill(column: NDArray[Any], where: NDArray[np.bool_], values: NDArray[Any]) -> None:
    if where.any():
        column[where] = values[where]


def merged(parts: Sequence[FieldRows]) -> FieldRows:
    """Return the rows of several kinds of files as one; equal grids and templates become one."""
    if len(parts) == 1:
        return parts[0]
    grids: dict[tuple[int, bytes], int] = {}
    templates: dict[Hashable, int] = {}
    reasons: dict[str, int] = {}
    lists: dict[tuple[int, bytes], int] = {(0, b""): 0}
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
    kept: dict[str, list[Any]] = {name: [] for name in _LISTS}
    for part in parts:
        of_template = []
        for at, (one, names) in enumerate(zip(part.templates, part.names, strict=True)):
            # Names are kept: those of one template are one object for all files.
            kind = one.kind._replace(local=0, grid=-1)
            key = id(names), kind, one.local, part.identities[at].key
            of_template.append(templates.setdefault(key, len(templates)))
            if of_template[-1] == len(kept["names"]):
                for name in ("templates", "names", "sections", "identities"):
                    kept[name].append(getattr(part, name)[at])
        new = {
            "grid": _numbers(grids, part.grids)[part.grid],
            "template": np.array(of_template, np.int64)[part.template],
            "coefficients": _numbers(lists, part.lists)[part.coefficients],
            "problem": np.append(0, _numbers(reasons, part.reasons) + 1)[part.problem],
        }
        for name, pieces in columns.items():
            pieces.append(new.get(name, getattr(part, name)))
    kept |= {"grids": list(grids), "lists": list(lists), "reasons": list(reasons)}
    whole: dict[str, Any] = {name: np.concatenate(pieces) for name, pieces in columns.items()}
    whole |= kept
    return FieldRows(**whole)


def _numbers(known: dict[Any, int], values: Sequence[Any]) -> NDArray[np.int64]:
    """Return the number of each value, new ones counted on."""
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)

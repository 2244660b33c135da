"""The message table: one row for every field of one file or of many.

It is what a scan finds out; the layouts are views of it. All that fields of several files have in
common is kept once; see `refmaker.scanners.grib.field_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.grib.field_rows import FieldRows, merged, named
from refmaker.scanners.grib.times import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.grib.file_fields import FileFields

__all__ = ["MessageTable", "joined"]

_TIMES = ("reference", "until")
"""Columns that count from the reference time of each file."""


@dataclass(frozen=True, slots=True, eq=False)
class MessageTable:
    """One row per field, files one after the other; columns have shape (n,).

    Parameters
    ----------
    file : ndarray of unsigned integers
        Number of the file.
    row : ndarray of uint32
        Row of `shared` that says what the field is.
    offset, length : ndarray of int64
        The chunk: the message, or the sections of one of its fields.
    base : ndarray of int64, shape (files,)
        Reference time of each file, seconds since 1970-01-01T00:00:00.
    shared : FieldRows
        What the fields are.
    grid_places : list of (int, int, int)
        File, offset and length of each grid definition; length 0 where it is in no file.
    """

    file: NDArray[Any]
    row: NDArray[np.uint32]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    base: NDArray[np.int64]
    shared: FieldRows
    grid_places: list[tuple[int, int, int]]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: NDArray[Any]) -> MessageTable:
        """Return some rows as a table of their own."""
        if len(rows) == len(self):
            return self
        columns = ("file", "row", "offset", "length")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def column(self, name: str, rows: Any = slice(None)) -> NDArray[Any]:
        """Return a column of `shared`, of some fields; times are seconds since 1970."""
        values: NDArray[Any] = getattr(self.shared, name)[self.row[rows]]
        if name in _TIMES:
            return np.where(values == UNKNOWN, UNKNOWN, values + self.base[self.file[rows]])
        return values

    def distinct(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the distinct rows of `shared` of some fields, and for each field its position.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Which fields.
        """
        return _distinct(self.row[rows], len(self.shared))

    def files(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers of the files of some fields, and for each field its position."""
        return _distinct(self.file[rows], len(self.base))

    def references(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the reference times of some fields, and for each field its position."""
        used, at = self.distinct(rows)
        files, of_file = self.files(rows)
        later, which = np.unique(self.shared.reference[used], return_inverse=True)
        bases, run = np.unique(self.base[files], return_inverse=True)
        if len(later) * len(bases) > 4 * len(rows) + 64:
            # Each file has fields of times of its own.
            return np.unique(self.column("reference", rows), return_inverse=True)
        code = which[at] * len(bases) + run[of_file]
        codes, position = _distinct(code, len(later) * len(bases))
        times = later[codes // len(bases)] + bases[codes % len(bases)]
        values, order = np.unique(times, return_inverse=True)
        return values, order[position]


def _distinct(
    numbers: NDArray[Any], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """Return distinct numbers below a limit in order, and for each number its position."""
    if limit > 16 * len(numbers) + 1024:
        values, inverse = np.unique(numbers, return_inverse=True)
        return values.astype(np.int64), inverse
    seen = np.zeros(limit, bool)
    seen[numbers] = True
    values = np.flatnonzero(seen)
    where = np.empty(limit, np.int64)
    where[values] = np.arange(len(values))
    return values, where[numbers]


def joined(files: Sequence[FileFields]) -> MessageTable:
    """Return the fields of many files as one table.

    Parameters
    ----------
    files : sequence of FileFields
        The files, whose numbers are their positions.
    """
    kinds: dict[bytes, int] = {}
    parts: list[FieldRows] = []
    of_file = np.empty(len(files), np.int64)
    places: dict[tuple[int, bytes], tuple[int, int, int]] = {}
    for number, file in enumerate(files):
        of_file[number] = kinds.setdefault(file.common, len(kinds))
        if of_file[number] == len(parts):
            parts.append(file.rows())
            named(parts[-1], file.base)
            for grid, place in zip(parts[-1].grids, file.grid_places, strict=True):
                places.setdefault(grid, (number, *place))
    sizes = np.array([len(part) for part in parts], np.int64)
    starts = np.cumsum(sizes) - sizes
    ranges = [
        np.arange(start, start + size, dtype=np.uint32)
        for start, size in zip(starts, sizes, strict=True)
    ]
    shared = merged(parts)
    return MessageTable(
        file=np.repeat(np.arange(len(files), dtype=np.uint32), sizes[of_file]),
        row=np.concatenate([ranges[kind] for kind in of_file.tolist()]),
        offset=np.concatenate([file.offset for file in files]),
        length=np.concatenate([file.length for file in files]),
        base=np.array([file.base for file in files], np.int64),
        shared=shared,
        grid_places=[places[grid] for grid in shared.grids],
    )

"""The fields of a file that is known from its list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.file_fields import FileFields, file_fields
from refmaker.scanners.grib.taught_sections import add_field
from refmaker.scanners.grib.times import UNKNOWN, seconds

if TYPE_CHECKING:
    from collections.abc import Hashable

    from refmaker.scanners.grib.listed_file import ListedFile
    from refmaker.scanners.grib.taught_sections import Header, TaughtSections

__all__ = ["MappedFields"]


class MappedFields:
    """Makes tables of files; those of equal wording differ in places and reference time alone."""

    def __init__(self, taught: TaughtSections) -> None:
        self._taught = taught
        self._known: dict[Hashable, tuple[FileFields, list[tuple[int, int]]]] = {}
        """Fields, and where grid definitions lie: row, and bytes into the message."""

    def fields(self, file: ListedFile) -> FileFields:
        """Return the fields of a file.

        Parameters
        ----------
        file : ListedFile
            All of whose lines are told, or read.
        """
        reference = _reference(file.like)
        known = self._known.get(file.wording)
        if known is not None and reference != UNKNOWN:
            fields, grids = known
            lengths = [length for _, length in fields.grid_places]
            places = [int(file.places[row]) + inside for row, inside in grids]
            return replace(
                fields, base=reference, offset=file.places, length=file.lengths,
                grid_places=list(zip(places, lengths, strict=True)),
            )  # fmt: skip
        found, complete = self._listed(file)
        fields = file_fields(found)
        if complete and reference != UNKNOWN:
            self._known[file.wording] = fields, _grids(found)
        return fields

    def _listed(self, file: ListedFile) -> tuple[FieldList, bool]:
        """Return what a file's list says, and whether that is all: nothing was read."""
        found = FieldList()
        done: set[int] = set()
        places = zip(file.places.tolist(), file.lengths.tolist(), strict=True)
        for (at, length), told in zip(places, file.all_told(self._taught), strict=True):
            if told is not None:
                add_field(found, at, length, *told)
            elif at not in done:
                done.add(at)
                for field in file.read[at]:
                    field.add(found)
        return found, not done


def _reference(like: Header | None) -> int:
    """Return a reference time in seconds since 1970."""
    if like is None:
        return UNKNOWN
    columns = [np.array([value]) for value in like.time]
    return int(seconds(tuple(columns[:3]), tuple(columns[3:]))[0])


def _grids(found: FieldList) -> list[tuple[int, int]]:
    """Return of each grid definition the first row that has it, and how far into its message."""
    grid, message = found.column("grid"), found.column("message")
    rows = [int(np.flatnonzero(grid == number)[0]) for number in range(len(found.grid_places))]
    inside = [
        place - int(message[row]) for row, (place, _) in zip(rows, found.grid_places, strict=True)
    ]
    return list(zip(rows, inside, strict=True))

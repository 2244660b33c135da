"""The fields of a file that is known from its list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.file_fields import file_fields
from refmaker.scanners.grib.taught_sections import add_field
from refmaker.scanners.grib.times import UNKNOWN, seconds

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from refmaker.scanners.grib.file_fields import FileFields
    from refmaker.scanners.grib.listed_file import ListedFile
    from refmaker.scanners.grib.taught_sections import Header, TaughtSections

__all__ = ["MappedTables"]


class _Known(NamedTuple):
    """The fields of a file, and where its grid definitions lie: row, and bytes into the message."""

    fields: FileFields
    grids: list[tuple[int, int]]


class MappedTables:
    """Makes tables of files; those of equal wording differ in places and reference time alone.

    Parameters
    ----------
    taught : TaughtSections
        What lines stand for.
    """

    def __init__(self, taught: TaughtSections) -> None:
        self._taught = taught
        self._known: dict[Hashable, _Known] = {}

    def table(self, file: ListedFile) -> FileFields:
        """Return the fields of a file.

        Parameters
        ----------
        file : ListedFile
            All of whose lines are told, or read.
        """
        known = self._known.get(file.wording)
        reference = _reference(file.like)
        if known is not None and reference != UNKNOWN:
            return _moved(known, file, reference)
        found = FieldList()
        done: set[int] = set()
        complete = True
        places = zip(file.places.tolist(), file.lengths.tolist(), strict=True)
        for (at, length), told in zip(places, file.all_told(self._taught), strict=True):
            if told is not None:
                add_field(found, at, length, *told)
            elif at not in done:
                done.add(at)
                complete = False
                for field in file.read[at]:
                    field.add(found)
        fields = file_fields(found)
        if complete and reference != UNKNOWN:
            self._known[file.wording] = _Known(fields, _grids(fields))
        return fields


def _reference(like: Header | None) -> int:
    """Return a reference time in seconds since 1970."""
    if like is None:
        return UNKNOWN
    columns = [np.array([value]) for value in like.time]
    return int(seconds(tuple(columns[:3]), tuple(columns[3:]))[0])


def _grids(fields: FileFields) -> list[tuple[int, int]]:
    grid = fields.rows().grid
    rows = [int(np.flatnonzero(grid == number)[0]) for number in range(len(fields.grid_places))]
    places = [place for place, _ in fields.grid_places]
    return [
        (row, place - int(fields.offset[row])) for row, place in zip(rows, places, strict=True)
    ]  # fmt: skip


def _moved(known: _Known, file: ListedFile, reference: int) -> FileFields:
    """Return fields with the places and the reference time of another file."""
    offsets: NDArray[np.int64] = file.places
    return replace(
        known.fields,
        base=reference, offset=offsets, length=file.lengths,
        grid_places=[
            (int(offsets[row]) + inside, length)
            for (row, inside), (_, length) in zip(
                known.grids, known.fields.grid_places, strict=True
            )
        ],
    )  # fmt: skip

"""The message table of a file that is known from its list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.message_table import message_table
from refmaker.scanners.grib.taught_sections import add_field
from refmaker.scanners.grib.times import UNKNOWN, seconds

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from refmaker.scanners.grib.listed_file import ListedFile
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.taught_sections import Header, TaughtSections

__all__ = ["MappedTables"]


class _Known(NamedTuple):
    """The table of a file, and where its grid definitions lie: row, and bytes into the message."""

    table: MessageTable
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

    def table(self, file: ListedFile) -> MessageTable:
        """Return the table of a file.

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
        table = message_table(found)
        if complete and reference != UNKNOWN:
            self._known[file.wording] = _Known(table, _grids(table))
        return table


def _reference(like: Header | None) -> int:
    """Return a reference time in seconds since 1970."""
    if like is None:
        return UNKNOWN
    columns = [np.array([value]) for value in like.time]
    return int(seconds(tuple(columns[:3]), tuple(columns[3:]))[0])


def _grids(table: MessageTable) -> list[tuple[int, int]]:
    rows = [int(np.flatnonzero(table.grid == number)[0]) for number in range(len(table.grids))]
    places = [place for _, place, _ in table.grid_places]
    return [
        (row, place - int(table.message[row])) for row, place in zip(rows, places, strict=True)
    ]  # fmt: skip


def _moved(known: _Known, file: ListedFile, reference: int) -> MessageTable:
    """Return a table with the places and the reference time of another file."""
    table = known.table
    offsets: NDArray[np.int64] = file.places
    later = reference - int(table.reference[0])
    return replace(
        table,
        message=offsets, offset=offsets, length=file.lengths,
        reference=np.full(len(table), reference),
        until=np.where(table.until == UNKNOWN, UNKNOWN, table.until + later),
        grid_places=[
            (0, int(offsets[row]) + inside, length)
            for (row, inside), (_, _, length) in zip(known.grids, table.grid_places, strict=True)
        ],
    )  # fmt: skip

"""Directories as they are read: their bytes, sorted by length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.errors import FormatError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.tiff.ifd_entries import Format

__all__ = ["MAX_ENTRIES", "RawDirectories", "Trouble"]

MAX_ENTRIES = 4096
"""Entries of a directory beyond which it is taken for noise; the largest known has about 200."""
_AHEAD = 1024
"""Bytes read of a directory before its length is known."""


class Trouble(NamedTuple):
    """A directory that a file names and that cannot be read.

    Parameters
    ----------
    path : str
        What it would be: ``/page/7``, or ``/page/7/2`` for the third below page 7.
    reason, code : str
        Why; as in a report.
    """

    path: str
    reason: str
    code: str


class Run(NamedTuple):
    """A number of directories at equal distances: pages from `page`, offsets from `first`."""

    page: int
    first: int
    step: int
    number: int

    def holds(self, offset: int) -> bool:
        """Tell whether one of them is at an offset."""
        return (
            self.first <= offset < self.first + self.number * self.step
            and (offset - self.first) % self.step == 0
        )


@dataclass(slots=True)
class _Part:
    """Directories of one length: page numbers, and bytes one after another."""

    numbers: list[NDArray[np.int64] | int] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class RawDirectories:
    """The bytes of directories, sorted by length.

    Attributes
    ----------
    count : int
        Directories so far.
    troubles : list of Trouble
        Directories that cannot be read.
    inferred : int
        How many were not read but inferred from others.
    """

    source: Source
    form: Format
    count: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    inferred: int = 0
    _offsets: list[NDArray[np.int64] | int] = field(default_factory=list)
    _parents: dict[int, int] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _runs: list[Run] = field(default_factory=list)
    _parts: dict[tuple[int, int], _Part] = field(default_factory=dict)
    _total: int = 0

    def read(self, offset: int, parent: int = -1) -> tuple[bytes, int]:
        """Read the directory at an offset and keep it.

        Returns
        -------
        bytes
            The directory.
        int
            Offset of the next one, 0 if it is the last.

        Raises
        ------
        FormatError, TruncatedError
            If there is no directory at that offset.
        """
        form, source = self.form, self.source
        if not 8 <= offset < source.size:
            raise TruncatedError(f"a directory at byte {offset} of {source.size}", offset=offset)
        data = source.read_upto(offset, _AHEAD)
        entries = form.integer(data[: form.lead])
        size = form.size(entries)
        if not 0 < entries <= MAX_ENTRIES:
            raise FormatError(f"a directory of {entries} entries", offset=offset)
        if size > len(data):
            data = source.read_upto(offset, size)
            if len(data) < size - form.word:
                raise TruncatedError(
                    f"a directory of {entries} entries goes beyond the end", offset=offset
                )
            # Some writers end the file with the last entry.
            data = data[: size - form.word] if len(data) < size else data
        data = data[:size].ljust(size, b"\0")
        self._count_bytes(size, offset)
        if parent >= 0:
            self._parents[self.count] = parent
        part = self._parts.setdefault((size, 0), _Part())
        part.numbers.append(self.count)
        part.data += data
        self._offsets.append(offset)
        self._seen.add(offset)
        self.count += 1
        return data, form.integer(data[size - form.word :])

    def add_run(self, first: int, step: int, rows: NDArray[np.uint8], size: int) -> None:
        """Keep directories of the main chain at equal distances.

        Parameters
        ----------
        first, step : int
            Offset of the first, distance of each to the next.
        rows : ndarray of uint8, shape (n, size + tail)
            Their bytes, and some bytes behind them.
        size : int
            Bytes of a directory.
        """
        count = len(rows)
        self._count_bytes(size * count, first)
        part = self._parts.setdefault((size, rows.shape[1] - size), _Part())
        part.numbers.append(np.arange(self.count, self.count + count))
        part.data += memoryview(np.ascontiguousarray(rows))  # type: ignore[arg-type]
        self._offsets.append(first + step * np.arange(count))
        run = Run(self.count, first, step, count)
        last = self._runs[-1] if self._runs else None
        if (
            last
            and (last.page + last.number, last.first + last.number * step, last.step) == run[:3]
        ):
            self._runs[-1] = last._replace(number=last.number + count)
        else:
            self._runs.append(run)
        self.count += count

    def _count_bytes(self, nbytes: int, offset: int) -> None:
        self._total += nbytes
        if self._total > self.source.size + self.form.word:
            raise FormatError("directories overlap", offset=offset)

    def knows(self, offset: int) -> bool:
        """Tell whether the directory at an offset has been read."""
        return offset in self._seen or any(run.holds(offset) for run in self._runs)

    def unknown(self, offsets: NDArray[np.int64]) -> int:
        """Return how many offsets, from the first on, are not those of directories read."""
        listed = offsets.tolist()
        found: list[int] = []
        if not self._seen.isdisjoint(listed):
            found = [next(i for i, offset in enumerate(listed) if offset in self._seen)]
        for run in self._runs:
            away = offsets - run.first
            hit = (away >= 0) & (away < run.number * run.step) & (away % run.step == 0)
            found += np.flatnonzero(hit)[:1].tolist()
        return min(found, default=offsets.size)

    @property
    def many_runs(self) -> bool:
        """Whether there are so many runs that looking through them takes longer than they save."""
        return len(self._runs) > 64

    def offsets(self) -> NDArray[np.int64]:
        """Return the offset of every directory, by page number."""
        return np.concatenate([np.atleast_1d(part) for part in self._offsets]).astype(np.int64)

    def parents(self) -> NDArray[np.int64]:
        """Return the page below which each hangs, -1 for none."""
        found = np.full(self.count, -1, np.int64)
        found[list(self._parents)] = list(self._parents.values())
        return found

    def sorted(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], int]]:
        """Yield page numbers, rows of bytes, and the length of a directory in them."""
        for (size, tail), part in self._parts.items():
            numbers = np.concatenate([np.atleast_1d(item) for item in part.numbers])
            rows = np.frombuffer(part.data, np.uint8)
            yield numbers.astype(np.int64), rows.reshape(-1, size + tail), size

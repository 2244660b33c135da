"""Following image file directories through a file: the main chain, and SubIFDs below it.

Each directory ends with the offset of the next. Where they turn up at equal distances, the
following ones of a remote file are fetched ahead in one round; the walk itself stays the same,
so that what is found is what a walk one by one would find.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, RefmakerError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.entries import Format
    from refmaker.source import Source

__all__ = ["MAX_ENTRIES", "Pile", "Trouble", "read_below", "walk"]

MAX_ENTRIES = 4096
"""Entries of a directory beyond which it is taken for noise; the largest known has about 200."""
AHEAD = 1024
"""Bytes read of a directory before its length is known."""
REGULAR = 8
"""Equal distances between directories after which the next ones are guessed."""
BATCH = 4096
"""Directories that are fetched ahead at most."""


@dataclass(frozen=True, slots=True)
class Trouble:
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


@dataclass(slots=True)
class Pile:
    """The bytes of directories, sorted by length.

    Attributes
    ----------
    offsets, parents : list of int
        Where each lies and the page it hangs below (-1: none), by page number.
    seen : dict of int to int
        Page number by offset.
    troubles : list of Trouble
        Directories that cannot be read.
    inferred : int
        How many were not read but inferred from others.
    """

    source: Source
    form: Format
    offsets: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    inferred: int = 0
    _numbers: dict[int, list[int]] = field(default_factory=dict)
    _bytes: dict[int, bytearray] = field(default_factory=dict)
    _total: int = 0

    def read(self, offset: int, parent: int = -1) -> int:
        """Read the directory at an offset and keep it; return the offset of the next one.

        Raises
        ------
        FormatError, TruncatedError
            If there is no directory at that offset.
        """
        form, source = self.form, self.source
        if not 8 <= offset < source.size:
            raise TruncatedError(f"a directory at byte {offset} of {source.size}", offset=offset)
        data = source.read_upto(offset, AHEAD)
        entries = form.integer(data[: form.lead])
        size = form.size(entries)
        if not 0 < entries <= MAX_ENTRIES:
            raise FormatError(f"a directory of {entries} entries", offset=offset)
        if size > len(data):
            data = source.read_upto(offset, size)
            if size > len(data):
                # Some writers end the file with the last entry.
                data += bytes(form.word)
                if size > len(data) + form.word:
                    raise TruncatedError(
                        f"a directory of {entries} entries goes beyond the end", offset=offset
                    )
                data = data[: size - form.word].ljust(size, b"\0")
        self._total += size
        if self._total > source.size + size:
            raise FormatError("directories overlap", offset=offset)
        number = len(self.offsets)
        self.offsets.append(offset)
        self.parents.append(parent)
        self.seen[offset] = number
        if size not in self._numbers:
            self._numbers[size], self._bytes[size] = [], bytearray()
        self._numbers[size].append(number)
        self._bytes[size] += data[:size]
        return form.integer(data[size - form.word : size])

    def add_guessed(self, offsets: NDArray[np.int64], blocks: NDArray[np.uint8]) -> None:
        """Keep directories of the main chain that were not read, with the bytes they must have."""
        first, size = len(self.offsets), blocks.shape[1]
        numbers = range(first, first + len(offsets))
        self.offsets += offsets.tolist()
        self.parents += [-1] * len(offsets)
        self.seen.update(zip(self.offsets[first:], numbers, strict=True))
        self._numbers[size] += numbers
        self._bytes[size] += blocks.tobytes()
        self.inferred += len(offsets)

    def last(self, count: int) -> NDArray[np.uint8] | None:
        """Return the bytes of the last directories, shape (count, size); None if unequal."""
        size = next((s for s, n in self._numbers.items() if n[-1] == len(self.offsets) - 1), 0)
        numbers = self._numbers.get(size, [])
        if len(numbers) < count or numbers[-count] != len(self.offsets) - count:
            return None
        tail = bytes(self._bytes[size][-count * size :])
        return np.frombuffer(tail, np.uint8).reshape(count, size)

    def sorted(self) -> list[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Return page numbers and bytes of all directories, those of one length together."""
        return [
            (
                np.array(numbers, np.int64),
                np.frombuffer(self._bytes[size], np.uint8).reshape(-1, size),
            )
            for size, numbers in self._numbers.items()
        ]


def walk(pile: Pile, offset: int, trust: bool = False) -> None:
    """Read the main chain from its first directory on.

    Parameters
    ----------
    pile : Pile
        Where the directories go; `troubles` gets what ends the chain too early.
    offset : int
        Of the first directory.
    trust : bool
        Whether directories at equal distances may be taken from a sample; see `guess`.

    Raises
    ------
    FormatError, TruncatedError
        If not even the first directory can be read.
    """
    remote = pile.source.path is None
    equal, step, batch = 0, 0, REGULAR
    ahead = offset
    while offset:
        number = len(pile.offsets)
        if offset in pile.seen:
            reason = f"the next directory is that of page {pile.seen[offset]} again"
            pile.troubles.append(Trouble(f"/page/{number}", reason, "cycle"))
            return
        if remote and offset >= ahead:
            pile.source.prefetch([(offset, AHEAD)])
        try:
            after = pile.read(offset)
        except RefmakerError as error:
            if number == 0 or not isinstance(error, FormatError):
                raise
            pile.troubles.append(Trouble(f"/page/{number}", error.message, _code(error)))
            return
        equal, step = (equal + 1, step) if after - offset == step else (1, after - offset)
        if remote and after and step > 0 and equal >= REGULAR and after >= ahead:
            if trust and equal >= 2 * REGULAR:
                from refmaker.scanners.tiff.stride import guess

                after = guess(pile, after, step)
                trust = False
            batch = min(2 * batch, BATCH)
            pile.source.prefetch([(after + i * step, AHEAD) for i in range(batch)])
            ahead = after + batch * step
        offset = after


def read_below(pile: Pile, first: int, last: int, wanted: Sequence[Sequence[int]]) -> None:
    """Read the SubIFDs of some pages.

    Parameters
    ----------
    pile : Pile
        Where the directories go.
    first, last : int
        The pages: ``first <= page < last``.
    wanted : sequence of sequence of int
        For each of them the offsets that its SubIFDs tag lists.
    """
    pile.source.prefetch([(offset, AHEAD) for offsets in wanted for offset in offsets])
    named = {offset for offsets in wanted for offset in offsets}
    for page, offsets in zip(range(first, last), wanted, strict=True):
        for k, offset in enumerate(offsets):
            path = f"/page/{page}/{k}"
            if offset in pile.seen:
                reason = f"its directory is that of page {pile.seen[offset]} again"
                pile.troubles.append(Trouble(path, reason, "cycle"))
                continue
            try:
                after = pile.read(offset, page)
            except FormatError as error:
                pile.troubles.append(Trouble(path, error.message, _code(error)))
                continue
            if after and after not in pile.seen and after not in named:
                reason = f"another directory follows it at byte {after}, which is not read"
                pile.troubles.append(Trouble(f"{path}/next", reason, "chained"))


def _code(error: FormatError) -> str:
    return "truncated" if isinstance(error, TruncatedError) else "damaged"

"""A file that has a list: what its lines say, and whether the list is that of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError, TruncatedError
from refmaker.io.source import Source
from refmaker.model.report import Cost
from refmaker.scanners.grib.file_fields import FileFields, file_fields
from refmaker.scanners.grib.index_lists import field_texts
from refmaker.scanners.grib.reader import HeaderReader
from refmaker.scanners.grib.taught_sections import RecordingList, read_header
from refmaker.scanners.grib.times import UNKNOWN
from refmaker.scanners.grib.walk import MessageWalk

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.io.first_bytes import FirstBytes
    from refmaker.model.report import Fingerprint
    from refmaker.scanners.grib.file_table import Part
    from refmaker.scanners.grib.index_lists import IndexList
    from refmaker.scanners.grib.sidecars import FoundList
    from refmaker.scanners.grib.taught_sections import (
        Header,
        Packing,
        RecordedField,
        TaughtSections,
    )

__all__ = ["ListedFile", "read_messages"]

_LATER = 6 * 3600.0
"""Seconds by which a file may be younger than its list: mirrors copy in any order."""


class ListedFile:
    """A file that has a list.

    Attributes
    ----------
    like : Header or None
        Header of the last message.
    fingerprint : Fingerprint or None
        The file as it was then.
    problem : str
        Why the list is not believed; empty if it is.
    read : dict of int to list of RecordedField
        By offset: the fields of messages that were read.
    starts : dict of int to int
        By offset: where the step begins, of messages that can be placed and decoded.
    cost : Cost
        Of reading them.
    """

    def __init__(self, url: str, found: FoundList, lines: IndexList) -> None:
        self.url, self.list_url, self._written = url, found.url, found.written
        self._lines = lines
        self.texts = field_texts(lines.kind, lines.texts)
        self.lengths = lines.lengths.copy()
        self.like: Header | None = None
        self.fingerprint: Fingerprint | None = None
        self.problem = lines.problem
        self.read: dict[int, list[RecordedField]] = {}
        self.starts: dict[int, int] = {}
        self.cost = Cost()
        self._told: tuple[Any, list[tuple[Header, Packing] | None]] = None, []

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def offsets(self) -> list[int]:
        """Where messages begin, ascending."""
        found: list[int] = np.unique(self._lines.offsets).tolist()
        return found

    @property
    def places(self) -> NDArray[np.int64]:
        """Where the message of each line begins, shape (lines,)."""
        return self._lines.offsets

    @property
    def wording(self) -> Hashable:
        """Equal for files whose lines say the same, at the same minutes of an hour."""
        lines, like = self._lines, self.like
        when = None if like is None else (like.edition, like.time[4:])
        return lines.kind, lines.texts, lines.single, when

    @property
    def keys(self) -> set[Hashable]:
        """What can be learned of its lines, each with the minutes of the reference time."""
        lines = range(len(self))
        return {self.key(line) for line in lines if self._can_be_told(line)}

    @property
    def longest(self) -> int:
        """The longest step, in seconds."""
        return max(text.end or 0 for text in self.texts)

    def key(self, line: int) -> Hashable:
        """Return what stands for a line in what was taught."""
        return self.texts[line].key, self.like.time[4:] if self.like else ()

    def offset(self, line: int) -> int:
        """Return where the message of a line begins."""
        return int(self._lines.offsets[line])

    def _can_be_told(self, line: int) -> bool:
        return self._lines.single[line] and self.texts[line].key is not None

    def told(self, line: int, taught: TaughtSections) -> tuple[Header, Packing] | None:
        """Return what the message of a line is; None where it has to be read."""
        if self.like is None or not self._can_be_told(line):
            return None
        return taught.told(self.texts[line], self.like)

    def all_told(self, taught: TaughtSections) -> list[tuple[Header, Packing] | None]:
        """Return what the messages of all lines are."""
        # Asked for more than once, mostly with nothing learned in between.
        if self._told[0] != taught.state:
            self._told = taught.state, [self.told(line, taught) for line in range(len(self))]
        return self._told[1]

    def open_lines(self, taught: TaughtSections) -> list[int]:
        """Return the lines whose messages have to be read."""
        return [line for line, told in enumerate(self.all_told(taught)) if told is None]

    def worth_reading(self, taught: TaughtSections) -> list[int]:
        """Return those of them that could teach something."""
        return [
            line for line in self.open_lines(taught)
            if self._can_be_told(line) and self.key(line) not in taught.contradicted
            and self.offset(line) not in self.read
        ]  # fmt: skip

    def take_last(self, piece: FirstBytes) -> None:
        """Take the first bytes of the last message; `like` stays None where they are too few."""
        at = self.offset(-1)
        if piece.error is not None or piece.fingerprint is None:
            ended = isinstance(piece.error, TruncatedError)
            text = "the file ends before that" if ended else str(piece.error)
            self.problem = f"its last message is at byte {at}, {text}"
            return
        self.fingerprint = piece.fingerprint
        if piece.data[:4] != b"GRIB":
            self.problem = f"no message begins at byte {at}"
            return
        found = read_header(piece.data)
        room = piece.fingerprint.size - at
        if found is None:
            if len(piece.data) == room:
                self.problem = f"the message at byte {at} cannot be read"
            return
        self.lengths[self._lines.offsets == at] = room
        listed = int(self._lines.lengths[-1])
        if found[0] != room or listed not in (0, room):
            self.problem = (
                f"its last message is at byte {at}, {room} bytes before the end of the file, "
                f"and has {found[0]} bytes"
            )
        elif not _is_time(self._lines.date, found[1].time):
            self.problem = f"it is of {self._lines.date}, the file of {_written(found[1].time)}"
        elif _older(self._written, piece.fingerprint.mtime):
            self.problem = "it was written hours before the file"
        else:
            self.like = found[1]

    def header_at(self, line: int, piece: FirstBytes) -> Header | None:
        """Return the header that the message of a line has; None where it is not there."""
        found = None if piece.error is not None else read_header(piece.data)
        return found[1] if found is not None and found[0] == self.lengths[line] else None

    def compare(self, line: int, header: Header | None, taught: TaughtSections) -> None:
        """Compare the message of a line with what it is taken to be."""
        told = self.told(line, taught)
        at = self.offset(line)
        if header is None or told is None:
            self.problem = f"no message of {self.lengths[line]} bytes begins at byte {at}"
        elif header != told[0]:
            words = ", ".join(told[0].differences(header))
            self.problem = f"the message at byte {at} is another one by its {words}"

    def teach(
        self, found: RecordingList, walked: Part | RefmakerError, taught: TaughtSections
    ) -> bool:
        """Let the file, which was walked, teach what its list means, if that is right."""
        if not isinstance(walked, tuple) or sorted(found.messages) != self.offsets:
            return False
        data, report = walked
        if report.rows:  # damaged messages
            return False
        lengths = dict(
            zip(found.column("message").tolist(), found.column("length").tolist(), strict=True)
        )
        lines = [line for line in range(len(self)) if self._can_be_told(line)]
        self.read = found.messages
        self.starts = _starts(FileFields.from_bytes(data, {}))
        for line in lines:
            at = self.offset(line)
            if len(self.read[at]) != 1 or lengths[at] != self.lengths[line]:
                return False
        self.teach_lines(lines, taught)
        return True

    def teach_lines(self, lines: Sequence[int], taught: TaughtSections) -> None:
        """Let messages that were read teach what their lines mean."""
        if self.like is None or self.problem:
            return
        for line in lines:
            at = self.offset(line)
            if at in self.starts and len(self.read[at]) == 1:
                taught.learn(self.texts[line], self.read[at][0], self.starts[at], self.like)


def read_messages(
    file: ListedFile, lines: Sequence[int], storage_options: Mapping[str, Any] | None
) -> None:
    """Read the headers of some messages of a file.

    Parameters
    ----------
    file : ListedFile
        The file, whose `read` and `starts` get what is found; a message that is not there, or
        not as long as the list says, is its `problem`.
    """
    expected = {file.offset(line): int(file.lengths[line]) for line in lines}
    fresh = sorted(set(expected).difference(file.read))
    if not fresh:
        return
    found = RecordingList()
    try:
        with Source(file.url, storage_options) as source:
            with HeaderReader(source) as reader:
                lengths = MessageWalk(reader, found).each(fresh)
            file.cost.requests += source.requests
            file.cost.bytes_read += source.bytes_read
            file.cost.rounds += source.rounds
    except RefmakerError as error:
        file.problem = error.message
        return
    for at in fresh:
        if lengths.get(at) != expected[at]:
            file.problem = f"no message of {expected[at]} bytes begins at byte {at}"
            return
    file.read |= found.messages
    file.starts |= _starts(file_fields(found))


def _starts(fields: FileFields) -> dict[int, int]:
    """Return by offset where the steps of fields begin that can be placed and decoded."""
    rows = fields.rows()
    good = (rows.reference != UNKNOWN) & (rows.start != UNKNOWN) & (rows.end != UNKNOWN)
    good &= rows.problem == 0
    starts = zip(fields.offset[good].tolist(), rows.start[good].tolist(), strict=True)
    return dict(starts)


def _is_time(digits: str, time: tuple[int, ...]) -> bool:
    """Whether digits of a list are a reference time, as far as they go."""
    year, month, day, hour, minute, _ = time
    if len(digits) == 8:
        return digits == f"{year % 100:02}{month:02}{day:02}{hour:02}"
    return f"{year:04}{month:02}{day:02}{hour:02}{minute:02}".startswith(digits)


def _written(time: tuple[int, ...]) -> str:
    year, month, day, hour, minute, _ = time
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}"


def _older(listed: float | None, file: float | None) -> bool:
    return listed is not None and file is not None and file - listed > _LATER

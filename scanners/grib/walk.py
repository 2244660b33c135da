"""The messages of a file: every one found, every section of it located, none decoded.

Implements sections 0 to 8 of GRIB edition 2 and sections 0 to 5 of edition 1 (WMO Manual on
Codes, FM 92-XIV and FM 92-XIII Ext.), with the length coding that ECMWF uses for messages of
edition 1 of 8 MiB and more. What lies between messages (bulletin headers, padding, noise) is
passed over; bytes that only look like a message are told by their end marker.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refmaker.scanners.grib.fields import DATA_WIDTH, PACKING_WIDTH
from refmaker.scanners.grib.plain_messages import (
    END,
    IMAGES,
    MARK,
    NO_BITMAP,
    PLAIN,
    chained,
    plain_headers,
)
from refmaker.scanners.grib.reader import HEADER, HeaderReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.grib.fields import FieldList

__all__ = ["Damage", "MessageWalk", "WalkError"]

_SEARCH = 256 * 1024
_SECTION = struct.Struct(">IB").unpack_from
_GRID_LIMIT = 256 * 1024**2
"""Bytes of a grid definition; the largest known list is that of a reduced grid of 8000 rows."""
_TOGETHER = 4096
"""Headers of listed messages that are fetched together."""
_FEW = 8
"""Messages from which on it takes less time to walk them together."""
_REUSED, _DEFINED = b"\xfe", b"\0"
"""Bitmap indicators (code table 6.0): the bitmap of an earlier field, one that follows."""
_NEEDED = {5: PACKING_WIDTH, 6: 6}
"""Bytes of sections that are looked at; of others all."""


class WalkError(Exception):
    """What stands in a message contradicts itself."""

    def __init__(self, message: str, offset: int, code: str = "damaged") -> None:
        super().__init__(message)
        self.offset, self.code = offset, code


class Damage(NamedTuple):
    """A message that could not be walked, or not to its end."""

    offset: int
    length: int
    reason: str
    code: str


class MessageWalk:
    """A walk over all messages of a file.

    Parameters
    ----------
    reader : HeaderReader
        The file.
    fields : FieldList
        Takes every field that is found.

    Attributes
    ----------
    messages : int
        Messages found, damaged ones left out.
    damage : list of Damage
        Messages that are cut off or contradict themselves.
    gaps : list of (int, int)
        Offset and length of what belongs to no message.
    missed : list of int
        Listed offsets where no message begins.
    unlisted : int
        Messages found between listed ones.
    """

    def __init__(self, reader: HeaderReader, fields: FieldList) -> None:
        self._reader = reader
        self._fields = fields
        self.messages = 0
        self.damage: list[Damage] = []
        self.gaps: list[tuple[int, int]] = []
        self.missed: list[int] = []
        self.unlisted = 0
        self._hay: tuple[int, bytes] = 0, b""
        self._alone, self._patience = 0, _FEW

    def all(self) -> None:
        """Walk from the first byte to the last."""
        self._between(0, self._reader.size)

    def listed(self, offsets: Sequence[int], *, between: bool) -> None:
        """Walk the messages that begin at ascending offsets.

        Parameters
        ----------
        between : bool
            Whether to look for messages in what the list leaves out, too.
        """
        at = 0
        for i, offset in enumerate(offsets):
            if i % _TOGETHER == 0:
                self._reader.announce(offsets[i : i + _TOGETHER + 1])
            if offset < at:
                self.missed.append(offset)
                continue
            if offset > at and between:
                self._extra(at, offset)
            damaged = len(self.damage)
            length = self._message(offset)
            at = offset + abs(length)
            if length <= 0 and len(self.damage) == damaged:
                self.missed.append(offset)
        if between:
            self._extra(at, self._reader.size)

    def each(self, offsets: Sequence[int]) -> dict[int, int]:
        """Walk the messages that begin at some ascending offsets, and no others.

        Returns
        -------
        dict of int to int
            By offset: the length of each message that is whole.
        """
        found = {}
        for i, offset in enumerate(offsets):
            if i % _TOGETHER == 0:
                self._reader.announce(offsets[i : i + _TOGETHER])
            damaged = len(self.damage)
            length = self._message(offset)
            if length > 0 and len(self.damage) == damaged:
                found[offset] = length
        return found

    def _extra(self, at: int, stop: int) -> None:
        """Walk what a list leaves out."""
        known = self.messages
        self._between(at, stop)
        self.unlisted += self.messages - known

    def _between(self, at: int, stop: int) -> None:
        """Walk all messages that begin in ``at <= offset < stop``."""
        gap = at
        while at < stop:
            length = self._run(at, stop) or self._message(at)
            if length > 0:
                if gap < at:
                    self.gaps.append((gap, at - gap))
                at = gap = at + length
            else:
                at = self._search(at + 1 if length == 0 else at - length, stop)
        if gap < stop <= at:
            self.gaps.append((gap, stop - gap))

    def _run(self, at: int, stop: int) -> int:
        """Walk plain messages that follow one another in memory; return their bytes."""
        if self._alone:
            self._alone -= 1
            return 0
        block, first = self._reader.held(at)
        begins = chained(block, first, first + stop - at) if block else []
        if len(begins) <= _FEW:
            return 0
        headers = plain_headers(block, begins)
        count = len(headers.heads)
        if count < _FEW:
            # There are others among them: more and more are walked before this is tried again.
            self._alone = self._patience = min(2 * self._patience, _TOGETHER)
        else:
            self._patience = _FEW
        if not count:
            return 0
        places = np.array(begins[: count + 1]) - first + at
        self._fields.add_plain(places[:-1], np.diff(places), headers)
        self.messages += count
        self._reader.hop(int(places[-2]), int(places[-1] - places[-2]))
        return int(places[-1]) - at

    def _search(self, at: int, stop: int) -> int:
        """Return where ``GRIB`` stands next, or `stop`."""
        while at < stop:
            start, block = self._hay
            if not start <= at < start + len(block) - 3:
                # Kept apart from headers: what is found need not be a message.
                block = self._reader.aside(at, min(_SEARCH, self._reader.size - at))
                start, self._hay = at, (at, block)
            found = block.find(MARK, at - start)
            if found >= 0:
                return min(start + found, stop)
            if start + len(block) >= min(stop, self._reader.size):
                break
            at = start + len(block) - 3
        return stop

    def _message(self, at: int) -> int:
        """Walk one message.

        Returns
        -------
        int
            Its length; 0 where there is none; the negative number of bytes to go on by where
            there is one that is damaged.
        """
        head = self._reader.read(at, HEADER)
        if head[:4] != MARK:
            return 0
        try:
            total = self._length(at, head)
        except WalkError as error:
            # Any text may hold these four letters; what follows them has to make sense.
            if error.code != "noise":
                self.damage.append(Damage(at, 0, str(error), error.code))
            return -4
        if not total:
            return 0
        known = self._fields.mark()
        self._reader.hop(at, total)
        try:
            walk = self._sections1 if head[7] == 1 else self._sections2
            walk(at, head, total)
        except WalkError as error:
            # Fields before the damage are good: each has been walked to its end.
            self.damage.append(Damage(at, total, f"{error} at byte {error.offset}", error.code))
            if known == self._fields.mark():
                return total
        self.messages += 1
        return total

    def _length(self, at: int, head: bytes) -> int:
        """Return the length of the message that begins here, 0 if none does."""
        edition = head[7] if len(head) > 7 else 0
        room = self._reader.size - at
        if edition == 2:
            total = int.from_bytes(head[8:16], "big")
        elif edition == 1:
            total = self._length1(at, head)
        else:
            raise WalkError("neither edition 1 nor 2", at, "noise")
        if total < 16 + 5 * (edition == 2):
            raise WalkError(f"a message of {total} bytes", at, "noise")
        if total > room:
            if not self._plausible(head, edition):
                raise WalkError("noise", at, "noise")
            raise WalkError(
                f"the message has {total} bytes, {room} are left in the file", at, "truncated"
            )
        if self._reader.end(at + total - 4, 4) != END:
            if not self._plausible(head, edition):
                raise WalkError("noise", at, "noise")
            raise WalkError(f"no 7777 where the message of {total} bytes has to end", at, "damaged")
        return total

    @staticmethod
    def _plausible(head: bytes, edition: int) -> bool:
        """Whether a section 1 follows, as far as can be told."""
        if edition == 2:
            return len(head) < 21 or (head[20] == 1 and int.from_bytes(head[16:20], "big") < 4096)
        return len(head) < 11 or 28 <= int.from_bytes(head[8:11], "big") < 4096

    def _length1(self, at: int, head: bytes) -> int:
        total = int.from_bytes(head[4:7], "big")
        if not total & 0x800000 or len(head) < 16:
            return total
        *_, data = self._parts1(at, head, self._reader.size)
        length = int.from_bytes(self._take(at, head, data, 3), "big")
        # A length of the data below 120 cannot be true of so long a message: it is the part
        # that its count of 120 bytes is too long by.
        return (total & 0x7FFFFF) * 120 - length + 4 if length < 120 else total

    def _parts1(self, at: int, head: bytes, end: int) -> tuple[int, int, int]:
        """Return the length of section 1, that of section 2, and where section 4 begins."""
        position = at + 8
        product = self._length_of(at, head, position, 28, end)
        flags = head[15]
        position += product
        grid = 0
        if flags & 0x80:
            grid = self._length_of(at, head, position, 6, end)
            position += grid
        if flags & 0x40:
            position += self._length_of(at, head, position, 6, end)
        if position + 11 > end:
            raise WalkError("no room for the data", position)
        return product, grid, position

    def _length_of(self, at: int, head: bytes, position: int, least: int, end: int) -> int:
        length = int.from_bytes(self._take(at, head, position, 3), "big")
        if length < least or position + length > end:
            raise WalkError(f"a section of {length} bytes", position)
        return length

    def _sections1(self, at: int, head: bytes, total: int) -> None:
        product, grid, data = self._parts1(at, head, at + total - 4)
        how = self._take(at, head, data, 11)
        section1 = self._take(at, head, at + 8, product)
        section2 = self._take(at, head, at + 8 + product, grid)
        self._fields.add1(at, total, section1, section2, how)

    def _take(self, at: int, head: bytes, position: int, length: int) -> bytes:
        first = position - at
        if first + length <= len(head):
            return head[first : first + length]
        found = self._reader.peek(position, length)
        if len(found) < length:
            raise WalkError(f"{length} bytes are needed, {len(found)} are left", position)
        return found

    def _plain(self, head: bytes, at: int, total: int) -> bool:
        """Add the field of a message of sections 1 and 3 to 7, if all but its data are at hand."""
        try:
            one, first = _SECTION(head, 16)
            three = 16 + one
            grid, second = _SECTION(head, three)
            four = three + grid
            what, third = _SECTION(head, four)
            five = four + what
            how, fourth = _SECTION(head, five)
            six = five + how
            bits, fifth = _SECTION(head, six)
            seven = six + bits
            size, last = _SECTION(head, seven)
        except struct.error:
            return False
        if (first, second, third, fourth, fifth, last) != PLAIN or seven + size + 4 != total:
            return False
        packing = head[five : min(six, five + PACKING_WIDTH)]
        number = int.from_bytes(packing[9:11], "big")
        if number in IMAGES or min(one, grid, what, how, bits, size) < 5:
            return False
        indicator = head[six + 5] if bits > 5 else NO_BITMAP
        sections = head[6], head[16:three], b"", head[three:four], head[four:five]
        how_packed = number, packing, indicator, size, b""
        self._fields.add2((at, at, total, 1), sections, how_packed, at + three)
        return True

    def _sections2(self, at: int, head: bytes, total: int) -> None:
        """Walk the sections of a message of edition 2, and add each field at its section 7."""
        if self._plain(head, at, total):
            return
        end = at + total - 4
        position = at + 16
        parts, last = _Parts(), 0
        while position < end:
            first = position - at
            if first + 5 > len(head):
                length, number = _SECTION(self._take(at, head, position, 5))
            else:
                length, number = _SECTION(head, first)
            if length < 5 or position + length > end:
                raise WalkError(f"section {number} of {length} bytes", position)
            if number not in _FOLLOWS[last]:
                raise WalkError(f"section {number} after section {last}", position)
            if number == 7:
                parts.count += 1
                whole = parts.count == 1 and position + length == end
                begin = at if whole else parts.start
                stop = end + 4 if whole else position + length
                place = at, begin, stop - begin, parts.count
                sections = head[6], parts.product, parts.local, parts.grid, parts.what
                few = DATA_WIDTH if parts.packing in IMAGES else 0
                data = self._take(at, head, position + 5, min(few, length - 5)) if few else b""
                packing = parts.packing, parts.how, parts.indicator, length, data
                self._fields.add2(place, sections, packing, parts.grid_at)
            else:
                needed = min(length, _NEEDED.get(number, _GRID_LIMIT))
                parts.take(number, position, self._take(at, head, position, needed))
            last = number
            position += length
        if last != 7:
            raise WalkError(f"the message ends after section {last}", position)


class _Parts:
    """The sections of a message of edition 2 that hold for its next field."""

    __slots__ = (
        "bitmap", "count", "grid", "grid_at", "how", "indicator", "local", "packing", "product",
        "start", "what",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = self.start = self.bitmap = self.grid_at = self.packing = self.indicator = 0
        self.product = self.local = self.grid = self.what = self.how = b""

    def take(self, number: int, position: int, data: bytes) -> None:
        """Take a section; `data` are as many of its first bytes as are needed."""
        if number == 4:
            self.what = data
        elif number == 5:
            self.packing, self.how = int.from_bytes(data[9:11], "big"), data
            # Spectral packings cannot be decoded without the grid.
            self.start = self.grid_at if 50 <= self.packing <= 53 else position
        elif number == 6:
            self.indicator = data[5] if len(data) > 5 else NO_BITMAP
            if data[5:] == _DEFINED:
                self.bitmap = position
            elif data[5:] == _REUSED and self.bitmap:
                self.start = min(self.start, self.bitmap)
        elif number == 3:
            self.grid, self.grid_at = data, position
        elif number == 1:
            self.product = data
        else:
            self.local = data


_FOLLOWS: tuple[frozenset[int], ...] = tuple(
    map(frozenset, ((1,), (2, 3), (3,), (4,), (5,), (6,), (7,), (2, 3, 4)))
)
"""By the number of a section: the numbers that may come next."""

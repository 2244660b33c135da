"""What the lines of lists stand for, learned from files whose headers were read.

A list says in words what a field is, and not which octets say so: type of data, process, local
section, grid. A file that was read *teaches* what octets a key of its list stands for. For a
line of another file's list they are taken with its reference time, step and member put in; what
cannot be put in so, or was seen to stand for two things, is not told and has to be read.
"""

from __future__ import annotations

import struct
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.local_section import without_clock
from refmaker.scanners.grib.templates import template_octets
from refmaker.scanners.grib.times import UNIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from refmaker.scanners.grib.index_lists import FieldText
    from refmaker.scanners.grib.templates import TemplateOctets

__all__ = [
    "Header", "Packing", "RecordedField", "RecordingList", "TaughtSections", "add_field", "moved",
    "read_header",
]  # fmt: skip

Packing = tuple[int, bytes, int, int, bytes]
"""As `FieldList.add2` takes it; of edition 1 the octets of section 4, and the bitmap's flag."""
_WHEN = slice(12, 19)
"""Octets 13 to 19 of section 1 in edition 2: the reference time."""
_WHEN1, _CENTURY, _UNIT1, _FIRST, _SECOND, _RANGE = slice(12, 17), 24, 17, 18, 19, 20
"""Octets of section 1 in edition 1: reference time, century, and those of the step."""
_INTERVALS1 = (2, 3, 4, 5)
_HAS_GRID, _HAS_BITMAP = 0x80, 0x40
"""Flags in octet 8 of section 1 in edition 1."""


class Header(NamedTuple):
    """The octets of a message of one field that say what the field is.

    Parameters
    ----------
    edition : {1, 2}
    discipline : int
        Octet 7 of section 0; 0 in edition 1.
    product : bytes
        Section 1; of edition 1 without what tells of the packing alone.
    local : bytes
        Section 2 of edition 2, without the time at which it was written.
    grid : bytes
        Section 3; of edition 1 section 2.
    what : bytes
        Section 4 of edition 2.
    """

    edition: int
    discipline: int
    product: bytes
    local: bytes
    grid: bytes
    what: bytes

    @property
    def time(self) -> tuple[int, ...]:
        """The reference time, from years to seconds."""
        if self.edition == 1:
            year, *rest = self.product[_WHEN1]
            return (100 * (self.product[_CENTURY] - 1) + year, *rest, 0)
        return struct.unpack(">H5B", self.product[_WHEN])

    @property
    def grid_at(self) -> int:
        """Where the grid definition begins in the message."""
        if self.edition == 1:
            return 8 + len(self.product)
        return 16 + len(self.product) + len(self.local)

    def differences(self, other: Header) -> list[str]:
        """Return in words in what another header differs."""
        words = ("edition", "discipline", "section 1", "local section", "grid", "product")
        return [word for word, a, b in zip(words, self, other, strict=True) if a != b]


def read_header(data: bytes) -> tuple[int, Header] | None:
    """Return the length of the message that begins with some bytes, and its header.

    Parameters
    ----------
    data : bytes
        As much of the message as is at hand.

    Returns
    -------
    tuple or None
        None where there is no message, or not enough of it.
    """
    if data[:4] != b"GRIB" or len(data) < 48:
        return None
    if data[7] == 1:
        return _read_header1(data)
    if data[7] != 2:
        return None
    at, found = 16, {1: b"", 2: b"", 3: b"", 4: b""}
    while at + 5 <= len(data):
        length, number = struct.unpack_from(">IB", data, at)
        if number == 5:
            centre = int.from_bytes(found[1][5:7], "big")
            local = without_clock(centre, found[2]) if found[2] else b""
            whole = len(found[1]) >= 21 and len(found[3]) >= 14 and len(found[4]) >= 9
            header = Header(2, data[6], found[1], local, found[3], found[4])
            return (int.from_bytes(data[8:16], "big"), header) if whole else None
        if length < 5 or number not in found or at + length > len(data):
            return None
        found[number] = data[at : at + length]
        at += length
    return None


def _read_header1(data: bytes) -> tuple[int, Header] | None:
    length = int.from_bytes(data[4:7], "big")
    size = int.from_bytes(data[8:11], "big")
    product = data[8 : 8 + size]
    # The long lengths of ECMWF are told by section 4 alone: such files are read.
    if length & 0x800000 or size < 28 or len(product) < size:
        return None
    grid = b""
    if product[7] & _HAS_GRID:
        extent = int.from_bytes(data[8 + size : 11 + size], "big")
        grid = data[8 + size : 8 + size + extent]
        if extent < 6 or len(grid) < extent:
            return None
    return length, _header1(product, grid)


def _header1(product: bytes, grid: bytes) -> Header:
    """Return the header without the flag of a bitmap and the decimal scale factor."""
    flags = bytes((product[7] & _HAS_GRID,))
    return Header(
        1, 0, product[:7] + flags + product[8:26] + bytes(2) + product[28:], b"", grid, b""
    )


class RecordedField(NamedTuple):
    """A field that was found.

    Parameters
    ----------
    header : Header
    packing : Packing
    call : tuple
        What `FieldList.add1` or `FieldList.add2` was given.
    """

    header: Header
    packing: Packing
    call: tuple[Any, ...]

    def add(self, found: FieldList) -> None:
        """Add the field to another list."""
        if self.header.edition == 1:
            found.add1(*self.call)
        else:
            found.add2(*self.call)


class RecordingList(FieldList):
    """A list of fields that remembers what it was given.

    Attributes
    ----------
    messages : dict of int to list of RecordedField
        By offset of the message: each of its fields.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[int, list[RecordedField]] = {}

    def add1(self, at: int, length: int, product: bytes, grid: bytes, how: bytes) -> None:
        """Add the field of a message of edition 1; see `FieldList.add1`."""
        packing = 0, how, product[7] & _HAS_BITMAP, 0, b""
        call = at, length, product, grid, how
        field = RecordedField(_header1(product, grid), packing, call)
        self.messages.setdefault(at, []).append(field)
        super().add1(at, length, product, grid, how)

    def add2(
        self,
        place: tuple[int, int, int, int],
        sections: tuple[int, bytes, bytes, bytes, bytes],
        packing: Packing,
        grid_at: int,
    ) -> None:
        """Add a field of a message of edition 2; see `FieldList.add2`."""
        discipline, product, local, grid, what = sections
        if local:
            local = without_clock(int.from_bytes(product[5:7], "big"), local)
        header = Header(2, discipline, product, local, grid, what)
        field = RecordedField(header, packing, (place, sections, packing, grid_at))
        self.messages.setdefault(place[0], []).append(field)
        super().add2(place, sections, packing, grid_at)


def add_field(found: FieldList, at: int, length: int, header: Header, packing: Packing) -> None:
    """Add the field of a message as if it had been walked.

    Parameters
    ----------
    header, packing
        Of its only field.
    """
    if header.edition == 1:
        flags = bytes((header.product[7] | packing[2],))
        product = header.product[:7] + flags + header.product[8:]
        found.add1(at, length, product, header.grid, packing[1])
        return
    sections = header.discipline, header.product, header.local, header.grid, header.what
    found.add2((at, at, length, 1), sections, packing, at + header.grid_at)


class TaughtSections:
    """By key and time of day's minutes: the octets that lines with this key stand for."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Header, Packing]] = {}
        self._begins: dict[Hashable, frozenset[object]] = {}
        self.contradicted: set[Hashable] = set()

    @property
    def state(self) -> tuple[int, int, int]:
        """Another one when something was learned."""
        rules = sum(map(len, self._begins.values()))
        return len(self._known), len(self.contradicted), rules

    def learn(self, text: FieldText, field: RecordedField, start: int, like: Header) -> None:
        """Take what a line of a list and the message that it lists say of each other.

        Parameters
        ----------
        field : RecordedField
            The only field of its message.
        start : int
            Where the message's own step begins, in seconds.
        like : Header
            A message of the same file that is of the reference time that the list says.
        """
        if text.key is None or text.end is None:
            return
        header, packing = field.header, field.packing
        key = text.key, like.time[4:]
        if text.start is None:
            begins = _begins(header, start, text.end)
            self._begins[key] = begins & self._begins.get(key, begins)
        begin = start if text.start is None else text.start
        for known in (header, self._known.get(key, (header, packing))[0]):
            # With this time, step and member put in, what is known has to be this message.
            if moved(known, like, (begin, text.end), text) != header:
                self.contradicted.add(key)
                self._known.pop(key, None)
        if key not in self.contradicted:
            self._known.setdefault(key, (header, packing))

    def told(self, text: FieldText, like: Header) -> tuple[Header, Packing] | None:
        """Return the header and packing of the message that a line lists.

        Parameters
        ----------
        like : Header
            A message of the same file, for the reference time.

        Returns
        -------
        tuple or None
            None where nothing that was read says so.
        """
        key = text.key, like.time[4:]
        known = self._known.get(key)
        if known is None or text.end is None:
            return None
        begin = text.start
        if begin is None:
            rules = self._begins.get(key, frozenset())
            begin = _only(_begin(rule, text.end) for rule in rules)
        if begin is None:
            return None
        header = moved(known[0], like, (begin, text.end), text)
        return None if header is None else (header, known[1])


def _begins(header: Header, start: int, end: int) -> frozenset[object]:
    """Return the rules of where a step begins that a message follows."""
    octets = _octets(header.what) if header.edition == 2 else None
    over = octets.interval if octets else header.product[_RANGE] in _INTERVALS1
    if not over:
        return frozenset(("at once",))
    return frozenset(("since the start", end - start) if start == 0 else (end - start,))


def _begin(rule: object, end: int) -> int | None:
    if isinstance(rule, int):
        return end - rule if rule <= end else None
    return end if rule == "at once" else 0


def _only(values: Iterable[int | None]) -> int | None:
    """Return what all values are; None where they differ, or are none."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


_octets = lru_cache(1024)(template_octets)
"""Where things stand in a section 4; the same few are asked about."""


def moved(known: Header, like: Header, step: tuple[int, int], text: FieldText) -> Header | None:
    """Return a header with another reference time, step and member.

    Parameters
    ----------
    known : Header
        What is taken but for these.
    step : tuple of int
        Start and end in seconds.

    Returns
    -------
    Header or None
        None where its octets cannot say so, or leave open what they would be.
    """
    if known.edition != like.edition:
        return None
    if known.edition == 1:
        return _moved1(known, like, step, text)
    octets = _octets(known.what)
    plain = len(known.product) >= 21 and len(like.product) >= 21
    if octets is None or not octets.unit or octets.ranges > 1 or not plain:
        return None
    what = bytearray(known.what)
    start, end = step
    if not _put(what, octets.unit - 1, octets.width, start):
        return None
    if octets.interval:
        until = _later(like.time, end)
        at = octets.interval - 1
        if until is None or not _put(what, at + 14, 4, end - start):
            return None
        what[at : at + 7] = until
    elif start != end:
        return None
    if not _put_member(what, octets, text):
        return None
    product = known.product[:12] + like.product[_WHEN] + known.product[19:]
    return Header(2, known.discipline, product, known.local, known.grid, bytes(what))


def _put(what: bytearray, at: int, width: int, seconds: int) -> bool:
    """Write an amount of time in the unit that stands before it, if it is one of these."""
    unit = UNIT_SECONDS[2].get(what[at])
    if unit is None or seconds < 0 or seconds % unit or seconds // unit >> (8 * width - 1):
        return False
    what[at + 1 : at + 1 + width] = (seconds // unit).to_bytes(width, "big")
    return True


def _later(time: tuple[int, ...], seconds: int) -> bytes | None:
    """Return the octets of a time some seconds after another; None where there is no such."""
    try:
        then = datetime(*time) + timedelta(seconds=seconds)  # type: ignore[arg-type]  # noqa: DTZ001 - as in the file
    except (ValueError, OverflowError):
        return None
    return struct.pack(">H5B", *then.timetuple()[:6])


def _put_member(what: bytearray, octets: TemplateOctets, text: FieldText) -> bool:
    """Write the number of the member; whether the text says which it is."""
    if not octets.member:
        return text.member is None
    at, width = octets.member - 1, octets.member_width
    if text.member is None:
        return text.settled
    if text.member >> (8 * width):
        return False
    what[at : at + width] = text.member.to_bytes(width, "big")
    return True


def _moved1(known: Header, like: Header, step: tuple[int, int], text: FieldText) -> Header | None:
    """Do the same in section 1 of edition 1."""
    product = bytearray(known.product)
    unit = UNIT_SECONDS[1].get(product[_UNIT1])
    indicator = product[_RANGE]
    start, end = step
    if unit is None or start < 0 or end < start or start % unit or end % unit:
        return None
    first, second = start // unit, end // unit
    # Members stand in local sections, of which such lists say nothing.
    if text.member is not None or len(product) > 40:
        return None
    if indicator in _INTERVALS1 and second < 256:
        product[_FIRST], product[_SECOND] = first, second
    elif start != end:
        return None
    elif indicator == 0 and first < 256:
        product[_FIRST] = first
    elif indicator == 10 and first < 1 << 16:
        product[_FIRST : _SECOND + 1] = first.to_bytes(2, "big")
    elif indicator != 1 or first:
        return None
    product[_WHEN1], product[_CENTURY] = like.product[_WHEN1], like.product[_CENTURY]
    return known._replace(product=bytes(product))

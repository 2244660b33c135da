"""The sections of a GRIB message, or of a part of one, and which of them make up its last field.

Implements the section structure of edition 2 (regulations 92.1 to 92.3 of FM 92-XIV) and of
edition 1, with ecCodes' coding of messages of edition 1 that are longer than 8 MiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from refmaker.codecs.grib_scale import signed
from refmaker.errors import CodecError, UnsupportedError

if TYPE_CHECKING:
    from refmaker.codecs.base import Buffer

__all__ = [
    "FieldSections",
    "damaged",
    "decimal_scale",
    "first_field",
    "last_field",
    "number",
    "present_points",
]

_LARGE = 0x800000
"""Flag in the length of a message of edition 1: the rest counts units of 120 bytes."""
_FIRST = frozenset({2, 3, 4, 5, 6})
"""Sections that a part of a message can begin with."""


@dataclass(frozen=True, slots=True)
class FieldSections:
    """One field's sections.

    Parameters
    ----------
    edition : {1, 2}
        Edition of GRIB.
    run : ndarray of uint8
        The chunk: the message, or the part of it.
    sections : dict of int to ndarray of uint8
        The sections that apply, by number, with their headers.
    bitmap : ndarray of uint8 or None
        Bytes of the bitmap; None where all points have values.
    whole : bool
        Whether `run` is a message.
    single : bool
        Whether there is no other field in `run`.
    """

    edition: int
    run: Buffer
    sections: dict[int, Buffer]
    bitmap: Buffer | None
    whole: bool
    single: bool


def damaged(message: str, offset: int | None = None) -> NoReturn:
    """Raise the error of a chunk that cannot be decoded; `offset` counts from its first byte."""
    raise CodecError(f"refmaker.grib: {message}", offset=offset)


def number(octets: Buffer) -> int:
    """Read a big-endian unsigned integer."""
    return int.from_bytes(octets.tobytes(), "big")


def last_field(run: Buffer) -> FieldSections:
    """Find the sections of the last field in a chunk.

    Parameters
    ----------
    run : ndarray of uint8, shape (n,)
        A message, or a part of one of edition 2 that begins with a section 2 to 6.

    Raises
    ------
    CodecError
        If it is neither, a length leads outside, sections are missing, or the chunk does not
        end with the field.
    """
    if run[:4].tobytes() != b"GRIB":
        return _edition_2(run, 0, run.size, whole=False)
    if run.size < 12:
        damaged(f"a message of {run.size} bytes")
    edition = int(run[7])
    if run[-4:].tobytes() != b"7777":
        damaged("the message does not end with 7777", run.size - 4)
    if edition == 1:
        return _edition_1(run)
    if edition != 2:
        raise UnsupportedError(f"refmaker.grib: edition {edition}", code="grib-edition")
    stated = number(run[8:16])
    if stated != run.size:
        damaged(f"a message of {stated} bytes in a chunk of {run.size}", 8)
    return _edition_2(run, 16, run.size - 4, whole=True)


def first_field(run: Buffer) -> Buffer:
    """Return a message, cut off after its first field where there are more of edition 2."""
    if run[:4].tobytes() != b"GRIB" or run.size < 21 or run[7] != 2:
        return run
    position, start, end = 16, 0, run.size - 4
    while position < end:
        length, found = _header(run, position, end)
        if found != 1 and not start:
            start = position
        position += length
        if found == 7:
            return run if position == end else run[start:position]
    damaged("a message without data", position)


def _edition_2(run: Buffer, position: int, end: int, *, whole: bool) -> FieldSections:
    """Walk over sections (octets 1-4 length, 5 number) up to the last section 7."""
    sections: dict[int, Buffer] = {}
    bitmap: Buffer | None = None
    here: set[int] = set()
    missing: set[int] = set()
    fields = last = 0
    start = position
    while position < end:
        length, last = _header(run, position, end)
        if position == start and last not in ({1} if whole else _FIRST):
            damaged(f"the chunk begins with section {last}", position)
        section = run[position : position + length]
        sections[last] = section
        here.add(last)
        if last == 6:
            bitmap = _bitmap_2(section, position, bitmap)
        if last == 7:
            fields += 1
            missing = {5, 6} - here
            here.clear()
        position += length
    if last != 7:
        damaged(f"the chunk ends with section {last}, not with the data of a field", position)
    if missing:
        damaged(f"no section {min(missing)} before the data of the last field")
    if sections[6][5] == 255:
        bitmap = None
    elif bitmap is None:
        damaged("the bitmap of an earlier field is meant, which is not in the chunk")
    return FieldSections(2, run, sections, bitmap, whole, fields == 1)


def _header(run: Buffer, position: int, end: int) -> tuple[int, int]:
    """Return length and number of the section at a position."""
    if end - position < 5:
        damaged(f"{end - position} bytes where a section should begin", position)
    length, found = number(run[position : position + 4]), int(run[position + 4])
    if not 1 <= found <= 7:
        damaged(f"a section of number {found}", position)
    if not 5 <= length <= end - position:
        damaged(f"section {found} is {length} bytes long, {end - position} are left", position)
    return length, found


def _bitmap_2(section: Buffer, position: int, before: Buffer | None) -> Buffer | None:
    """Return the bitmap that holds after a section 6 (code table 6.0)."""
    if section.size < 6:
        damaged("section 6 without an indicator", position)
    indicator = int(section[5])
    if indicator == 0:
        return section[6:]
    if indicator in (254, 255):
        return before
    raise UnsupportedError(
        f"refmaker.grib: the predefined bitmap {indicator} of an originating centre",
        code="grib-bitmap",
        offset=position,
    )


def _edition_1(run: Buffer) -> FieldSections:
    """Find sections 1 to 4 of a message of edition 1."""
    sections: dict[int, Buffer] = {}
    position, end = 8, run.size - 4
    present = [1, 4]
    index = 0
    while index < len(present):
        found = present[index]
        if end - position < 11:
            damaged(f"{end - position} bytes where section {found} should begin", position)
        length = number(run[position : position + 3])
        if found == 1:
            flags = int(run[position + 7])
            present = [1, *([2] if flags & 0x80 else []), *([3] if flags & 0x40 else []), 4]
        elif found == 4:
            length = _length_of_data(run, length, end - position)
        if not (28 if found == 1 else 6) <= length <= end - position:
            damaged(f"section {found} is {length} bytes, {end - position} are left", position)
        sections[found] = run[position : position + length]
        position += length
        index += 1
    bitmap = _bitmap_1(sections[3]) if 3 in sections else None
    return FieldSections(1, run, sections, bitmap, whole=True, single=True)


def _length_of_data(run: Buffer, length: int, left: int) -> int:
    """Return the length of section 4, after comparing that of the message with the chunk's."""
    stated = number(run[4:7])
    if stated & _LARGE and length < 120:
        if (stated & ~_LARGE) * 120 - length + 4 != run.size:
            damaged(f"another length than the chunk's {run.size} bytes", 4)
        return left
    if stated != run.size:
        damaged(f"a message of {stated} bytes in a chunk of {run.size}", 4)
    return length


def _bitmap_1(section: Buffer) -> Buffer:
    """Return the bitmap of a section 3 of edition 1, whose octet 4 counts unused bits."""
    predefined = number(section[4:6])
    if predefined:
        raise UnsupportedError(
            f"refmaker.grib: the predefined bitmap {predefined} of an originating centre",
            code="grib-bitmap",
        )
    return section[6:]


def decimal_scale(section: Buffer) -> int:
    """Return the decimal scale factor in section 1 of edition 1 (octets 27-28)."""
    return signed(section[26:28])


def present_points(bitmap: Buffer, points: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Expand a bitmap to one boolean a point."""
    if bitmap.size * 8 < points:
        damaged(f"a bitmap of {bitmap.size} bytes for {points} points")
    return np.unpackbits(bitmap, count=points).view(np.bool_)

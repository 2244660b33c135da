"""Data elements and their values: raw bytes, parsed when they are asked for.

Implements PS3.5, section 6.2 (value representations) and 6.4 (several values in one element).
No error tells a value: elements hold the identity of patients (PS3.15).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError
from refmaker.scanners.dicom.charset import decode_text
from refmaker.scanners.dicom.decimals import decimals, integers, only
from refmaker.scanners.dicom.tags import PIXEL_REPRESENTATION, SPECIFIC_CHARACTER_SET, vr_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.scanners.dicom.tags import Element

__all__ = ["Dataset", "tag_text"]

_BINARY = {
    b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"UV": "Q", b"SV": "q",
    b"FL": "f", b"FD": "d", b"OV": "Q", b"OF": "f", b"OD": "d", b"OL": "I",
}  # fmt: skip
_TEXT = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"})
"""Representations in which SpecificCharacterSet applies."""
_SINGLE = frozenset({b"LT", b"ST", b"UT", b"UR"})
"""Representations in which a backslash is a character."""
_BYTES = frozenset({b"OB", b"OW", b"UN"})
_PAD = b" \0"


def tag_text(tag: int) -> str:
    """Return a tag as the standard prints it: ``(0028,0010)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Dataset:
    """A set of data elements: that of a file, or one item of a sequence.

    Attributes
    ----------
    elements : dict of int to Element
        What was kept, by tag ``group << 16 | element``.
    implicit, big : bool
        How sequences in it are encoded.
    charset : str
        SpecificCharacterSet as it stands in the file, for text.
    """

    __slots__ = ("big", "charset", "elements", "implicit")

    def __init__(
        self, elements: dict[int, Element], *, implicit: bool, big: bool, charset: str = ""
    ) -> None:
        self.elements = elements
        self.implicit = implicit
        self.big = big
        own = elements.get(SPECIFIC_CHARACTER_SET)
        self.charset = charset if own is None else own[1].decode("latin-1").strip(" \0")

    def __contains__(self, tag: int) -> bool:
        return tag in self.elements

    def __iter__(self) -> Iterator[int]:
        return iter(self.elements)

    def vr(self, tag: int) -> str:
        """Return the value representation of an element, from the dictionary if need be."""
        found = self.elements[tag][0]
        return (found if found not in (b"", b"UN") else vr_of(tag)).decode()

    def raw(self, tag: int) -> bytes | None:
        """Return the bytes of an element as they stand in the file, or None."""
        found = self.elements.get(tag)
        return None if found is None else found[1]

    def get(self, tag: int, default: Any = None) -> Any:
        """Return the value of an element.

        Parameters
        ----------
        tag : int
            ``group << 16 | element``.
        default : object
            What to return where there is no element, or an empty one.

        Returns
        -------
        object
            One value, or a list of several: float for ``DS``, ``FL`` and ``FD``, int for ``IS``
            and binary integers, str for text and identifiers, bytes for ``OB``, ``OW`` and
            ``UN``, a list of tags for ``AT``, a list of `Dataset` for ``SQ`` (always a list).

        Raises
        ------
        FormatError
            If the value breaks the rules of its representation; the message names the tag.
        """
        element = self.elements.get(tag)
        if element is None or not element[1]:
            return default
        values = self._values(tag, element)
        if isinstance(values, list) and element[0] != b"SQ" and vr_of(tag) != b"SQ":
            return default if not values else values[0] if len(values) == 1 else values
        return values

    def values(self, tag: int) -> list[Any]:
        """Return the values of an element as a list, empty where there is none."""
        found = self.get(tag)
        return [] if found is None else found if isinstance(found, list) else [found]

    def numbers(self, tag: int, count: int | None = None) -> list[float] | None:
        """Return the values of an element as floats, or None where there is none.

        Raises
        ------
        FormatError
            If they are no numbers, or not `count` of them.
        """
        values = self.values(tag)
        if not values:
            return None
        try:
            numbers = [number for value in values for number in _numbers(value)]
        except FormatError as error:
            raise error.located(path=tag_text(tag)) from None
        if count is not None and len(numbers) != count:
            raise FormatError(f"{len(numbers)} values, expected {count}", path=tag_text(tag))
        return numbers

    def number(self, tag: int) -> float | None:
        """Return the single number of an element, or None where there is none.

        Raises
        ------
        FormatError
            If it is no number, or if there are several that differ.
        """
        numbers = self.numbers(tag)
        try:
            return None if numbers is None else only(numbers)
        except FormatError as error:
            raise error.located(path=tag_text(tag)) from None

    def integer(self, tag: int) -> int | None:
        """Return the single whole number of an element, or None where there is none.

        Raises
        ------
        FormatError
            If it is not a whole number.
        """
        number = self.number(tag)
        if number is None:
            return None
        if number != number // 1:
            raise FormatError("the value is no whole number", path=tag_text(tag))
        return int(number)

    def text(self, tag: int) -> str:
        """Return the text of an element, several values joined by a backslash, or ``""``."""
        element = self.elements.get(tag)
        if element is None:
            return ""
        return self._decoded(element[0] or vr_of(tag), element[1]).strip(" \0")

    def items(self, tag: int) -> list[Dataset]:
        """Return the items of a sequence, an empty list where there is none."""
        return list(self.iter_items(tag))

    def iter_items(self, tag: int) -> Iterator[Dataset]:
        """Yield the items of a sequence one by one, each parsed as it comes.

        Raises
        ------
        FormatError
            If the sequence is damaged.
        """
        from refmaker.scanners.dicom.walk import iter_items

        element = self.elements.get(tag)
        if element is not None and element[1]:
            # A sequence of unknown representation is encoded implicitly, whatever is around it
            # (PS3.5, 6.2.2).
            implicit = self.implicit or element[0] == b"UN"
            for elements in iter_items(element[1], implicit=implicit, big=self.big):
                yield Dataset(elements, implicit=implicit, big=self.big, charset=self.charset)

    def _values(self, tag: int, element: Element) -> Any:
        vr, raw = element
        if vr in (b"", b"UN"):
            vr = vr_of(tag)
        if vr == b"SQ":
            return self.items(tag)
        if vr == b"XS":
            vr = b"SS" if self.get(PIXEL_REPRESENTATION) == 1 else b"US"
        if vr in _BINARY:
            return _unpacked(tag, _BINARY[vr], raw, self.big)
        if vr == b"AT":
            halves = _unpacked(tag, "H", raw, self.big)
            return [a << 16 | b for a, b in zip(halves[::2], halves[1::2], strict=False)]
        if vr in _BYTES or not vr:
            return raw
        if vr in (b"DS", b"IS"):
            try:
                return decimals(raw) if vr == b"DS" else integers(raw)
            except FormatError as error:
                raise error.located(path=tag_text(tag)) from None
        if vr in _SINGLE:
            return [self._decoded(vr, raw).rstrip(" \0")]
        parts = [part.strip(" \0") for part in self._decoded(vr, raw).split("\\")]
        return parts if any(parts) else []

    def _decoded(self, vr: bytes, raw: bytes) -> str:
        if vr in _TEXT:
            return decode_text(raw, self.charset)
        return raw.decode("latin-1")


def _numbers(value: Any) -> list[float]:
    """Return the numbers that a value is, also where its representation is one of text."""
    if isinstance(value, int | float):
        return [float(value)]
    if not isinstance(value, str | bytes):
        raise FormatError("the value is no number")
    return decimals(value if isinstance(value, bytes) else value.encode("latin-1", "replace"))


def _unpacked(tag: int, code: str, raw: bytes, big: bool) -> list[Any]:
    size = struct.calcsize(f"={code}")
    if len(raw) % size:
        raise FormatError(f"{len(raw)} bytes in values of {size}", path=tag_text(tag))
    return list(struct.unpack(f"{'>' if big else '<'}{len(raw) // size}{code}", raw))

"""Headers that are alike, read as one form with blanks: the slices of a series.

The headers of a series agree in almost all of their bytes. What they have in common is found
once, by walking over the first of them; of each other header the common bytes are compared in
bulk, and only the elements in between are looked at. A header that does not agree byte for byte
outside of the blanks is no copy of the form, and is walked over like the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from refmaker.errors import RefmakerError
from refmaker.scanners.dicom.tags import (
    IMAGE_TYPE,
    SCANNING_SEQUENCE,
    SPECIFIC_CHARACTER_SET,
    TRANSFER_SYNTAX_UID,
)
from refmaker.scanners.dicom.vendor_elements import is_creator
from refmaker.scanners.dicom.walk import UNDEFINED, ShortError, after_items, length_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.dicom.tags import Element

__all__ = ["Forms", "HeaderTemplate"]

Order = Literal["little", "big"]

_META_AT = 132
"""Where the file meta information begins, behind a preamble."""
_KEPT = 8
"""Forms that are compared with a header before it is walked over."""
_PATIENCE = 64
"""Headers that may be turned into forms before one of them has been of use."""
_DECIDING = (TRANSFER_SYNTAX_UID, SPECIFIC_CHARACTER_SET, IMAGE_TYPE, SCANNING_SEQUENCE)
"""Elements that decide how others are read, or which: never blanks. So do private creators."""


class _Field(NamedTuple):
    """One element on the outermost level of a header."""

    tag: int
    vr: bytes
    at: int
    start: int
    end: int
    width: int
    order: Order
    implicit: bool
    big: bool

    @property
    def kind(self) -> tuple[int, bytes, int]:
        """What is the same in every copy of a form."""
        return self.tag, self.vr, self.width


class _Blank(NamedTuple):
    """The bytes in front of a blank, and how the element is read that fills it."""

    text: bytes
    width: int
    order: Order
    kept: bool
    implicit: bool
    big: bool


class HeaderTemplate:
    """What the headers of many files have in common.

    Attributes
    ----------
    blanks : set of int
        Tags of the elements in which they may differ; of all others, two headers of one form
        hold the same object.
    frames : int or None
        Number of frames of each instance, once it is known.
    """

    __slots__ = (
        "_base",
        "_data",
        "_fields",
        "_head",
        "_kept",
        "_last",
        "_steps",
        "blanks",
        "frames",
    )

    def __init__(
        self, data: bytes, fields: list[_Field], head: bytes, elements: dict[int, Element]
    ) -> None:
        self.blanks: set[int] = set()
        self.frames: int | None = None
        self._data = data
        self._fields = fields
        self._head = head
        self._base = dict(elements)
        self._compile()

    def _compile(self) -> None:
        """Lay out the common bytes, and the blanks between them."""
        data, at = self._data, 0
        self._steps: list[_Blank] = []
        self._kept: list[tuple[int, bytes]] = []
        for field in self._fields:
            if field.tag not in self.blanks:
                continue
            kept = field.tag in self._base
            text = data[at : field.start - field.width]
            self._steps.append(
                _Blank(text, field.width, field.order, kept, field.implicit, field.big)
            )
            if kept:
                self._kept.append((field.tag, self._base[field.tag][0]))
            at = field.end
        self._last = data[at : self._fields[-1].end] + self._head

    def read(self, data: bytes) -> tuple[dict[int, Element], int] | None:
        """Read a header that is a copy of the form.

        Parameters
        ----------
        data : bytes
            The first bytes of the file.

        Returns
        -------
        tuple or None
            Its elements, and where that of the pixel data begins; None if it is no copy.
        """
        at, values = 0, []
        for text, width, order, kept, implicit, big in self._steps:
            if not data.startswith(text, at):
                return None
            at += len(text)
            start = at + width
            length = int.from_bytes(data[at:start], order)
            if length == UNDEFINED and width > 2:
                try:
                    at = after_items(data, start, implicit=implicit, big=big)
                except (ShortError, RefmakerError):
                    return None
            else:
                at = start + length
            if kept:
                values.append(data[start:at])
        # Bytes behind the end compare unequal: with these all others are there as well.
        if not data.startswith(self._last, at):
            return None
        elements = self._base.copy()
        for (tag, vr), value in zip(self._kept, values, strict=True):
            elements[tag] = vr, value
        return elements, at + len(self._last) - len(self._head)

    def admit(
        self, data: bytes, fields: list[_Field], elements: Mapping[int, Element]
    ) -> dict[int, Element] | None:
        """Leave blanks where another header differs.

        Returns
        -------
        dict or None
            Its elements, those outside of blanks as in the form; None if the header cannot be
            a copy of it.
        """
        before = set(self.blanks)
        for mine, other in zip(self._fields, fields, strict=True):
            if self._data[mine.at : mine.end] != data[other.at : other.end]:
                self.blanks.add(mine.tag)
        self._compile()
        found = self.read(data)
        if found is not None and found[0] == elements:
            return found[0]
        self.blanks = before
        self._compile()
        return None


class Forms:
    """The forms of the headers that have been read."""

    def __init__(self) -> None:
        self._forms: dict[object, HeaderTemplate] = {}
        self._recent: list[HeaderTemplate] = []
        self._patience = _PATIENCE

    def read(self, data: bytes) -> tuple[HeaderTemplate, dict[int, Element], int] | None:
        """Read a header that is a copy of a form; see `HeaderTemplate.read`."""
        for number, form in enumerate(self._recent):
            found = form.read(data)
            if found is not None:
                if number:
                    self._recent.insert(0, self._recent.pop(number))
                self._patience = _PATIENCE
                return form, *found
        return None

    def learn(
        self, data: bytes, elements: dict[int, Element], stop: int, *, implicit: bool, big: bool
    ) -> tuple[HeaderTemplate, dict[int, Element]] | None:
        """Make a form of a header that has been walked over, or leave more blanks in one.

        Parameters
        ----------
        data : bytes
            The first bytes of the file.
        elements : dict
            What the walk kept.
        stop : int
            Where the element of the pixel data begins.
        implicit, big : bool
            The encoding of the data set.

        Returns
        -------
        tuple or None
            The form and the elements, those outside of blanks as in the form; None if there is
            no form for such a header.
        """
        head = data[stop : stop + (8 if implicit else 12)]
        if self._patience <= 0 or not head:
            return None
        self._patience -= 1
        fields = _fields(data, stop, implicit=implicit, big=big)
        if fields is None or not _complete(data, fields, elements):
            return None
        key = (
            tuple(field.kind for field in fields),
            tuple(elements.get(tag) for tag in _DECIDING),
            tuple(item for item in elements.items() if is_creator(item[0])),
            head,
        )
        form = self._forms.get(key)
        if form is not None:
            own = form.admit(data, fields, elements)
            if own is not None:
                return form, own
        form = self._forms[key] = HeaderTemplate(data, fields, head, elements)
        self._recent.insert(0, form)
        del self._recent[_KEPT:]
        return form, elements


def _fields(data: bytes, stop: int, *, implicit: bool, big: bool) -> list[_Field] | None:
    """Return the elements in front of the pixel data, or None if there is anything odd."""
    if data[_META_AT - 4 : _META_AT] != b"DICM":
        return None
    found: list[_Field] = []
    at = _META_AT
    while at < stop:
        # The length of the group is not needed: the group ends where another one begins.
        meta = data[at : at + 2] == b"\2\0" and (not found or found[-1].tag >> 16 == 2)
        plain, swapped = implicit and not meta, big and not meta
        order: Order = "big" if swapped else "little"
        tag = int.from_bytes(data[at : at + 2], order) << 16
        tag |= int.from_bytes(data[at + 2 : at + 4], order)
        vr = b"" if plain else data[at + 4 : at + 6]
        width = 4 if plain else length_bytes(vr)
        if width is None or tag >> 16 == 0xFFFE:
            return None
        start = at + (12 if width == 4 and not plain else 8)
        length = int.from_bytes(data[start - width : start], order)
        end, unknown = start + length, plain or vr == b"UN"
        swapped = swapped and vr != b"UN"
        if length == UNDEFINED and width > 2:
            try:
                end = after_items(data, start, implicit=unknown, big=swapped)
            except (ShortError, RefmakerError):
                return None
        found.append(_Field(tag, vr, at, start, end, width, order, unknown, swapped))
        at = end
    return found if at == stop else None


def _complete(data: bytes, fields: list[_Field], elements: Mapping[int, Element]) -> bool:
    """Tell whether these are the elements that a walk found, each of them once."""
    known = {field.tag: field for field in fields}
    if len(known) != len(fields) or not elements.keys() <= known.keys():
        return False
    return all(
        element == (known[tag].vr, data[known[tag].start : known[tag].end])
        for tag, element in elements.items()
    )

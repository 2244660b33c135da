"""The walk over encoded data elements, at the speed that thousands of headers need.

Implements PS3.5, section 7 (data elements, sequences of items) for explicit and implicit VR of
both byte orders. Values are not looked at. Where bytes end before the elements do, `ShortError`
tells where to go on once there are more of them.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception, named like one
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from refmaker.scanners.dicom.tags import Element

__all__ = [
    "ITEM",
    "SEQUENCE_END",
    "UNDEFINED",
    "ShortError",
    "after_items",
    "is_vr",
    "iter_items",
    "length_bytes",
    "walk",
]

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
_PIXEL_GROUP = 0x7FE0
_DEPTH = 64
"""Levels of sequences in one another; real content trees stay below 20."""

_SHORT = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # fmt: skip
"""Representations with a length of 16 bits (PS3.5, 7.1.2)."""
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

_HEADS = {False: Struct("<HH2sH").unpack_from, True: Struct(">HH2sH").unpack_from}
_PLAIN = {False: Struct("<HHI").unpack_from, True: Struct(">HHI").unpack_from}
_LENGTH = {False: Struct("<I").unpack_from, True: Struct(">I").unpack_from}


class ShortError(Exception):
    """The bytes at hand end inside an element.

    Parameters
    ----------
    at : int
        Where the element of the outermost level begins.
    """

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def is_vr(two: bytes) -> bool:
    """Tell whether two bytes are a value representation of the standard."""
    return two in _SHORT or two in _LONG


def length_bytes(vr: bytes) -> int | None:
    """Return the bytes of the length of an element in explicit VR, None if it is no VR."""
    return 2 if vr in _SHORT else 4 if vr in _LONG else None


def walk(  # noqa: PLR0913 - the state of a walk
    data: bytes,
    at: int,
    stop: int,
    into: dict[int, Element],
    *,
    implicit: bool,
    big: bool,
    wanted: Collection[int] | None,
    depth: int = 0,
) -> int:
    """Collect the elements of one data set.

    Parameters
    ----------
    data : bytes
        What is at hand.
    at, stop : int
        Where the elements begin, and the end of the data set (which may lie behind the end of
        `data`).
    into : dict
        Takes the wanted elements; sequences as raw bytes.
    implicit, big : bool
        The encoding.
    wanted : collection of int, optional
        Tags to keep, all if None.
    depth : int
        0 for the data set of a file, which ends where pixel data begin.

    Returns
    -------
    int
        Where the walk ended: at the element of the pixel data; at or behind `stop`; behind the
        delimiter of the item.

    Raises
    ------
    ShortError
        If an element does not lie inside `data`.
    FormatError, LimitError
        If the bytes are no data elements.
    """
    one = _implicit if implicit else _explicit
    try:
        return one(data, at, stop, into, big, wanted, depth)
    except StructError:
        # Only a position behind the bytes at hand is no position.
        raise ShortError(at) from None


def _explicit(  # noqa: C901, PLR0912 - one loop, which is where a scan spends its time
    data: bytes,
    at: int,
    stop: int,
    into: dict[int, Element],
    big: bool,
    wanted: Collection[int] | None,
    depth: int,
) -> int:
    head, long, size = _HEADS[big], _LENGTH[big], len(data)
    mark = at
    try:
        while at < stop:
            mark = at
            group, element, vr, length = head(data, at)
            if vr in _SHORT:
                start = at + 8
                at = start + length
            elif vr in _LONG:
                if group == _PIXEL_GROUP and depth == 0 and element > 7:
                    return at
                (length,) = long(data, at + 8)
                start = at + 12
                # What is of unknown representation and has no length is implicit VR,
                # little endian (PS3.5, 6.2.2).
                at = (
                    start + length
                    if length != UNDEFINED
                    else _skip(data, start, vr == b"UN", big and vr != b"UN", depth)
                )
            else:
                tag = group << 16 | element
                if group == 0xFFFE:
                    if tag == ITEM_END and depth:
                        return at + 8
                    # A delimiter of nothing, as broken writers leave behind.
                    at += 8
                    continue
                if vr.isalpha() and vr.isupper():
                    start = at + 8
                    at = start + length
                else:
                    # An element in implicit VR among others, as some writers have them.
                    (length,) = long(data, at + 4)
                    if group == _PIXEL_GROUP and depth == 0:
                        return at
                    start = at + 8
                    beyond = length != UNDEFINED and start + length > stop
                    if beyond or (vr == b"  " and _continues(data, at, big)):
                        # Nor is it one in implicit VR then.
                        raise _without_vr(group, element, at)
                    vr = b""
                    at = (
                        start + length
                        if length != UNDEFINED
                        else _skip(data, start, True, big, depth)
                    )
            tag = group << 16 | element
            if wanted is None or tag in wanted:
                if at > size:
                    raise ShortError(mark)  # noqa: TRY301 - the same as where numbers end
                into[tag] = vr, data[start:at]
    except StructError:
        raise ShortError(mark) from None
    except ShortError:
        raise ShortError(mark) from None
    return at


def _continues(data: bytes, at: int, big: bool) -> bool:
    """Tell whether another element follows on one whose length is read as that of a short VR."""
    head, (_, _, _, length) = _HEADS[big], _HEADS[big](data, at)
    try:
        group, element, vr, _ = head(data, at + 8 + length)
    except StructError:
        return False
    return is_vr(vr) and (group, element) > head(data, at)[:2]


def _without_vr(group: int, element: int, at: int) -> FormatError:
    return FormatError(
        f"the element ({group:04X},{element:04X}) has no value representation",
        offset=at,
        hint="rewrite the file with a toolkit that knows the element",
    )


def _implicit(
    data: bytes,
    at: int,
    stop: int,
    into: dict[int, Element],
    big: bool,
    wanted: Collection[int] | None,
    depth: int,
) -> int:
    head, size = _PLAIN[big], len(data)
    mark = at
    try:
        while at < stop:
            mark = at
            group, element, length = head(data, at)
            tag = group << 16 | element
            if group == 0xFFFE:
                if tag == ITEM_END and depth:
                    return at + 8
                at += 8
                continue
            if group == _PIXEL_GROUP and depth == 0 and element > 7:
                return at
            start = at + 8
            at = start + length if length != UNDEFINED else _skip(data, start, True, big, depth)
            if wanted is None or tag in wanted:
                if at > size:
                    raise ShortError(mark)  # noqa: TRY301 - the same as where numbers end
                into[tag] = b"", data[start:at]
    except StructError:
        raise ShortError(mark) from None
    except ShortError:
        raise ShortError(mark) from None
    return at


def after_items(data: bytes, at: int, *, implicit: bool, big: bool) -> int:
    """Return where a sequence of undefined length ends, behind its delimiter.

    Parameters
    ----------
    data : bytes
        What is at hand.
    at : int
        Where the first item begins.
    implicit, big : bool
        The encoding.

    Raises
    ------
    ShortError
        If the sequence does not end inside `data`.
    FormatError, LimitError
        If the bytes are no items.
    """
    try:
        return _skip(data, at, implicit, big, 0)
    except StructError:
        raise ShortError(at) from None


_NOTHING: frozenset[int] = frozenset()


def _skip(data: bytes, at: int, implicit: bool, big: bool, depth: int) -> int:
    """Return where a sequence of undefined length ends, behind its delimiter."""
    if depth >= _DEPTH:
        raise LimitError(f"sequences lie {depth} deep in one another")
    plain = _PLAIN[big]
    one = _implicit if implicit else _explicit
    into: dict[int, Element] = {}
    while True:
        group, element, length = plain(data, at)
        tag = group << 16 | element
        at += 8
        if tag == ITEM:
            at = (
                at + length
                if length != UNDEFINED
                else one(data, at, UNDEFINED << 32, into, big, _NOTHING, depth + 1)
            )
        elif tag == SEQUENCE_END:
            return at
        else:
            raise FormatError("an item of a sequence begins with another tag", offset=at - 8)


def iter_items(raw: bytes, *, implicit: bool, big: bool) -> Iterator[dict[int, Element]]:
    """Yield the elements of each item of a sequence.

    Parameters
    ----------
    raw : bytes
        Value of the sequence, with its delimiter if it has one.
    implicit, big : bool
        The encoding.

    Raises
    ------
    FormatError
        If the value is damaged.
    """
    plain: Callable[..., tuple[int, int, int]] = _PLAIN[big]
    one = _implicit if implicit else _explicit
    at, size = 0, len(raw)
    try:
        while at < size:
            group, element, length = plain(raw, at)
            tag = group << 16 | element
            at += 8
            if tag == SEQUENCE_END:
                return
            if tag != ITEM:
                raise FormatError("an item of a sequence begins with another tag")
            stop = at + length if length != UNDEFINED else UNDEFINED << 32
            if length != UNDEFINED and stop > size:
                raise FormatError("an item reaches behind the end of its sequence")
            into: dict[int, Element] = {}
            end = one(raw, at, stop, into, big, None, 1)
            if length != UNDEFINED and end > stop:
                raise FormatError("an element reaches behind the end of its item")
            yield into
            at = stop if length != UNDEFINED else end
    except (StructError, ShortError):
        raise FormatError("a sequence ends inside an element") from None

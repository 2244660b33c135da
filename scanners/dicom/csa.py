"""The CSA header of Siemens: what an MR scanner says of an image in a private element.

After the description of nibabel (``nibabel.nicom.csareader``): a list of tags, each a name and
some texts. Version 2 begins with ``SV10``; version 1 has no such beginning, and counts lengths
from the number of items of its first tag. Everything is bounded.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception, named like one
from typing import TYPE_CHECKING

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["read_csa"]

_TAGS, _ITEMS = 128, 1024
_MARKS = (77, 205)
_COUNT, _TAG, _ITEM = Struct("<2I"), Struct("<64si4s3i"), Struct("<4i")


def read_csa(raw: bytes, wanted: Collection[str]) -> dict[str, list[str]]:
    """Return the texts of some tags of a CSA header, by their names.

    Parameters
    ----------
    raw : bytes
        Value of the private element ``(0029,xx10)`` of the creator ``SIEMENS CSA HEADER``.
    wanted : collection of str
        Names of tags.

    Raises
    ------
    FormatError
        If it is no such header, or a damaged one; the value is not told.
    """
    found: dict[str, list[str]] = {}
    second = raw[:4] == b"SV10"
    at, base = (8, 0) if second else (0, -1)
    try:
        count, mark = _COUNT.unpack_from(raw, at)
        at += _COUNT.size
        if not 1 <= count <= _TAGS or mark not in _MARKS:
            raise FormatError("no CSA header")
        for _ in range(count):
            name, _, _, _, items, mark = _TAG.unpack_from(raw, at)
            at += _TAG.size
            if mark not in _MARKS or not 0 <= items <= _ITEMS:
                raise FormatError("the CSA header is damaged")
            base = items if base < 0 else base
            texts: list[str] = []
            at = _texts(raw, at, items, None if second else base, texts)
            key = name.partition(b"\0")[0].decode("latin-1")
            if key in wanted:
                found[key] = texts
    except StructError:
        raise FormatError("the CSA header ends inside a tag") from None
    return found


def _texts(raw: bytes, at: int, items: int, base: int | None, into: list[str]) -> int:
    """Take the texts of one tag that are not empty, and return where the next one begins."""
    for _ in range(items):
        numbers = _ITEM.unpack_from(raw, at)
        at += _ITEM.size
        length = numbers[1] if base is None else numbers[0] - base
        if length < 0 or at + length > len(raw):
            if base is not None and length:
                # In version 1 the list ends where a length is none.
                break
            raise FormatError("the CSA header is damaged")
        text = raw[at : at + length].partition(b"\0")[0].decode("latin-1").strip()
        if text:
            into.append(text)
        at += -(-length // 4) * 4
    return at

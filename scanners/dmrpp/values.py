"""Values that stand in the document itself: compact data, missing data, texts of any length."""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError
from refmaker.scanners.dmrpp.document import DMRPP

if TYPE_CHECKING:
    from refmaker.scanners.dmrpp.document import Element

__all__ = ["embedded", "texts"]


def embedded(element: Element, nbytes: int) -> tuple[bytes, str] | None:
    """Return the bytes that stand in a variable, and how the element is called.

    Parameters
    ----------
    element : Element
        The variable.
    nbytes : int
        Bytes that its elements have; what is compressed is not unpacked beyond.

    Returns
    -------
    bytes and str, or None
        None if there are none.

    Raises
    ------
    FormatError
        If they are damaged, or not as many.
    """
    for name in ("compact", "missingdata"):
        found = element.child(DMRPP + name)
        if found is None:
            continue
        data = _decoded(found.text)
        if name == "missingdata" and len(data) != nbytes:
            data = _unpacked(data, nbytes)
        if len(data) != nbytes:
            raise FormatError(f"{name!r} holds {len(data)} bytes, {nbytes} are needed")
        return data, name
    return None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"values that are no base64: {error}") from error


def _unpacked(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise FormatError(f"values that are neither plain nor a zlib stream: {error}") from error
    if not unpacker.eof and len(found) <= most:
        raise FormatError("a zlib stream that breaks off")
    return found


def texts(element: Element, count: int, budget: int) -> list[str] | None:
    """Return the texts of variable length that stand in a variable; None if there are none.

    Parameters
    ----------
    element : Element
        The variable.
    count : int
        How many they have to be.
    budget : int
        Bytes that they may take.

    Raises
    ------
    FormatError
        If they are damaged, or not as many.
    LimitError
        If they take more.
    """
    found = element.child(f"{DMRPP}vlsa")
    if found is None:
        return None
    values: list[str] = []
    left = budget
    for child in found.children:
        if child.tag.rpartition(" ")[2] != "v":
            continue
        text = child.text
        size = child.attributes.get("s")
        if size is not None:
            text = _long_text(text, _count(size), left)
        repeats = _count(child.attributes.get("c", "1"))
        if repeats > count - len(values):
            raise FormatError(f"more than the {count} texts of the variable")
        left -= (len(text) + 8) * repeats
        if left < 0:
            raise LimitError(f"texts of more than {budget} bytes", hint="raise `inline_budget`")
        values += [text] * repeats
    if len(values) != count:
        raise FormatError(f"{len(values)} texts, {count} are needed")
    return values


def _long_text(text: str, size: int, most: int) -> str:
    """Return a text that is kept compressed."""
    if size > most:
        raise LimitError(f"a text of {size} bytes", hint="raise `inline_budget`")
    data = _unpacked(_decoded(text), size)
    if len(data) != size:
        raise FormatError(f"a text of {len(data)} bytes, {size} are told")
    return data.decode("utf-8", "replace")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise FormatError(f"{text!r:.80} is not a number")
    return int(text)

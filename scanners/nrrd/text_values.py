"""Data that NRRD files write as text: numbers (``ascii``) or digits of their bytes (``hex``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError

if TYPE_CHECKING:
    from typing import Any

    from refmaker.scanning.raw_data import Block

__all__ = ["text_values"]

_WORD = 64
"""Bytes of text that a value may have, blanks included."""


def text_values(
    block: Block, dtype: np.dtype[Any], count: int, budget: int, *, hexa: bool
) -> bytes:
    """Return the elements that a file writes as text.

    Parameters
    ----------
    block : Block
        Where the text starts; it goes on to the end of the file.
    dtype : numpy.dtype
        Their type.
    count : int
        How many there are; what follows them does not count.
    budget : int
        Bytes that they may have.
    hexa : bool
        Whether they are digits of bytes.

    Raises
    ------
    UnsupportedError
        If they are more than the budget allows.
    TruncatedError, FormatError
        If there are fewer, or one of them is none of the type.
    """
    url, nbytes = block.source.url, count * dtype.itemsize
    length = block.source.size - block.start
    rewrite = "rewrite it with unu save -f nrrd -e raw"
    if nbytes > budget:
        told, hint = f"it writes {nbytes} bytes as text", f"raise `inline_budget`, or {rewrite}"
        raise UnsupportedError(told, code="nrrd-text", url=url, hint=hint)
    if length > _WORD * (count + 1024):
        told = f"it writes {count} values as {length} bytes of text"
        raise UnsupportedError(told, code="nrrd-text", url=url, hint=rewrite)
    text = block.source.read(block.start, length)
    found = _digits(text, url) if hexa else _numbers(text, dtype, count, url)
    if len(found) < nbytes:
        told = f"its text holds {len(found) // dtype.itemsize} values, {count} are needed"
        raise TruncatedError(told, url=url)
    return found[:nbytes]


def _digits(text: bytes, url: str) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise FormatError(f"its data are no hexadecimal digits: {error}", url=url) from error


def _numbers(text: bytes, dtype: np.dtype[Any], count: int, url: str) -> bytes:
    words = np.array(text.replace(b",", b" ").split()[:count], np.bytes_)
    wide = np.dtype({"i": "i8", "u": "u8", "f": "f8"}[dtype.kind])
    try:
        with np.errstate(over="ignore"):
            values = words.astype(wide)
            found = values.astype(dtype)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"its data are no numbers: {error}", url=url) from error
    if dtype.kind in "iu" and not np.array_equal(found, values):
        raise FormatError(f"a number of its data is no {dtype}", url=url)
    return found.tobytes()

"""Columns of numbers to JSON text, in bulk.

A reference costs about forty characters; formatting them one by one in Python takes longer
than finding them. Here the digits of whole columns are computed by numpy and laid out in one
matrix of bytes, from which the unused places are then removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["BASE64", "Part", "format_rows"]

BASE64 = "base64:"
"""What stands before inlined bytes that are no text."""

Part = Union[str, "NDArray[np.uint64]", "tuple[NDArray[np.int32], Sequence[str]]"]
"""What stands in a row: a text, a number of a column, or the text that a column names."""
BATCH = 1 << 15
"""Rows formatted at a time: the matrices stay in the processor's cache."""
FEW = 512
"""Rows up to which Python's own formatting is done before numpy has laid out its matrix."""
_UNUSED = 0
"""Byte that marks a place without a character; JSON text never holds it."""


def _digits(column: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return decimal digits, right-aligned, of shape (n, width); unused places are marked."""
    width = len(str(int(column.max()))) if column.size else 1
    out = np.empty((column.size, width), np.uint8)
    rest: NDArray[Any] = column.astype(np.uint32 if width <= 9 else np.uint64)
    ten = rest.dtype.type(10)
    for place in range(width - 1, -1, -1):
        quotient = rest // ten
        np.subtract(rest, quotient * ten, out=rest)
        digit = rest.astype(np.uint8) + np.uint8(48)
        if place < width - 1:
            # What is left of the first digit is not written; a lone zero is.
            digit[(quotient == 0) & (rest == 0)] = _UNUSED
        out[:, place] = digit
        rest = quotient
    return out


def format_rows(parts: Sequence[Part]) -> Iterator[bytes]:
    """Yield the rows of a table as text, without anything between them.

    Parameters
    ----------
    parts : sequence
        What a row is made of, in order: a str stands in every row; an unsigned integer array
        of shape (n,) gives a decimal number; a pair of an integer array of shape (n,) and a
        sequence of str gives the string of that number. No text holds a NUL, and one part is
        not a str.

    Yields
    ------
    bytes
        UTF-8 text of some thousand rows at a time.
    """
    columns = [part for part in parts if not isinstance(part, str)]
    if not columns:
        raise ValueError("the number of rows is that of a column, and there is none")
    first = columns[0]
    total = (first[0] if isinstance(first, tuple) else first).size
    if total <= FEW:
        yield _few_rows(parts)
        return
    for start in range(0, total, BATCH):
        stop = min(start + BATCH, total)
        blocks: list[NDArray[np.uint8]] = []
        for part in parts:
            if isinstance(part, str):
                text = np.frombuffer(part.encode(), np.uint8)
                blocks.append(np.broadcast_to(text, (stop - start, text.size)))
            elif isinstance(part, tuple):
                blocks.append(_strings(part[0][start:stop], part[1]))
            else:
                blocks.append(_digits(part[start:stop]))
        matrix = np.concatenate(blocks, axis=1)
        yield matrix[matrix != _UNUSED].tobytes()


def _few_rows(parts: Sequence[Part]) -> bytes:
    """Return the rows of a short table as text."""
    row = "".join(part.replace("%", "%%") if isinstance(part, str) else "%s" for part in parts)
    columns: list[list[Any]] = []
    for part in parts:
        if isinstance(part, tuple):
            columns.append([part[1][number] for number in part[0].tolist()])
        elif not isinstance(part, str):
            columns.append(part.tolist())
    return "".join(map(row.__mod__, zip(*columns, strict=True))).encode()


def _strings(numbers: NDArray[np.int32], names: Sequence[str]) -> NDArray[np.uint8]:
    used, inverse = np.unique(numbers, return_inverse=True)
    encoded = [names[number].encode() for number in used.tolist()]
    width = max(map(len, encoded))
    padded = b"".join(name.ljust(width, b"\0") for name in encoded)
    return np.frombuffer(padded, np.uint8).reshape(len(encoded), width)[inverse]

"""Columns of a binary table: where each lies in a row, and of what type it is.

Implements section 7.3 of the FITS Standard 4.0: ``TFORMn`` is a repeat count and a letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from refmaker.scanners.fits.header import Header

__all__ = ["HEAP_BYTES", "Column", "table_columns"]

_FORM: Final = re.compile(r"([0-9]*)([LXBIJKAEDCMPQ])(.*)")
_BYTES: Final = {
    **dict.fromkeys("LBA", 1),
    "I": 2,
    **dict.fromkeys("JE", 4),
    **dict.fromkeys("KDCP", 8),
    **dict.fromkeys("MQ", 16),
}
HEAP_BYTES: Final = {code: width for code, width in _BYTES.items() if code not in "XPQ"}
"""Bytes of the elements that lists in the heap may have."""
_MAX_FIELDS: Final = 999


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a binary table.

    Parameters
    ----------
    number : int
        From 1, as in the names of its keywords.
    name : str
        ``TTYPEn``, or ``col`` and its number.
    code : str
        Letter of its type.
    repeat : int
        Elements in a row; bits for ``X``.
    start, width : int
        First byte in a row, and bytes.
    inner : str
        For ``P`` and ``Q``, the letter of the elements in the heap; else what follows the letter.
    """

    number: int
    name: str
    code: str
    repeat: int
    start: int
    width: int
    inner: str


def table_columns(header: Header) -> list[Column]:
    """Return the columns of a binary table, in order.

    Raises
    ------
    FormatError
        If a ``TFORMn`` is missing or means nothing, or the columns do not fill a row.
    """
    count = header.integer("TFIELDS")
    if not 0 <= count <= _MAX_FIELDS:
        raise FormatError(f"TFIELDS is {count}", offset=header.start)
    start, found = 0, []
    for number in range(1, count + 1):
        form = header.text(f"TFORM{number}")
        parts = _FORM.fullmatch(form)
        if not parts:
            raise FormatError(f"TFORM{number} is {form!r}", offset=header.start)
        repeat, code = int(parts[1] or 1), parts[2]
        width = -(-repeat // 8) if code == "X" else repeat * _BYTES[code]
        name = header.text(f"TTYPE{number}") or f"col{number}"
        inner = parts[3][:1] if code in "PQ" else parts[3].strip()
        found.append(Column(number, name, code, repeat, start, width, inner))
        start += width
    if start != header.axes[0]:
        raise FormatError(
            f"the columns take {start} bytes, a row {header.axes[0]}", offset=header.start
        )
    return found

"""Header cards: keyword and value of 80 bytes of text.

Implements section 4 of the FITS Standard 4.0 (keyword records, value types, ``CONTINUE``) and the
registered convention ``HIERARCH``.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

__all__ = ["CARD", "Card", "Value", "parse_card"]

CARD: Final = 80
"""Bytes of a card."""

Value = bool | int | float | str | complex | None
"""Value of a keyword; None if the card leaves it undefined."""

_TEXT: Final = re.compile(r" *'((?:[^']|'')*)'")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_REAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[EeDd][+-]?[0-9]+)?")
_COMMENTARY: Final = frozenset(("COMMENT", "HISTORY", ""))


class Card(NamedTuple):
    """One card.

    Attributes
    ----------
    keyword : str
        Without padding; that of ``HIERARCH`` cards is all before the equals sign.
    value : Value
        The value, or the text of a commentary card.
    kind : str
        ``"value"``, ``"comment"``, ``"continue"`` or ``"end"``.
    clean : bool
        Whether the value follows the standard; one that does not is kept as text.
    """

    keyword: str
    value: Value
    kind: str
    clean: bool = True


def parse_card(text: str) -> Card:
    """Return keyword and value of a card.

    Parameters
    ----------
    text : str
        Its 80 characters.
    """
    keyword = text[:8].rstrip()
    if keyword == "END" and not text[8:].strip():
        return Card(keyword, None, "end")
    if keyword == "CONTINUE" and text[8:10] != "= ":
        found = _TEXT.match(text, 8)
        piece = _unquoted(found[1]) if found else text[8:].strip()
        return Card(keyword, piece, "continue", bool(found))
    if keyword == "HIERARCH" and "=" in text[8:]:
        name, _, rest = text[8:].partition("=")
        value, clean = _value(rest)
        return Card(" ".join(name.split()), value, "value", clean)
    if keyword in _COMMENTARY or text[8:9] != "=":
        return Card(keyword, text[8:].rstrip(), "comment")
    value, clean = _value(text[9:])
    return Card(keyword, value, "value", clean)


def _unquoted(text: str) -> str:
    """Return a text as it is meant: trailing blanks do not count, one blank stays."""
    plain = text.replace("''", "'")
    return plain.rstrip(" ")


def _value(field: str) -> tuple[Value, bool]:
    """Return the value of a value field and comment, and whether it follows the standard."""
    found = _TEXT.match(field)
    if found:
        return _unquoted(found[1]), True
    text = field.partition("/")[0].strip()
    if text in ("T", "F"):
        return text == "T", True
    if not text:
        return None, True
    if text[0] == "(" and text[-1] == ")" and text.count(",") == 1:
        real, _, imaginary = text[1:-1].partition(",")
        parts = _number(real.strip()), _number(imaginary.strip())
        if None not in parts:
            return complex(*(part or 0 for part in parts)), True
    number = _number(text)
    return (text, False) if number is None else (number, True)


def _number(text: str) -> int | float | None:
    """Return an integer or a finite real; None if the text is neither."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        number = float(text.upper().replace("D", "E"))
        return number if math.isfinite(number) else None
    return None

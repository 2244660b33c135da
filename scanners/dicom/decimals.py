"""Numbers that are written as text: one reading of each, or none.

Implements the value representations ``DS`` and ``IS`` of PS3.5, section 6.2, with what real
writers make of them: padding on either side, a separator behind the last value, and a decimal
comma, which has one meaning only, because neither representation allows a comma. Everything
else is refused: readers do not agree on it, and some of them put a default in its place.
"""

from __future__ import annotations

from refmaker.errors import FormatError

__all__ = ["decimals", "integers", "is_plain", "one_decimal", "only"]

_CHARACTERS = b"0123456789+-.eE"
_PLAIN = _CHARACTERS + b" "
_PAD = b" \0"
_LONGEST = 64
"""Bytes of one number; the standard allows 16, and some writers print all digits of a double."""


def is_plain(raw: bytes) -> bool:
    """Tell whether a text consists of digits, signs, points, exponents and padding alone."""
    return not raw.strip(_PLAIN)


def one_decimal(raw: bytes) -> float | None:
    """Return the only number of a decimal string; None if it is blank.

    Raises
    ------
    FormatError
        As `decimals` and `only`.
    """
    # Thousands of slices have numbers as they should be.
    if not raw.strip(_PLAIN) and len(raw) <= _LONGEST:
        try:
            value = float(raw)
        except ValueError:
            pass
        else:
            if value - value == 0:
                return value
    return only(decimals(raw))


def decimals(raw: bytes) -> list[float]:
    """Return the numbers of a decimal string.

    Parameters
    ----------
    raw : bytes
        Value of an element, with a backslash between two numbers.

    Returns
    -------
    list of float
        Empty if the value is blank.

    Raises
    ------
    FormatError
        If a number has no reading, or more than one; the value is not told.
    """
    return [_decimal(part) for part in _parts(raw)]


def integers(raw: bytes) -> list[int]:
    """Return the numbers of an integer string, such as ``3`` or ``3.0``; as `decimals`."""
    return [_integer(part) for part in _parts(raw)]


def only(values: list[float]) -> float | None:
    """Return the number that an element gives once, or several times over; None for none.

    Raises
    ------
    FormatError
        If there are different numbers.
    """
    if any(value != values[0] for value in values):
        raise FormatError(f"{len(values)} different values, expected one")
    return values[0] if values else None


def _parts(raw: bytes) -> list[bytes]:
    parts = [part.strip(_PAD) for part in raw.split(b"\\")]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _decimal(part: bytes) -> float:
    if not part:
        raise FormatError("a blank stands in front of other values")
    if part.count(b",") == 1 and b"." not in part:
        part = part.replace(b",", b".")
    if part.strip(_CHARACTERS) or len(part) > _LONGEST:
        raise FormatError("the value is no decimal string")
    try:
        value = float(part)
    except ValueError:
        raise FormatError("the value is no decimal string") from None
    if value - value != 0:
        raise FormatError("the value is no finite number")
    return value


def _integer(part: bytes) -> int:
    value = _decimal(part)
    if value != value // 1:
        raise FormatError("the value is no whole number")
    return int(part) if part.lstrip(b"+-").isdigit() else int(value)

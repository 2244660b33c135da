"""Units of length and time, as NGFF and UDUNITS spell them."""

from __future__ import annotations

import math

__all__ = ["TIMES", "number", "unit_name"]

_LENGTHS = {
    "å": "angstrom", "angstrom": "angstrom", "ångström": "angstrom", "a": "angstrom",
    "pm": "picometer", "nm": "nanometer", "nanometer": "nanometer", "nanometre": "nanometer",
    "um": "micrometer", "µm": "micrometer", "μm": "micrometer", "micron": "micrometer",
    "microns": "micrometer", "micrometer": "micrometer", "micrometre": "micrometer",
    "mm": "millimeter", "millimeter": "millimeter", "millimetre": "millimeter",
    "cm": "centimeter", "centimeter": "centimeter", "centimetre": "centimeter",
    "dm": "decimeter", "m": "meter", "meter": "meter", "metre": "meter", "metres": "meter",
    "km": "kilometer", "kilometer": "kilometer", "in": "inch", "inch": "inch", "inches": "inch",
    "ft": "foot", "foot": "foot", "yd": "yard", "mi": "mile", "fm": "femtometer",
}  # fmt: skip
_TIMES = {
    "fs": "femtosecond", "ps": "picosecond", "ns": "nanosecond", "us": "microsecond",
    "µs": "microsecond", "μs": "microsecond", "ms": "millisecond", "msec": "millisecond",
    "s": "second", "sec": "second", "second": "second", "seconds": "second",
    "min": "minute", "minute": "minute", "h": "hour", "hour": "hour", "d": "day", "day": "day",
}  # fmt: skip
TIMES = frozenset(_TIMES.values())
"""Names of units of time."""


def unit_name(symbol: str | None, *, time: bool = False) -> str | None:
    r"""Return the full name of a unit, None if it is none that is known.

    Parameters
    ----------
    symbol : str or None
        As files write it: ``µm`` with either code point, ``um``, ``micron``, ImageJ's
        escaped ``\u00B5m``.
    time : bool
        Whether it is a unit of time.
    """
    if not symbol:
        return None
    text = symbol.strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace("\\u00C5", "å")
    # Latin-1 read as UTF-8 and the other way round leave these.
    text = text.replace("Âµ", "µ").replace("\ufffdm", "µm")
    return (_TIMES if time else _LENGTHS).get(text.lower() if len(text) > 1 else text.casefold())


def number(text: object, *, positive: bool = False) -> float | None:
    """Return a finite number that a file gives as text or number, else None.

    Parameters
    ----------
    positive : bool
        Whether only numbers above 0 count.
    """
    if not isinstance(text, str | int | float):
        return None
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(value) or (positive and value <= 0):
        return None
    return value

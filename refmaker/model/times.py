"""Times that CF conventions describe (section 4.4), as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["time_texts"]


def time_texts(values: Sequence[Any], units: str, calendar: Any = "standard") -> list[str] | None:
    """Return times as texts of ISO 8601.

    Parameters
    ----------
    values : sequence of number
        Finite.
    units : str
        Such as ``hours since 2000-01-01``.
    calendar : object
        The attribute of this name.

    Returns
    -------
    list of str or None
        None where CF knows no such units, a time is out of all bounds, or cftime is not installed.
    """
    if " since " not in units:
        return None
    try:
        import cftime
    except ImportError:
        return None
    try:
        return [time.isoformat() for time in cftime.num2date(values, units, str(calendar))]
    except (ValueError, OverflowError, TypeError):
        return None

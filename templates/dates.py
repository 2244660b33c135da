"""Calendar dates as integer expressions, for URLs that count days or months.

The language has no dates and needs none: year, month and day of a day number follow from whole
division alone in the proleptic Gregorian calendar, when years begin in March so that the leap
day comes last.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

__all__ = ["FIELD_WIDTHS", "Moment", "expressions"]

Moment = tuple[int, int, int, int, int, int]
"""Year, month, day, hour, minute, second."""

FIELD_WIDTHS = (4, 2, 2, 2, 2, 2)
"""Digits of each of these."""

_EPOCH = date(1, 1, 1).toordinal() - 306
"""Ordinal of 1 March of the year 0, with which 400 years of 146097 days begin."""


def expressions(moments: list[Moment], name: str) -> tuple[str, ...] | None:
    """Find expressions that give evenly spaced moments, or equal days of successive months.

    Parameters
    ----------
    moments : list of Moment
        At least two, for ``name`` = 0, 1, 2, ...
    name : str
        The variable: an identifier or an expression in parentheses.

    Returns
    -------
    tuple of str, or None
        One expression for each of the six fields. None if the spacing is not even; the caller
        must still check every moment.
    """
    first, second = moments[0], moments[1]
    if first[:2] != second[:2] and all(moment[2:] == first[2:] for moment in moments):
        start = first[0] * 12 + first[1] - 1
        step = second[0] * 12 + second[1] - 1 - start
        count = f"({start} {_times(step, name)})"
        return (f"{count} // 12", f"{count} % 12 + 1", *(str(value) for value in first[2:]))
    instant, following = _seconds(first), _seconds(second)
    if instant is None or following is None or instant == following:
        return None
    return _gregorian(instant, following - instant, name)


def _seconds(moment: Moment) -> int | None:
    """Seconds since `_EPOCH`, or None if there is no such date or time of day."""
    try:
        day = datetime(*moment, tzinfo=UTC).toordinal() - _EPOCH
    except ValueError:
        return None
    return ((day * 24 + moment[3]) * 60 + moment[4]) * 60 + moment[5]


def _times(step: int, name: str) -> str:
    sign = "-" if step < 0 else "+"
    return f"{sign} {name}" if abs(step) == 1 else f"{sign} {abs(step)} * {name}"


def _gregorian(start: int, step: int, name: str) -> tuple[str, ...]:
    """Fields of the moments ``start + step * name``, in seconds."""
    unit = next(size for size in (86400, 3600, 60, 1) if start % size == step % size == 0)
    if step % 86400 == 0:
        # Whole days apart: the time of day is constant.
        clock = start % 86400
        day = f"({start // 86400} {_times(step // 86400, name)})"
        times = (str(clock // 3600), str(clock // 60 % 60), str(clock % 60))
    else:
        count = f"({start // unit} {_times(step // unit, name)})"
        per_day, per_hour, per_minute = 86400 // unit, 3600 // unit, max(1, 60 // unit)
        day = f"({count} // {per_day})"
        times = (
            f"{count} // {per_hour} % 24" if per_hour > 1 else f"{count} % 24",
            f"{count} // {per_minute} % 60" if unit < 3600 else "0",
            f"{count} % 60" if unit < 60 else "0",
        )
    of_era = f"({day} % 146097)"
    year = f"(({of_era} - {of_era} // 1460 + {of_era} // 36524 - {of_era} // 146096) // 365)"
    of_year = f"({of_era} - {year} * 365 - {year} // 4 + {year} // 100)"
    month = f"((5 * {of_year} + 2) // 153)"
    return (
        f"{day} // 146097 * 400 + {year} + {month} // 10",
        f"({month} + 2) % 12 + 1",
        f"{of_year} - (153 * {month} + 2) // 5 + 1",
        *times,
    )

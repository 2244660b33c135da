"""Reference times and forecast steps as integer seconds, computed for many fields at once.

Implements code table 4.4 of edition 2 and table 4 of edition 1 (units of time).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.model.distinct import distinct

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UNIT_SECONDS", "UNKNOWN", "add_time", "big_endian", "seconds"]

UNKNOWN = -(2**62)
"""Stands for a time that no field of a real file has."""
UNIT_SECONDS = {
    2: {0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 1},
    1: {0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 900, 14: 1800, 254: 1},
}
"""By edition: seconds of the units of time that have a fixed length."""
_MONTHS = {3: 1, 4: 12, 5: 120, 6: 360, 7: 1200}
_DAY = 86400


def big_endian(octets: NDArray[np.uint8], *, signed: bool = False) -> NDArray[np.int64]:
    """Return the integers in the rows of a matrix of octets, at most 4 wide.

    Parameters
    ----------
    octets : ndarray of uint8, shape (n, width)
    signed : bool
        Whether the first bit is the sign of the rest, as in GRIB.
    """
    values = np.zeros(len(octets), np.int64)
    for column in octets.T:
        values = values << 8 | column
    if signed:
        sign = 1 << (8 * octets.shape[1] - 1)
        values = np.where(values & sign, -(values & (sign - 1)), values)
    return values


def seconds(
    date: tuple[NDArray[np.int64], ...], clock: tuple[NDArray[np.int64], ...]
) -> NDArray[np.int64]:
    """Return seconds since 1970-01-01T00:00:00, `UNKNOWN` where there is no such time.

    Parameters
    ----------
    date : tuple of ndarray, shape (n,)
        Year, month, day.
    clock : tuple of ndarray, shape (n,)
        Hour, minute, second.
    """
    year, month, day = date
    hour, minute, second = clock
    good = (month >= 1) & (month <= 12) & (day >= 1) & (hour < 25) & (minute < 61) & (second < 62)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0)
    first = _first_day(months)
    good &= day <= _first_day(months + 1) - first
    total = ((first + day - 1) * 24 + hour) * 3600 + minute * 60 + second
    return np.where(good, total, UNKNOWN)


def _first_day(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the day since 1970 on which months since 1970 begin."""
    days: NDArray[np.int64] = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    return days


def add_time(
    start: NDArray[np.int64], amount: NDArray[np.int64], unit: NDArray[np.int64], edition: int
) -> NDArray[np.int64]:
    """Return times that lie an amount of some unit after others.

    Parameters
    ----------
    start : ndarray of int64, shape (n,)
        Seconds since 1970.
    amount, unit : ndarray of int64, shape (n,)
        How many of which unit. Months and longer are counted in the calendar.
    edition : {1, 2}
        Whose table of units.

    Returns
    -------
    ndarray of int64, shape (n,)
        `UNKNOWN` where the unit is not known.
    """
    after = np.full(len(start), UNKNOWN)
    for code in distinct(unit).tolist():
        these = (unit == code) & (start != UNKNOWN)
        if code in UNIT_SECONDS[edition]:
            after[these] = start[these] + amount[these] * UNIT_SECONDS[edition][code]
        elif code in _MONTHS:
            after[these] = _add_months(start[these], amount[these] * _MONTHS[code])
    return after


def _add_months(start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    day, clock = np.divmod(start, _DAY)
    month = day.astype("M8[D]").astype("M8[M]").astype(np.int64)
    into = day - _first_day(month)
    # The 31st of a month without one is its last day.
    room = _first_day(month + count + 1) - _first_day(month + count)
    after: NDArray[np.int64] = _first_day(month + count) + np.minimum(into, room - 1)
    return after * _DAY + clock

"""From product definitions to columns: times, levels, members, and what is left as a template.

Implements sections 1 and 4 of edition 2 and section 1 of edition 1. Fields that differ only in
what columns hold share a *template*: the octets with those that vary blanked out, about which
names are asked once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.grib.templates import TIMELESS, template_octets
from refmaker.scanners.grib.times import UNKNOWN, add_time, big_endian, seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.grib.fields import ProductTemplate
    from refmaker.scanners.grib.templates import TemplateOctets

__all__ = ["ABSENT", "Product", "dated", "read_products", "section4", "undated"]

ABSENT = -(2**40)
"""Stands for a member or percentile that a field does not have."""
MANY = (100, 104, 105, 107, 111, 118, 119, 150, 168)
"""Types of surfaces (table 4.5) that come in such numbers that no name depends on the value."""
_MANY1 = (100, 107, 109, 111, 113, 119)
"""The same in edition 1 (table 3)."""
_ISOBARIC, _HECTO = 100, 100.0
_CUMULATED = 24 * 3600
_ECMWF, _MARS = 98, 1
_EVERY = 255
"""Stands for a year, or a day, that a climatology does not have (edition 1)."""
_ONES = 255
_NEGATIVE = 2
"""Kind of ensemble forecast (table 4.6): negatively perturbed."""
_PRODUCT2 = 9
"""Octets of section 4 before its template."""


@dataclass(slots=True)
class Product:
    """Columns of the fields of one pile, each of shape (n,).

    Parameters
    ----------
    reference : ndarray of int64
        Reference time, seconds since 1970; `UNKNOWN` where there is none.
    start, end : ndarray of int64
        Forecast time in seconds after the reference time, of an interval its two ends;
        `UNKNOWN` where only ecCodes can tell.
    until : ndarray of int64
        End of the overall interval, seconds since 1970, or `UNKNOWN`.
    level : ndarray of float64
        Level in the unit of its type; NaN where the template tells it.
    bottom : ndarray of float64
        The same of the second surface.
    member, percentile : ndarray of int64
        `ABSENT` where there is none; members that are negatively perturbed have a sign.
    lower, upper : ndarray of float64
        Limits of a probability, or NaN.
    template : ndarray of uint8, shape (n, width)
        The octets with the varying ones blanked out.
    """

    reference: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    until: NDArray[np.int64]
    level: NDArray[np.float64]
    bottom: NDArray[np.float64]
    member: NDArray[np.int64]
    percentile: NDArray[np.int64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    template: NDArray[np.uint8]


def read_products(kind: ProductTemplate, rows: NDArray[np.uint8]) -> Product:
    """Read the product definitions of one pile.

    Parameters
    ----------
    rows : ndarray of uint8, shape (n, width)
        Their octets.
    """
    return _edition1(rows) if kind.edition == 1 else _edition2(kind, rows)


def _blank(rows: NDArray[np.uint8]) -> Product:
    n = len(rows)
    unknown = np.full(n, UNKNOWN)
    nothing = np.full(n, np.nan)
    absent = np.full(n, ABSENT)
    return Product(
        unknown, unknown, unknown, unknown, nothing, nothing, absent, absent, nothing, nothing,
        rows.copy(),
    )  # fmt: skip


def _edition2(kind: ProductTemplate, rows: NDArray[np.uint8]) -> Product:
    product = _blank(rows)
    if kind.identification < 21:
        return product
    when = rows[:, 12:19].astype(np.int64)
    product.reference = _date2(when)
    product.template[:, 12:19] = 0
    octets = template_octets(section4(kind, bytes(rows[0]))) if len(rows) else None
    if kind.template in TIMELESS:
        product.start = product.end = np.where(product.reference == UNKNOWN, UNKNOWN, 0)
    if octets is None:
        return product
    # Octet k of section 4 is column `base + k`: its first 9 octets are not in the rows.
    base = kind.identification - 10
    counts = [base + octet for octet in octets.counts]
    alike = (rows[:, counts] == rows[0, counts]).all(axis=1)
    if not alike.all():
        return _merged(kind, rows, alike)
    if octets.unit:
        _forecast(product, rows, base, octets)
    if octets.surfaces:
        _surfaces(product, rows, base + octets.surfaces)
    if octets.member:
        _member(product, rows, base + octets.member, octets.member_width)
    if octets.percentile:
        product.percentile = rows[:, base + octets.percentile].astype(np.int64)
        product.template[:, base + octets.percentile] = 0
    if octets.limits:
        product.lower = _scaled(rows, base + octets.limits + 1)
        product.upper = _scaled(rows, base + octets.limits + 6)
    return product


def section4(kind: ProductTemplate, row: bytes) -> bytes:
    """Return section 4 of a row of edition 2, without the list of vertical coordinate values.

    Parameters
    ----------
    row : bytes
        Section 1, and section 4 from its tenth octet on.
    """
    body = row[kind.identification :]
    head = (len(body) + _PRODUCT2).to_bytes(4, "big") + b"\4"
    return head + kind.vertical.to_bytes(2, "big") + kind.template.to_bytes(2, "big") + body


def undated(kind: ProductTemplate, row: bytes, blanked: bytes) -> bytes:
    """Return a row without those of its dates that columns hold.

    Parameters
    ----------
    row : bytes
        Octets of a field.
    blanked : bytes
        The same with all that columns hold blanked out.
    """
    bare = bytearray(row)
    for at in _dates(kind._replace(local=0, grid=-1), blanked):
        octets = [row[k] for k in at]
        if not any(blanked[k] for k in at) and _is_date(octets):
            for k in at:
                bare[k] = 0
    return bytes(bare)


def dated(kind: ProductTemplate, row: bytes, reference: int, until: int) -> bytes:
    """Return a row with the dates that `undated` took out.

    Parameters
    ----------
    row : bytes
        What `undated` has returned.
    reference, until : int
        Reference time and end of the interval, seconds since 1970; `UNKNOWN` where there is none.
    """
    whole = bytearray(row)
    places = _dates(kind._replace(local=0, grid=-1), row)
    for at, time in zip(places, (reference, until), strict=False):
        if time == UNKNOWN or any(whole[k] for k in at):
            continue
        when = np.datetime64(time, "s").item()
        century, year = divmod(when.year - 1, 100)
        octets = [*when.year.to_bytes(2, "big"), *when.timetuple()[1:6]]
        if kind.edition == 1:
            octets = [year + 1, *octets[2:6], century + 1]
        for k, octet in zip(at, octets, strict=True):
            whole[k] = octet
    return bytes(whole)


@lru_cache(4096)
def _dates(kind: ProductTemplate, row: bytes) -> tuple[tuple[int, ...], ...]:
    """Return where the octets of the reference time and of the end of an interval stand."""
    if kind.edition == 1:
        return ((12, 13, 14, 15, 16, 24),)
    if kind.identification < 21:
        return ()
    octets = template_octets(section4(kind, row))
    found = [12]
    if octets is not None and octets.interval:
        found.append(kind.identification - 10 + octets.interval)
    return tuple(tuple(range(at, at + 7)) for at in found)


def _is_date(octets: list[int]) -> bool:
    """Whether the octets of a date are those of a plain one."""
    if len(octets) == 6:
        # Edition 1: the year of the century first, the century last.
        full = (octets[5] - 1) * 100 + octets[0] if octets[5] and octets[0] <= 100 else 0
        octets = [full >> 8, full & 255, *octets[1:5], 0]
    year, month, day, hour, minute, second = octets[0] << 8 | octets[1], *octets[2:]
    return (
        1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31
        and hour < 24 and minute < 60 and second < 60
    )  # fmt: skip


def _merged(
    kind: ProductTemplate, rows: NDArray[np.uint8], alike: NDArray[np.bool_]
) -> Product:  # fmt: skip
    """Read rows of one length whose counts differ."""
    product = _blank(rows)
    for these in (alike, ~alike):
        part = _edition2(kind, rows[these])
        for name in Product.__slots__:
            column = getattr(product, name).copy()
            column[these] = getattr(part, name)
            setattr(product, name, column)
    return product


def _member(product: Product, rows: NDArray[np.uint8], at: int, width: int) -> None:
    """Read the number of a member; those of negative perturbations are counted apart."""
    number = big_endian(rows[:, at : at + width])
    product.member = np.where(rows[:, at - 1] == _NEGATIVE, -number, number)
    product.template[:, at : at + width] = 0


def _date2(when: NDArray[np.int64]) -> NDArray[np.int64]:
    year = when[:, 0] << 8 | when[:, 1]
    return seconds((year, when[:, 2], when[:, 3]), (when[:, 4], when[:, 5], when[:, 6]))


def _forecast(product: Product, rows: NDArray[np.uint8], base: int, octets: TemplateOctets) -> None:
    at = base + octets.unit
    width = octets.width
    amount = _forecast_time(rows[:, at + 1 : at + 1 + width])
    unit = rows[:, at].astype(np.int64)
    reference = product.reference
    start = np.where(amount == UNKNOWN, UNKNOWN, add_time(reference, amount, unit, 2))
    end = start
    if octets.interval:
        at = base + octets.interval
        product.until = _date2(rows[:, at : at + 7].astype(np.int64))
        if octets.ranges != 1:
            # Which of several ranges is that of forecast time only ecCodes tells.
            return
        length = big_endian(rows[:, at + 15 : at + 19])
        # Some writers count back from a forecast time that is the end of the interval.
        length = np.where(length >> 31, length - (1 << 32), length)
        after = add_time(start, length, rows[:, at + 14].astype(np.int64), 2)
        # Where forecasts of successive reference times are processed (increment 1) the range
        # is not one of forecast time, and the forecast ends where it starts.
        end = np.where(rows[:, at + 13] == 1, start, after)
        # No name depends on the length of what is summed up from the reference time on, once
        # that is longer than a day; it is then another one in every field.
        since = (start == reference) & (end - start > _CUMULATED) & (rows[:, at + 12] == 1)
        product.template[np.ix_(since, np.arange(at + 14, at + 19))] = 0
        product.template[:, at : at + 7] = 0
        product.template[:, at + 8 : at + 12] = 0
        at = base + octets.unit
    known = (start != UNKNOWN) & (end != UNKNOWN)
    product.start = np.where(known, start - reference, UNKNOWN)
    product.end = np.where(known, end - reference, UNKNOWN)
    blank = np.ix_(known, np.arange(at, at + 1 + width))
    product.template[blank] = 0


def _forecast_time(octets: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return forecast times; negative ones that are written in two's complement, too."""
    amount = big_endian(octets, signed=True)
    if octets.shape[1] == 4:
        # A sign and a magnitude would be no time at all; all bits set stand for none.
        other = octets[:, 0] == _ONES
        amount = np.where(other, big_endian(octets) - (1 << 32), amount)
        amount[other & (amount == -1)] = UNKNOWN
    return amount


def _scaled(rows: NDArray[np.uint8], at: int) -> NDArray[np.float64]:
    """Return numbers of a scale factor and a value; NaN where they are missing."""
    factor = big_endian(rows[:, at : at + 1], signed=True)
    value = big_endian(rows[:, at + 1 : at + 5], signed=True).astype(np.float64)
    missing = (rows[:, at] == 255) | (rows[:, at + 1 : at + 5] == 255).all(axis=1)
    power = 10.0 ** np.abs(np.where(missing, 0, factor))
    return np.where(missing, np.nan, np.where(factor > 0, value / power, value * power))


def _surfaces(product: Product, rows: NDArray[np.uint8], at: int) -> None:
    """Read both surfaces where they come in numbers; leave others to the template."""
    kinds = rows[:, at], rows[:, at + 6]
    # Both surfaces of a layer are read, or none; ecCodes alone knows the unit of pressure layers.
    layer = np.isin(kinds[1], MANY) & (kinds[0] != _ISOBARIC)
    many = np.isin(kinds[0], MANY) & (layer | (kinds[1] == 255))
    for kind, first, name in ((kinds[0], at + 1, "level"), (kinds[1], at + 7, "bottom")):
        value = _scaled(rows, first)
        these = many & (kind != 255) & ~np.isnan(value)
        # ecCodes tells pressures in hPa from 100 Pa on, and in Pa below.
        hecto = these & (kinds[0] == _ISOBARIC) & (value >= _HECTO)
        setattr(product, name, np.where(these, np.where(hecto, value / _HECTO, value), np.nan))
        product.template[np.ix_(these, np.arange(first, first + 5))] = 0
        product.template[these, first] = hecto[these]


def _edition1(rows: NDArray[np.uint8]) -> Product:
    product = _blank(rows)
    octet = rows.astype(np.int64)
    century, year = octet[:, 24], octet[:, 12]
    full = np.where(century > 0, (century - 1) * 100 + year, 1900 + year)
    zero = np.zeros_like(full)
    # Without a year it is a climatology, of a day or of a month: ecCodes' year 0.
    every = year == _EVERY
    full = np.where(every, 0, full)
    day = np.where(every & (octet[:, 14] == _EVERY), 1, octet[:, 14])
    date, clock = (full, octet[:, 13], day), (octet[:, 15], octet[:, 16], zero)
    product.reference = seconds(date, clock)
    _forecast1(product, octet)
    kind = octet[:, 9]
    many = np.isin(kind, _MANY1)
    level = (octet[:, 10] << 8 | octet[:, 11]).astype(np.float64)
    level = np.where(kind == 107, level / 10000, level)
    product.level = np.where(many, level, np.nan)
    product.template[np.ix_(many, np.array([10, 11]))] = 0
    # Names depend neither on the decimal scale factor nor on whether there is a bitmap.
    product.template[:, [12, 13, 14, 15, 16, 24, 26, 27]] = 0
    product.template[:, 7] &= 0x80
    if rows.shape[1] > 50:
        mars = (octet[:, 4] == _ECMWF) & (octet[:, 40] == _MARS)
        product.member = np.where(mars, octet[:, 49], ABSENT)
        product.template[mars, 49] = 0
    return product


def _forecast1(product: Product, octet: NDArray[np.int64]) -> None:
    """Read the forecast time of the time range indicators (table 5) that are in use."""
    unit, first, second, indicator = (octet[:, at] for at in (17, 18, 19, 20))
    reference = product.reference
    ranges = np.isin(indicator, (2, 3, 4, 5))
    known = ranges | np.isin(indicator, (0, 1, 10))
    begin = np.where(indicator == 10, first << 8 | second, first)
    start = add_time(reference, begin, unit, 1)
    end = add_time(reference, np.where(ranges, second, begin), unit, 1)
    known &= (start != UNKNOWN) & (end != UNKNOWN)
    product.start = np.where(known, start - reference, UNKNOWN)
    product.end = np.where(known, end - reference, UNKNOWN)
    product.until = np.where(known & ranges, end, UNKNOWN)
    product.template[np.ix_(known, np.arange(17, 20))] = 0

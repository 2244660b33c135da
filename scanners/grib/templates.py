"""Where the varying octets of product definition templates stand (section 4, edition 2).

Implements the parts of templates 4.N that tell one field of a series from the next: forecast
time, surfaces, member, percentile, limits of a probability, and the interval that is processed.
Templates whose parts move with counts inside them are not listed.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DERIVED", "TEMPLATES", "TIMELESS", "TemplateOctets"]


class TemplateOctets(NamedTuple):
    """Octet numbers in section 4, counted from 1 as in the Manual on Codes; 0 where absent.

    Parameters
    ----------
    length : int
        Octets of the section when it processes one time range.
    unit : int
        Unit of the forecast time, which follows.
    surfaces : int
        Type of the first surface: scale factor and value follow, then the second surface.
    member : int
        Number of the perturbation.
    percentile : int
        Percentile.
    limits : int
        Type of probability: scale factor and value of the lower limit follow, then the upper.
    interval : int
        End of the overall interval, 7 octets of date and time. The number of time ranges
        follows after it, missing values in 4 octets, and per range: kind of processing, kind
        of increment, unit, length, unit and length of the increment.
    """

    length: int
    unit: int = 0
    surfaces: int = 0
    member: int = 0
    percentile: int = 0
    limits: int = 0
    interval: int = 0


TEMPLATES: dict[int, TemplateOctets] = {
    0: TemplateOctets(34, 18, 23),
    1: TemplateOctets(37, 18, 23, member=36),
    2: TemplateOctets(36, 18, 23),
    5: TemplateOctets(47, 18, 23, limits=37),
    6: TemplateOctets(35, 18, 23, percentile=35),
    7: TemplateOctets(34, 18, 23),
    8: TemplateOctets(58, 18, 23, interval=35),
    9: TemplateOctets(71, 18, 23, limits=37, interval=48),
    10: TemplateOctets(59, 18, 23, percentile=35, interval=36),
    11: TemplateOctets(61, 18, 23, member=36, interval=38),
    12: TemplateOctets(60, 18, 23, interval=37),
    15: TemplateOctets(37, 18, 23),
    40: TemplateOctets(36, 20, 25),
    41: TemplateOctets(39, 20, 25, member=38),
    42: TemplateOctets(60, 20, 25, interval=37),
    43: TemplateOctets(63, 20, 25, member=38, interval=40),
    44: TemplateOctets(45, 31, 34),
    45: TemplateOctets(50, 31, 36, member=49),
    46: TemplateOctets(71, 31, 36, interval=48),
    47: TemplateOctets(74, 31, 36, member=49, interval=51),
    48: TemplateOctets(58, 42, 47),
    49: TemplateOctets(61, 42, 47, member=60),
    60: TemplateOctets(44, 18, 23, member=36),
    61: TemplateOctets(68, 18, 23, member=36, interval=45),
    70: TemplateOctets(39, 23, 28),
    71: TemplateOctets(42, 23, 28, member=41),
    72: TemplateOctets(63, 23, 28, interval=40),
    73: TemplateOctets(66, 23, 28, member=41, interval=43),
    76: TemplateOctets(37, 21, 26),
    77: TemplateOctets(40, 21, 26, member=39),
    78: TemplateOctets(61, 21, 26, interval=38),
    79: TemplateOctets(64, 21, 26, member=39, interval=41),
    80: TemplateOctets(59, 43, 48),
    81: TemplateOctets(62, 43, 48, member=61),
}
"""By number of the product definition template."""

DERIVED = {2: 35, 3: 35, 4: 35, 12: 35, 13: 35, 14: 35}
"""Templates of derived forecasts: the octet that tells how they are derived (table 4.7)."""

TIMELESS = frozenset({20, 30, 31, 35, 254})
"""Templates of observations, which have no forecast time: radar, satellites, text."""

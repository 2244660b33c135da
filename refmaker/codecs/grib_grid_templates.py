"""What the octets of each grid template hold, in degrees and metres."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.codecs.grib_octets import SectionReader

__all__ = ["READERS_1", "READERS_2", "Contents"]

#: Values by name, resolution and component flags, scanning mode.
Contents = tuple[dict[str, float], int, int]
_MISSING = 0xFFFFFFFF
_MICRO, _MILLI, _CENTI = 1e6, 1e3, 1e2
"""Divisors, not factors: dividing gives the number that is nearest to the decimal one."""


def _angle_unit(octets: SectionReader) -> tuple[int, int]:
    """Return numerator and denominator of the unit of angles (octets 39-46), in degrees."""
    basic, parts = octets.number(39, 4), octets.number(43, 4)
    if basic in (0, _MISSING) or parts in (0, _MISSING):
        return 1, 1_000_000
    return basic, parts


def _latlon(octets: SectionReader) -> Contents:
    """Templates 3.0, 3.1, 3.40 and 3.41 share octets 39-72; rotation is in 73-84."""
    basic, parts = _angle_unit(octets)

    def angle(octet: int) -> float:
        return octets.signed(octet, 4) * basic / parts

    values = {"La1": angle(47), "Lo1": angle(51), "La2": angle(56), "Lo2": angle(60)}
    values["unit"] = basic / parts
    template = octets.number(13, 2)
    if template >= 40:
        values["N"] = octets.number(68, 4)
    else:
        for name, octet in (("Di", 64), ("Dj", 68)):
            if octets.number(octet, 4) != _MISSING:
                values[name] = angle(octet)
    if template in (1, 41):
        values |= {
            "pole_latitude": angle(73),
            "pole_longitude": angle(77),
            "rotation": octets.float32(81),
        }
    return values, octets.byte(55), octets.byte(72)


def _mercator(octets: SectionReader) -> Contents:
    values = {
        "La1": octets.signed(39, 4) / _MICRO,
        "Lo1": octets.signed(43, 4) / _MICRO,
        "LaD": octets.signed(48, 4) / _MICRO,
        "La2": octets.signed(52, 4) / _MICRO,
        "Lo2": octets.signed(56, 4) / _MICRO,
        "orientation": octets.signed(61, 4) / _MICRO,
        "Dx": octets.number(65, 4) / _MILLI,
        "Dy": octets.number(69, 4) / _MILLI,
    }
    return values, octets.byte(47), octets.byte(60)


def _transverse_mercator(octets: SectionReader) -> Contents:
    values = {
        "La0": octets.signed(39, 4) / _MICRO,
        "Lo0": octets.signed(43, 4) / _MICRO,
        "scale": octets.float32(48),
        "false_easting": octets.signed(52, 4) / _CENTI,
        "false_northing": octets.signed(56, 4) / _CENTI,
        "Dx": octets.number(61, 4) / _CENTI,
        "Dy": octets.number(65, 4) / _CENTI,
        "X1": octets.signed(69, 4) / _CENTI,
        "Y1": octets.signed(73, 4) / _CENTI,
    }
    return values, octets.byte(47), octets.byte(60)


def _conic(octets: SectionReader) -> Contents:
    """Templates 3.20, 3.30 and 3.31 share octets 39-65; 3.30 and 3.31 go on to 81."""
    values = {
        "La1": octets.signed(39, 4) / _MICRO,
        "Lo1": octets.signed(43, 4) / _MICRO,
        "LaD": octets.signed(48, 4) / _MICRO,
        "LoV": octets.signed(52, 4) / _MICRO,
        "Dx": octets.number(56, 4) / _MILLI,
        "Dy": octets.number(60, 4) / _MILLI,
        "south": octets.byte(64) >> 7,
    }
    if octets.number(13, 2) != 20:
        values["Latin1"] = octets.signed(66, 4) / _MICRO
        values["Latin2"] = octets.signed(70, 4) / _MICRO
    return values, octets.byte(47), octets.byte(65)


def _space_view(octets: SectionReader) -> Contents:
    values = {
        "Lap": octets.signed(39, 4) / _MICRO,
        "Lop": octets.signed(43, 4) / _MICRO,
        "dx": octets.number(48, 4),
        "dy": octets.number(52, 4),
        "Xp": octets.number(56, 4) / _MILLI,
        "Yp": octets.number(60, 4) / _MILLI,
        "orientation": octets.signed(65, 4) / _MICRO,
        "Nr": octets.number(69, 4) / _MICRO,
        "Xo": octets.number(73, 4),
        "Yo": octets.number(77, 4),
    }
    return values, octets.byte(47), octets.byte(64)


def _equal_area(octets: SectionReader) -> Contents:
    values = {
        "La1": octets.signed(39, 4) / _MICRO,
        "Lo1": octets.signed(43, 4) / _MICRO,
        "La0": octets.signed(47, 4) / _MICRO,
        "Lo0": octets.signed(51, 4) / _MICRO,
        "Dx": octets.number(56, 4) / _MILLI,
        "Dy": octets.number(60, 4) / _MILLI,
    }
    return values, octets.byte(55), octets.byte(64)


def _healpix(octets: SectionReader) -> Contents:
    values = {
        "Nside": octets.number(32, 4),
        "Lo1": octets.signed(36, 4) / _MICRO,
        "position": octets.byte(40),
        "nested": octets.byte(41),
    }
    return values, octets.byte(31), octets.byte(42)


READERS_2: dict[int, Callable[[SectionReader], Contents]] = {
    0: _latlon,
    1: _latlon,
    10: _mercator,
    12: _transverse_mercator,
    20: _conic,
    30: _conic,
    31: _conic,
    40: _latlon,
    41: _latlon,
    90: _space_view,
    140: _equal_area,
    150: _healpix,
}
"""Readers of section 3 by template."""


def _latlon_1(octets: SectionReader) -> Contents:
    """Types 0, 4, 10 and 14 share octets 11-28; rotation is in 33-42."""
    values = {
        "La1": octets.signed(11, 3) / _MILLI,
        "Lo1": octets.signed(14, 3) / _MILLI,
        "La2": octets.signed(18, 3) / _MILLI,
        "Lo2": octets.signed(21, 3) / _MILLI,
        "unit": 1 / _MILLI,
    }
    template = octets.byte(6)
    if template in (4, 14):
        values["N"] = octets.number(26, 2)
    elif octets.byte(17) & 0x80:  # increments are given
        for name, octet in (("Di", 24), ("Dj", 26)):
            if octets.number(octet, 2) != 0xFFFF:
                values[name] = octets.number(octet, 2) / _MILLI
    if template in (10, 14):
        values |= {
            "pole_latitude": octets.signed(33, 3) / _MILLI,
            "pole_longitude": octets.signed(36, 3) / _MILLI,
            "rotation": octets.ibm(39),
        }
    return values, octets.byte(17), octets.byte(28)


def _mercator_1(octets: SectionReader) -> Contents:
    values = {
        "La1": octets.signed(11, 3) / _MILLI,
        "Lo1": octets.signed(14, 3) / _MILLI,
        "La2": octets.signed(18, 3) / _MILLI,
        "Lo2": octets.signed(21, 3) / _MILLI,
        "LaD": octets.signed(24, 3) / _MILLI,
        "orientation": 0.0,
        "Dx": float(octets.number(29, 3)),
        "Dy": float(octets.number(32, 3)),
    }
    return values, octets.byte(17), octets.byte(28)


def _conic_1(octets: SectionReader) -> Contents:
    """Types 3 and 5 share octets 11-28; the standard parallels of type 3 are in 29-34."""
    values = {
        "La1": octets.signed(11, 3) / _MILLI,
        "Lo1": octets.signed(14, 3) / _MILLI,
        "LoV": octets.signed(18, 3) / _MILLI,
        "Dx": float(octets.number(21, 3)),
        "Dy": float(octets.number(24, 3)),
        "south": octets.byte(27) >> 7,
    }
    if octets.byte(6) == 3:
        values["Latin1"] = octets.signed(29, 3) / _MILLI
        values["Latin2"] = octets.signed(32, 3) / _MILLI
        values["LaD"] = values["Latin1"]
    else:
        # Lengths are true at 60 degrees, in the hemisphere that is projected.
        values["LaD"] = -60.0 if values["south"] else 60.0
    return values, octets.byte(17), octets.byte(28)


def _space_view_1(octets: SectionReader) -> Contents:
    values = {
        "Lap": octets.signed(11, 3) / _MILLI,
        "Lop": octets.signed(14, 3) / _MILLI,
        "dx": octets.number(18, 3),
        "dy": octets.number(21, 3),
        "Xp": octets.number(24, 2),
        "Yp": octets.number(26, 2),
        "orientation": octets.signed(29, 3) / _MILLI,
        "Nr": octets.number(32, 3) / _MICRO,
        "Xo": octets.number(35, 2),
        "Yo": octets.number(37, 2),
    }
    return values, octets.byte(17), octets.byte(28)


READERS_1: dict[int, Callable[[SectionReader], Contents]] = {
    0: _latlon_1,
    1: _mercator_1,
    3: _conic_1,
    4: _latlon_1,
    5: _conic_1,
    10: _latlon_1,
    14: _latlon_1,
    90: _space_view_1,
}
"""Readers of section 2 of edition 1 by data representation type."""

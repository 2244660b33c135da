"""Grid definitions of both editions of GRIB, read into one form.

Implements section 3 of edition 2 (templates 3.0, 3.1, 3.10, 3.12, 3.20, 3.30, 3.31, 3.40, 3.41,
3.50, 3.90, 3.101, 3.140, 3.150) and section 2 of edition 1 (data representation types 0, 1, 3, 4,
5, 10, 14, 50, 90 of table 6).
"""

from __future__ import annotations

from refmaker.codecs.checks import MAX_CHUNK
from refmaker.codecs.grib_definition import GridDefinition
from refmaker.codecs.grib_grid_templates import READERS_1, READERS_2
from refmaker.codecs.grib_octets import SectionReader
from refmaker.codecs.grib_reduced import circle_rows
from refmaker.errors import FormatError, LimitError

__all__ = ["I_NEGATIVE", "J_POSITIVE", "read_definition"]

#: Bits of the scanning mode (flag table 3.4): columns run westwards, rows run northwards.
I_NEGATIVE, J_POSITIVE = 0x80, 0x40
_MISSING = 0xFFFFFFFF
_MAX_POINTS = MAX_CHUNK // 8

_EARTHS = {
    0: (6367470.0, 6367470.0),
    2: (6378160.0, 6356775.0),
    4: (6378137.0, 6356752.314140356),
    5: (6378137.0, 6356752.314245179),
    6: (6371229.0, 6371229.0),
    8: (6371200.0, 6371200.0),
    9: (6377563.396, 6356256.909),
    10: (6378137.0, 6356752.314245179),
}
"""Semi-major and semi-minor axis in metres (code table 3.2)."""

_KINDS_2 = {
    0: "regular_ll",
    1: "rotated_ll",
    2: "stretched_ll",
    3: "stretched_rotated_ll",
    4: "variable_resolution_latlon",
    5: "variable_resolution_rotated_latlon",
    10: "mercator",
    12: "transverse_mercator",
    13: "mercator_lam",
    20: "polar_stereographic",
    23: "polar_stereographic_lam",
    30: "lambert",
    31: "albers",
    33: "lambert_lam",
    40: "regular_gg",
    41: "rotated_gg",
    42: "stretched_gg",
    43: "stretched_rotated_gg",
    50: "sh",
    51: "rotated_sh",
    52: "stretched_sh",
    53: "stretched_rotated_sh",
    61: "mercator_bf",
    62: "polar_stereographic_bf",
    63: "lambert_bf",
    90: "space_view",
    100: "triangular_grid",
    101: "unstructured_grid",
    110: "equatorial_azimuthal_equidistant",
    120: "azimuth_range",
    130: "irregular_latlon",
    140: "lambert_azimuthal_equal_area",
    150: "healpix",
    1000: "cross_section",
    1100: "Hovmoller",
    1200: "time_section",
    32768: "ncep_32768",
    32769: "ncep_32769",
}
"""ecCodes' names of the templates 3.x."""
_KINDS_1 = {
    0: "regular_ll",
    1: "mercator",
    3: "lambert",
    4: "regular_gg",
    5: "polar_stereographic",
    8: "albers",
    10: "rotated_ll",
    13: "oblique_lambert",
    14: "rotated_gg",
    20: "stretched_ll",
    24: "stretched_gg",
    30: "stretched_rotated_ll",
    34: "stretched_rotated_gg",
    50: "sh",
    60: "rotated_sh",
    70: "stretched_sh",
    80: "stretched_rotated_sh",
    90: "space_view",
}
"""ecCodes' names of the data representation types of edition 1."""
_REDUCED = {
    "regular_ll": "reduced_ll",
    "rotated_ll": "reduced_rotated_ll",
    "regular_gg": "reduced_gg",
    "rotated_gg": "reduced_rotated_gg",
    "stretched_gg": "reduced_stretched_gg",
    "stretched_rotated_gg": "reduced_stretched_rotated_gg",
}
#: Templates 3.x with columns and rows in octets 31-38, of which as many points are made.
_RECTANGLES = frozenset(
    {0, 1, 2, 3, 4, 5, 10, 12, 13, 20, 23, 30, 31, 33, 40, 41, 42, 43, 90, 140, 32768, 32769}
)


def read_definition(edition: int, section: bytes) -> GridDefinition:
    """Read a grid definition section.

    Parameters
    ----------
    edition : {1, 2}
        Edition of GRIB.
    section : bytes
        Section 3 of edition 2, or section 2 of edition 1, with its header.

    Raises
    ------
    FormatError
        If it is too short, or contradicts itself.
    LimitError
        If the grid has more points than a chunk can hold.
    """
    octets = SectionReader(section, edition)
    found = _edition_2(octets) if edition == 2 else _edition_1(octets)
    if found.points <= 0:
        raise FormatError(f"a grid of {found.points} points ({found.kind})")
    if found.points > _MAX_POINTS:
        raise LimitError(f"a grid of {found.points} points ({found.kind}), at most {_MAX_POINTS}")
    return found


def _edition_2(octets: SectionReader) -> GridDefinition:
    """Read section 3: octets 7-10 points, 11 octets a row length, 13-14 template."""
    if octets.byte(5) != 3:
        raise FormatError(f"section {octets.byte(5)} instead of 3")
    points, template = octets.number(7, 4), octets.number(13, 2)
    # The grid is the originating centre's affair, or there is none (code table 3.0). Other
    # numbers are reserved, but met with sound templates.
    if octets.byte(6) in (1, 255) or template == 65535:
        return GridDefinition(
            f"source_{octets.byte(6)}", 2, template, 0, 0, points, None, 0, 0, (0.0, 0.0)
        )
    kind = _KINDS_2.get(template, f"template_{template}")
    columns = rows = 0
    lengths = None
    if template in _RECTANGLES:
        columns, rows = octets.number(31, 4), octets.number(35, 4)
    if octets.byte(11):
        lengths = octets.row_lengths(rows, octets.byte(11))
        columns, kind = 0, _REDUCED.get(kind, kind)
        if int(lengths.sum()) < points:
            raise FormatError(f"rows of {int(lengths.sum())} points in all on a grid of {points}")
    elif columns == _MISSING:
        raise FormatError(f"{columns} by {rows} points on a grid of {points} ({kind})")
    values, flags, scanning = READERS_2[template](octets) if template in READERS_2 else ({}, 0, 0)
    axes = _earth(octets) if template not in range(50, 54) else (0.0, 0.0)
    if columns and columns * rows != points:
        # Some writers leave the number of a sample; that of the packing has to agree as well.
        values, points = {**values, "told": points}, columns * rows
    if 50 <= template <= 53:
        # Two numbers, real and imaginary part, a coefficient.
        points = _coefficients(octets, 15, 4, points)
    return GridDefinition(
        kind, 2, template, columns, rows, points, lengths, scanning, flags, axes, values
    )


def _edition_1(octets: SectionReader) -> GridDefinition:
    """Read section 2: octet 4 vertical coordinates, 5 place of lists, 6 type of the grid."""
    template = octets.byte(6)
    kind = _KINDS_1.get(template, f"type_{template}")
    if template in (50, 60, 70, 80):
        points = _coefficients(octets, 7, 2, 0)
        return GridDefinition(kind, 1, template, 0, 0, points, None, 0, 0, (0.0, 0.0))
    columns, rows = octets.number(7, 2), octets.number(9, 2)
    lengths = None
    place = octets.byte(5)
    if columns == 0xFFFF or rows == 0xFFFF:
        if place in (0, 255):
            raise FormatError(f"neither a number of columns nor lengths of rows ({kind})")
        columns, kind = 0, _REDUCED.get(kind, kind)
        lengths = octets.row_lengths(rows, 2, place + 4 * octets.byte(4))
    values, flags, scanning = READERS_1[template](octets) if template in READERS_1 else ({}, 0, 0)
    points = columns * rows
    if lengths is not None:
        # Nothing in the section counts the points that a part of the globe holds.
        if "N" in values:
            _, counts = circle_rows(lengths, values["Lo1"], values["Lo2"], values["unit"])
            points = int(counts.sum())
        else:
            points = int(lengths.sum())
    axes = _EARTHS[2 if octets.byte(17) & 0x40 else 0]
    return GridDefinition(
        kind, 1, template, columns, rows, points, lengths, scanning, flags, axes, values
    )


def _earth(octets: SectionReader) -> tuple[float, float]:
    """Return the axes of the earth (code table 3.2; octets 15-30)."""
    shape = octets.byte(15)
    if shape == 1:
        radius = octets.scaled(16)
        return (radius, radius)
    if shape in (3, 7):
        unit = 1000.0 if shape == 3 else 1.0
        return (octets.scaled(21) * unit, octets.scaled(26) * unit)
    return _EARTHS.get(shape, (0.0, 0.0))


def _coefficients(octets: SectionReader, place: int, size: int, points: int) -> int:
    """Return the number of values of a spectral field: two for each coefficient of J, K, M."""
    j, k, m = (octets.number(place + index * size, size) for index in range(3))
    if j == k == m:
        return (j + 1) * (j + 2)
    return points

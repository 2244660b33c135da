"""One field of a GRIB message: its packing, told apart and decoded, and its missing values."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.checks import MAX_CHUNK
from refmaker.codecs.grib_complex import ComplexPacking
from refmaker.codecs.grib_images import unpack_ccsds, unpack_jpeg2000, unpack_png
from refmaker.codecs.grib_scale import MAX_WIDTH, Scale, signed, unpack_scaled
from refmaker.codecs.grib_sections import (
    FieldSections,
    damaged,
    decimal_scale,
    last_field,
    number,
    present_points,
)
from refmaker.errors import MissingDependencyError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["BY_ECCODES", "NATIVE", "NEEDS_GRID", "decode_field"]

#: Templates 5.x that are decoded without ecCodes.
NATIVE = frozenset({0, 2, 3, 4, 40, 41, 42, 40000, 40010})
#: Templates 5.x that ecCodes decodes from sections 5 and 7 alone.
BY_ECCODES = frozenset({61, 200})
#: Templates 5.x that cannot be decoded without section 3: spectral fields.
NEEDS_GRID = frozenset({50, 51, 53, 50000, 50001, 50002})

_COMPLEX = frozenset({2, 3})
_JPEG2000, _PNG = frozenset({40, 40000}), frozenset({41, 40010})
_LENGTHS = {0: 21, 2: 47, 3: 49, 4: 12, 40: 23, 40000: 23, 41: 21, 40010: 21, 42: 25}
"""Shortest section 5 of each template, in bytes."""
_IEEE = {1: ">f4", 2: ">f8"}
"""Precisions of template 5.4 (code table 5.7)."""


def decode_field(run: Buffer, points: int | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decode the last field of a chunk.

    Parameters
    ----------
    run : ndarray of uint8, shape (n,)
        See `refmaker.codecs.grib.GRIB`.
    points : int or None
        Number of points of the grid; None where the chunk itself has to tell it.
    dtype : numpy.dtype
        float64 or float32.

    Returns
    -------
    ndarray, shape (points,)
        Values in the order of the message.
    """
    field = last_field(run)
    if field.edition == 1:
        return _decode_1(field, points, dtype)
    section = field.sections[5]
    if section.size < 11:
        damaged(f"section 5 is {section.size} bytes long")
    template = number(section[9:11])
    if template not in NATIVE:
        return _by_eccodes(field, template, points, dtype)
    if section.size < _LENGTHS[template]:
        damaged(f"section 5 is {section.size} bytes, template 5.{template} longer")
    return _decode_2(field, template, points or _points_2(field), dtype)


def _points_2(field: FieldSections) -> int:
    """Return the number of points, octets 7-10 of section 3."""
    section = field.sections.get(3)
    if section is None or section.size < 10:
        damaged("neither a shape nor section 3 tells the number of points")
    points = number(section[6:10])
    if not 0 < points <= MAX_CHUNK // 8:
        damaged(f"section 3 counts {points} points")
    return points


def _decode_2(
    field: FieldSections, template: int, points: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    section, data = field.sections[5], field.sections[7][5:]
    count = number(section[5:9])
    present = None if field.bitmap is None else present_points(field.bitmap, points)
    expected = points if present is None else int(np.count_nonzero(present))
    constant = template != 4 and template not in _COMPLEX and section[19] == 0
    # Encoders count the values of a constant field in more than one way; there are none.
    if count != expected and not (constant and present is not None):
        damaged(f"section 5 counts {count} values, there are {expected} points with values")
    if expected == 0:
        return np.full(points, np.nan, dtype)
    if template == 4:
        values = _ieee(section, data, expected, dtype)
    elif template in _COMPLEX:
        values = ComplexPacking.read(section, data, template, expected).decode(dtype)
    else:
        values = _packed(template, section, data, expected, dtype)
    return values if present is None else _spread(values, present)


def _packed(
    template: int, section: Buffer, data: Buffer, count: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Decode the packings that share octets 12-20 of section 5 with simple packing."""
    (reference,) = struct.unpack(">f", section[11:15].tobytes())
    width = int(section[19])
    scale = Scale.of(reference, signed(section[15:17]), signed(section[17:19]))
    if width == 0:
        return scale.constant(count, dtype)
    if width > MAX_WIDTH:
        damaged(f"values of {width} bits")
    if template == 0 and data.size * 8 < width * count:
        damaged(f"{data.size} bytes for {count} values of {width} bits")
    if template == 0:
        return unpack_scaled(data, width, count, scale, dtype)
    if template in _JPEG2000:
        return scale.scaled(unpack_jpeg2000(data, count), dtype)
    if template in _PNG:
        return scale.scaled(unpack_png(data, width, count), dtype)
    return scale.scaled(unpack_ccsds(data, section, width, count), dtype)


def _ieee(section: Buffer, data: Buffer, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    kind = _IEEE.get(int(section[11]))
    if kind is None:
        raise UnsupportedError(
            f"refmaker.grib: template 5.4 with precision {section[11]} (code table 5.7)",
            code="grib-packing",
        )
    size = count * np.dtype(kind).itemsize
    if data.size < size:
        damaged(f"{data.size} bytes for {count} values of {np.dtype(kind).itemsize} bytes")
    with np.errstate(over="ignore"):
        return data[:size].view(kind).astype(dtype)


def _spread(values: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[Any]:
    """Put values at the points that have one."""
    if values.size == present.size:
        return values
    out = np.full(present.size, np.nan, values.dtype)
    out[present] = values
    return out


def _by_eccodes(
    field: FieldSections, template: int, points: int | None, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Decode what nothing here does."""
    from refmaker.codecs import grib_eccodes

    if not grib_eccodes.available():
        name = f"template 5.{template}" if field.edition == 2 else "this packing of edition 1"
        raise MissingDependencyError(
            f"refmaker.grib: {name} is decoded by ecCodes, which is not installed",
            hint="pip install 'refmaker[grib]'",
        )
    if field.edition == 1:
        return grib_eccodes.decode_edition_1(field, points, dtype)
    if template in NEEDS_GRID:
        count = points or number(field.sections[5][5:9])
        return grib_eccodes.decode_with_grid(field, template, count, dtype)
    points = points or _points_2(field)
    present = None if field.bitmap is None else present_points(field.bitmap, points)
    expected = points if present is None else int(np.count_nonzero(present))
    if expected == 0:
        return np.full(points, np.nan, dtype)
    values = grib_eccodes.decode_parts(field, template, expected, dtype)
    return values if present is None else _spread(values, present)


def _decode_1(field: FieldSections, points: int | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Decode simple packing of edition 1 (section 4: octet 4 flags, 5-6 E, 7-10 R, 11 bits)."""
    section = field.sections[4]
    flags, width = int(section[3]), int(section[10])
    # Spherical harmonics, complex packing, further flags. Without section 2 the grid may be a
    # predefined one, of whose poles only one point is stored.
    if flags & 0xD0 or 2 not in field.sections:
        return _by_eccodes(field, -1, points, dtype)
    if width > MAX_WIDTH:
        damaged(f"values of {width} bits")
    stored = ((section.size - 11) * 8 - (flags & 0x0F)) // width if width else None
    if points is None:
        points = _points_1(field, stored)
    present = None if field.bitmap is None else present_points(field.bitmap, points)
    expected = points if present is None else int(np.count_nonzero(present))
    scale = Scale.of(
        _ibm_float(section[6:10]), signed(section[4:6]), decimal_scale(field.sections[1])
    )
    if stored is None:
        values = scale.constant(expected, dtype)
    elif stored < expected or (stored - expected) * width >= 16:
        damaged(f"section 4 holds {stored} values, there are {expected} points with values")
    else:
        values = unpack_scaled(section[11:], width, expected, scale, dtype)
    return values if present is None else _spread(values, present)


def _points_1(field: FieldSections, stored: int | None) -> int:
    """Return the number of points where no shape tells it."""
    if field.bitmap is not None:
        section = field.sections[3]
        points = field.bitmap.size * 8 - int(section[3])
    elif stored is not None:
        points = stored
    else:
        grid = field.sections.get(2)
        if grid is None or grid.size < 10:
            damaged("neither a shape nor section 2 tells the number of points")
        points = number(grid[6:8]) * number(grid[8:10])
    if not 0 < points <= MAX_CHUNK // 8:
        damaged(f"{points} points")
    return points


def _ibm_float(octets: Buffer) -> float:
    """Read a single precision number of IBM's: sign, exponent to 16, 24 bits (reg. 92.6.4)."""
    word = number(octets)
    mantissa, exponent = word & 0xFFFFFF, (word >> 24 & 0x7F) - 64
    value = mantissa * 16.0 ** (exponent - 6)
    return -value if word & 0x80000000 else value

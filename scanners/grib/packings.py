"""Whether fields can be decoded, as far as headers tell: looked at for many fields at once.

What is referenced has to be readable. A packing that nothing here decodes, counts that contradict
one another, and images that their decoders refuse are found while scanning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.grib_field import BY_ECCODES, NATIVE, NEEDS_GRID
from refmaker.codecs.grib_scale import MAX_WIDTH
from refmaker.scanners.grib.fields import PACKING_WIDTH
from refmaker.scanners.grib.times import big_endian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from refmaker.scanners.grib.fields import FieldList

    Rows = NDArray[np.uint8]
    Problem = tuple[NDArray[np.bool_], str]

__all__ = ["UNCOUNTED", "check_packings"]

UNCOUNTED = -1
"""Stands for a number of values that is not to be compared with that of the points."""
_INDICATOR, _SIZE = PACKING_WIDTH, PACKING_WIDTH + 1
_DATA = PACKING_WIDTH + 5
_MOST_PIXELS = 1_000_000
"""Rows and columns of a PNG image that libpng takes at most."""
_CHANNELS = np.array([1, 0, 3, 0, 0, 0, 4, *[0] * 249])
"""Samples a pixel by colour type of PNG that can stand for one integer."""
_CCSDS_WIDTH, _CCSDS_RATIO = 32, 1 << 15


def check_packings(found: FieldList) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Return which fields cannot be decoded, and how many values fields have.

    Returns
    -------
    values : ndarray of int64, shape (fields,)
        How many values there have to be points for: in edition 2 as many, in edition 1 at
        least; `UNCOUNTED` where there is a bitmap or the packing counts otherwise.
    problem : ndarray of int64, shape (fields,)
        0, or one more than the position of what is wrong in the list.
    reasons : list of str
    """
    packing, edition = found.column("packing"), found.editions()
    values = np.full(len(packing), UNCOUNTED)
    problem = np.zeros(len(packing), np.int64)
    reasons: list[str] = []
    for of_edition, template in found.packings:
        where = np.flatnonzero((packing == template) & (edition == of_edition))
        rows = found.packing_rows(of_edition, template)
        if of_edition == 1:
            values[where] = _stored1(template, rows)
            continue
        values[where] = _counted2(template, rows)
        for wrong, reason in _problems(template, rows):
            fresh = where[wrong & (problem[where] == 0)]
            if len(fresh):
                reasons.append(reason)
                problem[fresh] = len(reasons)
    return values, problem, reasons


def _stored1(flags: int, rows: Rows) -> NDArray[np.int64]:
    """Return how many values sections 4 of simple packing hold (octets 1-4, 11)."""
    width = rows[:, 10].astype(np.int64)
    # Octet 4 holds, besides flags, how many bits at the end are unused. Messages of more than
    # 8 MiB have another length than they say.
    bits = (big_endian(rows[:, :3]) - 11) * 8 - (rows[:, 3] & 0x0F)
    known = (rows[:, _INDICATOR] == 255) & (width > 0) & (bits >= 120 * 8)
    if flags & 0xD:
        known[:] = False
    return np.where(known, bits // np.maximum(width, 1), UNCOUNTED)


def _counted2(template: int, rows: Rows) -> NDArray[np.int64]:
    """Return how many values sections 5 count, where no bitmap and no constant is in the way."""
    count = big_endian(rows[:, 5:9])
    known = rows[:, _INDICATOR] == 255
    if template in NEEDS_GRID or template not in NATIVE:
        known = np.zeros_like(known)
    return np.where(known, count, UNCOUNTED)


def _problems(template: int, rows: Rows) -> Iterator[Problem]:
    """Yield what is wrong with fields of a packing of edition 2, most basic first."""
    if template not in NATIVE | NEEDS_GRID | BY_ECCODES:
        yield np.ones(len(rows), bool), f"nothing here decodes packing 5.{template}"
        return
    if template not in NATIVE:
        return
    count, width = big_endian(rows[:, 5:9]), rows[:, 19].astype(np.int64)
    size = big_endian(rows[:, _SIZE : _SIZE + 4]) - 5
    for wrong, reason in _CHECKS[template](rows, count, width, size):
        yield wrong, f"packing 5.{template}: {reason}"


def _simple(
    _rows: Rows, count: NDArray[np.int64], width: NDArray[np.int64], size: NDArray[np.int64]
) -> Iterator[Problem]:
    yield width > MAX_WIDTH, f"values of more than {MAX_WIDTH} bits"
    yield count * width > size * 8, "more values than section 7 has room for"


def _complex(
    rows: Rows, count: NDArray[np.int64], width: NDArray[np.int64], size: NDArray[np.int64]
) -> Iterator[Problem]:
    yield rows[:, 22] > 2, "a management of missing values that code table 5.5 does not have"
    groups = big_endian(rows[:, 31:35])
    # A field without values has a group or none.
    yield (count > 0) & ((groups < 1) | (groups > count)), "as many groups as there cannot be"
    bits = groups * (width + rows[:, 36] + rows[:, 46])
    yield (count > 0) & (bits > size * 8), "more groups than section 7 has room for"


def _differences(
    rows: Rows, count: NDArray[np.int64], width: NDArray[np.int64], size: NDArray[np.int64]
) -> Iterator[Problem]:
    yield from _complex(rows, count, width, size)
    order, octets = rows[:, 47], rows[:, 48]
    known = (order >= 1) & (order <= 2) & (octets >= 1) & (octets <= 8)
    yield (count > 0) & ~known, "spatial differences of an order that code table 5.6 does not have"


def _ieee(
    rows: Rows, count: NDArray[np.int64], _width: NDArray[np.int64], size: NDArray[np.int64]
) -> Iterator[Problem]:
    yield ~np.isin(rows[:, 11], (1, 2)), "a precision that is neither 32 nor 64 bits"
    yield count * 4 * rows[:, 11] > size, "more values than section 7 has room for"


def _ccsds(
    rows: Rows, count: NDArray[np.int64], width: NDArray[np.int64], size: NDArray[np.int64]
) -> Iterator[Problem]:
    packed = width > 0
    yield width > _CCSDS_WIDTH, f"values of more than {_CCSDS_WIDTH} bits"
    block = rows[:, 22]
    yield packed & ((block == 0) | (block % 2 == 1)), "blocks of no or an odd number of samples"
    yield packed & (count > size * _CCSDS_RATIO), "more values than section 7 has room for"


def _jpeg2000(
    rows: Rows, count: NDArray[np.int64], width: NDArray[np.int64], _size: NDArray[np.int64]
) -> Iterator[Problem]:
    packed, head = width > 0, rows[:, _DATA:]
    begins = (head[:, :4] == (0xFF, 0x4F, 0xFF, 0x51)).all(axis=1)
    yield packed & ~begins, "no JPEG 2000 code stream in section 7"
    right, bottom, left, top = (big_endian(head[:, at : at + 4]) for at in (8, 12, 16, 20))
    pixels = np.maximum(0, right - left) * np.maximum(0, bottom - top)
    wrong = (pixels != count) | (big_endian(head[:, 40:42]) != 1)
    yield packed & wrong, "an image of as many pixels or components as there cannot be"


def _png(
    rows: Rows, count: NDArray[np.int64], width: NDArray[np.int64], _size: NDArray[np.int64]
) -> Iterator[Problem]:
    packed, head = width > 0, rows[:, _DATA:]
    signature = np.frombuffer(b"\x89PNG\r\n\x1a\n", np.uint8)
    begins = (head[:, :8] == signature).all(axis=1) & (head[:, 12:16] == list(b"IHDR")).all(axis=1)
    yield packed & ~begins, "no PNG image in section 7"
    columns, lines = big_endian(head[:, 16:20]), big_endian(head[:, 20:24])
    many = np.maximum(columns, lines) > _MOST_PIXELS
    yield packed & many, f"an image of more than {_MOST_PIXELS:,} pixels a row or column"
    channels = _CHANNELS[head[:, 25]]
    wrong = (columns * lines != count) | (channels * head[:, 24] < width)
    wrong |= (channels > 1) & (head[:, 24] != 8)
    yield packed & wrong, "an image of as many pixels or bits as there cannot be"


_CHECKS: dict[int, Callable[..., Iterator[Problem]]] = {
    0: _simple, 2: _complex, 3: _differences, 4: _ieee, 42: _ccsds, 40: _jpeg2000,
    40000: _jpeg2000, 41: _png, 40010: _png,
}  # fmt: skip
"""By template 5.N: what is looked at."""

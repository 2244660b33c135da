"""From packed integers to values: reference value, binary and decimal scale factors of GRIB.

Implements Y = (R + X 2^E) 10^-D of simple packing (regulation 92.9.4 of edition 1, template 7.0 of
edition 2) in the order of operations that ecCodes has, which makes results equal to the last bit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.codecs.bitpack import unpack_bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["MAX_WIDTH", "Scale", "signed", "unpack_scaled", "unpacked"]

#: Widest integers that can be unpacked, in bits.
MAX_WIDTH = 64
_BLOCK = 1 << 17
"""Values worked on at a time: few enough for caches, and so many that calls do not count."""
_WHOLE = {8: ">u1", 16: ">u2", 32: ">u4", 64: ">u8"}
_SHORT_SHIFT, _LONGEST_SHIFT = 25, 57
"""Widest integers that lie inside four and eight bytes, wherever in a byte they begin."""


class Scale(NamedTuple):
    """How integers become values.

    Parameters
    ----------
    reference : float
        R, the reference value.
    binary : float
        2 to the power of E.
    decimal : float
        10 to the power of -D.
    """

    reference: float
    binary: float
    decimal: float

    @classmethod
    def of(cls, reference: float, binary: int, decimal: int) -> Scale:
        """Make it from R, E and D."""
        try:
            scale = math.ldexp(1.0, binary)
        except OverflowError:
            scale = math.inf
        return cls(reference, scale, _power_of_ten(-decimal))

    def apply(self, values: NDArray[np.float64]) -> None:
        """Turn integers, held as floats, into values, in place."""
        values *= self.binary
        values += self.reference
        # Multiplying by 1.0 changes nothing.
        if self.decimal != 1.0:
            values *= self.decimal

    def scaled(self, integers: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the values of integers, shape (n,), in `dtype`."""
        out = np.empty(integers.size, dtype)
        flat = integers.reshape(-1)
        blocks = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
        return self.fill(out, blocks)

    def constant(self, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return `count` values that take no bits."""
        return np.full(count, self.reference, dtype)

    def fill(self, out: NDArray[Any], blocks: Iterator[NDArray[Any]]) -> NDArray[Any]:
        """Put the values of integers that come in blocks into `out`, and return it."""
        exact = out.dtype == np.float64
        room = np.empty(0)
        start = 0
        with np.errstate(all="ignore"):  # as in C: hostile factors give infinities
            for block in blocks:
                stop = start + block.size
                if not exact and block.size > room.size:
                    room = np.empty(block.size)
                values = out[start:stop] if exact else room[: block.size]
                values[:] = block
                self.apply(values)
                if not exact:
                    out[start:stop] = values
                start = stop
        return out


def _power_of_ten(exponent: int) -> float:
    # One step after the other, as ecCodes does: 10.0**n differs in the last bit.
    value = 1.0
    for _ in range(min(abs(exponent), 700)):
        value = value * 10 if exponent > 0 else value / 10
    return value


def signed(octets: Buffer) -> int:
    """Read a big-endian integer whose first bit is its sign (regulation 92.1.5)."""
    number = int.from_bytes(octets.tobytes(), "big")
    sign = 1 << (8 * octets.size - 1)
    return -(number - sign) if number & sign else number


def unpack_scaled(
    packed: Buffer, width: int, count: int, scale: Scale, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Unpack integers of any width and scale them.

    Parameters
    ----------
    packed : ndarray of uint8, shape (n,)
        At least ``ceil(width * count / 8)`` bytes; the caller has checked that.
    width : int
        Bits per integer, 1..64.
    dtype : numpy.dtype
        float64 or float32.

    Returns
    -------
    ndarray, shape (count,)
        Values.
    """
    if width in _WHOLE:
        return scale.fill(np.empty(count, dtype), _whole(packed, width, count))
    if width > _LONGEST_SHIFT:
        return scale.scaled(unpack_bits(packed, width, count), dtype)
    return scale.fill(np.empty(count, dtype), _by_shifts(packed, width, count))


def unpacked(packed: Buffer, width: int, count: int) -> NDArray[np.int64]:
    """Unpack integers of 1 to 57 bits, shape (count,); see `unpack_scaled`."""
    out = np.empty(count, np.int64)
    start = 0
    for block in _by_shifts(packed, width, count):
        out[start : start + block.size] = block
        start += block.size
    return out


def _whole(packed: Buffer, width: int, count: int) -> Iterator[NDArray[Any]]:
    # Where they lie in the file integers are hardly ever aligned, and unaligned ones are
    # converted at half the speed.
    size = width // 8
    room = np.empty(min(_BLOCK, count) * size, np.uint8)
    for first in range(0, count * size, _BLOCK * size):
        part = packed[first : min(count * size, first + _BLOCK * size)]
        room[: part.size] = part
        yield room[: part.size].view(_WHOLE[width])


def _by_shifts(packed: Buffer, width: int, count: int) -> Iterator[NDArray[Any]]:
    # So many integers fill whole bytes: the same place among them is at the same distance from
    # each group to the next, so it is loaded as one strided, unaligned array. All else is done
    # on whole blocks, by a shift for each integer: broadcasting a row of shifts is slower.
    places = 8 // math.gcd(width, 8)
    stride = places * width // 8
    size = 4 if width <= _SHORT_SHIFT else 8
    word = np.dtype(f"u{size}")
    groups, rows = -(-count // places), _BLOCK // places
    row = (8 * size - width - (np.arange(places) * width & 7)).astype(word)
    shifts = np.tile(row, min(rows, groups))
    mask = word.type((1 << width) - 1)
    room = np.empty((min(rows, groups), places), word)
    for first in range(0, groups, rows):
        here = min(rows, groups - first)
        part = packed[first * stride : (first + here) * stride + size]
        if part.size < here * stride + size:
            part = np.concatenate([part, np.zeros(here * stride + size - part.size, np.uint8)])
        for place in range(places):
            begin = place * width >> 3
            room[:here, place] = np.ndarray((here,), f">u{size}", part, begin, (stride,))
        words = room.reshape(-1)[: min(places * here, count - places * first)]
        words >>= shifts[: words.size] if places > 1 else row
        if places > 1:
            words &= mask
        # As signed integers, which convert to floats faster; valid until the next block.
        yield words.view(f"i{size}")

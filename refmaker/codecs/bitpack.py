"""Unpacking of integers that are stored with an arbitrary number of bits, without gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["unpack_bits"]

#: Groups of eight values unpacked at a time, so that the working set stays in the L2 cache.
_BLOCK = 4096


def unpack_bits(packed: Buffer, width: int, count: int) -> NDArray[Any]:
    """Unpack unsigned integers stored most significant bit first, one right after the other.

    Parameters
    ----------
    packed : ndarray of uint8, shape (n,)
        At least ``ceil(width * count / 8)`` bytes; the caller has checked that.
    width : int
        Bits per value, 1..64.

    Returns
    -------
    ndarray, shape (count,)
        The values in the smallest native unsigned type of at least `width` bits.
    """
    size = next(size for size in (1, 2, 4, 8) if width <= 8 * size)
    if width == 8 * size:
        whole: NDArray[Any] = packed[: count * size].view(f">u{size}")
        return whole.astype(f"=u{size}")
    groups = -(-count // 8)
    values = np.empty((groups, 8), f"=u{size}")
    full = count // 8
    rows = packed[: full * width].reshape(full, width)
    for start in range(0, full, _BLOCK):
        stop = min(start + _BLOCK, full)
        _unpack_groups(rows[start:stop], width, values[start:stop])
    if groups > full:
        last = np.zeros(width, np.uint8)
        rest = packed[full * width : full * width + width]
        last[: rest.size] = rest
        _unpack_groups(last[None], width, values[full:groups])
    return values.reshape(-1)[:count]


def _unpack_groups(rows: Buffer, width: int, values: NDArray[Any]) -> None:
    # Eight values fill `width` whole bytes, so inside such a group every value sits at a place
    # that does not depend on the group: shifts and masks are constants for a whole column.
    for index in range(8):
        start, end = index * width, (index + 1) * width
        first, last = start >> 3, (end - 1) >> 3
        column = values[:, index]
        column[:] = rows[:, first] & (0xFF >> (start & 7))
        shift = end - 8 * (first + 1)
        if shift < 0:
            column >>= -shift
        elif shift > 0:
            column <<= shift
        for byte in range(first + 1, last + 1):
            shift = end - 8 * (byte + 1)
            piece = rows[:, byte]
            if shift < 0:
                column |= piece >> -shift
            else:
                column |= piece.astype(values.dtype) << shift

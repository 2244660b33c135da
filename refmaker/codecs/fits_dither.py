"""Quantised floats of tile-compressed FITS images.

Implements section 10.2 and appendix I of the FITS Standard 4.0: linear scaling, and subtractive
dithering by a fixed sequence of random numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DITHERS", "dequantize"]

DITHERS: Final = ("NO_DITHER", "SUBTRACTIVE_DITHER_1", "SUBTRACTIVE_DITHER_2")
_COUNT: Final = 10000
_ZERO: Final = -2147483646
"""What stands for exactly 0 in the second method."""


@lru_cache(maxsize=1)
def _sequence() -> NDArray[np.float32]:
    """Return the random numbers of appendix I, shape (10000,)."""
    values = np.empty(_COUNT, np.float32)
    seed = 1
    for at in range(_COUNT):
        seed = seed * 16807 % (2**31 - 1)
        values[at] = seed / (2**31 - 1)
    return values


def _numbers(tile: int, seed: int, count: int) -> NDArray[np.float32]:
    """Return the random numbers of a tile's elements: runs that each start somewhere else."""
    sequence = _sequence()
    turn = (tile + seed - 1) % _COUNT
    pieces, have = [], 0
    while have < count:
        start = int(sequence[turn] * 500)
        pieces.append(sequence[start : start + count - have])
        have += pieces[-1].size
        turn = (turn + 1) % _COUNT
    return np.concatenate(pieces) if pieces else sequence[:0]


def dequantize(
    stored: NDArray[np.int32],
    scale: float,
    zero: float,
    blank: int | None,
    dither: int,
    seed: int,
    tile: int,
) -> NDArray[np.float64]:
    """Return the values of a tile, shape (count,).

    Parameters
    ----------
    scale, zero : float
        ``ZSCALE`` and ``ZZERO`` of the tile.
    dither : {0, 1, 2}
        The method of subtractive dithering; 0 for none.
    seed : int
        ``ZDITHER0``.
    tile : int
        Number of the tile, from 0.
    """
    values: NDArray[Any] = stored.astype(np.float64)
    if dither:
        values -= _numbers(tile, seed, stored.size)
        values += 0.5
    values *= scale
    values += zero
    if dither == 2:
        values[stored == _ZERO] = 0.0
    if blank is not None:
        values[stored == blank] = np.nan
    return values

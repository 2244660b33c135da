"""Tiles that are compressed by PLIO_1.

Implements section 10.4.3 of the FITS Standard 4.0: line lists of IRAF, 16-bit words of an
instruction (4 bits) and a number (12 bits) each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from refmaker.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["decode_plio"]

_NAME: Final = "refmaker.fits_tiles"
_OLD, _NEW = 3, 5
"""Words of the header of a list, by its version, if it does not tell."""
_ZEROS, _SET, _UP, _DOWN, _RUN, _LAST, _UP_ONE, _DOWN_ONE = range(8)
"""The instructions."""


def decode_plio(raw: Buffer, count: int) -> NDArray[np.int32]:
    """Return the elements of a tile, shape (count,).

    Parameters
    ----------
    raw : ndarray of uint8
        The list, big-endian.
    count : int
        Elements of the tile; those behind the end of the list are 0.

    Raises
    ------
    CodecError
        If the list is incomplete, or a word is no instruction.
    """
    words = _instructions(raw)
    code, number, high = _parsed(words)
    value = _levels(code, number, high)
    singles = (code == _UP_ONE) | (code == _DOWN_ONE)
    last = (code == _LAST) & (number > 0)
    zeros = np.where(code == _ZEROS, number, 0) + np.where(last, number - 1, 0)
    runs = np.where(code == _RUN, number, 0) + singles + last
    lengths = np.stack((zeros, runs), axis=1).reshape(-1)
    values = np.stack((np.zeros_like(value), value), axis=1).reshape(-1)
    ends = np.minimum(np.cumsum(lengths), count)
    made = np.zeros(count, np.int32)
    filled = np.repeat(values, np.diff(ends, prepend=0))
    made[: filled.size] = filled.astype(np.int32)
    return made


def _instructions(raw: Buffer) -> NDArray[np.int64]:
    """Return the words of a list behind its header."""
    words = raw[: raw.size // 2 * 2].view(">i2").astype(np.int64)
    if words.size < _OLD:
        raise CodecError(f"{_NAME}: a PLIO_1 list of {words.size} words")
    if words[2] > 0:
        first, end = _OLD, int(words[2])
    else:
        if words.size < _NEW:
            raise CodecError(f"{_NAME}: a PLIO_1 list of {words.size} words")
        first, end = int(words[1]), (int(words[4]) << 15) + int(words[3])
    if end <= 0:
        return words[:0]
    if first < _OLD or end > words.size:
        raise CodecError(
            f"{_NAME}: a PLIO_1 list from word {first} to {end}, of which there are {words.size}"
        )
    return words[first:end]


def _parsed(
    words: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return instructions, their numbers, and the words that follow the level of `_SET`."""
    taken = np.zeros(words.size + 1, np.bool_)
    for at in np.flatnonzero(words >> 12 == _SET).tolist():
        if not taken[at]:
            taken[at + 1] = True
    if taken[-1]:
        raise CodecError(f"{_NAME}: a PLIO_1 list ends within an instruction")
    kept = np.flatnonzero(~taken[:-1])
    code = words[kept] >> 12
    if code.size and code.min() < 0:
        raise CodecError(f"{_NAME}: a word of a PLIO_1 list is no instruction")
    following = words[np.minimum(kept + 1, words.size - 1)]
    return code, words[kept] & 4095, following


def _levels(
    code: NDArray[np.int64], number: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the level after each instruction; it is 1 before the first one."""
    up, down = (code == _UP) | (code == _UP_ONE), (code == _DOWN) | (code == _DOWN_ONE)
    change = np.cumsum(np.where(up, number, 0) - np.where(down, number, 0))
    given = code == _SET
    base = np.where(given, (high << 12) + number - change, 1)
    since = np.maximum.accumulate(np.where(given, np.arange(code.size), -1))
    found: NDArray[np.int64] = np.where(since >= 0, base[since], 1) + change
    return found

"""The metadata checksum of HDF5: Bob Jenkins' lookup3, for one block or many at once.

HDF5 File Format Specification, section III: the structures of version 2 of the format
end with a lookup3 checksum of all their bytes before it (initial value 0). The words
of many blocks are mixed together as numpy columns; a file with a million chunks has
some ten megabytes of them, too much for a loop over Python's integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_blocks", "lookup3", "lookup3_blocks"]

_MASK = 0xFFFFFFFF
_SEED = 0xDEADBEEF
_MIX = (4, 6, 8, 16, 19, 4)
_SHIFTS = np.arange(33, dtype=np.uint32)
_FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))

# With fewer blocks than this Python's integers are faster than numpy's columns.
_FEW = 12


def lookup3(data: bytes) -> int:
    """Checksum of one block.

    Parameters
    ----------
    data : bytes
        The block, without its stored checksum.

    Returns
    -------
    int
        32-bit checksum.
    """
    x = y = z = (_SEED + len(data)) & _MASK
    if not data:
        return z
    words: list[int] = np.frombuffer(data + b"\0" * (-len(data) % 12), dtype="<u4").tolist()
    last = len(words) - 3
    for i in range(0, last, 3):
        x = (x + words[i]) & _MASK
        y = (y + words[i + 1]) & _MASK
        z = (z + words[i + 2]) & _MASK
        for bits in _MIX:  # after six steps the three names are back in place
            turned = ((z << bits) | (z >> (32 - bits))) & _MASK
            x, y, z = y, (z + y) & _MASK, ((x - z) & _MASK) ^ turned
    state = [(v + w) & _MASK for v, w in zip((x, y, z), words[last:], strict=True)]
    for to, by, bits in _FINAL:
        v = state[by]
        state[to] = ((state[to] ^ v) - ((v << bits) | (v >> (32 - bits)))) & _MASK
    return state[2]


def lookup3_blocks(
    blocks: NDArray[np.uint8], lengths: NDArray[np.int64] | int
) -> NDArray[np.uint32]:
    """Checksums of many blocks.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, width)
        The blocks, one a row.
    lengths : ndarray of int, shape (n,), or int
        How many of a row's first bytes count: 1 to ``width``.

    Returns
    -------
    ndarray of uint32, shape (n,)
    """
    count = len(blocks)
    sizes = np.broadcast_to(np.asarray(lengths, dtype=np.int64), (count,))
    if count < _FEW:
        return np.array(
            [lookup3(row[:size].tobytes()) for row, size in zip(blocks, sizes, strict=True)],
            dtype=np.uint32,
        )
    # Longest first: the rows still in work are then always a leading slice.
    order = np.argsort(-sizes, kind="stable")
    sizes = sizes[order]
    words = _columns(blocks, order, sizes)
    rounds = (sizes - 1) // 12
    seed = (sizes + _SEED).astype(np.uint32)
    state = [seed.copy(), seed.copy(), seed.copy()]
    scratch = np.empty((2, count), dtype=np.uint32)
    first, active = 0, count
    for last in np.unique(rounds).tolist():
        views, room = [column[:active] for column in state], scratch[:, :active]
        for step in range(first, last):
            _absorb(views, words[3 * step : 3 * step + 3, :active])
            _mix(views, room)
        _absorb(views, words[3 * last : 3 * last + 3, :active])
        mixing = int(np.count_nonzero(rounds > last))
        _final([column[mixing:] for column in views], room[:, mixing:])
        if mixing:
            _mix([column[:mixing] for column in views], room[:, :mixing])
        first, active = last + 1, mixing
    sums = np.empty(count, dtype=np.uint32)
    sums[order] = state[2]
    return sums


def check_blocks(
    blocks: NDArray[np.uint8],
    lengths: NDArray[np.int64] | int,
    offsets: NDArray[np.uint64],
    what: str,
) -> None:
    """Compare the checksums stored behind the counted bytes of each block.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, width)
        The blocks, one a row.
    lengths : ndarray of int, shape (n,), or int
        Bytes covered by the checksum, which follows them: at most ``width - 4``.
    offsets : ndarray of uint64, shape (n,)
        Where the blocks lie in the file, for the error.
    what : str
        Name of the structure, for the error.

    Raises
    ------
    FormatError
        A checksum differs.
    """
    if not len(blocks):
        return
    if isinstance(lengths, int):
        stored = np.ascontiguousarray(blocks[:, lengths : lengths + 4])
    else:
        stored = np.take_along_axis(blocks, lengths[:, None] + np.arange(4), axis=1)
    wrong = np.flatnonzero(stored.view("<u4")[:, 0] != lookup3_blocks(blocks, lengths))
    if len(wrong):
        raise FormatError(f"{what} has a wrong checksum", offset=int(offsets[wrong[0]]))


def _columns(
    blocks: NDArray[np.uint8], order: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Little-endian words of zero-padded rows, shape (words, n), rows in that order."""
    width = int(sizes[0])
    padded = np.zeros((len(blocks), width + -width % 12), dtype=np.uint8)
    padded[:, :width] = blocks[order, :width]
    if sizes[-1] != width:
        padded[:, :width][np.arange(width) >= sizes[:, None]] = 0
    return np.ascontiguousarray(padded.view("<u4").T)


def _absorb(state: list[NDArray[np.uint32]], words: NDArray[np.uint32]) -> None:
    for column, word in zip(state, words, strict=True):
        np.add(column, word, out=column)


def _turn(value: NDArray[np.uint32], bits: int, scratch: NDArray[np.uint32]) -> None:
    """Rotate left by ``bits`` into the first row of the scratch space."""
    np.left_shift(value, _SHIFTS[bits], out=scratch[0])
    np.right_shift(value, _SHIFTS[32 - bits], out=scratch[1])
    scratch[0] |= scratch[1]


def _mix(state: list[NDArray[np.uint32]], scratch: NDArray[np.uint32]) -> None:
    x, y, z = state
    for bits in _MIX:
        x -= z
        _turn(z, bits, scratch)
        x ^= scratch[0]
        z += y
        x, y, z = y, z, x


def _final(state: list[NDArray[np.uint32]], scratch: NDArray[np.uint32]) -> None:
    for to, by, bits in _FINAL:
        state[to] ^= state[by]
        _turn(state[by], bits, scratch)
        state[to] -= scratch[0]

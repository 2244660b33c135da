"""Tiles that are compressed by HCOMPRESS_1.

Implements section 10.4.4 of the FITS Standard 4.0: the H-transform of an image, whose quadrants are
coded as bit planes, each as a quadtree of Huffman codes or as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from refmaker.codecs.base import expect
from refmaker.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["decode_hcompress"]

_NAME: Final = "refmaker.fits_tiles"
_MAGIC: Final = b"\xdd\x99"
_HEADER: Final = 25
"""Bytes of signature, extents, scale, sum of all elements, and numbers of bit planes."""
_MAX_PLANES: Final = 62
_MAX_SCALE: Final = 2**31
_WINDOW: Final = 4096
"""Bytes whose codes are looked up at once."""
_FEW: Final = 24
"""Codes that are followed one by one."""
_DOUBLINGS: Final = 5


def _code_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return value and length of the Huffman code that any six bits begin with."""
    codes = (
        *((0x3E, 6), (0x00, 3), (0x01, 3), (0x08, 4), (0x02, 3), (0x09, 4), (0x1A, 5), (0x1B, 5)),
        *((0x03, 3), (0x1C, 5), (0x0A, 4), (0x1D, 5), (0x0B, 4), (0x1E, 5), (0x3F, 6), (0x0C, 4)),
    )
    values, lengths = np.zeros(64, np.uint8), np.zeros(64, np.uint8)
    for value, (code, length) in enumerate(codes):
        first = code << (6 - length)
        values[first : first + (1 << (6 - length))] = value
        lengths[first : first + (1 << (6 - length))] = length
    return values, lengths


_VALUES, _LENGTHS = _code_tables()


class _Bits:
    """The bits of a tile, read from the first one on."""

    def __init__(self, data: Buffer) -> None:
        self._data = data
        self._end = 8 * data.size
        self._at = 0
        self._base = -1
        self._jumps: list[NDArray[np.int32]] = []
        self._six = np.empty(0, np.uint8)

    def skip_to_byte(self) -> None:
        self._at += -self._at % 8

    def nybbles(self, count: int) -> NDArray[np.uint8]:
        """Return the next `count` groups of four bits."""
        self._require(4 * count)
        first, shift = divmod(self._at, 8)
        pairs = (count + 1) // 2
        part = np.zeros(pairs + 1, np.uint16)
        raw = self._data[first : first + pairs + 1]
        part[: raw.size] = raw
        whole = (part[:-1] << 8 | part[1:]) >> np.uint16(8 - shift) & 0xFF
        self._at += 4 * count
        return np.stack((whole >> 4, whole & 15), axis=1).astype(np.uint8).reshape(-1)[:count]

    def bits(self, count: int) -> NDArray[np.bool_]:
        """Return the next `count` bits, of which the first begins a byte."""
        self._require(count)
        first = self._at // 8
        raw = self._data[first : first + (count + 7) // 8]
        self._at += count
        return np.unpackbits(raw, count=count).astype(np.bool_)

    def codes(self, count: int) -> NDArray[np.uint8]:
        """Return the values of the next `count` Huffman codes."""
        found: list[NDArray[np.uint8]] = []
        limit = 8 * _WINDOW
        positions: list[int] | NDArray[np.int32]
        while count:
            if not 0 <= self._at - self._base < limit or self._base < 0:
                self._look_up()
            at = self._at - self._base
            if count <= _FEW:
                positions, at = self._one_by_one(at, count)
            else:
                positions, at = self._many(at, count)
            found.append(_VALUES[self._six[positions]])
            count -= len(positions)
            self._at = self._base + at
            self._require(0)
        return found[0] if len(found) == 1 else np.concatenate([*found, np.empty(0, np.uint8)])

    def _one_by_one(self, at: int, count: int) -> tuple[list[int], int]:
        """Return where codes begin, up to `count` and the end of the window, and the next."""
        follow, limit = self._jumps[0], 8 * _WINDOW
        positions: list[int] = []
        while len(positions) < count and at < limit:
            positions.append(at)
            at = follow.item(at)
        return positions, at

    def _many(self, at: int, count: int) -> tuple[NDArray[np.int32], int]:
        """Return the same by the tables of several steps."""
        limit, last = 8 * _WINDOW, self._jumps[-1]
        heads = []
        for _ in range(-(-count >> _DOUBLINGS)):
            heads.append(at)
            at = last.item(at)
            if at >= limit:
                break
        positions = np.array(heads, np.int32)
        for jump in self._jumps[-2::-1]:
            positions = np.stack((positions, jump[positions]), axis=1).reshape(-1)
        positions = positions[:count]
        positions = positions[: int(np.searchsorted(positions, limit))]
        return positions, self._jumps[0].item(positions[-1])

    def _look_up(self) -> None:
        """Read the codes at all bits of the window that begins here."""
        first = self._at // 8
        raw = np.zeros(_WINDOW + 1, np.uint16)
        part = self._data[first : first + _WINDOW + 1]
        raw[: part.size] = part
        self._base = 8 * first
        shifts = np.arange(10, 2, -1, dtype=np.uint16)
        six = ((raw[:-1] << 8 | raw[1:])[:, None] >> shifts & 63).astype(np.uint8)
        self._six = six.reshape(-1)
        # Positions behind the window lead to themselves.
        follow = np.arange(8 * _WINDOW + 6, dtype=np.int32)
        follow[: 8 * _WINDOW] += _LENGTHS[self._six]
        self._jumps = [follow]
        for _ in range(_DOUBLINGS):
            self._jumps.append(self._jumps[-1][self._jumps[-1]])

    def _require(self, count: int) -> None:
        if self._at + count > self._end:
            raise CodecError(f"{_NAME}: HCOMPRESS_1 data end too early")


def decode_hcompress(raw: Buffer, count: int, *, smooth: bool) -> NDArray[np.int64]:
    """Return the elements of a tile, shape (count,).

    Parameters
    ----------
    raw : ndarray of uint8
        The compressed bytes.
    count : int
        Elements of the tile.
    smooth : bool
        Whether the image is smoothed where its coefficients were rounded.

    Raises
    ------
    CodecError
        If the bytes are not those of a tile of so many elements.
    """
    if raw.size < _HEADER or raw[:2].tobytes() != _MAGIC:
        raise CodecError(f"{_NAME}: a tile without the signature of HCOMPRESS_1")
    rows, columns, scale = (int(n) for n in raw[2:14].view(">i4"))
    total = int(raw[14:22].view(">i8")[0])
    planes = raw[22:25].tolist()
    if rows < 1 or columns < 1 or not -_MAX_SCALE < scale < _MAX_SCALE:
        raise CodecError(f"{_NAME}: {rows} x {columns} elements with the scale {scale}")
    expect(_NAME, rows * columns, count, "the tile")
    if max(planes) > _MAX_PLANES or count == 1:
        raise CodecError(f"{_NAME}: {planes} bit planes of {count} elements")
    bits = _Bits(raw[_HEADER:])
    values = _coefficients(bits, rows, columns, planes)
    values[0, 0] = total
    if scale > 1:
        values *= scale
    return _inverse(values, scale if smooth else 0).reshape(-1)


def _coefficients(bits: _Bits, rows: int, columns: int, planes: list[int]) -> NDArray[np.int64]:
    """Return the coefficients of the transform, shape (rows, columns), before scaling."""
    values = np.zeros((rows, columns), np.int64)
    top, left = (rows + 1) // 2, (columns + 1) // 2
    _quadrant(bits, values[:top, :left], planes[0])
    _quadrant(bits, values[:top, left:], planes[1])
    _quadrant(bits, values[top:, :left], planes[1])
    _quadrant(bits, values[top:, left:], planes[2])
    if bits.nybbles(1)[0]:
        raise CodecError(f"{_NAME}: HCOMPRESS_1 bit planes have no end")
    bits.skip_to_byte()
    flat = values.reshape(-1)
    used = np.flatnonzero(flat)
    negative = used[bits.bits(used.size)]
    flat[negative] = -flat[negative]
    return values


def _quadrant(bits: _Bits, values: NDArray[np.int64], planes: int) -> None:
    """Read the bit planes of a quadrant, the highest one first."""
    rows, columns = values.shape
    half = (rows + 1) // 2, (columns + 1) // 2
    dtype = np.int32 if planes < 32 else np.int64
    corners = np.zeros((4, *half), dtype)
    for _ in range(planes):
        kind = int(bits.nybbles(1)[0])
        if kind == 0:
            codes = bits.nybbles(half[0] * half[1]).reshape(half)
        elif kind == 15:
            codes = _quadtree(bits, rows, columns)
        else:
            raise CodecError(f"{_NAME}: HCOMPRESS_1 bit planes of the kind {kind}")
        corners <<= 1
        for number in range(4):
            corners[number] |= codes >> (3 - number) & 1
    for number, corner in enumerate(corners):
        part = values[number >> 1 :: 2, number & 1 :: 2]
        part[...] = corner[: part.shape[0], : part.shape[1]]


def _quadtree(bits: _Bits, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the codes of two by two elements each."""
    levels = (max(rows, columns) - 1).bit_length()
    codes = bits.codes(1).reshape(1, 1)
    for level in range(levels - 1, 0, -1):
        shape = -(-rows >> level), -(-columns >> level)
        spread = np.empty((2 * codes.shape[0], 2 * codes.shape[1]), np.uint8)
        for number in range(4):
            spread[number >> 1 :: 2, number & 1 :: 2] = codes >> (3 - number) & 1
        codes = np.ascontiguousarray(spread[: shape[0], : shape[1]])
        flat = codes.reshape(-1)
        used = np.flatnonzero(flat)[::-1]
        flat[used] = bits.codes(used.size)
    return codes


def _inverse(values: NDArray[np.int64], scale: int) -> NDArray[np.int64]:
    """Return the image of its H-transform; smoothed if `scale` is more than 1."""
    rows, columns = values.shape
    levels = (max(rows, columns) - 1).bit_length()
    sums = _rounded(values[:1, :1], 1 << (levels + 1))
    for level in range(levels - 1, -1, -1):
        shape = -(-rows >> level), -(-columns >> level)
        top, left = sums.shape
        parts = [np.zeros((top, left), np.int64) for _ in range(3)]
        parts[0][: shape[0] - top] = values[top : shape[0], :left]
        parts[1][:, : shape[1] - left] = values[:top, left : shape[1]]
        parts[2][: shape[0] - top, : shape[1] - left] = values[top : shape[0], left : shape[1]]
        if scale > 1:
            _smooth(sums, parts, shape, scale >> 1)
        sums = _expanded(sums, parts, 1 << level, 1 if level else 2)[: shape[0], : shape[1]]
    return np.ascontiguousarray(sums)


def _rounded(values: NDArray[np.int64], unit: int) -> NDArray[np.int64]:
    """Return values rounded to a multiple of a power of 2, halves away from 0."""
    half = unit >> 1
    return values + np.where(values >= 0, half, max(half - 1, 0)) & -unit


def _expanded(
    sums: NDArray[np.int64], parts: list[NDArray[np.int64]], unit: int, shift: int
) -> NDArray[np.int64]:
    """Return twice as many sums along each dimension, made of sums and differences."""
    vertical, horizontal = _rounded(parts[0], 2 * unit), _rounded(parts[1], 2 * unit)
    diagonal = _rounded(parts[2], unit)
    low = diagonal & unit
    vertical += np.where(vertical >= 0, -low, low)
    horizontal += np.where(horizontal >= 0, -low, low)
    next_low = (diagonal ^ vertical ^ horizontal) & 2 * unit
    positive = low - next_low
    sums = sums + np.where((sums >= 0) | (low != 0), positive, next_low)
    made = np.empty((2 * sums.shape[0], 2 * sums.shape[1]), np.int64)
    plus, minus = sums + vertical, sums - vertical
    both, other = horizontal + diagonal, horizontal - diagonal
    made[1::2, 1::2] = plus + both >> shift
    made[1::2, 0::2] = plus - both >> shift
    made[0::2, 1::2] = minus + other >> shift
    made[0::2, 0::2] = minus - other >> shift
    return made


def _smooth(
    sums: NDArray[np.int64], parts: list[NDArray[np.int64]], shape: tuple[int, int], most: int
) -> None:
    """Bring differences nearer to the slopes of the sums around, by `most` at most, in place."""
    vertical, horizontal, diagonal = parts
    down, right = max(1, (shape[0] - 1) // 2), max(1, (shape[1] - 1) // 2)
    rows, columns = slice(1, down), slice(1, right)
    if down > 1:
        _level(vertical[rows], sums[: down - 1], sums[rows], sums[2 : down + 1], most)
    if right > 1:
        _level(
            horizontal[:, columns], sums[:, : right - 1], sums[:, columns],
            sums[:, 2 : right + 1], most,
        )  # fmt: skip
    if down <= 1 or right <= 1:
        return
    above, below = slice(0, down - 1), slice(2, down + 1)
    before, behind = slice(0, right - 1), slice(2, right + 1)
    middle = sums[rows, columns]
    twice = 2 * vertical[rows, columns], 2 * horizontal[rows, columns]
    corners = (
        (sums[below, behind] - middle, -twice[0] - twice[1]),
        (middle - sums[below, before], twice[0] - twice[1]),
        (middle - sums[above, behind], -twice[0] + twice[1]),
        (sums[above, before] - middle, twice[0] + twice[1]),
    )
    highest = np.minimum.reduce([np.maximum(a, 0) + b for a, b in corners]) << 4
    lowest = np.maximum.reduce([np.minimum(a, 0) + b for a, b in corners]) << 4
    wanted = corners[0][0] + corners[3][0] - (sums[above, behind] + sums[below, before])
    wanted += 2 * middle
    _move(diagonal[rows, columns], wanted, lowest, highest, 6, most)


def _level(
    part: NDArray[np.int64],
    before: NDArray[np.int64],
    here: NDArray[np.int64],
    behind: NDArray[np.int64],
    most: int,
) -> None:
    """Smooth differences along one dimension, in place."""
    to, fro = behind - here, here - before
    highest = np.maximum(np.minimum(to, fro), 0) << 2
    lowest = np.minimum(np.maximum(to, fro), 0) << 2
    _move(part, behind - before, lowest, highest, 3, most)


def _move(
    part: NDArray[np.int64],
    wanted: NDArray[np.int64],
    lowest: NDArray[np.int64],
    highest: NDArray[np.int64],
    shift: int,
    most: int,
) -> None:
    """Move differences towards ``wanted / 2**shift`` where the sums rise or fall, in place."""
    step = np.maximum(np.minimum(wanted, highest), lowest) - (part << shift)
    step = np.where(step >= 0, step, step + (1 << shift) - 1) >> shift
    part += np.where(lowest < highest, np.clip(step, -most, most), 0)

"""Pixel cells of DICOM: fragments, packed bits, byte order, planes, chrominance.

Implements PS3.5, section 8.1.1 and annexes A.4, D and G, and PS3.3, C.7.6.3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = [
    "expand_422",
    "join_fragments",
    "significant",
    "split_tiles",
    "swap_pairs",
    "unpack_cells",
]

_ITEM = b"\xfe\xff\x00\xe0"
_END = b"\xfe\xff\xdd\xe0"


def join_fragments(raw: Buffer) -> Buffer:
    """Return the bytes of the fragments of one frame, without the headers of their items.

    Parameters
    ----------
    raw : ndarray of uint8, shape (n,)
        Items one after another, perhaps with the delimiter of their sequence.

    Raises
    ------
    CodecError
        If the bytes are not whole items.
    """
    parts: list[Buffer] = []
    at, size = 0, raw.size
    while at < size:
        tag = raw[at : at + 4].tobytes()
        if tag == _END:
            break
        length = int.from_bytes(raw[at + 4 : at + 8].tobytes(), "little")
        at += 8
        if tag != _ITEM or at + length > size:
            raise CodecError("refmaker.dicom: the chunk is not a row of whole fragments")
        parts.append(raw[at : at + length])
        at += length
    if not parts:
        raise CodecError("refmaker.dicom: the chunk has no fragment")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def unpack_cells(raw: Buffer, width: int, count: int) -> NDArray[Any]:
    """Return pixel cells of 1 or 12 bits, the first one in the lowest bits of the first byte.

    Parameters
    ----------
    raw : ndarray of uint8, shape (n,)
        The packed cells, with a part of a byte behind the last one.
    width : int
        1 or 12.

    Returns
    -------
    ndarray of uint8 or uint16, shape (count,)
    """
    if width == 1:
        return np.unpackbits(raw, count=count, bitorder="little")
    padded = np.zeros(-(-raw.size // 3) * 3, np.uint8)
    padded[: raw.size] = raw
    three = padded.reshape(-1, 3).astype(np.uint16)
    cells = np.empty((len(three), 2), np.uint16)
    cells[:, 0] = three[:, 0] | (three[:, 1] & 0x0F) << 8
    cells[:, 1] = three[:, 1] >> 4 | three[:, 2] << 4
    return cells.reshape(-1)[:count]


def swap_pairs(raw: Buffer) -> Buffer:
    """Return bytes of 8-bit cells that were written as big-endian words of 16 bits.

    A byte without a partner stays where it is.
    """
    even = raw.size // 2 * 2
    swapped = raw.copy()
    swapped[0:even:2], swapped[1:even:2] = raw[1:even:2], raw[0:even:2]
    return swapped


def expand_422(raw: NDArray[Any]) -> NDArray[Any]:
    """Return three samples for each pixel of ``Y1 Y2 Cb Cr`` quadruples (PS3.3, C.7.6.3.1.2).

    Parameters
    ----------
    raw : ndarray, shape (2 * pixels,)

    Returns
    -------
    ndarray, shape (3 * pixels,)
    """
    if raw.size % 4:
        raise CodecError(f"refmaker.dicom: {raw.size} samples are no pairs of pixels")
    pairs = raw.reshape(-1, 4)
    wide = np.empty((len(pairs), 2, 3), raw.dtype)
    wide[:, :, 0] = pairs[:, :2]
    wide[:, :, 1] = pairs[:, 2:3]
    wide[:, :, 2] = pairs[:, 3:4]
    return wide.reshape(-1)


def split_tiles(cells: NDArray[Any], down: int, across: int, count: int) -> NDArray[Any]:
    """Return the tiles of mosaics as frames, left to right and top to bottom.

    Parameters
    ----------
    cells : ndarray, shape (frames, rows, columns, samples)
    down, across : int
        Tiles below and beside one another; they divide rows and columns.
    count : int
        Tiles that are frames; the others, at the end, are empty.

    Returns
    -------
    ndarray, shape (frames, count, rows / down, columns / across, samples)
    """
    frames, rows, columns, samples = cells.shape
    tall, wide = rows // down, columns // across
    split = cells.reshape(frames, down, tall, across, wide, samples).transpose(0, 1, 3, 2, 4, 5)
    tiles = split.reshape(frames, down * across, tall, wide, samples)[:, :count]
    return np.ascontiguousarray(tiles)


def significant(cells: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return cells with the bits above the stored ones cleared, or filled with the sign.

    Parameters
    ----------
    cells : ndarray of integers
        Of the type that the result has: a signed type means that the highest stored bit is
        the sign.
    bits : int
        How many bits of a cell are stored.
    """
    shift = 8 * cells.dtype.itemsize - bits
    if shift <= 0:
        return cells
    kept: NDArray[Any] = np.right_shift(np.left_shift(cells, shift), shift)
    # Arithmetic leaves the byte order of this machine.
    return kept.astype(cells.dtype, copy=False)

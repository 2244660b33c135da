"""Chunks of uncompressed frames: computed, split or joined on exact boundaries.

Implements PS3.5, section 8.1.1 and 8.2: cells lie without gaps between rows, planes and frames.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.contiguous import contiguous_table, piece_shape
from refmaker.scanners.dicom.codec import uncompressed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.codec import ChunkCodecs
    from refmaker.scanners.dicom.pixels import PixelDescription

__all__ = ["deflated_array", "native_array", "stacked_array"]

_WHOLE = 256 * 1024**2
"""Decoded bytes of a chunk that cannot be cut."""


def native_array(
    layout: PixelDescription,
    frames: int,
    offset: int,
    url: str,
    target: int | None,
    *,
    per_frame: bool,
    trust_bits: bool,
) -> tuple[Array, ChunkCodecs]:
    """Return the frames of one instance whose pixel data begin at `offset`.

    Parameters
    ----------
    layout : PixelDescription
        The frames.
    frames : int
        How many there are; the caller has compared their bytes with those of the element.
    offset : int
        First byte of the pixel data.
    url : str
        The file.
    target : int or None
        Bytes of a chunk to aim at; None for one frame a chunk.
    per_frame : bool
        Whether chunks hold no more than one frame, unless frames share bytes.
    trust_bits : bool
        As for `uncompressed`.

    Raises
    ------
    UnsupportedError
        If frames share bytes and are too many for one chunk, with code ``pixel-layout``.
    """
    if layout.packed or layout.swapped or layout.halved:
        together = _together(layout, frames, None if per_frame else target)
        grid = -(-frames // together)
        starts = offset + np.arange(grid) * layout.chunk_bytes(together)
        lengths = np.full(grid, layout.chunk_bytes(together), np.int64)
        lengths[-1] = layout.chunk_bytes(frames) - int(starts[-1] - offset)
        table = ChunkTable.from_columns(
            (grid, *(1,) * len(layout.shape)), (url,), offset=starts, length=lengths
        )
        last = int(lengths[-1]) if frames % together else None
        chunk = (together, *layout.shape)
        return _array(layout, frames, chunk, table, trust_bits, planar=layout.planar, last=last)
    if not (layout.planar or per_frame or target is None):
        shape = (frames, *layout.shape)
        chunk, table = contiguous_table(shape, layout.type.itemsize, offset, url, target)
        return _array(layout, frames, chunk, table, trust_bits)
    starts = offset + np.arange(frames) * layout.chunk_bytes(1)
    return _cut(layout, starts, (url,), target, trust_bits)


def stacked_array(
    layout: PixelDescription,
    offsets: NDArray[np.int64],
    urls: tuple[str, ...],
    target: int | None,
    *,
    trust_bits: bool,
) -> tuple[Array, ChunkCodecs]:
    """Return the single frames of many instances, one file each.

    Parameters
    ----------
    layout : PixelDescription
        All the frames.
    offsets : ndarray of int64, shape (n,)
        Where the pixel data of each file begin.
    urls : tuple of str
        The n files.
    target, trust_bits
        As for `native_array`.
    """
    if layout.packed or layout.swapped or layout.halved:
        table = ChunkTable.from_columns(
            (len(urls), *(1,) * len(layout.shape)),
            urls,
            offset=offsets,
            length=np.full(len(urls), layout.chunk_bytes(1), np.int64),
            url=np.arange(len(urls)),
        )
        return _array(
            layout, len(urls), (1, *layout.shape), table, trust_bits, planar=layout.planar
        )
    return _cut(layout, offsets, urls, target, trust_bits)


def deflated_array(
    layout: PixelDescription,
    frames: int,
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    urls: tuple[str, ...],
) -> tuple[Array, ChunkCodecs]:
    """Return the frames of deflated data sets: one chunk each, which is the whole stream.

    Parameters
    ----------
    layout : PixelDescription
        The frames, with what stands in front of them.
    frames : int
        How many there are in each file.
    offset, length : ndarray of int64, shape (n,)
        Where the deflate stream of each file lies.
    urls : tuple of str
        The n files.

    Raises
    ------
    UnsupportedError
        If a chunk would be larger than readers should have to take, with code ``deflated``.
    """
    _bounded(layout, frames, "deflated", "lie in one deflate stream")
    count = len(urls)
    table = ChunkTable.from_columns(
        (count, *(1,) * len(layout.shape)),
        urls,
        offset=offset,
        length=length,
        url=np.arange(count),
    )
    chunk = (frames, *layout.shape)
    return _array(
        layout, count * frames, chunk, table, False, skip=layout.skip, planar=layout.planar
    )


def _cut(
    layout: PixelDescription,
    starts: NDArray[np.int64],
    urls: tuple[str, ...],
    target: int | None,
    trust_bits: bool,
) -> tuple[Array, ChunkCodecs]:
    """Return frames that begin anywhere, each in pieces of equal shape."""
    itemsize = layout.type.itemsize
    plane = layout.rows * layout.columns * itemsize
    shape = layout.shape[:2] if layout.planar else layout.shape
    chunk = piece_shape(shape, itemsize, target)
    grid = chunk_grid(shape, chunk)
    nbytes = math.prod(chunk) * itemsize
    pieces = np.arange(math.prod(grid), dtype=np.int64) * nbytes
    if layout.planar:
        # The samples of one piece lie a plane apart, and are counted last.
        pieces = (pieces[:, None] + np.arange(layout.samples) * plane).reshape(-1)
        chunk, grid = (*chunk, 1), (*grid, layout.samples)
    offsets = (starts[:, None] + pieces[None, :]).reshape(-1)
    table = ChunkTable.from_columns(
        (len(starts), *grid),
        urls,
        offset=offsets,
        length=np.full(offsets.size, nbytes, np.int64),
        url=np.repeat(np.arange(len(urls)), pieces.size) if len(urls) > 1 else None,
    )
    return _array(layout, len(starts), (1, *chunk), table, trust_bits)


def _together(layout: PixelDescription, frames: int, target: int | None) -> int:
    """Return how many frames share a chunk, so that each chunk begins on a byte."""
    # Swapped bytes are pairs, which have to stay together.
    unit = 16 if layout.swapped else 8
    least = unit // math.gcd(layout.frame_bits, unit)
    if least >= frames:
        _bounded(layout, frames, "pixel-layout", "share bytes")
        return frames
    nbytes = max(1, least * layout.pixels * layout.type.itemsize)
    if target is None or nbytes > target:
        return least
    if frames % least:
        return least * max(1, min(target // nbytes, frames // least))
    # Chunks that are all full need no codec of our own.
    return least * piece_shape((frames // least, nbytes), 1, target)[0]


def _bounded(layout: PixelDescription, frames: int, code: str, why: str) -> None:
    nbytes = layout.pixels * frames * layout.type.itemsize
    if nbytes > _WHOLE:
        raise UnsupportedError(
            f"its {nbytes} bytes of pixels {why}, which cannot be read in part",
            code=code,
            hint="store it in another transfer syntax",
        )


def _array(
    layout: PixelDescription,
    frames: int,
    chunk: tuple[int, ...],
    table: ChunkTable,
    trust_bits: bool,
    **fields: Any,
) -> tuple[Array, ChunkCodecs]:
    full = frames % chunk[0] == 0 and chunk[0] * layout.frame_bits % 8 == 0
    if layout.packed == 1 and full and "skip" not in fields:
        decoding = uncompressed(layout, *chunk[:3], trust_bits=True)
        # Bits are stored lowest first, which is the order that the first codec undoes.
        filters = (
            {"id": "imagecodecs_packints", "dtype": "|u1", "bitspersample": 1},
            {"id": "imagecodecs_bitorder"},
        )
        array = Array((frames, *layout.shape), chunk, layout.type, table, filters=filters)
        return array, decoding
    decoding = uncompressed(layout, *chunk[:3], trust_bits=trust_bits, **fields)
    codec = decoding.codec
    if codec is not None and len(chunk) == 4:
        # A chunk may hold one plane only.
        codec = {**codec, "shape": [*chunk]}
    shape = (frames, *layout.shape)
    return Array(shape, chunk, layout.type, table, compressor=codec), decoding

"""Chunks of uncompressed data: cut or joined on exact boundaries, without moving a byte.

Data that lie in C order without gaps may be seen as chunks of any shape whose elements are
neighbours in the file. Every chunk is full: an edge chunk that reached past the data would
read whatever follows them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError
from refmaker.model import ChunkTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["contiguous_table", "piece_shape", "pieces_between_cuts", "strided_table"]

_SEARCH = 1 << 20
"""Largest number tried as a divisor; complete for extents up to its square."""
_STRAY = 16
"""How far from the target a piece may be, as a factor, before data are left in one piece."""


def piece_shape(shape: Sequence[int], itemsize: int, target: int | None) -> tuple[int, ...]:
    """Return the chunk shape that cuts contiguous data into pieces near a target size.

    Parameters
    ----------
    shape : sequence of int
        Elements along each dimension, in C order.
    itemsize : int
        Bytes of an element.
    target : int or None
        Bytes that a piece should have at most; None leaves the data whole.

    Returns
    -------
    tuple of int
        Divides `shape`; 1 along all dimensions before the one that is cut, all of `shape`
        behind it. A dimension that has no suitable divisor is not cut.
    """
    whole = tuple(max(1, extent) for extent in shape)
    if target is None or not whole or math.prod(whole) * itemsize <= target:
        return whole
    inner = itemsize
    axis = len(whole) - 1
    while axis > 0 and inner * whole[axis] <= target:
        inner *= whole[axis]
        axis -= 1
    cut = _divisor(whole[axis], target // max(inner, 1))
    return (*(1,) * axis, cut, *whole[axis + 1 :])


def _divisor(extent: int, wanted: int) -> int:
    """Return the divisor of `extent` that is best for pieces of `wanted`."""
    wanted = max(1, wanted)
    # Extents are read from files: the search has an end even where no data could be so large.
    small = np.arange(1, min(math.isqrt(extent), _SEARCH) + 1, dtype=np.int64)
    small = small[extent % small == 0]
    divisors = np.concatenate([small, (extent // small)[::-1]])
    below = int(divisors[divisors <= wanted].max())
    if below * _STRAY >= wanted:
        return below
    above = int(divisors[divisors > wanted].min(initial=extent))
    return above if above <= wanted * _STRAY else extent


def contiguous_table(
    shape: Sequence[int], itemsize: int, offset: int, url: str, target: int | None
) -> tuple[tuple[int, ...], ChunkTable]:
    """Return chunk shape and table of one contiguous array.

    Parameters
    ----------
    shape : sequence of int
        Elements along each dimension; no byte is referenced if one is 0.
    itemsize : int
        Bytes of an element.
    offset : int
        First byte of the data in the file.
    url : str
        The file.
    target : int or None
        As for `piece_shape`.
    """
    return strided_table(1, 0, shape, itemsize, offset, url, target, outer=False)


def strided_table(  # noqa: PLR0913 - the geometry of a record needs all of them
    count: int,
    stride: int,
    shape: Sequence[int],
    itemsize: int,
    offset: int,
    url: str,
    target: int | None,
    *,
    outer: bool = True,
) -> tuple[tuple[int, ...], ChunkTable]:
    """Return chunk shape and table of equal contiguous blocks at equal distances.

    Parameters
    ----------
    count : int
        Number of blocks.
    stride : int
        Bytes from the start of one block to the next.
    shape : sequence of int
        Elements of one block along each dimension.
    itemsize : int
        Bytes of an element.
    offset : int
        First byte of the first block.
    url : str
        The file.
    target : int or None
        As for `piece_shape`; blocks without gaps between them are joined up to it.
    outer : bool
        Whether the array has a leading dimension that counts the blocks.

    Raises
    ------
    FormatError
        If the data would end beyond any file.

    Notes
    -----
    The table is as long as the data have pieces, so the caller compares sizes with those of
    the file first.
    """
    block = math.prod(shape) * itemsize
    if outer and stride == block:
        return strided_table(1, 0, (count, *shape), itemsize, offset, url, target, outer=False)
    end = offset + block + (max(count - 1, 0) * stride if outer else 0)
    if offset < 0 or stride < 0 or end >= 2**63:
        raise FormatError(f"data from byte {offset} to byte {end}", url=url, offset=offset)
    chunk = piece_shape(shape, itemsize, target)
    grid = tuple(-(-extent // part) for extent, part in zip(shape, chunk, strict=True))
    nbytes = math.prod(chunk) * itemsize
    pieces = np.arange(math.prod(grid), dtype=np.uint64) * np.uint64(nbytes) + np.uint64(offset)
    if outer:
        starts = np.arange(count, dtype=np.uint64) * np.uint64(stride)
        pieces = (starts[:, None] + pieces[None, :]).reshape(-1)
        chunk, grid = (1, *chunk), (count, *grid)
    length = np.full(pieces.size, nbytes, np.uint64)
    return chunk, ChunkTable.from_columns(grid, (url,), offset=pieces, length=length)


def pieces_between_cuts(
    shape: Sequence[int], itemsize: int, lengths: NDArray[np.int64], target: int | None
) -> tuple[tuple[int, ...], NDArray[np.int64]] | None:
    """Return the largest chunks of data in several places of which none lies in two of them.

    Parameters
    ----------
    shape : sequence of int
        Elements along each dimension, at least one along each.
    itemsize : int
        Bytes of an element.
    lengths : ndarray of int64, shape (n,)
        Bytes of each place, in order; together those of all elements.
    target : int or None
        As for `piece_shape`.

    Returns
    -------
    chunk_shape : tuple of int
        As of `piece_shape`.
    starts : ndarray of int64, shape (chunks,)
        First byte of each chunk in the data as if they were joined, in C order.

    None if the data are cut inside of an element.
    """
    whole = math.prod(shape) * itemsize
    common = math.gcd(whole, *np.cumsum(lengths)[:-1].tolist())
    if common % itemsize:
        return None
    inner, axis = itemsize, len(shape) - 1
    while axis > 0 and common % (inner * shape[axis]) == 0:
        inner *= shape[axis]
        axis -= 1
    # Chunks tile the data in their order, so that their extent divides that of the dimension.
    extent = math.gcd(common // inner, shape[axis])
    part = piece_shape((extent, *shape[axis + 1 :]), itemsize, target)
    chunk = (*(1,) * axis, *part)
    nbytes = math.prod(part) * itemsize
    return chunk, np.arange(whole // nbytes, dtype=np.int64) * nbytes

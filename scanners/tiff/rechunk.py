"""Uncompressed pages: joined and cut on exact boundaries, without moving a byte."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import LimitError
from refmaker.model.contiguous import piece_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.dimension_order import DimensionOrder
    from refmaker.scanners.tiff.segments import Segments

__all__ = ["Rechunked", "joined", "strip_parts"]

Rechunked = tuple[tuple[int, ...], "NDArray[np.int64]", "NDArray[np.int64]"]
"""Chunk shape, and offset and length of every chunk in C order; length 0 where there is none."""

_MOST = 2**26
"""Chunks of one array that cutting may make."""
_SMALL = 2048
"""Bytes below which a part of a strip is no good chunk."""


def joined(
    place: DimensionOrder, found: Segments, itemsize: int, target: int | None
) -> Rechunked | None:
    """Return pages whose data are in one piece as chunks near a target size.

    Parameters
    ----------
    place : DimensionOrder
        The order of dimensions; samples that lie side by side in the file must be last.
    found : Segments
        Where the strips lie, or tiles as wide as the image.
    itemsize : int
        Bytes of an element.
    target : int or None
        As for `piece_shape`; None keeps pages as they are.

    Returns
    -------
    Rechunked or None
        None if some page is in several pieces.
    """
    facts = place.facts
    offset, length = found.offset, found.length
    if offset.shape[3] > 1 or facts.chunk_width != facts.width:
        return None
    present = length > 0
    gaps = offset[:, :, 1:] != offset[:, :, :-1] + length[:, :, :-1]
    if bool((gaps & present[:, :, 1:]).any()) or bool((present != present[:, :, :1]).any()):
        return None
    order = place.order((offset.shape[1], 1, 1))
    starts = np.where(present, offset, -1)[:, :, 0, 0].reshape(-1)[order]
    plane: tuple[int, ...] = (facts.length, facts.width)
    lead = (
        place.around(place.prefix, facts.samples if facts.separate else 1)
        if (place.axis is not None and facts.separate and not place.samples_last)
        else place.prefix
    )
    if facts.separate and place.samples_last:
        lead, plane = (*place.prefix,), (*plane, 1)
        return _planes(place, starts, plane, itemsize, target)
    if facts.samples > 1 and not facts.separate:
        plane = (*plane, facts.samples)
    if place.merged and not facts.separate:
        return None
    return _blocks(starts, lead, plane, itemsize, target)


def _planes(
    place: DimensionOrder,
    starts: NDArray[np.int64],
    plane: tuple[int, ...],
    itemsize: int,
    target: int | None,
) -> Rechunked:
    """Separate planes of which the samples are to be the last dimension."""
    chunk = piece_shape(plane, itemsize, target)
    rows = plane[0] // chunk[0]
    nbytes = math.prod(chunk) * itemsize
    samples = place.facts.samples
    base = starts.reshape(-1, 1, samples)
    offset = base + (np.arange(rows) * nbytes).reshape(1, -1, 1)
    length = np.where(base >= 0, nbytes, 0) + np.zeros_like(offset)
    return (*(1,) * len(place.prefix), *chunk), offset.reshape(-1), length.reshape(-1)


def _blocks(
    starts: NDArray[np.int64],
    lead: tuple[int, ...],
    plane: tuple[int, ...],
    itemsize: int,
    target: int | None,
) -> Rechunked:
    """Whole pages in C order, joined along as many leading dimensions as follow one another."""
    unit = math.prod(plane) * itemsize
    level = len(lead)
    while target is not None and level > 0:
        count = math.prod(lead[level - 1 :])
        rows = starts.reshape(-1, count)
        if bool((rows < 0).any()) or bool((np.diff(rows, axis=1) != unit).any()):
            break
        level -= 1
    block = (*lead[level:], *plane)
    chunk = piece_shape(block, itemsize, target)
    parts = math.prod(block) // math.prod(chunk)
    nbytes = math.prod(chunk) * itemsize
    first = starts.reshape(-1, math.prod(lead[level:]))[:, :1]
    if first.size * parts > _MOST:
        raise LimitError(f"{first.size * parts} chunks of {nbytes} bytes in one array")
    offset = first + np.arange(parts, dtype=np.int64) * nbytes
    length = np.where(first >= 0, nbytes, 0) + np.zeros_like(offset)
    return (*(1,) * level, *chunk), offset.reshape(-1), length.reshape(-1)


def strip_parts(place: DimensionOrder, found: Segments) -> tuple[int, Segments] | None:
    """Cut strips into parts of which the last, shorter strip is a multiple, too.

    Returns
    -------
    tuple of int and Segments, or None
        Rows of a part, and where the parts lie; None if they would be too small.
    """
    from refmaker.scanners.tiff.segments import Segments

    facts = place.facts
    rows = math.gcd(facts.chunk_length, facts.length % facts.chunk_length)
    if rows * facts.row_bytes < min(_SMALL, facts.chunk_length * facts.row_bytes // 4):
        return None
    first = np.arange(0, facts.length, rows, dtype=np.int64)
    strip, within = first // facts.chunk_length, first % facts.chunk_length
    offset = found.offset[:, :, strip] + (within * facts.row_bytes).reshape(1, 1, -1, 1)
    there = found.length[:, :, strip] > 0
    return rows, Segments(offset, np.where(there, rows * facts.row_bytes, 0))

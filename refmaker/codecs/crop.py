"""The part of what a stream unpacks to that belongs to a chunk.

Two things surround the elements of a chunk: the header of a file that was compressed with its
data, before and behind them; and the padding of a chunk that was stored at its full size though
fewer elements of it count. Version 2 of Zarr knows the first alone, as a range of bytes; in
version 3 (`refmaker.codecs.zarr3.Crop`) the grid says how many elements count.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, Buffer, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.checks import MAX_HEADER
from refmaker.errors import CodecError, MetadataError
from refmaker.model.edges import runs_from_document

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Crop", "corner", "stored_extents", "stored_shape"]

_NAME = "refmaker.crop"


class Crop(DecodeOnly):
    """Keep a range of bytes, and leave out what stands before and behind it.

    Parameters
    ----------
    offset : int
        First byte that is kept.
    nbytes : int
        Bytes that are kept.
    """

    codec_id: ClassVar[str] = _NAME
    fields: ClassVar[tuple[str, ...]] = ("offset", "nbytes")

    def __init__(self, offset: int, nbytes: int) -> None:
        self.offset = bounded("offset", offset, 0, MAX_HEADER)
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the range, ``nbytes`` bytes."""
        data = input_bytes(buf)
        end = self.offset + self.nbytes
        if data.size < end:
            raise CodecError(
                f"{self.codec_id}: the file unpacks to {data.size} bytes, its data end at {end}"
            )
        inner = corner(data[self.offset :], (data.size - self.offset,), (self.nbytes,), 1)
        return deliver(self.codec_id, inner, out)


def corner(data: Buffer, stored: Sequence[int], shape: Sequence[int], itemsize: int) -> Buffer:
    """Return the first elements of a chunk along every dimension, as bytes.

    Parameters
    ----------
    data : ndarray of uint8
        The chunk's elements in C order.
    shape : sequence of int
        How many elements count, at most as many.
    itemsize : int
        Bytes of an element.

    Returns
    -------
    ndarray of uint8
        Without a copy where the bytes that count stand together.
    """
    if math.prod(stored[1:]) == math.prod(shape[1:]):
        return data[: math.prod(shape) * itemsize]
    whole = data.view(f"V{itemsize}").reshape(tuple(stored))
    part = np.ascontiguousarray(whole[tuple(slice(0, n) for n in shape)])
    flat: Buffer = part.reshape(-1).view(np.uint8)
    return flat


def stored_extents(entry: Any) -> tuple[int, ...] | None:
    """Return what a chunk may extend to along one dimension, from the codec's ``chunk_shape``.

    Parameters
    ----------
    entry : int, list or None
        One extent for all chunks; runs of those of every chunk in turn; or nothing, where chunks
        are as large as the grid says.

    Raises
    ------
    MetadataError
        If it is neither.
    """
    if entry is None:
        return None
    if type(entry) is int and 0 < entry < 2**63:
        return (entry,)
    if isinstance(entry, list) and entry:
        return tuple(np.unique(runs_from_document(entry)).tolist())
    raise MetadataError(f"{_NAME}: {entry!r:.80} is no extent of chunks")


def stored_shape(
    nbytes: int, shape: Sequence[int], extents: Sequence[tuple[int, ...] | None], itemsize: int
) -> tuple[int, ...]:
    """Return the extents of a chunk that has a number of bytes.

    Parameters
    ----------
    nbytes : int
        Bytes of the decoded chunk.
    shape : sequence of int
        How many of its elements count.
    extents : sequence of tuple of int or None
        As `stored_extents` returns them.
    itemsize : int
        Bytes of an element.

    Raises
    ------
    CodecError
        If no combination of extents has so many bytes, or several have.
    """
    choices = [
        (n,) if allowed is None else tuple(size for size in allowed if size >= n)
        for n, allowed in zip(shape, extents, strict=True)
    ]
    fitting = [
        found for found in itertools.product(*choices) if math.prod(found) * itemsize == nbytes
    ]
    if len(fitting) != 1:
        raise CodecError(
            f"{_NAME}: {nbytes} bytes are no chunk of {extents} with elements of {itemsize} bytes,"
            f" of which {tuple(shape)} count"
        )
    return fitting[0]

"""Arrays whose values are kept in the reference set itself: coordinates, scalars, tables."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.model.chunk_table import ChunkTable
from refmaker.model.tree import Array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "TEXTS", "InlinedChunk", "decode_inline", "encode_inline", "encode_texts", "inline_array",
    "inline_like",
]  # fmt: skip

_PLAIN = 256
"""Bytes up to which values are kept as they are."""
_CODECS = 64
"""Bytes that naming the codecs costs, which compression has to save."""
_ZLIB: Mapping[str, Any] = {"id": "zlib", "level": 9}
TEXTS: Mapping[str, Any] = {"id": "vlen-utf8"}
"""Codec of texts of variable length."""


class InlinedChunk(NamedTuple):
    """The one chunk of an inlined array, and how it is encoded."""

    data: bytes
    filters: tuple[Mapping[str, Any], ...] = ()
    compressor: Mapping[str, Any] | None = None

    def table(self, shape: Sequence[int]) -> ChunkTable:
        """Return the chunk as the table of an array of this shape; an empty one has no chunk."""
        grid = tuple(min(1, extent) for extent in shape)
        return ChunkTable.inline(grid, {0: self.data} if 0 not in grid else {})


def encode_inline(data: bytes, itemsize: int) -> InlinedChunk:
    """Return bytes as a chunk that is kept inline, compressed where that saves something.

    Parameters
    ----------
    data : bytes
        The elements, one after the other.
    itemsize : int
        Bytes of an element. The n-th bytes of all elements are put side by side before they are
        compressed, as numcodecs' ``shuffle`` does: values at even distances shrink to almost
        nothing.
    """
    if len(data) <= _PLAIN:
        return InlinedChunk(data)
    filters: tuple[Mapping[str, Any], ...] = ()
    planes = data
    if itemsize > 1:
        planes = np.frombuffer(data, np.uint8).reshape(-1, itemsize).T.tobytes()
        filters = ({"id": "shuffle", "elementsize": itemsize},)
    compressed = zlib.compress(planes, 9)
    if len(compressed) + _CODECS >= len(data):
        return InlinedChunk(data)
    return InlinedChunk(compressed, filters, dict(_ZLIB))


def inline_array(
    values: NDArray[Any], names: Sequence[str], attributes: Mapping[str, Any] | None = None
) -> Array:
    """Return an array of one chunk that holds its values itself.

    Parameters
    ----------
    values : ndarray
        Numbers or texts of fixed length, of any shape. They are kept in little-endian order.

    Raises
    ------
    TypeError
        If the values are Python objects.
    """
    shape: tuple[int, ...] = np.shape(values)
    values = np.asarray(values)
    if values.dtype.hasobject:
        raise TypeError(f"values of {values.dtype} are not kept inline")
    values = values.astype(values.dtype.newbyteorder("<"), order="C", copy=False)
    chunk = encode_inline(values.tobytes(), values.dtype.itemsize)
    return Array(
        shape,
        tuple(max(1, extent) for extent in shape),
        values.dtype,
        chunk.table(shape),
        filters=chunk.filters,
        compressor=chunk.compressor,
        dimension_names=tuple(names),
        attributes=dict(attributes or {}),
    )


def decode_inline(array: Array, data: bytes) -> bytes:
    """Return the elements of an array that `inline_array` made, one after the other."""
    if array.compressor is not None:
        data = zlib.decompress(data)
    if array.filters:
        data = np.frombuffer(data, np.uint8).reshape(array.dtype.itemsize, -1).T.tobytes()
    return data


def encode_texts(texts: Iterable[str]) -> bytes:
    """Encode as numcodecs' ``vlen-utf8``: a count, then each text behind its length."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    parts = [struct.pack("<I", len(encoded))]
    for raw in encoded:
        parts += [struct.pack("<I", len(raw)), raw]
    return b"".join(parts)


def inline_like(values: NDArray[Any], like: Array, names: Sequence[str]) -> Array:
    """Return values as an array that is one inlined chunk.

    Parameters
    ----------
    values : ndarray
        Of any shape; objects are texts.
    like : Array
        Gives byte order, fill value, attributes and origin.
    """
    values = values.astype(like.dtype, copy=False)
    if like.dtype.hasobject:
        chunk = encode_inline(encode_texts(np.ascontiguousarray(values).reshape(-1).tolist()), 1)
        # The text codec encodes first; what makes it shorter follows.
        chunk = chunk._replace(filters=(TEXTS, *chunk.filters))
    else:
        chunk = encode_inline(np.ascontiguousarray(values).tobytes(), like.dtype.itemsize)
    return replace(
        like,
        shape=values.shape,
        chunk_shape=tuple(max(1, extent) for extent in values.shape),
        chunks=chunk.table(values.shape),
        order="C",
        filters=chunk.filters,
        compressor=chunk.compressor,
        dimension_names=tuple(names),
        edges=None,
    )

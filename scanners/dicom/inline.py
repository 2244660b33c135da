"""Small arrays that are kept in the reference set itself: coordinates and tables."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model import Array, ChunkTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decoded", "inlined_array"]

_PLAIN = 512
"""Bytes up to which nothing is gained by compression."""
_ZLIB = {"id": "zlib", "level": 9}


def inlined_array(
    values: NDArray[Any],
    names: tuple[str, ...],
    attributes: dict[str, Any] | None = None,
) -> Array:
    """Return an array of one chunk that holds its values itself.

    Parameters
    ----------
    values : ndarray
        Numbers or fixed-length texts.
    names : tuple of str
        One name per dimension.
    attributes : dict, optional
        JSON values.

    Notes
    -----
    Longer arrays are compressed with zlib, the bytes of numbers sorted by their place in the
    number, which costs coordinates of even steps a third of their size.
    """
    shape: tuple[int, ...] = np.shape(values)
    values = np.ascontiguousarray(values)
    if values.dtype.byteorder == ">" or values.dtype == object:
        raise TypeError(f"values of {values.dtype} are not written inline")
    chunk = tuple(max(1, extent) for extent in shape)
    data = values.tobytes()
    filters: tuple[dict[str, Any], ...] = ()
    compressor = None
    if len(data) > _PLAIN:
        if values.dtype.kind in "iuf" and values.dtype.itemsize > 1:
            filters = ({"id": "shuffle", "elementsize": values.dtype.itemsize},)
            sorted_bytes = np.frombuffer(data, np.uint8).reshape(-1, values.dtype.itemsize)
            data = sorted_bytes.T.tobytes()
        data, compressor = zlib.compress(data, 9), dict(_ZLIB)
    grid = tuple(min(1, extent) for extent in shape)
    chunks = ChunkTable.inline(grid, {0: data} if values.size else {})
    return Array(
        shape,
        chunk,
        values.dtype,
        chunks,
        filters=filters,
        compressor=compressor,
        dimension_names=names,
        attributes=attributes or {},
    )


def decoded(array: Array, data: bytes) -> bytes:
    """Return the bytes of an array that `inlined_array` made."""
    if array.compressor is not None:
        data = zlib.decompress(data)
    if array.filters:
        size = array.dtype.itemsize
        data = np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()
    return data

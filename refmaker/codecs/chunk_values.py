"""Values of arrays from the encoded bytes of their chunks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import CodecError, RefmakerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["assembled", "decode_chunk", "inlined_values", "plain_values"]


def inlined_values(array: Array) -> NDArray[Any]:
    """Return the values of an array whose chunks are all inlined.

    Raises
    ------
    CodecError
        If a chunk cannot be decoded.
    """
    found = plain_values(array)
    return assembled(array, array.chunks.inlined) if found is None else found


def plain_values(array: Array) -> NDArray[Any] | None:
    """Return the values of an array that is one inlined chunk without codecs."""
    table = array.chunks
    if len(table.inlined) != 1 or table.size != 1 or array.codecs or array.dtype.hasobject:
        return None
    count = math.prod(array.chunk_shape)
    (data,) = table.inlined.values()
    if len(data) < count * array.dtype.itemsize:
        return None
    chunk = np.frombuffer(data, array.dtype, count)
    if array.chunk_shape == array.shape and (len(array.shape) < 2 or array.order == "C"):
        return chunk if chunk.shape == array.shape else chunk.reshape(array.shape)
    order: Any = array.order
    shaped = chunk.reshape(array.chunk_shape, order=order)
    return shaped[tuple(slice(0, extent) for extent in array.shape)]


def assembled(array: Array, chunks: Mapping[int, bytes]) -> NDArray[Any]:
    """Return the values of an array from the encoded bytes of its chunks, by number.

    What no chunk holds is the fill value, or zero.

    Raises
    ------
    CodecError
        If a chunk cannot be decoded.
    """
    fill = array.fill_value
    values: NDArray[Any]
    if fill is None:
        values = np.zeros(array.shape, array.dtype)
        if array.dtype.hasobject:
            values[...] = ""
    else:
        values = np.full(array.shape, fill, array.dtype)
    for number, data in chunks.items():
        at = np.unravel_index(number, array.chunks.grid) if array.shape else ()
        chunk = decode_chunk(array, data, at)
        if not array.shape:
            values[()] = chunk[()]
            continue
        region = array.region(at)
        values[region] = chunk[tuple(slice(0, part.stop - part.start) for part in region)]
    return values


def decode_chunk(array: Array, raw: bytes, at: Sequence[Any] | None = None) -> NDArray[Any]:
    """Return one chunk's elements, in the chunk's shape.

    Parameters
    ----------
    array : Array
        How it is encoded.
    at : sequence of int, optional
        Its position in the grid, where chunks are of different lengths.

    Raises
    ------
    CodecError
        If a codec fails or yields another number of bytes.
    """
    import numcodecs

    from refmaker.codecs.bounded import bounded_codecs, chunk_bytes

    data: Any = raw
    try:
        made = [numcodecs.get_codec(dict(config)) for config in array.codecs]
        shape = array.chunk_shape if at is None else array.decoded_shape(at)
        most = chunk_bytes(shape, array.dtype.itemsize, objects=array.dtype.hasobject)
        for codec in reversed(bounded_codecs(made, most)):
            data = codec.decode(data)
        if array.dtype.hasobject:
            chunk = np.asarray(data, dtype=object)
        else:
            if isinstance(data, np.ndarray):
                # Codecs return what they like; the bytes are what counts.
                data = data.tobytes("A")
            chunk = np.frombuffer(bytes(data), array.dtype, count=math.prod(shape))
        order: Any = array.order
        return chunk.reshape(shape, order=order)
    except RefmakerError:
        raise
    except Exception as error:  # codecs of other packages raise anything
        raise CodecError(f"a chunk cannot be decoded: {type(error).__name__}: {error}") from error

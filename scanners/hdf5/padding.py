"""Variables that are shorter than an unlimited dimension of theirs, as netCDF reads them.

In HDF5 each dataset of an unlimited dimension has an extent of its own; netCDF-4 gives all of
them that of the longest, and fill values where a dataset ends ("NetCDF-4 Format Specification",
dimensions). In a reference set the rest is absent chunks, but for the last chunk of a dataset: that
one is looked into, as writers may leave anything behind the end.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.codecs.fill_value import encoded_chunk, with_absent_written
from refmaker.errors import LimitError, UnsupportedError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.scanners.hdf5.strings import CODEC, string_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.scanners.hdf5.dataset import OpenDataset

__all__ = ["padded"]

_JOINED_MOST = 64 * 1024
"""Bytes of a small array that stays one inlined chunk."""
_DEFAULTS: dict[str, Any] = {
    "i1": -127, "u1": 255, "i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295,
    "i8": -9223372036854775806, "u8": 18446744073709551614,
    "f4": 9.9692099683868690e36, "f8": 9.9692099683868690e36,
}  # fmt: skip
"""netCDF's fill values where a file defines none (NC_FILL_BYTE ... NC_FILL_DOUBLE, netcdf.h)."""


def padded(
    array: Array, shape: tuple[int, ...], dataset: OpenDataset, source: Source, budget: int
) -> Array:
    """Return an array as long as its dimensions, fill values in the place of what is not there.

    Parameters
    ----------
    array : Array
        The dataset as it stands in the file, its fill value what HDF5 stores.
    shape : tuple of int
        Extents, none smaller than the array's.
    source : Source
        The file, to look into chunks that the dataset's end cuts.
    budget : int
        Decoded bytes that may be looked at or inlined.

    Raises
    ------
    UnsupportedError
        If netCDF has no fill value for the type, or a chunk cannot be completed.
    LimitError
        If more than the budget had to be looked at.
    """
    if array.dtype.kind == "O":
        return _longer_strings(array, shape)
    fill = _fill_of(dataset)
    whole = array.chunks.inlined.get(0) if array.chunk_shape == array.shape else None
    if (
        whole is not None
        and not array.codecs
        and math.prod(shape) * array.dtype.itemsize <= _JOINED_MOST
    ):
        return _joined(array, whole, shape, fill)
    stored = np.zeros((), array.dtype)[()] if array.fill_value is None else array.fill_value
    if array.chunks.absent and np.asarray(stored, array.dtype).tobytes() != fill.tobytes():
        explicit = with_absent_written(array, budget)
        if explicit is None:
            raise _unsupported("elements never written read otherwise than those behind its end")
        array = explicit
    table = _completed(array, shape, fill, source, budget)
    return replace(
        array, shape=shape, chunks=_moved(table, shape, array.chunk_shape), fill_value=fill[()]
    )


def _unsupported(why: str) -> UnsupportedError:
    return UnsupportedError(
        f"it is shorter than a dimension of its, and {why}",
        code="padding",
        hint="rewrite the dataset at full length",
    )


def _fill_of(dataset: OpenDataset) -> NDArray[Any]:
    """Return what netCDF puts behind the end, as a 0-dimensional array."""
    dtype = dataset.element.dtype
    if dtype.kind not in "iufS" or dataset.element.dims:
        raise _unsupported(f"netCDF has no fill value for {dtype}")
    if dataset.plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED:
        return np.zeros((), dtype) if dtype.kind == "S" else dataset.raw_fill()
    return np.array(_DEFAULTS.get(dtype.str[1:], 0 if dtype.kind != "S" else b""), dtype)


def _longer_strings(array: Array, shape: tuple[int, ...]) -> Array:
    from numcodecs import VLenUTF8

    out = np.full(shape, "", object)
    table = array.chunks
    for number, data in table.inlined.items():
        at = np.unravel_index(number, table.grid)
        corner = [int(n) * c for n, c in zip(at, array.chunk_shape, strict=True)]
        part = VLenUTF8().decode(data).reshape(array.chunk_shape)
        inside = tuple(
            slice(0, min(c, n - a))
            for a, c, n in zip(corner, array.chunk_shape, array.shape, strict=True)
        )
        there = tuple(slice(a, a + s.stop) for a, s in zip(corner, inside, strict=True))
        out[there] = part[inside]
    chunk, chunks = string_chunks(out.reshape(-1).tolist(), shape)
    return replace(array, shape=shape, chunk_shape=chunk, chunks=chunks, filters=(CODEC,))


def _joined(array: Array, data: bytes, shape: tuple[int, ...], fill: NDArray[Any]) -> Array:
    out = np.full(shape, fill, array.dtype)
    out[tuple(slice(n) for n in array.shape)] = np.frombuffer(data, array.dtype).reshape(
        array.shape
    )
    table = ChunkTable.inline((1,) * len(shape), {0: out.tobytes()})
    return replace(array, shape=shape, chunk_shape=shape, chunks=table, fill_value=None)


def _completed(
    array: Array, shape: tuple[int, ...], fill: NDArray[Any], source: Source, budget: int
) -> ChunkTable:
    """Return the table with every chunk that the end cuts full of fill values behind the end."""
    table = array.chunks
    cut = [
        axis
        for axis, (n, c) in enumerate(zip(array.shape, array.chunk_shape, strict=True))
        if shape[axis] > n and n % c
    ]
    if not cut:
        return table
    keys = np.fromiter(table.inlined, np.int64, len(table.inlined))
    numbers = np.concatenate([table.numbers().astype(np.int64), keys])
    at = np.unravel_index(numbers, table.grid)
    last = np.zeros(numbers.size, bool)
    for axis in cut:
        last |= at[axis] == table.grid[axis] - 1
    doubtful = numbers[last]
    nbytes = math.prod(array.chunk_shape) * array.dtype.itemsize
    if doubtful.size * nbytes > budget:
        raise LimitError(
            f"it is shorter than a dimension of its, and {doubtful.size} chunks at its end, "
            f"{doubtful.size * nbytes} bytes, had to be looked into",
            hint="raise `inline_budget`",
        )
    replaced = {}
    for number in doubtful.tolist():
        data = _complete(array, number, cut, fill, source)
        if data is not None:
            replaced[number] = data
    if not replaced:
        return table
    keep = ~np.isin(table.numbers(), np.fromiter(replaced, np.uint64, len(replaced)))
    return ChunkTable.from_columns(
        table.grid,
        table.urls,
        offset=table.offset[keep],
        length=table.length[keep],
        index=table.numbers()[keep],
        url=None if table.url is None else table.url[keep],
        inlined={**table.inlined, **replaced},
    )


def _complete(
    array: Array, number: int, cut: list[int], fill: NDArray[Any], source: Source
) -> bytes | None:
    """Return an encoded chunk full of fill values behind the end; None if it is so already."""
    chunk = _decoded(array, number, source)
    at = np.unravel_index(number, array.chunks.grid)
    out = chunk.copy()
    for axis in cut:
        rest = array.shape[axis] - int(at[axis]) * array.chunk_shape[axis]
        behind = [slice(None)] * len(array.shape)
        behind[axis] = slice(rest, None)
        out[tuple(behind)] = fill
    if out.tobytes() == chunk.tobytes():
        return None
    encoded = encoded_chunk(out, array)
    if encoded is None:
        raise _unsupported("its last chunk holds other values behind its end")
    return encoded


def _decoded(array: Array, number: int, source: Source) -> NDArray[Any]:
    from numcodecs import get_codec

    found = array.chunks.get(number)
    if isinstance(found, bytes):
        data: Any = found
    elif found is not None and found.url == source.url:
        data = source.read(found.offset, found.length)
    else:
        raise _unsupported("its last chunk lies in another file")
    try:
        for config in reversed(array.codecs):
            data = get_codec(dict(config)).decode(data)
        return np.frombuffer(data, array.dtype).reshape(array.chunk_shape)
    except (ValueError, TypeError, RuntimeError, OSError, zlib.error) as error:
        raise _unsupported(f"its last chunk cannot be decoded: {error}") from error


def _moved(table: ChunkTable, shape: tuple[int, ...], chunk_shape: tuple[int, ...]) -> ChunkTable:
    """Return the same chunks in a larger grid."""
    grid = chunk_grid(shape, chunk_shape)
    keys = np.fromiter(table.inlined, np.int64, len(table.inlined))
    numbers = np.concatenate([table.numbers().astype(np.int64), keys])
    moved = numbers
    if numbers.size and table.grid:
        moved = np.ravel_multi_index(np.unravel_index(numbers, table.grid), grid)
    return ChunkTable.from_columns(
        grid,
        table.urls,
        offset=table.offset,
        length=table.length,
        index=moved[: table.referenced],
        url=table.url,
        inlined=dict(zip(moved[table.referenced :].tolist(), table.inlined.values(), strict=True)),
    )

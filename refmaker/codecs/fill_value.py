"""What absent chunks read as, for Zarr and for xarray at once.

Zarr version 2 has one fill value where HDF5, Zarr version 3 and CF have two things: what elements
that were never written read as, and which value marks missing data. xarray takes Zarr's to be the
second.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import CodecError
from refmaker.model.missing_values import FILL, declared

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from refmaker.model import Array

__all__ = ["encoded_chunk", "settle_fill", "with_absent_written"]

_MOST = 4096
"""Absent chunks that may be written out."""


def settle_fill(array: Array, budget: int, warn: Callable[[str], None]) -> Array:
    """Choose an array's fill value; its present one is what elements never written read as.

    Where no chunk is absent, or both meanings agree, the value that marks missing data is
    taken. Where they differ, the absent chunks are inlined with the stored value, so that both
    hold; if that is too much, the stored value wins, and a warning tells what xarray makes of it.

    Parameters
    ----------
    array : Array
        With its attributes, of which ``_FillValue`` counts.
    budget : int
        Bytes that inlined chunks may take.
    warn : callable
        Is told when xarray would take values for missing.
    """
    stored = array.fill_value
    missing = _declared(array)
    if array.chunks.absent == 0 or _equal(stored, missing, array.dtype):
        return replace(array, fill_value=missing)
    if missing is None and _equal(stored, None, array.dtype):
        return replace(array, fill_value=None)
    if missing is None and array.dtype.kind == "f" and np.isnan(stored):
        # Who takes it for missing reads NaN all the same.
        return array
    explicit = with_absent_written(array, budget)
    if explicit is None:
        warn(
            f"elements never written read as {stored!r}, which xarray takes for missing; "
            f"_FillValue is {array.attributes.get('_FillValue', 'not declared')!r}"
        )
        return array
    return replace(explicit, fill_value=missing)


def with_absent_written(array: Array, budget: int) -> Array | None:
    """Return an array whose absent chunks are inlined, full of its fill value.

    Parameters
    ----------
    array : Array
        The array; without fill value its absent chunks read as zeros.
    budget : int
        Bytes that inlined chunks may take.

    Returns
    -------
    Array or None
        None if that is too much, or the codecs cannot encode.
    """
    chunk = _constant_chunk(array, array.fill_value, budget)
    if chunk is None:
        return None
    present = np.concatenate(
        [array.chunks.numbers(), np.array(list(array.chunks.inlined), np.uint64)]
    )
    absent = np.setdiff1d(np.arange(array.chunks.size, dtype=np.uint64), present)
    inlined = {**array.chunks.inlined, **dict.fromkeys(absent.tolist(), chunk)}
    table = replace(array.chunks, index=array.chunks.numbers(), inlined=inlined)
    return replace(array, chunks=table)


def _declared(array: Array) -> Any:
    """Return CF's ``_FillValue`` as a scalar of the dtype; None if there is none that fits."""
    if array.dtype.kind in "iuf":
        # A number between those of the type is no element's; readers compare it as it is.
        return declared(array)
    value = array.attributes.get(FILL)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or isinstance(value, list) or array.dtype.kind != "S":
        return None
    raw = str(value).encode()
    return np.bytes_(raw) if len(raw) <= array.dtype.itemsize else None


def _equal(one: Any, other: Any, dtype: np.dtype[Any]) -> bool:
    zero = _nothing(dtype)
    left, right = (zero if value is None else value for value in (one, other))
    if other is None and one is not None and not _is_zero(one, dtype):
        return False
    return np.asarray(left, dtype).tobytes() == np.asarray(right, dtype).tobytes()


def _is_zero(value: Any, dtype: np.dtype[Any]) -> bool:
    return bool(np.asarray(value, dtype).tobytes() == np.asarray(_nothing(dtype)).tobytes())


def _nothing(dtype: np.dtype[Any]) -> Any:
    """Return what absent chunks read as where no fill value is declared."""
    return np.array("NaT", dtype)[()] if dtype.kind in "mM" else np.zeros((), dtype)[()]


def _constant_chunk(array: Array, stored: Any, budget: int) -> bytes | None:
    """Return an encoded chunk full of the stored value; None if it costs too much."""
    absent = array.chunks.absent
    nbytes = int(np.prod(array.chunk_shape, dtype=np.int64)) * array.dtype.itemsize
    if absent > _MOST or nbytes > budget:
        return None
    value = np.asarray(_nothing(array.dtype) if stored is None else stored, array.dtype)
    data: Any = np.full(array.chunk_shape, value, array.dtype)
    encoded = encoded_chunk(data, array)
    return encoded if encoded is not None and len(encoded) * absent <= budget else None


def encoded_chunk(data: NDArray[Any], array: Array) -> bytes | None:
    """Return a chunk as an array's codecs encode it; None if one of them only decodes."""
    from numcodecs import get_codec

    out: Any = data
    try:
        for config in array.codecs:
            out = get_codec(dict(config)).encode(out)
    except (CodecError, NotImplementedError, ValueError, TypeError, RuntimeError):
        return None
    return np.ascontiguousarray(out).tobytes() if isinstance(out, np.ndarray) else bytes(out)

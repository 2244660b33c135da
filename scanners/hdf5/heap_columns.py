"""Values that stand outside of a dataset's chunks, as columns of their own.

Records with strings, references or sequences in them, and sequences themselves, hold addresses in
the chunks. Zarr has no type for either; they are read while scanning and become a group in the
dataset's place: one array per member of a record; for sequences their elements one after the other,
and how many each has, which is CF's contiguous ragged array (CF conventions, 9.3.3).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import LimitError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.scanners.hdf5.strings import CODEC, string_chunks, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.hdf5.dataset import OpenDataset

__all__ = ["read_columns"]

COUNT, VALUES = "row_size", "values"
"""Names of the arrays that stand for sequences; the first is CF's own."""
_STEP = 4096
"""Elements read at a time at most."""


def read_columns(
    dataset: OpenDataset,
    budget: int,
    names: Sequence[str],
    path_of: Callable[[Any], str],
    warn: Callable[[str], None],
) -> Array | Group:
    """Read a dataset, and return the group that stands for it; an array for arrays of strings.

    Parameters
    ----------
    budget : int
        Bytes of values that may be read.
    path_of : callable
        Gives the path of a referenced object.
    warn : callable
        Is told about doubtful text.

    Raises
    ------
    LimitError
        If there is more than the budget allows.
    UnsupportedError
        If a member is of a type that has no place in Zarr.
    """
    values = _read(dataset, budget)

    def text(value: Any) -> str:
        if isinstance(value, h5py.h5r.RegionReference):
            raise UnsupportedError("references to regions", code="dtype-reference")
        if isinstance(value, h5py.h5r.Reference):
            return path_of(value)
        return text_of(value or b"", dataset.path, warn)

    return _node(values, tuple(names), dataset.path.rpartition("/")[2], text)


def _read(dataset: OpenDataset, budget: int) -> NDArray[Any]:
    """Return all values as h5py gives them, not many more than the budget allows at a time."""
    high = h5py.Dataset(dataset.id)
    if dataset.nbytes > budget:
        raise _too_much(budget)
    base, inner = high.dtype.subdtype or (high.dtype, ())
    # What numpy keeps of h5py's types is lost when arrays are joined.
    values = np.empty((*dataset.shape, *inner), base)
    if not dataset.shape:
        values[()] = high[()]
        _spend(values, budget)
        return values
    row = math.prod(dataset.shape[1:])
    start, rows, spent = 0, 1, 0
    while start < dataset.shape[0] and row:
        part = np.asarray(high[start : start + rows])
        cost = _spend(part, budget - spent)
        spent += cost
        values[start : start + rows] = part
        start += rows
        # No more than what is left allows, as far as these rows tell.
        allowed = (budget - spent) * rows // max(cost, 1)
        rows = max(1, min(2 * rows, allowed, _STEP // max(row, 1)))
    return values


def _too_much(budget: int) -> LimitError:
    return LimitError(
        f"its values are more than the {budget} bytes that may be inlined",
        hint="raise `inline_budget`",
    )


def _spend(values: NDArray[Any], left: int) -> int:
    """Return the bytes of values with all that they lead to; too many are refused."""
    total = _bytes(values)
    if total > left:
        raise _too_much(left)
    return total


def _bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        if value.dtype.names is not None:
            return sum(_bytes(value[name]) for name in value.dtype.names)
        if value.dtype.kind == "O":
            return 16 * value.size + sum(map(_bytes, value.reshape(-1).tolist()))
        return int(value.nbytes)
    return len(value) if isinstance(value, str | bytes) else 16


def _node(
    values: NDArray[Any], names: tuple[str, ...], name: str, text: Callable[[Any], str]
) -> Array | Group:
    if values.dtype.names is not None:
        return Group({
            _checked(field): _node(values[field], names, field, text)
            for field in values.dtype.names
        })  # fmt: skip
    if isinstance(h5py.check_vlen_dtype(values.dtype), np.dtype):
        return _sequences(values, names, name, text)
    names = (*names, *(f"{name}_dim_{i}" for i in range(values.ndim - len(names))))
    if values.dtype.kind == "O":
        chunk, table = string_chunks([text(v) for v in values.reshape(-1).tolist()], values.shape)
        return Array(
            values.shape, chunk, np.dtype(object), table, filters=(CODEC,), dimension_names=names
        )
    if values.dtype.kind not in "biufcSVmM" or values.dtype.itemsize == 0:
        raise UnsupportedError(f"Zarr has no type for {values.dtype}", code="dtype-other")
    chunk = tuple(max(1, extent) for extent in values.shape)
    table = ChunkTable.empty(tuple(-(-n // c) for n, c in zip(values.shape, chunk, strict=True)))
    if values.size:
        table = ChunkTable.inline((1,) * values.ndim, {0: values.tobytes()})
    dtype = np.dtype(values.dtype.str)
    return Array(values.shape, chunk, dtype, table, dimension_names=names)


def _sequences(
    values: NDArray[Any], names: tuple[str, ...], name: str, text: Callable[[Any], str]
) -> Group:
    base = np.dtype(h5py.check_vlen_dtype(values.dtype))
    rows = [np.empty(0, base) if row is None else np.asarray(row) for row in values.reshape(-1)]
    count = np.array([len(row) for row in rows], "<i8").reshape(values.shape)
    # What h5py notes in a type, such as that elements are sequences in turn, numpy drops.
    flat = np.empty(int(count.sum()), base)
    if flat.size:
        flat[:] = np.concatenate(rows)
    counts = _node(count, names, COUNT, text)
    inner = f"{name}_values"
    return Group({
        COUNT: _with_attribute(counts, "sample_dimension", inner),
        VALUES: _node(flat, (inner,), inner, text),
    })  # fmt: skip


def _with_attribute(node: Array | Group, name: str, value: str) -> Array | Group:
    from dataclasses import replace

    return replace(node, attributes={**node.attributes, name: value})


def _checked(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        raise UnsupportedError(f"a member named {name!r}", code="name")
    return name

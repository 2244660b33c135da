"""Parts of arrays, read within a budget; whole chunks are kept for what is asked next."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError
from refmaker.model.amounts import human_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["READ_BYTES", "Regions"]

READ_BYTES = 512 * 1024**2
"""Decoded bytes of the chunks that one question may take."""
_KEPT_BYTES = 256 * 1024**2
_SLAB_BYTES = 64 * 1024**2
"""Decoded bytes of chunks that are kept together."""

Part = int | slice
Slab = tuple[tuple[int, int], ...]
"""First and last but one element along each dimension."""


class Regions:
    """Reads parts of arrays, and keeps the chunks around small ones.

    A map of one time takes whole chunks, which may hold its neighbours in time, too; a series at
    one place takes those of all times, which hold the places beside it. Where such chunks are
    not too large, what is asked next is answered without reading.

    Parameters
    ----------
    kept_bytes : int
        Bytes that are kept; what was unused for longest is dropped.
    """

    def __init__(self, kept_bytes: int = _KEPT_BYTES) -> None:
        self._kept: OrderedDict[tuple[str, Slab], NDArray[Any]] = OrderedDict()
        self._room = kept_bytes
        self._lock = threading.Lock()

    def read(
        self, path: str, array: xr.DataArray, index: Mapping[Any, Part], *, budget: int = READ_BYTES
    ) -> NDArray[Any]:
        """Return the values of a part of an array.

        Parameters
        ----------
        path : str
            What the array is kept by.
        array : xarray.DataArray
            Lazy, with the chunks of the file among its encoding.
        index : mapping of dimension to int or slice
            What is not named is taken whole. Slices have no negative numbers.
        budget : int
            Decoded bytes of the chunks that hold it.

        Raises
        ------
        LimitError
            If its chunks are larger than the budget.
        Exception
            Whatever reading may raise.
        """
        parts = [index.get(dim, slice(None)) for dim in array.dims]
        sizes = chunk_sizes(array)
        nbytes = math.prod(
            _touched(part, size, chunk)
            for part, size, chunk in zip(parts, array.shape, sizes, strict=True)
        ) * max(array.dtype.itemsize, 1)
        if nbytes > budget:
            raise LimitError(
                f"its chunks hold {human_size(nbytes)}, more than the {human_size(budget)} that"
                " are read at once",
                path=path,
                hint="choose a smaller part",
            )
        slab = _slab(parts, array.shape, sizes)
        shape = [stop - start for start, stop in slab]
        if math.prod(shape) * array.dtype.itemsize > _SLAB_BYTES:
            return np.asarray(array[_sparse(parts, array.shape)].to_numpy())
        key = path, slab
        with self._lock:
            held = self._kept.get(key)
            if held is not None:
                self._kept.move_to_end(key)
        if held is None:
            held = np.asarray(array[tuple(slice(*ends) for ends in slab)].to_numpy())
            self._keep(key, held)
        inner = tuple(
            _shifted(part, start, size)
            for part, (start, _), size in zip(parts, slab, array.shape, strict=True)
        )
        return np.asarray(held[inner])

    def _keep(self, key: tuple[str, Slab], values: NDArray[Any]) -> None:
        with self._lock:
            self._kept[key] = values
            while sum(held.nbytes for held in self._kept.values()) > self._room:
                self._kept.popitem(last=False)


def chunk_sizes(array: xr.DataArray) -> tuple[int, ...]:
    """Return the elements of a chunk along each dimension; those of the array if unknown."""
    told = array.encoding.get("preferred_chunks") or {}
    found = []
    for dim, size in array.sizes.items():
        chunk = told.get(dim, size)
        # Chunks of different lengths are told one by one.
        found.append(max(1, max(chunk, default=1) if isinstance(chunk, tuple) else int(chunk)))
    return tuple(found)


def _touched(part: Part, size: int, chunk: int) -> int:
    """Return how many elements the chunks have, along a dimension, that hold a part."""
    if isinstance(part, int):
        return min(chunk, size)
    start, stop, step = part.indices(size)
    if stop <= start:
        return 0
    spanned = (stop - 1) // chunk - start // chunk + 1
    return min(spanned, len(range(start, stop, step))) * min(chunk, size)


def _slab(parts: list[Part], shape: tuple[int, ...], chunks: tuple[int, ...]) -> Slab:
    """Return the ends of the chunks that hold a part."""
    found = []
    for part, size, chunk in zip(parts, shape, chunks, strict=True):
        start, stop, _ = (part, part + 1, 1) if isinstance(part, int) else part.indices(size)
        found.append((start // chunk * chunk, min(-(-max(stop, start) // chunk) * chunk, size)))
    return tuple(found)


def _sparse(parts: list[Part], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return parts of which each element is named where they are every so many: no more is read."""
    return tuple(
        np.arange(*part.indices(size)) if isinstance(part, slice) and (part.step or 1) > 1 else part
        for part, size in zip(parts, shape, strict=True)
    )


def _shifted(part: Part, start: int, size: int) -> Part:
    if isinstance(part, int):
        return part - start
    first, stop, step = part.indices(size)
    return slice(first - start, max(stop, first) - start, step)

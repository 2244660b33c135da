"""Parts of arrays, read within a budget; whole chunks are kept for what is asked next."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures.budget import Cost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.pictures.source import Source

__all__ = ["LOOK", "Regions", "means_itself"]

LOOK = Cost(8192, 2048, 256 * 1024**2, 512 * 1024**2)
"""What one question may take."""
_KEPT_BYTES = 512 * 1024**2
_SLAB_BYTES = 256 * 1024**2
"""Decoded bytes of chunks that are kept together."""

_MEANING = frozenset(
    {"_FillValue", "missing_value", "valid_min", "valid_max", "valid_range", "_Unsigned"}
    | {"scale_factor", "add_offset", "scales", "offsets", "rescale"}
)
"""Attributes that make of stored values others."""

Part = int | slice
Slab = tuple[tuple[int, int], ...]
"""First and last but one element along each dimension."""


class Regions:
    """Reads parts of arrays, and keeps the chunks around small ones as they are stored.

    A map of one time takes whole chunks, which may hold its neighbours in time, too; a series at
    one place takes those of all times, which hold the places beside it. Where such chunks are
    not too large, what is asked next is answered without reading.

    Parameters
    ----------
    source : Source
        The set, and what a question may take.
    kept_bytes : int
        Bytes that are kept; what was unused for longest is dropped.
    """

    def __init__(self, source: Source, kept_bytes: int = _KEPT_BYTES) -> None:
        self._source = source
        self._kept: OrderedDict[tuple[str, Slab], NDArray[Any]] = OrderedDict()
        self._room = kept_bytes
        self._busy: dict[tuple[str, Slab], threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, path: str, parts: Sequence[Part], *, meant: bool = True) -> NDArray[Any]:
        """Return the values of a part of an array.

        Parameters
        ----------
        path : str
            Of the array.
        parts : sequence of int or slice
            One for each dimension; no number is negative.
        meant : bool
            As attributes say that values are meant, in float64, missing ones as NaN; or as they
            are stored.

        Returns
        -------
        ndarray
            Without the dimensions of which a part is one number.

        Raises
        ------
        LimitError
            If that takes more than a question may.
        Exception
            Whatever reading may raise.
        """
        array = self._source.array(path)
        wanted = [_elements(part, size) for part, size in zip(parts, array.shape, strict=True)]
        slab = _slab(wanted, array) if all(one.size for one in wanted) else None
        if slab is None:
            stored = np.empty([one.size for one in wanted], array.dtype)
        elif _leaves_out(wanted, array) or _nbytes(slab, array) > _SLAB_BYTES:
            stored = self._source.read(path, wanted)
        else:
            held = self._held(path, slab)
            inner = [one - start for one, (start, _) in zip(wanted, slab, strict=True)]
            stored = held[np.ix_(*inner)] if inner else held
        values = self._source.as_meant(path, stored, wanted) if meant else stored
        return np.asarray(
            values[tuple(0 if isinstance(part, int) else slice(None) for part in parts)]
        )

    def _held(self, path: str, slab: Slab) -> NDArray[Any]:
        """Return the chunks of a slab, read or kept."""
        key = path, slab
        with self._lock:
            alone = self._busy.setdefault(key, threading.Lock())
        # What two ask for at the same time is read once.
        with alone:
            with self._lock:
                held = self._kept.pop(key, None)
            if held is None:
                region = [np.arange(start, stop, dtype=np.int64) for start, stop in slab]
                held = self._source.read(path, region)
            with self._lock:
                self._kept[key] = held
                while sum(one.nbytes for one in self._kept.values()) > self._room:
                    self._kept.popitem(last=False)
                self._busy.pop(key, None)
        return held


def means_itself(array: Array) -> bool:
    """Whether values are meant as they are stored, none of them missing."""
    raster = "grid_mapping" in array.attributes and array.fill_value is not None
    return array.dtype.kind != "c" and not raster and _MEANING.isdisjoint(array.attributes)


def _elements(part: Part, size: int) -> NDArray[np.int64]:
    if isinstance(part, int):
        return np.array([part], np.int64)
    return np.arange(*part.indices(size), dtype=np.int64)


def _slab(wanted: Sequence[NDArray[np.int64]], array: Array) -> Slab:
    """Return the ends of the chunks that hold a part; of the part, where they differ in length."""
    found = []
    for axis, one in enumerate(wanted):
        start, stop, size = int(one[0]), int(one[-1]) + 1, array.shape[axis]
        if array.edges is None or array.edges[axis] is None:
            chunk = array.chunk_shape[axis]
            start, stop = start // chunk * chunk, min(-(-stop // chunk) * chunk, size)
        found.append((start, stop))
    return tuple(found)


def _nbytes(slab: Slab, array: Array) -> int:
    return math.prod(stop - start for start, stop in slab) * array.dtype.itemsize


def _leaves_out(wanted: Sequence[NDArray[np.int64]], array: Array) -> bool:
    """Whether there are chunks between those that hold a part."""
    return any(
        (np.diff(array.chunk_numbers(axis, one)) > 1).any() for axis, one in enumerate(wanted)
    )

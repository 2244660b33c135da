"""Chunks of different lengths along one dimension.

What a regular grid says by one number has two for each chunk here: how many elements of the array
it holds, and how many it decodes to. They differ where a chunk was padded to its full size, as
HDF5 and TIFF do it, and another follows it nevertheless.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Edges", "runs_document", "runs_from_document"]

_MOST = 1 << 24
"""Chunks along one dimension that are held one by one."""
_EXTENT = 2**63


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Edges:
    """The chunks along one dimension, in order.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n,)
        Elements of the array that each chunk holds along the dimension, at least 1.
    stored : ndarray of int64, shape (n,), optional
        Elements that each chunk decodes to along the dimension, the first of which count; by
        default as many.

    Attributes
    ----------
    starts : ndarray of int64, shape (n,)
        Position of each chunk's first element.

    Raises
    ------
    MetadataError
        If a chunk is empty, or holds more than it decodes to.
    """

    lengths: NDArray[np.int64]
    stored: NDArray[np.int64] = None  # type: ignore[assignment]
    starts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        lengths = _integers(self.lengths)
        stored = lengths if self.stored is None else _integers(self.stored)
        if stored.shape != lengths.shape or lengths.ndim != 1:
            raise MetadataError(f"{lengths.shape} chunks, of which {stored.shape} are stored")
        if lengths.size and (int(lengths.min()) < 1 or bool(np.any(stored < lengths))):
            raise MetadataError("a chunk without elements, or with more than are stored of it")
        if float(lengths.sum(dtype=np.float64)) >= _EXTENT:
            raise MetadataError("more elements along a dimension than can be numbered")
        ends = np.cumsum(lengths)
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "stored", stored)
        object.__setattr__(self, "starts", ends - lengths)

    def __repr__(self) -> str:
        return f"<Edges of {self.count} chunks, {self.size} elements>"

    def __len__(self) -> int:
        return int(self.lengths.size)

    @property
    def count(self) -> int:
        """Number of chunks."""
        return int(self.lengths.size)

    @property
    def size(self) -> int:
        """Elements along the dimension."""
        return int(self.lengths.sum())

    @property
    def largest(self) -> int:
        """Elements of the largest chunk as it is stored; at least 1."""
        return int(self.stored.max(initial=1))

    @property
    def padded(self) -> bool:
        """Whether a chunk before the last one decodes to more than it holds."""
        return bool(np.any(self.stored[:-1] > self.lengths[:-1]))

    @property
    def regular(self) -> bool:
        """Whether a regular grid says the same: full chunks, of which the last is padded."""
        if not self.count:
            return True
        first = int(self.stored[0])
        return bool(np.all(self.stored == first)) and bool(np.all(self.lengths[:-1] == first))

    def same(self, other: Edges) -> bool:
        """Tell whether two dimensions are cut alike."""
        return np.array_equal(self.lengths, other.lengths) and np.array_equal(
            self.stored, other.stored
        )

    def window(self, start: int, stop: int) -> Edges:
        """Return the chunks ``start <= number < stop`` as a dimension of their own."""
        return Edges(self.lengths[start:stop], self.stored[start:stop])

    def whole(self) -> Edges:
        """Return chunks that decode to what they hold, but for the last."""
        stored = self.lengths.copy()
        stored[-1:] = self.stored[-1:]
        return replace(self, stored=stored)

    @classmethod
    def of_regular(cls, extent: int, size: int) -> Edges:
        """Return the chunks of a regular grid, of which the last may be padded."""
        count = -(-extent // size)
        if count > _MOST:
            raise MetadataError(f"{count} chunks along one dimension, at most {_MOST} are held")
        lengths = np.full(count, size, np.int64)
        lengths[-1:] = extent - (count - 1) * size
        return cls(lengths, np.full(count, size, np.int64))

    @staticmethod
    def joined(parts: Sequence[Edges]) -> Edges:
        """Return the chunks of several dimensions one after another."""
        return Edges(
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.stored for part in parts]),
        )


def _integers(values: Any) -> NDArray[np.int64]:
    found = np.asarray(values)
    if found.size and found.dtype.kind not in "iu":
        raise MetadataError(f"lengths of chunks of type {found.dtype}")
    return found.astype(np.int64, copy=False)


def runs_document(values: NDArray[np.int64]) -> list[Any]:
    """Return numbers as in ``chunk_shapes``: a number, or a list of it and how often it follows.

    Runs stand where they are shorter than the numbers one by one (zarr-extensions, rectilinear
    chunk grid).
    """
    if not values.size:
        return []
    begins = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    counts = np.diff(np.concatenate([begins, [values.size]]))
    pairs = zip(values[begins].tolist(), counts.tolist(), strict=True)
    return [value if n == 1 else [value, n] for value, n in pairs]


def runs_from_document(document: Any) -> NDArray[np.int64]:
    """Return the numbers that runs stand for, shape (n,).

    Raises
    ------
    MetadataError
        If they are none, or more than can be held; before any is expanded.
    """
    if not isinstance(document, list):
        raise MetadataError(f"no list of lengths of chunks: {document!r:.80}")
    if set(map(type, document)) <= {int}:
        values, counts = document, None
        total = len(document)
    else:
        pairs = [entry if type(entry) is list else (entry, 1) for entry in document]
        if set(map(len, pairs)) != {2}:
            raise MetadataError(f"a run in {reprlib.repr(document)} is no length and its number")
        values, counts = map(list, zip(*pairs, strict=True))
        if set(map(type, (*values, *counts))) != {int} or min(counts) < 1:
            raise MetadataError(f"{reprlib.repr(document)} are no lengths of chunks")
        total = sum(counts)
    if total > _MOST:
        raise MetadataError(f"{total} chunks along one dimension, at most {_MOST} are held")
    if values and not 0 < min(values) <= max(values) < _EXTENT:
        raise MetadataError(f"{reprlib.repr(document)} are no lengths of chunks")
    found = np.array(values, np.int64)
    found = found if counts is None else np.repeat(found, counts)
    if float(found.sum(dtype=np.float64)) >= _EXTENT:
        raise MetadataError("more elements along a dimension than can be numbered")
    return found

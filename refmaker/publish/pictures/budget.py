"""What looking at a set may cost, reckoned from its tables before anything is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError
from refmaker.model.amounts import counted, human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array, ChunkTable

__all__ = ["PAGE", "PICTURE", "Budget", "Cost", "cost_of"]

_GAP = 128 * 1024
"""Bytes between ranges that are fetched along, as `refmaker.reading.planner.Plan` does."""
_MOST = 1 << 20
"""Chunks that are looked up in a table."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What reading a part of an array takes.

    Parameters
    ----------
    chunks : int
        Chunks that are decoded.
    requests : int
        Ranges of files that are fetched, near ones together.
    stored, decoded : int
        Bytes that are fetched, and that they decode to.
    """

    chunks: int
    requests: int
    stored: int
    decoded: int

    def fits(self, other: Cost) -> bool:
        """Whether it is no more than another, whatever is counted."""
        return (
            self.chunks <= other.chunks
            and self.requests <= other.requests
            and self.stored <= other.stored
            and self.decoded <= other.decoded
        )

    def __str__(self) -> str:
        return (
            f"{counted(self.requests, 'request')} for {counted(self.chunks, 'chunk')} of "
            f"{human_size(self.stored)}, {human_size(self.decoded)} when decoded"
        )


PICTURE = Cost(2048, 64, 24 * 1024**2, 192 * 1024**2)
"""For one picture."""
PAGE = Cost(8192, 256, 64 * 1024**2, 1024**3)
"""For all pictures of a page."""


@dataclass(slots=True)
class Budget:
    """What may still be read.

    Parameters
    ----------
    each : Cost
        What one reading may cost.
    left : Cost, optional
        What all of them may; without it there is no end to them, as when somebody looks around.
    """

    each: Cost = PICTURE
    left: Cost | None = None

    def allows(self, cost: Cost) -> bool:
        """Whether something may be read."""
        return cost.fits(self.each) and (self.left is None or cost.fits(self.left))

    def take(self, cost: Cost) -> None:
        """Account for something that is to be read.

        Raises
        ------
        LimitError
            If it may not be.
        """
        if not cost.fits(self.each):
            raise LimitError(f"a look at it takes {cost}; it may take {self.each}")
        if self.left is None:
            return
        if not cost.fits(self.left):
            raise LimitError(f"what may be read for pictures has been read; it takes {cost}")
        left = self.left
        self.left = Cost(
            left.chunks - cost.chunks,
            left.requests - cost.requests,
            left.stored - cost.stored,
            left.decoded - cost.decoded,
        )


def cost_of(array: Array, region: Sequence[NDArray[np.int64] | None]) -> Cost:
    """Return what a part of an array costs.

    Parameters
    ----------
    array : Array
        With its table.
    region : sequence of ndarray of int64 or None
        For each dimension the elements that are read; None for all of them.
    """
    along = [
        None if one is None else np.unique(array.chunk_numbers(axis, one))
        for axis, one in enumerate(region)
    ]
    grid = array.chunks.grid
    count = math.prod(n if one is None else one.size for n, one in zip(grid, along, strict=True))
    decoded = count * math.prod(array.chunk_shape) * array.dtype.itemsize
    table = array.chunks
    rows: Any = slice(None)
    if count < table.size:
        if count > _MOST:
            # Too many in any case.
            return Cost(count, count, decoded, decoded)
        rows = _rows(table, along)
    offset, length = table.offset[rows].astype(np.int64), table.length[rows].astype(np.int64)
    # No length stands for a whole file.
    length[length == 0] = math.prod(array.chunk_shape) * array.dtype.itemsize
    files = np.zeros(offset.size, np.int64) if table.url is None else table.url[rows]
    order = np.lexsort((offset, files))
    offset, length, files = offset[order], length[order], files[order]
    apart = (np.diff(offset) - length[:-1] > _GAP) | (np.diff(files) != 0)
    requests = int(apart.sum()) + 1 if offset.size else 0
    return Cost(count, requests, int(length.sum()), decoded)


def _rows(table: ChunkTable, along: Sequence[NDArray[np.int64] | None]) -> NDArray[np.int64]:
    """Return the rows of a table of the chunks at these places along each dimension."""
    numbers: Any = np.zeros(1, np.int64)
    if along:
        pairs = zip(table.grid, along, strict=True)
        places = [np.arange(n) if one is None else one for n, one in pairs]
        numbers = np.ravel_multi_index(np.ix_(*places), table.grid).reshape(-1)
    if table.index is not None:
        low = np.searchsorted(table.index, numbers)
        high = np.searchsorted(table.index, numbers, "right")
        return np.asarray(low[high > low])
    return np.asarray(numbers if table.referenced else numbers[:0])

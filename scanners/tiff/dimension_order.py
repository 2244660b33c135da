"""Where the segments of pages come to lie in an array."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.page_encoding import PageEncoding

__all__ = ["DimensionOrder"]


class DimensionOrder(NamedTuple):
    """The order of an array's dimensions.

    Parameters
    ----------
    facts : PageEncoding
        How its pages are stored.
    prefix : tuple of int
        Leading dimensions, along which pages are stacked.
    axis : int or None
        Where the samples stand; None if pages have but one. ``len(prefix) + 2`` is last.
    merged : bool
        Whether samples multiply the dimension `axis` instead of being one of their own.
    """

    facts: PageEncoding
    prefix: tuple[int, ...]
    axis: int | None
    merged: bool

    @classmethod
    def of(
        cls, facts: PageEncoding, prefix: tuple[int, ...], axis: int, merged: bool
    ) -> DimensionOrder:
        """Return the placement that `image_array` was asked for."""
        if facts.samples == 1:
            return cls(facts, prefix, None, False)
        last = len(prefix) + 2
        return cls(facts, prefix, last if axis < 0 else axis, merged)

    @property
    def samples_last(self) -> bool:
        """Whether samples, if there are several, are the last dimension."""
        return self.axis is None or self.axis == len(self.prefix) + 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        facts = self.facts
        return self.around((*self.prefix, facts.length, facts.width), facts.samples)

    def chunk(self, rows: int, columns: int) -> tuple[int, ...]:
        """Return the shape of a chunk that is one segment, or some rows of one."""
        facts = self.facts
        own = 1 if facts.separate else facts.samples
        return self.around((*(1,) * len(self.prefix), rows, columns), own)

    def around(self, extents: tuple[int, ...], samples: int) -> tuple[int, ...]:
        """Return extents without samples with those of the samples in their place."""
        found = list(extents)
        if self.axis is not None and self.merged:
            found[self.axis] *= samples
        elif self.axis is not None:
            found.insert(self.axis, samples)
        return tuple(found)

    def order(self, grid: tuple[int, int, int]) -> NDArray[np.int64]:
        """Return the segments in the order of the array's chunks.

        Parameters
        ----------
        grid : tuple of int
            Separate planes, rows and columns of segments of one page.

        Returns
        -------
        ndarray of int64, shape (chunks,)
            For each chunk the number of its segment, counted in C order over pages and `grid`.
        """
        total = math.prod(self.prefix) * math.prod(grid)
        numbers = np.arange(total, dtype=np.int64).reshape(*self.prefix, *grid)
        if self.axis is not None and self.facts.separate:
            at = len(self.prefix)
            numbers = np.moveaxis(numbers, at, self.axis + 1 if self.merged else self.axis)
        # Otherwise all samples of a place are in one chunk: an extent of 1 changes no order.
        return numbers.reshape(-1)

"""Hyperslab selections of virtual datasets, axis by axis.

A regular hyperslab is, along each axis, `count` blocks of `block` elements, `stride` apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["UNLIMITED", "HyperslabDimension", "axes_of"]

UNLIMITED = int(h5py.h5s.UNLIMITED)


@dataclass(frozen=True, slots=True)
class HyperslabDimension:
    """A selection along one axis.

    Parameters
    ----------
    start, stride, count, block : int
        As for ``H5Sselect_hyperslab``; `count` or `block` may be `UNLIMITED`.
    """

    start: int
    stride: int
    count: int
    block: int

    @property
    def length(self) -> int:
        """Number of selected elements."""
        return self.count * self.block

    @property
    def unlimited(self) -> bool:
        """Whether it goes on as long as the extent grows."""
        return UNLIMITED in (self.count, self.block)

    @property
    def stop(self) -> int:
        """First element behind the selection."""
        return self.start + (self.count - 1) * self.stride + self.block if self.count else 0

    def within(self, extent: int) -> HyperslabDimension:
        """Return what an unlimited selection means for an extent: its whole blocks."""
        if self.block == UNLIMITED:
            return replace(self, block=max(0, extent - self.start), count=1)
        if self.count == UNLIMITED:
            room = extent - self.start - self.block
            return replace(self, count=room // self.stride + 1 if room >= 0 else 0)
        return self

    def first(self, count: int) -> HyperslabDimension:
        """Return its first blocks."""
        return replace(self, count=min(count, self.count))

    def chunks(self, chunk: int, extent: int) -> NDArray[np.int64] | None:
        """Return the chunk numbers that it consists of; None unless it consists of chunks.

        Parameters
        ----------
        chunk : int
            Elements of a chunk along the axis.
        extent : int
            Elements of the axis, at which the last block may end inside a chunk.
        """
        apart = self.count > 1 and self.stride != self.block
        block, count = (self.block, self.count) if apart else (self.length, 1)
        if self.start % chunk or (apart and self.stride % chunk):
            return None
        if block % chunk and (apart or self.stop != extent):
            return None
        starts = (self.start + np.arange(count, dtype=np.int64) * self.stride) // chunk
        return (starts[:, None] + np.arange(-(-block // chunk))).reshape(-1)


def axes_of(space: Any, shape: Sequence[int]) -> list[HyperslabDimension] | None:
    """Return a dataspace's selection along each axis; None if it is no regular hyperslab.

    Parameters
    ----------
    space : h5py.h5s.SpaceID
        A dataspace of a virtual mapping.
    shape : sequence of int
        What "all" means: such a selection knows no extent.
    """
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return [HyperslabDimension(0, 1, 1, extent) for extent in shape]
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return None
    parts = zip(*space.get_regular_hyperslab(), strict=True)
    return [HyperslabDimension(*(int(n) for n in part)) for part in parts]

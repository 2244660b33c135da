"""Which elements of an array are read for a picture: as many as are seen, and may be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures.budget import cost_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.pictures.budget import Budget

__all__ = ["Window", "middle", "window"]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What is read of an array for a picture.

    Parameters
    ----------
    region : list of ndarray of int64
        For each dimension the elements that are read.
    part : str
        Which part of all rows and columns that is; empty for all of them.
    every : tuple of int
        Of how many rows and columns one is drawn.
    thin : tuple of int
        Of how many rows and columns that were read one is to be kept.
    """

    region: list[NDArray[np.int64]]
    part: str
    every: tuple[int, int]
    thin: tuple[int, int]

    def kept(self, values: NDArray[Any], drawn: Sequence[int], first: int) -> Any:
        """Return region and values with no more rows and columns than are drawn.

        Parameters
        ----------
        values : ndarray
            What was read, rows and columns along `first` and the axis behind it.
        drawn : sequence of int
            The dimensions of the array that these are.
        first : int
        """
        region, parts = list(self.region), [slice(None)] * values.ndim
        for at, (axis, by) in enumerate(zip(drawn, self.thin, strict=True)):
            region[axis] = region[axis][by // 2 :: by]
            parts[first + at] = slice(by // 2, None, by)
        return region, values[tuple(parts)]

    def blended(self, values: NDArray[Any], drawn: Sequence[int]) -> Any:
        """Return region and means of values, as a photograph is made smaller.

        Parameters
        ----------
        values : ndarray, shape (rows, columns, colours)
            What was read.
        drawn : sequence of int
            The dimensions of the array that are rows and columns.
        """
        region = list(self.region)
        down, across = self.thin
        rows, columns = values.shape[0] // down, values.shape[1] // across
        for axis, by, count in zip(drawn, self.thin, (rows, columns), strict=True):
            region[axis] = region[axis][by // 2 :: by][:count]
        parts = values[: rows * down, : columns * across]
        return region, parts.reshape(rows, down, columns, across, -1).mean((1, 3))


def middle(size: int, most: int) -> NDArray[np.int64]:
    """Return the elements along a dimension, or as many in the middle as there may be."""
    count = min(size, most)
    return np.arange(count) + (size - count) // 2


def window(
    array: Array,
    region: Sequence[NDArray[np.int64]],
    drawn: tuple[int, int],
    budget: Budget,
    pixels: int,
    *,
    alike: bool = False,
) -> Window:
    """Return as much of a region as may be read, around its middle.

    Of chunks that are thinner than what is drawn of them, those in between are left out.

    Parameters
    ----------
    array : Array
        With its table.
    region : sequence of ndarray of int64
        What is wished for.
    drawn : tuple of int
        The dimensions that are rows and columns.
    budget : Budget
        What may be read.
    pixels : int
        Rows and columns that are enough, within a half.
    alike : bool
        Whether as many rows as columns are left out.

    Raises
    ------
    LimitError
        If not even one chunk along rows and columns may be read.
    """
    found = list(region)
    every = _steps([found[axis].size for axis in drawn], pixels, alike=alike)
    thin = list(every)
    sparse = list(found)
    for at, axis in enumerate(drawn):
        if array.chunk_shape[axis] < every[at]:
            sparse[axis] = found[axis][every[at] // 2 :: every[at]]
            thin[at] = 1
    if budget.allows(cost_of(array, sparse)):
        return Window(sparse, _part(array, region, drawn), every, (thin[0], thin[1]))
    while not budget.allows(cost := cost_of(array, found)):
        parts = {axis: found[axis].size // array.chunk_shape[axis] for axis in drawn}
        widest = max(drawn, key=lambda axis: parts[axis])
        if parts[widest] < 1:
            budget.take(cost)
        found[widest] = middle(array.shape[widest], max(1, found[widest].size // 2))
    every = _steps([found[axis].size for axis in drawn], pixels, alike=alike)
    return Window(found, _part(array, found, drawn), every, every)


def _steps(sizes: Sequence[int], pixels: int, *, alike: bool) -> tuple[int, int]:
    rows, columns = (max(1, round(size / pixels)) for size in sizes)
    if alike:
        most = max(rows, columns)
        return min(most, sizes[0]), min(most, sizes[1])
    return rows, columns


def _part(array: Array, region: Sequence[NDArray[np.int64]], drawn: Sequence[int]) -> str:
    if all(region[axis].size == array.shape[axis] for axis in drawn):
        return ""
    extents = " x ".join(f"{region[axis].size:,}" for axis in drawn)
    whole = " x ".join(f"{array.shape[axis]:,}" for axis in drawn)
    return f"the middle {extents} of {whole}"

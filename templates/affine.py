"""Columns of numbers as sums of multiples of coordinates: found by differences, then checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.templates.evaluate import INT64_MAX, Int64Array

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Coordinate", "fit"]


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A number that runs along one axis of a grid.

    Parameters
    ----------
    text : str
        How the template language writes it: an operand of ``*``.
    axis : int
    values : int64[size of that axis]
    probe : int
        A position at which it differs from position 0 while all other coordinates of this
        axis do not.
    """

    text: str
    axis: int
    values: Int64Array
    probe: int


def fit(grid: Int64Array, coordinates: Sequence[Coordinate]) -> str | None:
    """Find the expression that gives every entry of a grid.

    Parameters
    ----------
    grid : int64, any shape
    coordinates : sequence of Coordinate

    Returns
    -------
    str or None
        An expression such as ``4096 + 512 * i``, or None if there is none of this form.
    """
    origin = int(grid.flat[0])
    text = str(origin) if origin >= 0 else f"(-{-origin})"
    expected = np.full((1,) * grid.ndim, origin, np.int64)
    reach = abs(origin)
    for coordinate in coordinates:
        place = [0] * grid.ndim
        place[coordinate.axis] = coordinate.probe
        values = coordinate.values
        gap = int(values[coordinate.probe]) - int(values[0])
        factor, rest = divmod(int(grid[tuple(place)]) - origin, gap)
        if rest:
            return None
        if factor == 0:
            continue
        # From the value at the origin, so that `reach` bounds every partial sum.
        start = int(values[0])
        reach += abs(factor) * (int(np.abs(values).max()) + abs(start))
        if reach > INT64_MAX:
            return None
        shape = [1] * grid.ndim
        shape[coordinate.axis] = values.size
        expected = expected + (values.reshape(shape) - start) * factor
        operand = coordinate.text if start == 0 else f"({coordinate.text} - {start})"
        text += f" {'-' if factor < 0 else '+'} "
        text += operand if abs(factor) == 1 else f"{abs(factor)} * {operand}"
    if not np.array_equal(np.broadcast_to(expected, grid.shape), grid):
        return None
    return text.removeprefix("0 + ")

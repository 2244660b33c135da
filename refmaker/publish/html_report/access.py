"""What typical reads of an array cost: requests, chunks and bytes, by its table of chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.publish.pictures.budget import cost_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.pictures import Cost
    from refmaker.publish.pictures.axes import Axis

    Part = Sequence[NDArray[np.int64] | None]

__all__ = ["Access", "accesses"]

_WINDOW = 256
"""Rows and columns of a part of a picture."""
_MOST_AXES = 6


@dataclass(frozen=True, slots=True)
class Access:
    """One typical read.

    Parameters
    ----------
    what : str
        In words.
    cost : Cost
        What it takes, in the middle of the array.
    used : float
        Share of the decoded values that were asked for.
    """

    what: str
    cost: Cost
    used: float


def accesses(array: Array, axes: Sequence[Axis]) -> list[Access]:
    """Return the typical reads of an array: a value, a time, a point, a part, all of it.

    Parameters
    ----------
    array : Array
        With its table.
    axes : sequence of Axis
        What its dimensions are.
    """
    shape = array.shape
    if not shape or not array.chunks.present or not math.prod(shape):
        return []
    middle = [np.array([size // 2]) for size in shape]
    whole: list[NDArray[np.int64] | None] = [None] * len(shape)
    found: list[tuple[str, Part]] = [("one value", middle)]
    long = [at for at, size in enumerate(shape) if size > 1][:_MOST_AXES]
    if len(long) > 1:
        picture = {"x", "y"} <= {axis.role for axis in axes}
        for at in long:
            if picture and axes[at].role in ("x", "y"):
                continue
            one = [*whole]
            one[at] = middle[at]
            found.append((f"everything at one {axes[at].name}", one))
        first = next((at for at in long if axes[at].role == "time"), long[0])
        if not (picture and axes[first].role in ("x", "y")):
            series: list[NDArray[np.int64] | None] = [*middle]
            series[first] = None
            found.append((f"one point along all of {axes[first].name}", series))
        found += _window(array, axes, middle)
    found.append(("everything", whole))
    size = math.prod(array.chunk_shape)
    costs = [(what, cost_of(array, region), region) for what, region in found]
    return [
        Access(what, cost, _values(array, region) / max(cost.chunks * size, 1))
        for what, cost, region in costs
    ]


def _values(array: Array, region: Part) -> int:
    pairs = zip(array.shape, region, strict=True)
    return math.prod(size if one is None else one.size for size, one in pairs)


def _window(
    array: Array, axes: Sequence[Axis], middle: Sequence[NDArray[np.int64]]
) -> list[tuple[str, Part]]:
    """Return a part of a picture that is much larger than it."""
    sides = {axis.role: at for at, axis in enumerate(axes) if axis.role in ("x", "y")}
    if len(sides) < 2 or min(array.shape[at] for at in sides.values()) < 2 * _WINDOW:
        return []
    part: list[NDArray[np.int64] | None] = [*middle]
    for at in sides.values():
        part[at] = np.arange(_WINDOW) + (array.shape[at] - _WINDOW) // 2
    for at, axis in enumerate(axes):
        if axis.role == "channel" and axis.size <= _MOST_AXES:
            part[at] = None
    return [(f"a window of {_WINDOW} x {_WINDOW}", part)]

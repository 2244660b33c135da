"""What typical reads of an array cost: chunks touched and bytes fetched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Access", "accesses"]


@dataclass(frozen=True, slots=True)
class Access:
    """One typical read.

    Parameters
    ----------
    what : str
        In words.
    chunks : int
        Chunks that it touches.
    stored : float
        Bytes that are fetched, by the mean length of a chunk.
    used : float
        Share of the decoded values that were asked for.
    """

    what: str
    chunks: int
    stored: float
    used: float


def accesses(entry: Mapping[str, Any]) -> list[Access]:
    """Return the typical reads of an array: a point, one index of each dimension, all of it.

    Parameters
    ----------
    entry : mapping
        One of the ``arrays`` of `refmaker.describe`.
    """
    shape, chunk = entry["shape"], entry["chunk_shape"]
    present = entry["chunks"]["referenced"] + entry["chunks"]["inlined"]
    if not shape or not present or not math.prod(shape):
        return []
    mean = entry["stored"] / present
    grid = entry["grid"]
    names = entry["dimensions"] or [f"dimension {n}" for n in range(len(shape))]
    size = math.prod(chunk)
    found = [Access("one value", 1, mean, 1 / size)]
    for axis, name in enumerate(names):
        if len(shape) > 1 and shape[axis] > 1:
            touched = math.prod(grid) // grid[axis]
            wanted = math.prod(shape) // shape[axis]
            found.append(
                Access(f"all at one {name}", touched, touched * mean, wanted / (touched * size))
            )
    if len(shape) > 1 and shape[0] > 1:
        found.append(
            Access(
                f"one series along {names[0]}", grid[0], grid[0] * mean, shape[0] / (grid[0] * size)
            )
        )
    total = math.prod(grid)
    found.append(Access("everything", total, present * mean, math.prod(shape) / (total * size)))
    return found

"""A quick look at an array: what can be drawn of it from a few of its chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from zarr.abc.store import Store

    from refmaker.model import Array

__all__ = ["Look", "look_at"]

CHUNKS = 16
"""Chunks that are read of one array at most."""
NBYTES = 64 * 1024**2
"""Decoded bytes of them at most."""
PIXELS = 320
"""Values along a side that are drawn."""
_COLOURS = (3, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was read of an array to be drawn.

    Parameters
    ----------
    values : ndarray
        One or two dimensions of numbers, or rows, columns and colours.
    where : str
        Which part of the array it is, as an index.
    scaled : bool
        Whether ``scale_factor`` and ``add_offset`` were applied.
    """

    values: NDArray[Any]
    where: str
    scaled: bool = False


def look_at(store: Store, path: str, array: Array) -> Look | None:
    """Read a part of an array that shows what is in it.

    Returns
    -------
    Look or None
        None for what no picture shows: texts, compounds, scalars, chunks that are too large.

    Raises
    ------
    Exception
        Whatever reading may raise.
    """
    import numpy as np

    from refmaker.reading.open import open_array

    if array.dtype.kind not in "biufc" or not array.shape or not math.prod(array.shape):
        return None
    axes = _drawn(array)
    region = _region(array, axes)
    if region is None:
        return None
    opened: Any = open_array(store, path)
    values = np.asarray(opened[region])
    kept = values.reshape([values.shape[axis] for axis in axes])
    thin = tuple(slice(None, None, max(1, -(-n // PIXELS))) for n in kept.shape[:2])
    kept = kept[thin]
    if array.dtype.kind == "c":
        kept = np.abs(kept)
    shown, scaled = _physical(kept, array)
    where = ", ".join(_index(part, n) for part, n in zip(region, array.shape, strict=True))
    return Look(shown, f"[{where}]", scaled)


def _drawn(array: Array) -> tuple[int, ...]:
    """Return the axes of the picture: the last two, or three where the last are colours."""
    shape, rank = array.shape, len(array.shape)
    names = array.dimension_names or ()
    colours = shape[-1] in _COLOURS and array.dtype.kind == "u" and names[-1:] != ("x",)
    if rank >= 3 and colours:
        return rank - 3, rank - 2, rank - 1
    return (
        (rank - 2, rank - 1)
        if rank > 1 and min(shape[-2:]) > 1
        else (max(range(rank), key=shape.__getitem__),)
    )


def _region(array: Array, axes: tuple[int, ...]) -> tuple[slice, ...] | None:
    """Return a part that takes few chunks: the middle of what is not drawn."""
    import numpy as np

    grid, chunk = array.chunks.grid, array.chunk_shape
    nbytes = math.prod(chunk) * array.dtype.itemsize
    if nbytes > NBYTES:
        return None
    allowed = max(1, min(CHUNKS, NBYTES // max(nbytes, 1)))
    parts = [1 if axis not in axes else grid[axis] for axis in range(len(grid))]
    while math.prod(parts) > allowed:
        widest = max(range(len(parts)), key=lambda axis: parts[axis])
        parts[widest] = max(1, parts[widest] // 2)
    # In the middle, or around the first chunk that is there at all where that one is not.
    centre = [n // 2 for n in grid]
    present = array.chunks.numbers()
    if present.size:
        middle = int(np.ravel_multi_index(centre, grid))
        nearest = int(present[np.abs(present.astype(np.int64) - middle).argmin()])
        centre = [int(i) for i in np.unravel_index(nearest, grid)]
    region = []
    for axis, (n, part, at) in enumerate(zip(grid, parts, centre, strict=True)):
        first = max(0, min(at - part // 2, n - part))
        starts = array.starts(axis)
        start = int(starts[first])
        stop = int(starts[first + part]) if first + part < n else array.shape[axis]
        if axis not in axes:
            start = start + (stop - start) // 2
            stop = start + 1
        region.append(slice(start, stop))
    return tuple(region)


def _physical(values: NDArray[Any], array: Array) -> tuple[NDArray[Any], bool]:
    """Return values as attributes say they are meant, missing ones as NaN."""
    import numpy as np

    attributes = array.attributes
    if values.dtype.kind == "b":
        return values.astype("u1"), False
    if values.ndim == 3:
        return values, False
    shown = values.astype("f8")
    for name in ("_FillValue", "missing_value"):
        missing = attributes.get(name)
        if isinstance(missing, int | float):
            shown[values == np.asarray(missing, values.dtype.newbyteorder("="))] = np.nan
    factor, offset = attributes.get("scale_factor"), attributes.get("add_offset")
    scaled = isinstance(factor, int | float) or isinstance(offset, int | float)
    if scaled:
        shown = shown * (factor or 1) + (offset or 0)
    return shown, scaled


def _index(part: slice, extent: int) -> str:
    if part.stop - part.start == 1 and extent > 1:
        return str(part.start)
    return ":" if (part.start, part.stop) == (0, extent) else f"{part.start}:{part.stop}"

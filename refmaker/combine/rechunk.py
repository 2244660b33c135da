"""Uncompressed chunks cut into smaller ones: a change of view, which moves no byte."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.tree import joined_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.combine.chunk_placement import Item, VariableGrid
    from refmaker.combine.context import Context, Trees

__all__ = ["can_split_chunks", "split_along", "split_chunks", "split_to_common"]


def can_split_chunks(array: Array, chunk_shape: Sequence[int]) -> bool:
    """Tell whether an array's chunks can be seen as chunks of another shape.

    Nothing may be compressed, the new shape has to divide the old one, and the elements of a new
    chunk have to follow one another in an old one.
    """
    old = array.chunk_shape
    if array.edges is not None:
        return False
    if tuple(chunk_shape) == old:
        return True
    if array.codecs or array.order != "C" or array.dtype.hasobject or len(old) != len(chunk_shape):
        return False
    if any(n < 1 or c % n for c, n in zip(old, chunk_shape, strict=True)):
        return False
    # Behind the first dimension of which a piece has more than one element, it has all.
    axis = next((k for k, n in enumerate(chunk_shape) if n > 1), len(old))
    return tuple(chunk_shape[axis + 1 :]) == old[axis + 1 :]


def split_chunks(array: Array, chunk_shape: Sequence[int]) -> Array:
    """Return an array with its uncompressed chunks cut.

    Parameters
    ----------
    chunk_shape : sequence of int
        Elements of the new chunks along each dimension.

    Raises
    ------
    MetadataError
        If `can_split_chunks` says no, or a chunk has another length than its elements.
    """
    new = tuple(int(n) for n in chunk_shape)
    old = array.chunk_shape
    if new == old:
        return array
    if not can_split_chunks(array, new):
        raise MetadataError(f"chunks of {old} cannot be seen as chunks of {new}")
    table, item = array.chunks, array.dtype.itemsize
    whole = math.prod(old) * item
    if bool(np.any(table.length != whole)) or any(len(d) != whole for d in table.inlined.values()):
        raise MetadataError(f"a chunk does not have {whole} bytes")
    parts = tuple(c // n for c, n in zip(old, new, strict=True))
    grid = chunk_grid(array.shape, new)
    inner = np.indices(parts).reshape(len(parts), -1)
    starts = np.zeros(inner.shape[1], np.int64)
    stride = item
    for k in range(len(old) - 1, -1, -1):
        starts += inner[k] * (stride * new[k])
        stride *= old[k]
    size = math.prod(new) * item
    at = table.coordinates()
    places = [at[k][:, None] * parts[k] + inner[k][None, :] for k in range(len(old))]
    inside = np.ones((table.referenced, inner.shape[1]), bool)
    for k, extent in enumerate(grid):
        inside &= places[k] < extent
    index = np.ravel_multi_index(tuple(p[inside] for p in places), grid)
    offset = (table.offset.astype(np.int64)[:, None] + starts[None, :])[inside]
    url = None
    if table.url is not None:
        url = np.broadcast_to(table.url[:, None], inside.shape)[inside]
    inlined = {}
    for number, data in table.inlined.items():
        where = np.unravel_index(number, table.grid)
        for piece, start in zip(inner.T.tolist(), starts.tolist(), strict=True):
            place = [int(w) * p + i for w, p, i in zip(where, parts, piece, strict=True)]
            if all(p < n for p, n in zip(place, grid, strict=True)):
                inlined[int(np.ravel_multi_index(place, grid))] = data[start : start + size]
    made = ChunkTable.from_columns(
        grid, table.urls, offset=offset, length=np.full(offset.size, size), index=index, url=url,
        inlined=inlined,
    )  # fmt: skip
    return replace(array, chunk_shape=new, chunks=made)


def split_to_common(items: Sequence[Item], layout: VariableGrid) -> list[Item]:
    """Return all inputs' arrays in the largest chunks that fit into those of all of them.

    Parameters
    ----------
    items : sequence of (int, Array)
        The inputs.

    Returns
    -------
    list of (int, Array)
        As they were, where one of them cannot be cut.
    """
    shapes = [array.chunk_shape for _, array in items]
    common = [math.gcd(*extents) for extents in zip(*shapes, strict=True)]
    for j in layout.joined:
        axis, k = layout.axes[j], layout.local[j]
        if axis is None or k < 0:
            continue
        ends = {int(axis.start[i] + axis.count[i]) for i, _ in items} - {axis.size}
        common[k] = math.gcd(common[k], *ends, *(int(axis.start[i]) for i, _ in items))
    # Pieces have to follow one another in the file: before a cut all is single.
    cut = max(
        (k for k in range(len(common)) if any(shape[k] != common[k] for shape in shapes)),
        default=None,
    )
    if cut is not None:
        common[:cut] = [1] * cut
    shape = tuple(common)
    if not all(can_split_chunks(array, shape) for _, array in items):
        return list(items)
    return [(i, split_chunks(array, shape)) for i, array in items]


def split_along(trees: Trees, chunks: Mapping[str, int], context: Context) -> Trees:
    """Cut the chunks of uncompressed variables to sizes along dimensions.

    Parameters
    ----------
    chunks : mapping of str to int
        Sizes; dimensions that are not named stay.
    context : Context
        Its findings get sizes that chunks cannot be cut to, its warnings compressed variables.
    """
    arrays = {
        path: {
            name: _cut(joined_path(path, name), items, chunks, context)
            for name, items in names.items()
        }
        for path, names in trees.arrays.items()
    }
    return type(trees)(trees.groups, arrays)


def _cut(
    path: str, items: Sequence[Item], chunks: Mapping[str, int], context: Context
) -> list[Item]:
    made = []
    for i, array in items:
        names = array.dimension_names or ()
        wanted = tuple(
            chunks.get(name, size) for name, size in zip(names, array.chunk_shape, strict=False)
        )
        if not names or wanted == array.chunk_shape or not array.chunks.referenced:
            made.append((i, array))
        elif array.codecs:
            context.warnings[f"{path} is compressed: its chunks stay as they are"] = None
            made.append((i, array))
        elif can_split_chunks(array, wanted):
            made.append((i, split_chunks(array, wanted)))
        else:
            context.found.say(
                path,
                f"chunks of {array.chunk_shape} in {context.name(i)} cannot be seen as chunks of"
                f" {wanted}",
                "cut to sizes that divide the old ones and leave all behind the first larger than 1"
                " whole or leave it out of `chunks`",
            )
            return list(items)
    return made

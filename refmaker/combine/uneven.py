"""Chunks of different lengths along joined dimensions, such as months of 28 to 31 days.

Version 3 of Zarr says for each chunk where the next one begins. So chunks of inputs stay as they
are, wherever they begin and end, as long as none reaches into another.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine import remedies
from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model.chunk_table import ChunkTable
from refmaker.model.edges import Edges
from refmaker.model.zarr_v3 import array_document_v3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.combine.agreement import Findings
    from refmaker.combine.chunk_placement import Item, VariableGrid
    from refmaker.combine.concat_dimensions import ConcatDimension
    from refmaker.model import Array

__all__ = ["can_be_said", "edges_of", "uneven_grid"]


def edges_of(array: Array, axis: int) -> Edges:
    """Return how an array is cut along a dimension."""
    along = None if array.edges is None else array.edges[axis]
    if along is not None:
        return along
    return Edges.of_regular(array.shape[axis], array.chunk_shape[axis])


def uneven_grid(
    path: str, items: Sequence[Item], layout: VariableGrid, found: Findings, *, cut: bool
) -> tuple[list[Item], VariableGrid] | None:
    """Return the inputs, and the cube's grid with edges along joined dimensions.

    Parameters
    ----------
    items : sequence of (int, Array)
        Number of each input, and its array.
    found : Findings
        Gets what is wrong.
    cut : bool
        Whether chunks can be cut, as nothing is compressed.

    Returns
    -------
    list of (int, Array)
        The inputs; padded chunks that are not encoded have shorter ranges.

    None where chunks reach into one another, or differ along other dimensions.
    """
    if not _alike_elsewhere(path, items, layout, found, cut=cut):
        return None
    wide = _first_wide(items, layout)
    edges: list[Edges | None] = [None] * len(layout.shape)
    sizes = list(layout.chunk_shape)
    for j in layout.joined:
        axis = layout.axes[j]
        if axis is None or layout.local[j] < 0:
            continue
        along = _joined(path, items, axis, layout.local[j], found)
        if along is not None and along.padded and j == wide:
            items = [(i, _shortened(array, layout.local[j])) for i, array in items]
            along = _joined(path, items, axis, layout.local[j], found)
        if along is None:
            return None
        edges[j] = None if along.regular else along
        sizes[j] = along.largest
    made = tuple(edges) if any(along is not None for along in edges) else None
    return list(items), replace(layout, chunk_shape=tuple(sizes), edges=made)


def _alike_elsewhere(
    path: str, items: Sequence[Item], layout: VariableGrid, found: Findings, *, cut: bool
) -> bool:
    """Whether chunks have the same extents along dimensions that are not joined."""
    fixed = [k for k, axis in zip(layout.local, layout.axes, strict=True) if axis is None]
    first, base = items[0]

    def kept(array: Array) -> tuple[Any, ...]:
        return tuple(array.chunk_shape[k] for k in fixed)

    others = [(i, array.chunk_shape) for i, array in items if kept(array) != kept(base)]
    uneven = [i for i, a in items if a.edges is not None and any(a.edges[k] for k in fixed)]
    hint = remedies.of_storage(path, inline=True, cut=cut)
    if others:
        found.differ(path, "chunk shape", (first, base.chunk_shape), others, hint)
    elif uneven:
        name = found.members[uneven[0]].name
        found.say(path, f"{name} has chunks of different lengths along another dimension", hint)
    return not others and not uneven


def _can_be_cut(items: Sequence[Item]) -> bool:
    return not any(array.codecs or array.order != "C" for _, array in items)


def _first_wide(items: Sequence[Item], layout: VariableGrid) -> int | None:
    """Return the dimension along which chunks that are not encoded can be cut by their ranges.

    Before it chunks have one element, so that the elements that count come first in a chunk.
    """
    for _, array in items:
        if array.codecs or array.order != "C" or array.dtype.hasobject:
            return None
    for j, k in enumerate(layout.local):
        if k >= 0 and any(array.chunk_shape[k] > 1 for _, array in items):
            return j
    return None


def _shortened(array: Array, axis: int) -> Array:
    """Return an array whose padded chunks along a dimension have shorter ranges."""
    along, table = edges_of(array, axis), array.chunks
    padded = along.stored > along.lengths
    # Of what is in a repository no range is known, nor can it be changed.
    if not table.present or not bool(padded.any()):
        return array
    row = math.prod(array.chunk_shape[axis + 1 :]) * array.dtype.itemsize
    at = table.coordinates()[axis]
    length = table.length.astype(np.uint64)
    whole = (table.offset == 0) & (length == 0)
    full = (along.stored[at] * row).astype(np.uint64)
    if bool(np.any(padded[at] & ~whole & (length != full))):
        raise MetadataError(f"a chunk does not have the {row} bytes of each of its rows")
    length = np.where(padded[at], (along.lengths[at] * row).astype(np.uint64), length)
    inlined = dict(table.inlined)
    for number, data in inlined.items():
        chunk = int(np.unravel_index(number, table.grid)[axis])
        inlined[number] = data[: int(along.lengths[chunk]) * row] if padded[chunk] else data
    made = ChunkTable.from_columns(
        table.grid, table.urls, offset=table.offset, length=length, index=table.index,
        url=table.url, inlined=inlined,
    )  # fmt: skip
    edges = list(array.edges or (None,) * len(array.shape))
    edges[axis] = Edges(along.lengths)
    sizes = list(array.chunk_shape)
    sizes[axis] = int(along.lengths.max())
    return replace(array, chunks=made, edges=tuple(edges), chunk_shape=tuple(sizes))


def _joined(
    path: str, items: Sequence[Item], axis: ConcatDimension, local: int, found: Findings
) -> Edges | None:
    """Return the chunks of all inputs along an axis; what no input has is a chunk of its own."""
    placed = _placed(path, items, axis, local, found)
    if placed is None:
        return None
    start, length, stored, owner = placed
    order = np.lexsort((length, start))
    start, length, stored, owner = (part[order] for part in (start, length, stored, owner))
    same = start[1:] == start[:-1]
    odd = same & ((length[1:] != length[:-1]) | (stored[1:] != stored[:-1]))
    end = start + length
    into = odd | (~same & (start[1:] < end[:-1]))
    if bool(into.any()):
        row = int(np.argmax(into))
        one, other = (found.members[int(owner[k])].name for k in (row, row + 1))
        found.say(
            path,
            f"at {axis.label(int(start[row + 1]))}, chunks of {one} and {other} overlap, and do"
            " not begin and end together",
            remedies.of_placement(path, cut=_can_be_cut(items), uneven=False),
        )
        return None
    keep = np.concatenate([[True], ~same])
    start, length, stored = start[keep], length[keep], stored[keep]
    ends = np.concatenate([[0], start + length])
    gap = np.concatenate([start, [axis.size]]) - ends
    holes = np.flatnonzero(gap)
    return Edges(np.insert(length, holes, gap[holes]), np.insert(stored, holes, gap[holes]))


def _placed(
    path: str, items: Sequence[Item], axis: ConcatDimension, local: int, found: Findings
) -> tuple[NDArray[np.int64], ...] | None:
    """Return start, length, stored length and input of every chunk along an axis."""
    kinds: dict[Any, tuple[Edges, list[int]]] = {}
    for i, array in items:
        given = None if array.edges is None else array.edges[local]
        key = (array.shape[local], array.chunk_shape[local]) if given is None else id(given)
        if key not in kinds:
            kinds[key] = edges_of(array, local), []
        kinds[key][1].append(i)
    parts: list[tuple[NDArray[np.int64], ...]] = []
    for along, members in kinds.values():
        for i in (i for i in members if i in axis.scattered):
            at = axis.scattered[i]
            if bool(np.any(at[along.starts + along.lengths - 1] - at[along.starts] + 1
                           != along.lengths)) or bool(np.any(np.diff(at) < 1)):  # fmt: skip
                name = found.members[i].name
                found.say(
                    path,
                    f"chunks along {axis.name} in {name} hold positions of the cube that do not"
                    " follow one another",
                    remedies.of_placement(path, cut=_can_be_cut(items), uneven=False),
                )
                return None
            parts.append((at[along.starts], along.lengths, along.stored, np.full(along.count, i)))
        numbers = np.array([i for i in members if i not in axis.scattered], np.int64)
        start = axis.start[numbers][:, None] + along.starts
        parts.append((
            start.reshape(-1), np.tile(along.lengths, numbers.size),
            np.tile(along.stored, numbers.size), np.repeat(numbers, along.count),
        ))  # fmt: skip
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def can_be_said(path: str, array: Array, found: Findings) -> bool:
    """Tell whether Zarr version 3 can say what a variable of the cube is; the findings say why not.

    Parameters
    ----------
    array : Array
        As it is in the cube.
    """
    try:
        array_document_v3(array)
    except UnsupportedError as error:
        found.say(
            path,
            f"its chunks are of different lengths, which only Zarr version 3 has, and that cannot"
            f" say the rest: {error.message}",
            remedies.of_placement(path, cut=_can_be_cut([(0, array)]), uneven=False),
        )
        return False
    return True

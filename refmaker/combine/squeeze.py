"""Dimensions of one element, left out: their coordinates become scalars."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refmaker.combine import remedies
from refmaker.combine.values import inline_like, read_values
from refmaker.model import Array, ChunkTable
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v3 import in_pieces

if TYPE_CHECKING:
    from collections.abc import Collection

    from refmaker.combine.context import Context, Trees

__all__ = ["squeezed"]

_OTHERWISE = "leave it out of `squeeze`"


def squeezed(trees: Trees, context: Context) -> Trees:
    """Leave out the dimensions that `CombineOptions.squeeze` names.

    Parameters
    ----------
    context : Context
        The inputs, and how to combine them; its findings get what cannot be left out.
    """
    wanted = frozenset(context.options.squeeze)
    if not wanted:
        return trees
    arrays = {
        path: {
            name: [
                (i, _without(joined_path(path, name), i, array, wanted, context))
                for i, array in items
            ]
            for name, items in names.items()
        }
        for path, names in trees.arrays.items()
    }
    there = {
        name
        for names in trees.arrays.values()
        for items in names.values()
        for _, array in items
        for name in array.dimension_names or ()
    }
    for name in context.options.squeeze:
        if name not in there:
            text = "no input has such a dimension, so that it cannot be left out"
            context.found.say(name, text, _OTHERWISE)
    return type(trees)(trees.groups, arrays)


def _without(
    path: str, number: int, array: Array, wanted: Collection[str], context: Context
) -> Array:
    names = array.dimension_names or ()
    gone = [k for k, name in enumerate(names) if name in wanted]
    if not gone:
        return array
    if in_pieces(array):
        text = f"it is packed in pieces in {context.name(number)}, which follow its dimensions"
        context.found.say(path, text, remedies.drop(path))
        return array
    for k in gone:
        if array.shape[k] != 1:
            text = f"{array.shape[k]} elements along {names[k]} in {context.name(number)}"
            text += ": only a dimension of one element can be left out"
            context.found.say(path, text, _OTHERWISE)
            return array
    kept = [k for k in range(len(names)) if k not in gone]
    left = tuple(names[k] for k in kept)
    shape = tuple(array.shape[k] for k in kept)
    if all(array.chunk_shape[k] == 1 for k in gone):
        table = array.chunks
        chunks = ChunkTable.from_columns(
            tuple(table.grid[k] for k in kept), table.urls, offset=table.offset,
            length=table.length, index=table.index, url=table.url, inlined=table.inlined,
        )  # fmt: skip
        return replace(
            array, shape=shape, chunk_shape=tuple(array.chunk_shape[k] for k in kept),
            chunks=chunks, dimension_names=left,
            edges=None if array.edges is None else tuple(array.edges[k] for k in kept),
        )  # fmt: skip
    if array.nbytes > context.options.inline_threshold:
        context.found.say(
            path,
            f"its chunks of {array.chunk_shape} in {context.name(number)} hold more than the one"
            f" element along {', '.join(names[k] for k in gone)}",
            remedies.drop(path),
        )
        return array
    (values,) = read_values([(context.members[number], path, array)])
    return inline_like(values.reshape(shape), array, left)

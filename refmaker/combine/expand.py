"""Scalars that other inputs have as a dimension, made into one of one element."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refmaker.model import ChunkTable
from refmaker.model.tree import joined_path
from refmaker.model.zarr_v3 import in_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.combine.context import Context, Trees
    from refmaker.model import Array
    from refmaker.storage.reference_set import ReferenceSet

    Item = tuple[int, Array]

__all__ = ["expanded", "expanded_like"]


def expanded(trees: Trees, context: Context) -> Trees:
    """Give inputs the dimension that is a scalar coordinate in them, and a dimension in others.

    So it is with a file of one time that was squeezed: what has the dimension elsewhere, and here
    all of its other dimensions in the same order, gets it in the same place.

    Parameters
    ----------
    context : Context
        The inputs; gets a warning.
    """
    arrays, scalars = _expanded(trees)
    for path, number in scalars.items():
        context.warnings[
            f"{path} is a scalar in {context.name(number)}, and was made a dimension of one element"
            " there, as it is one in others"
        ] = None
    return type(trees)(trees.groups, arrays)


def expanded_like(refs: ReferenceSet, trees: Trees) -> ReferenceSet:
    """Return a set with the dimensions that are scalars in it, and dimensions in another.

    Parameters
    ----------
    trees : Trees
        Of that other set as input 0, and of `refs` as input 1.
    """
    arrays, scalars = _expanded(trees)
    if 1 not in scalars.values():
        return refs

    def changed(path: str, array: Array) -> Array:
        home, _, name = path.rpartition("/")
        there = dict(arrays[home][name])[1]
        return array if there.dimension_names == array.dimension_names else there

    return replace(refs, group=refs.group.map_paths(changed))


def _expanded(trees: Trees) -> tuple[dict[str, dict[str, list[Item]]], dict[str, int]]:
    """Return the arrays with their dimensions, and the first input in which each was a scalar."""
    arrays = {path: dict(names) for path, names in trees.arrays.items()}
    scalars: dict[str, int] = {}
    for path, names in trees.arrays.items():
        for name, items in names.items():
            scalar = _scalar_in(path, name, items, trees)
            if not scalar:
                continue
            scalars[joined_path(path, name)] = max(scalar)
            for inner, there in arrays.items():
                if trees.home(inner, name) == path:
                    for other, found in there.items():
                        there[other] = _with_dimension(name, found, scalar)
    return arrays, scalars


def _scalar_in(path: str, name: str, items: Sequence[Item], trees: Trees) -> frozenset[int]:
    """Return the inputs in which a coordinate of others is a scalar, and nothing has its name."""
    scalar = {i for i, array in items if array.dimension_names == () == array.shape}
    if not scalar or all(array.dimension_names != (name,) for _, array in items):
        return frozenset()
    for inner, names in trees.arrays.items():
        if trees.home(inner, name) == path:
            for found in names.values():
                scalar -= {i for i, array in found if name in (array.dimension_names or ())}
    return frozenset(scalar)


def _with_dimension(name: str, items: list[Item], scalar: frozenset[int]) -> list[Item]:
    shapes = (array.dimension_names for _, array in items if array.dimension_names)
    like = next((names for names in shapes if name in names), None)
    if like is None:
        return items
    k = like.index(name)
    rest = (*like[:k], *like[k + 1 :])
    return [
        (i, _inserted(array, k, like))
        if i in scalar and array.dimension_names == rest and not in_pieces(array)
        else (i, array)
        for i, array in items
    ]


def _inserted(array: Array, k: int, names: tuple[str, ...]) -> Array:
    table = array.chunks
    chunks = ChunkTable.from_columns(
        (*table.grid[:k], 1, *table.grid[k:]), table.urls, offset=table.offset,
        length=table.length, index=table.index, url=table.url, inlined=table.inlined,
    )  # fmt: skip
    edges = array.edges
    return replace(
        array,
        shape=(*array.shape[:k], 1, *array.shape[k:]),
        chunk_shape=(*array.chunk_shape[:k], 1, *array.chunk_shape[k:]),
        chunks=chunks,
        dimension_names=names,
        edges=None if edges is None else (*edges[:k], None, *edges[k:]),
    )

"""A part of every array along a dimension, by positions."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import LimitError, MetadataError
from refmaker.model.chunk_table import ChunkTable, count
from refmaker.model.editing.companions import with_coordinate
from refmaker.model.editing.places import at_group, group_of, keep_pieces, unknown
from refmaker.model.editing.volumes import cut_volume
from refmaker.model.inline import inline_like
from refmaker.model.tree import Array, Group, chunk_grid, joined_path
from refmaker.model.zarr_v2 import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model.edges import Edges

    Values = Callable[[str, Array], NDArray[Any]]
    Bounds = Sequence[tuple[int, int]]

__all__ = ["Index", "isel", "squeeze"]

_LARGE = 64 * 1024**2
"""Bytes of an array up to which it is cut by its values."""
Index = slice | int
"""Positions along a dimension: a slice of step 1, or one position, which removes the dimension."""


def isel(
    root: Group,
    indexers: Mapping[str, Index],
    group: str = "",
    *,
    values: Values,
) -> Group:
    """Return the tree with a part of each array that has one of the dimensions.

    A slice has to begin where a chunk begins, and may end anywhere; one position has to be a chunk
    by itself. Inside of one chunk that is not compressed, and in arrays whose chunks are all
    inlined, a slice may be anywhere.

    Parameters
    ----------
    indexers : mapping of str to slice or int
        By dimension; negative positions count from the end.
    group : str
        Path of the group whose arrays are cut, and those of all groups below.
    values : callable
        Given the path and an array whose chunks are all inlined, its values.

    Raises
    ------
    MetadataError
        If there is no such dimension or position, or a cut goes through chunks; the hint tells the
        nearest bounds.
    """
    top = group_of(root, group)
    found = {name for _, array in top.arrays() for name in array.dimension_names or ()}
    for name in indexers:
        if name not in found:
            raise unknown(name, sorted(found), "dimension")
    return at_group(root, group, lambda node: _cut_group(group, node, indexers, values))


def squeeze(root: Group, names: Sequence[str], group: str = "", *, values: Values) -> Group:
    """Return the tree without dimensions of one element; their coordinates become scalars.

    Parameters
    ----------
    group, values
        As for `isel`.

    Raises
    ------
    MetadataError
        If there is no such dimension, or it has more elements than one.
    """
    for path, array in group_of(root, group).arrays():
        for name, size in zip(array.dimension_names or (), array.shape, strict=False):
            if name in names and size != 1:
                raise MetadataError(
                    f"{name} has {size} elements, not 1",
                    path=joined_path(group, path),
                    hint=f"take one of them instead, such as {name}=0 by isel",
                )
    return isel(root, dict.fromkeys(names, 0), group, values=values)


def _cut_group(path: str, group: Group, indexers: Mapping[str, Index], values: Values) -> Group:
    members: dict[str, Array | Group] = {}
    lost: dict[str, list[str]] = {
        dim: [] for dim, at in indexers.items() if not isinstance(at, slice)
    }
    for name, member in group.members.items():
        here = joined_path(path, name)
        if isinstance(member, Group):
            members[name] = _cut_group(here, member, indexers, values)
            continue
        mine = {d: at for d, at in indexers.items() if d in (member.dimension_names or ())}
        members[name] = _cut(here, member, mine, values) if mine else member
        for dim in lost.keys() & mine.keys() - {name}:
            lost[dim].append(name)
    made = replace(group, members=members)
    for dim, data in lost.items():
        coordinate = made.members.get(dim)
        if isinstance(coordinate, Array) and not coordinate.shape:
            made = with_coordinate(made, dim, data)
        unlimited = made.attributes.get(UNLIMITED)
        if isinstance(unlimited, list) and dim in unlimited:
            kept = [name for name in unlimited if name != dim]
            made = replace(made, attributes={**made.attributes, UNLIMITED: kept})
    return made


def _bounds(path: str, dim: str, at: Index, size: int) -> tuple[int, int]:
    """Return the first element and the one behind the last."""
    if isinstance(at, slice):
        low, high, step = at.indices(size)
        if step != 1:
            raise MetadataError(
                f"{dim} is taken in steps of {step}, and chunks hold what follows one another",
                path=path,
                hint="take all elements, and choose among them when the set is open",
            )
        return (low, high) if low < high else (0, 0)
    number = operator.index(at)
    if not -size <= number < size:
        raise MetadataError(f"{dim} has no element {number}, it has {size}", path=path)
    return number % size, number % size + 1


def _cut(path: str, array: Array, indexers: Mapping[str, Index], values: Values) -> Array:
    keep_pieces(path, array)
    names = array.dimension_names or ()
    bounds = [(0, size) for size in array.shape]
    for dim, at in indexers.items():
        if names.count(dim) > 1:
            raise MetadataError(f"{dim} is several of its dimensions", path=path)
        axis = names.index(dim)
        bounds[axis] = _bounds(path, dim, at, array.shape[axis])
    single = [names.index(dim) for dim, at in indexers.items() if not isinstance(at, slice)]
    origin = array.origin
    for axis, (low, _) in enumerate(bounds):
        origin = origin and origin.cut(axis - len(bounds), low)
    placed = cut_volume(array, bounds, single)
    made = replace(_taken(path, array, bounds, single, values), origin=origin, attributes=placed)
    for axis in sorted(single, reverse=True):
        made = _without(made, axis)
    return made


def _taken(
    path: str,
    array: Array,
    bounds: Sequence[tuple[int, int]],
    single: Sequence[int],
    values: Values,
) -> Array:
    """Return the elements between bounds: by whole chunks, parts of plain ones, or by value."""
    problem = _misaligned(array, bounds, single)
    while problem is not None:
        narrow = _narrowed(array, problem, *bounds[problem])
        if narrow is None:
            if array.chunks.referenced:
                alone = problem in single
                raise _through_chunks(path, array, problem, bounds[problem], single=alone)
            return _by_value(path, array, bounds, values)
        low, high = bounds[problem]
        bounds = [*bounds[:problem], (0, high - low), *bounds[problem + 1 :]]
        array, problem = narrow, _misaligned(narrow, bounds, single)
    return _by_chunks(array, bounds)


def _narrowed(array: Array, axis: int, low: int, high: int) -> Array | None:
    """Return elements of one uncompressed chunk's extent, which follow one another in the file.

    None where they do not, or lie in several chunks.
    """
    shape, size = array.chunk_shape, array.chunk_shape[axis]
    plain = not array.codecs and array.order == "C" and not array.dtype.hasobject
    if not plain or array.edges is not None or any(n != 1 for n in shape[:axis]):
        return None
    if low // size != (high - 1) // size:
        return None
    start, stop = [0] * len(shape), list(array.chunks.grid)
    start[axis], stop[axis] = low // size, low // size + 1
    table = array.chunks.window(start, stop)
    row = count(shape[axis + 1 :]) * array.dtype.itemsize
    chunks = [len(data) for data in table.inlined.values()]
    if bool(np.any(table.length != size * row)) or any(n != size * row for n in chunks):
        return None
    skip, length = low % size * row, (high - low) * row
    table = replace(
        table,
        offset=table.offset + np.uint64(skip),
        length=np.full_like(table.length, length),
        inlined={n: data[skip : skip + length] for n, data in table.inlined.items()},
    )
    return replace(
        array,
        shape=(*array.shape[:axis], high - low, *array.shape[axis + 1 :]),
        chunk_shape=(*shape[:axis], high - low, *shape[axis + 1 :]),
        chunks=table,
    )


def _misaligned(array: Array, bounds: Bounds, single: Sequence[int]) -> int | None:
    """Return a dimension along which chunks would be cut, or None.

    What lies behind the last element of a chunk readers leave out, as at every array's end.
    """
    for axis, (low, _) in enumerate(bounds):
        start, stored = _chunk_at(array, axis, low)
        if low != start or (axis in single and stored != 1):
            return axis
    return None


def _chunk_at(array: Array, axis: int, position: int) -> tuple[int, int]:
    """Return the start of the chunk with an element along a dimension, and what it decodes to."""
    along = None if array.edges is None else array.edges[axis]
    size = array.chunk_shape[axis]
    if along is None or not along.count:
        return position // size * size, size
    number = int(array.chunk_numbers(axis, position))
    return int(along.starts[number]), int(along.stored[number])


def _through_chunks(
    path: str, array: Array, axis: int, bounds: tuple[int, int], *, single: bool
) -> MetadataError:
    dim, (low, high) = (array.dimension_names or ())[axis], bounds
    start, size = _chunk_at(array, axis, low)
    ends = [*array.starts(axis).tolist(), array.shape[axis]]
    stop = next(end for end in ends if end >= high)
    what = f"{dim}={low}:{high} goes through chunks of {size}"
    if single:
        what = f"{dim}={low} is no chunk by itself: chunks hold {size} elements along {dim}"
    return MetadataError(
        what,
        path=path,
        hint=f"the nearest bounds of chunks are {dim}={start}:{stop}; or keep the array in the set"
        f" itself first, if it is small: `refmaker.load(refs, {path!r})`",
    )


def _by_chunks(array: Array, bounds: Bounds) -> Array:
    start, stop, chunk_shape = [], [], list(array.chunk_shape)
    edges = list(array.edges or [None] * len(bounds))
    for axis, (low, high) in enumerate(bounds):
        some = high > low
        start.append(int(array.chunk_numbers(axis, low)) if some else 0)
        stop.append(int(array.chunk_numbers(axis, high - 1)) + 1 if some else 0)
        along = edges[axis]
        if along is not None:
            edges[axis], chunk_shape[axis] = _cut_edges(along, start[-1], stop[-1], high - low)
    return replace(
        array,
        shape=tuple(high - low for low, high in bounds),
        chunk_shape=tuple(chunk_shape),
        chunks=array.chunks.window(start, stop),
        edges=tuple(edges) if any(along is not None for along in edges) else None,
    )


def _cut_edges(along: Edges, start: int, stop: int, extent: int) -> tuple[Edges | None, int]:
    """Return some of the chunks of a dimension, None if a grid says the same, and the largest."""
    part = along.window(start, stop)
    lengths = part.lengths.copy()
    lengths[-1:] -= part.size - extent
    part = replace(part, lengths=lengths)
    return (None if part.regular else part), part.largest


def _by_value(path: str, array: Array, bounds: Bounds, values: Values) -> Array:
    shape = tuple(high - low for low, high in bounds)
    if not array.chunks.present:
        chunk_shape = tuple(
            min(c, max(1, n)) for c, n in zip(array.chunk_shape, shape, strict=True)
        )
        table = ChunkTable.empty(chunk_grid(shape, chunk_shape))
        return replace(array, shape=shape, chunk_shape=chunk_shape, chunks=table, edges=None)
    if count(array.shape) * max(1, array.dtype.itemsize) > _LARGE:
        raise LimitError(
            f"cutting through its chunks would decode {array.nbytes:,} bytes", path=path
        )
    part = values(path, array)[tuple(slice(low, high) for low, high in bounds)]
    return inline_like(part, array, array.dimension_names or ())


def _without(array: Array, axis: int) -> Array:
    """Return an array without a dimension of one element, of which each chunk holds one."""

    def removed(items: Sequence[Any]) -> tuple[Any, ...]:
        return (*items[:axis], *items[axis + 1 :])

    return replace(
        array,
        shape=removed(array.shape),
        chunk_shape=removed(array.chunk_shape),
        dimension_names=removed(array.dimension_names or ()),
        edges=None if array.edges is None else removed(array.edges),
        chunks=replace(array.chunks, grid=removed(array.chunks.grid)),
        origin=array.origin and array.origin.without(axis - len(array.shape)),
    )

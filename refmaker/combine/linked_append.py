"""More inputs to a local set as Parquet, by what is new: records that stay are linked.

Of what is there only the metadata, the coordinates, what lacks the dimension that grows, and the
last chunks along it are read. They are joined with the inputs as the whole set would be. The
result is what joining all of it gives if the inputs lie behind everything that is there along
one dimension, the first of each array that has it; in all other cases the whole set is read.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.combine.forecast import VIEW
from refmaker.combine.members import Member
from refmaker.combine.values import read_values
from refmaker.errors import RefmakerError
from refmaker.io.folders import open_folder
from refmaker.io.local_file import local_path
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.inline import inline_like
from refmaker.model.zarr_v2 import array_document, dumps
from refmaker.storage import parquet
from refmaker.storage.formats import StoredForm
from refmaker.storage.parquet_reader import read_metadata, read_table
from refmaker.storage.reference_set import ReferenceSet, check_names, header_of, opened
from refmaker.storage.rewrite import is_relative
from refmaker.storage.tree import assemble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from refmaker.combine.options import Appended, CombineOptions
    from refmaker.io.folders import ReadableFolder

    Extend = Callable[[ReferenceSet], Appended]

__all__ = ["append_linked"]


@dataclass(frozen=True, slots=True)
class _Base:
    """What is read of a set that grows.

    Attributes
    ----------
    whole : Group
        All of it, where arrays of `long` have no chunks.
    dim : str
        The dimension along which it grows.
    start : int
        Where along it the part begins that is read of arrays of `long`.
    long : dict of str to ChunkTable
        By path, the chunks of arrays with the dimension from some record on.
    record_size : int
        Rows of a record.
    refs : ReferenceSet
        The part from `start` on, as a set.
    """

    whole: Group
    dim: str
    start: int
    long: dict[str, ChunkTable]
    record_size: int
    refs: ReferenceSet


class _Unlike(Exception):  # noqa: N818 - no error: the other way is taken
    """The whole set has to be read."""


def append_linked(
    target: str | os.PathLike[str],
    options: CombineOptions,
    extend: Extend,
    check: Callable[[], None],
) -> Appended | None:
    """Add inputs to a set, and write what is new of it.

    Parameters
    ----------
    target : str or os.PathLike
        The set.
    options : CombineOptions
        How to combine.
    extend : callable
        Joins the inputs to the set that it is given.
    check : callable
        Called before anything is written; raises an error if that must not be.

    Returns
    -------
    Appended, optional
        What became of the inputs, without the set; None where all of it has to be read.

    Raises
    ------
    SourceChangedError, SourceError
        As `check` does, or if the set cannot be written.
    """
    # They look at all that is there, or may change it.
    if options.tolerance or options.chunks or options.regular or options.fill:
        return None
    try:
        base = _read(os.fspath(target))
        done = extend(base.refs)
        if not done.added or done.refs is None:
            return replace(done, refs=None, report=base.refs.report)
        made = done.refs.prepared(StoredForm("parquet", templates=False))
        group, grown = _grown(base, made.group)
    except _Unlike:
        return None
    except RefmakerError:
        # Whoever reads all of it says what is wrong with that.
        return None
    check_names(done.refs, secrets=False)
    check()
    parquet.grow(group, target, header_of(done.refs), base.record_size, grown)
    return replace(done, refs=None, report=done.refs.report)


def _read(name: str) -> _Base:
    """Return the metadata of a set, and its part that inputs are joined to."""
    if local_path(name) is None:
        raise _Unlike
    folder = open_folder(name)
    tree, size, header = read_metadata(folder)
    if is_relative(header) or header.get("parts") or header.get("origins"):
        raise _Unlike
    whole = assemble(tree, lambda _, a: ChunkTable.empty(chunk_grid(a.shape, a.chunk_shape)))
    if VIEW in whole.attributes:
        raise _Unlike
    dim = _dimension(whole)
    small = {
        path: read_table(folder, path, array, size)
        for path, array in whole.arrays()
        if not _is_long(array, dim)
    }
    whole = whole.map_paths(lambda path, a: replace(a, chunks=small[path]) if path in small else a)
    long = {path: array for path, array in whole.arrays() if path not in small}
    start = _start(whole, dim, long)
    tables: dict[str, ChunkTable] = {}
    part = whole.map_paths(lambda path, array: _cut(folder, path, array, dim, start, size, tables))
    refs = opened(part, header, StoredForm("parquet", templates=False), name)
    return _Base(whole, dim, start, tables, size, refs)


def _dimension(whole: Group) -> str:
    """Return the dimension along which the largest array grows: its first."""
    arrays = [array for _, array in whole.arrays()]
    largest = max(arrays, key=lambda array: array.chunks.size, default=None)
    if largest is None or not largest.dimension_names:
        raise _Unlike
    dim = largest.dimension_names[0]
    if any(dim in (array.dimension_names or ())[1:] for array in arrays):
        raise _Unlike
    return dim


def _is_long(array: Array, dim: str) -> bool:
    """Whether an array grows by further chunks, and is no single one along the dimension."""
    return (array.dimension_names or ("",))[0] == dim and array.chunk_shape[0] < array.shape[0]


def _start(whole: Group, dim: str, long: Mapping[str, Array]) -> int:
    """Return where the last chunks begin that all arrays have in common along the dimension."""
    sizes = {a.shape[0] for _, a in whole.arrays() if (a.dimension_names or ("",))[0] == dim}
    if len(sizes) != 1 or not long or any(array.edges is not None for array in long.values()):
        raise _Unlike
    step = math.lcm(*(array.chunk_shape[0] for array in long.values()))
    (size,) = sizes
    start = (size - 1) // step * step
    if start == 0:
        raise _Unlike
    return start


def _cut(
    folder: ReadableFolder,
    path: str,
    array: Array,
    dim: str,
    start: int,
    size: int,
    tables: dict[str, ChunkTable],
) -> Array:
    """Return an array from `start` on along the dimension, if it has that."""
    if (array.dimension_names or ("",))[0] != dim:
        return array
    if not _is_long(array, dim):
        return inline_like(_values(array)[start:], array, array.dimension_names or ())
    grid = array.chunks.grid
    row = _row(array, start)
    table = tables[path] = read_table(folder, path, array, size, row // size)
    corner = (start // array.chunk_shape[0], *(0 for _ in grid[1:]))
    return replace(
        array, shape=(array.shape[0] - start, *array.shape[1:]), chunks=table.window(corner, grid)
    )


def _row(array: Array, start: int) -> int:
    """Return the number of the first chunk from a place on along the first dimension."""
    return start // array.chunk_shape[0] * math.prod(array.chunks.grid[1:])


def _values(array: Array) -> NDArray[Any]:
    """Return the values of an array that is kept inline."""
    if array.chunks.referenced or array.dtype.hasobject:
        raise _Unlike
    (values,) = read_values([(Member(0, ReferenceSet(Group())), "", array)])
    return values


def _grown(base: _Base, made: Group) -> tuple[Group, dict[str, parquet.Grown]]:
    """Return the whole set as it is to be, and the records of it that are new."""
    before = dict(base.refs.group.arrays())
    if before.keys() != {path for path, _ in made.arrays()}:
        raise _Unlike
    grown: dict[str, parquet.Grown] = {}
    arrays: dict[str, Array] = {}
    followed = False
    for path, new in made.arrays():
        old, whole = before[path], base.whole[path]
        if not isinstance(whole, Array) or old.dimension_names != new.dimension_names:
            raise _Unlike
        if (new.dimension_names or ("",))[0] != base.dim:
            _check_same(old, new)
            arrays[path] = new
        elif path in base.long:
            arrays[path], grown[path] = _longer(base, path, whole, new)
        else:
            values = _longer_values(old, whole, new)
            if path.rpartition("/")[2] == base.dim and values.ndim == 1:
                _check_follows(values)
                followed = True
            arrays[path] = inline_like(values, new, new.dimension_names or ())
    group = made.map_paths(lambda path, _: arrays[path])
    # Records of a small set are as small, and would become many.
    if not followed or base.record_size < parquet.record_size_of(group, largest=False):
        raise _Unlike
    return group, grown


def _check_same(old: Array, new: Array) -> None:
    if old.shape != new.shape or not _alike(old, new) or not old.chunks.same(new.chunks):
        raise _Unlike


def _alike(old: Array, new: Array) -> bool:
    """Whether the chunks of two arrays mean the same, whatever their number."""
    # As text, in which a fill value that is no number is equal to itself.
    same = dumps({**array_document(old), "shape": []}) == dumps(
        {**array_document(new), "shape": []}
    )
    return same and new.edges is None and old.dimension_names == new.dimension_names


def _longer(base: _Base, path: str, whole: Array, new: Array) -> tuple[Array, parquet.Grown]:
    """Return an array without chunks in its new shape, and its last records."""
    if new.shape[1:] != whole.shape[1:] or not _alike(whole, new):
        raise _Unlike
    table, joined = base.long[path], new.chunks
    row = _row(whole, base.start)
    shape = (base.start + new.shape[0], *new.shape[1:])
    grid = chunk_grid(shape, new.chunk_shape)
    stays = table.numbers() < row
    urls = tuple(dict.fromkeys((*table.urls, *joined.urls)))
    number = {url: i for i, url in enumerate(urls)}
    first = row // base.record_size
    last = ChunkTable.from_columns(
        grid, urls,
        offset=np.concatenate([table.offset[stays], joined.offset]),
        length=np.concatenate([table.length[stays], joined.length]),
        index=np.concatenate([table.numbers()[stays], joined.numbers() + np.uint64(row)]),
        url=np.concatenate([_files(table, number)[stays], _files(joined, number)]),
        inlined={at: data for at, data in table.inlined.items() if at < row}
        | {at + row: data for at, data in joined.inlined.items()},
    )  # fmt: skip
    return replace(new, shape=shape, chunks=ChunkTable.empty(grid)), parquet.Grown(first, last)


def _files(table: ChunkTable, number: Mapping[str, int]) -> NDArray[np.int32]:
    """Return the file of each row by its new number."""
    names = np.array([number[url] for url in table.urls] or [0], np.int32)
    return np.broadcast_to(names[0 if table.url is None else table.url], table.referenced)


def _longer_values(old: Array, whole: Array, new: Array) -> NDArray[Any]:
    """Return the values of an array that is kept inline: those that were there, and the new."""
    there, joined = _values(whole), _values(new)
    size = old.shape[0]
    same = there.dtype == joined.dtype and there.shape[1:] == joined.shape[1:]
    if not same or there[there.shape[0] - size :].tobytes() != joined[:size].tobytes():
        raise _Unlike
    return np.concatenate([there, joined[size:]])


def _check_follows(values: NDArray[Any]) -> None:
    """Look whether the values of a coordinate only rise or only fall, all of them."""
    if values.dtype.kind not in "iuf":
        raise _Unlike
    rises = bool(np.all(values[1:] > values[:-1]))
    if not rises and not bool(np.all(values[1:] < values[:-1])):
        raise _Unlike

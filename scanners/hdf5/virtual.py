"""Virtual datasets whose sources are whole chunks: their chunks, moved into one grid.

HDF5 File Format Specification, "Virtual Dataset". A mapping is a box of the virtual dataset
and a box of a source. It can be expressed where both boxes begin on chunk boundaries and end
on one or at the edge; everything else is refused with the names of the sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.scanners.hdf5.dataset import Dataset

__all__ = ["virtual_array"]

_MOST = 10_000
_Box = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Mapping:
    file: str
    path: str
    source: Array
    target: _Box
    origin: _Box


def virtual_array(dataset: Dataset, find: Callable[[str, str], Array]) -> Array:
    """Return a virtual dataset as one array over the chunks of its sources.

    Parameters
    ----------
    dataset : Dataset
        A dataset with virtual layout.
    find : callable
        Gives the array of a dataset, by file name (``"."`` is the same file) and path.

    Raises
    ------
    UnsupportedError
        If its mappings cannot be expressed; names file and dataset of the source.
    """
    plist = dataset.plist
    count = int(plist.get_virtual_count())
    if count > _MOST:
        raise UnsupportedError(f"{count} virtual mappings", code="virtual")
    mappings = [_mapping(dataset, plist, i, find) for i in range(count)]
    if not mappings:
        raise UnsupportedError("a virtual dataset without mappings", code="virtual")
    first = mappings[0].source
    for mapping in mappings:
        _check(dataset, first, mapping)
    grid = chunk_grid(dataset.shape, first.chunk_shape)
    pieces = [_moved(mapping, first.chunk_shape, grid) for mapping in mappings]
    urls = tuple(dict.fromkeys(url for piece in pieces for url in piece.urls))
    number = {url: i for i, url in enumerate(urls)}
    table = ChunkTable.from_columns(
        grid,
        urls,
        offset=np.concatenate([piece.offset for piece in pieces]),
        length=np.concatenate([piece.length for piece in pieces]),
        index=np.concatenate([piece.numbers() for piece in pieces]),
        url=np.concatenate([_files(piece, number) for piece in pieces]),
        inlined={key: data for piece in pieces for key, data in piece.inlined.items()},
    )
    return Array(
        dataset.shape,
        first.chunk_shape,
        first.dtype,
        table,
        fill_value=dataset.stored_fill,
        order=first.order,
        filters=first.filters,
        compressor=first.compressor,
    )


def _refused(file: str, path: str, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"virtual dataset with source {path} in {file}: {why}",
        code="virtual",
        hint="scan the source files and combine them",
    )


def _mapping(
    dataset: Dataset, plist: Any, i: int, find: Callable[[str, str], Array]
) -> _Mapping:
    file, path = plist.get_virtual_filename(i), plist.get_virtual_dsetname(i)
    if "%" in file.replace("%%", "") or "%" in path.replace("%%", ""):
        raise _refused(file, path, "a numbered series of sources")
    target = _box(plist.get_virtual_vspace(i))
    if target is None:
        raise _refused(file, path, "its place is no single box")
    try:
        source = find(file.replace("%%", "%"), path.replace("%%", "%"))
    except (RefmakerError, OSError) as error:
        raise _refused(file, path, str(error)) from error
    space = plist.get_virtual_srcspace(i)
    origin = _box(space)
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        origin = ((0,) * len(source.shape), source.shape)
    if origin is None:
        raise _refused(file, path, "it takes no single box of the source")
    return _Mapping(file, path, source, target, origin)


def _box(space: Any) -> _Box | None:
    """Return start and stop of a selection that is one box, else None."""
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        shape = tuple(int(n) for n in space.get_simple_extent_dims())
        return (0,) * len(shape), shape
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return None
    start, stride, count, block = space.get_regular_hyperslab()
    unlimited = int(h5py.h5s.UNLIMITED)
    stop = []
    for a, step, n, size in zip(start, stride, count, block, strict=True):
        if int(n) == unlimited or int(size) == unlimited:
            return None
        if int(n) > 1 and int(step) != int(size):
            return None
        stop.append(int(a) + int(n) * int(size))
    return tuple(int(a) for a in start), tuple(stop)


def _check(dataset: Dataset, first: Array, mapping: _Mapping) -> None:
    """Refuse what would read differently through one array's metadata."""

    def refuse(why: str) -> None:
        raise _refused(mapping.file, mapping.path, why)

    source, element = mapping.source, dataset.element
    if element.codecs or element.dims or source.dtype != element.dtype:
        refuse(f"its type {source.dtype} has to be converted to {element.dtype}")
    same = (
        source.chunk_shape == first.chunk_shape
        and source.codecs == first.codecs
        and source.order == first.order
    )
    if not same:
        refuse("its chunks differ in shape or codecs from those of other sources")
    (to, to_end), (of, of_end) = mapping.target, mapping.origin
    if len(to) != len(of) or len(of) != len(source.shape):
        refuse("it has another number of dimensions")
    if any(b - a != d - c for a, b, c, d in zip(to, to_end, of, of_end, strict=True)):
        refuse("the boxes have different shapes")
    edges = zip(to, to_end, of, of_end, dataset.shape, source.shape, first.chunk_shape, strict=True)
    for a, b, c, d, n, m, chunk in edges:
        if b > n or d > m:
            refuse("a box reaches over the edge")
        # Both begin on a chunk, so they end in the same way: on one, or inside of one, whose
        # rest is then cut off by the edge of the virtual dataset.
        if a % chunk or c % chunk or (b % chunk and b != n):
            refuse(f"its boxes do not begin and end on chunks of {first.chunk_shape}")
    if source.chunks.absent and not _same_fill(source.fill_value, dataset.stored_fill):
        refuse("it was not written completely and has another fill value")


def _same_fill(one: Any, other: Any) -> bool:
    zero = b"\0"
    left, right = (zero if v is None else np.asarray(v).tobytes().strip(zero) for v in (one, other))
    return left.strip(zero) == right.strip(zero)


def _moved(mapping: _Mapping, chunk: tuple[int, ...], grid: tuple[int, ...]) -> ChunkTable:
    """Return the source's chunks at their places in the virtual grid."""
    (to, _), (of, end) = mapping.target, mapping.origin
    start = [a // c for a, c in zip(of, chunk, strict=True)]
    stop = [-(-b // c) for b, c in zip(end, chunk, strict=True)]
    window = mapping.source.chunks.window(start, stop)
    shift = [a // c for a, c in zip(to, chunk, strict=True)]
    at = tuple(column + move for column, move in zip(window.coordinates(), shift, strict=True))
    inlined = {}
    for number, data in window.inlined.items():
        where = np.unravel_index(number, window.grid)
        moved = tuple(int(x) + move for x, move in zip(where, shift, strict=True))
        inlined[int(np.ravel_multi_index(moved, grid))] = data
    return ChunkTable.from_columns(
        grid,
        window.urls,
        offset=window.offset,
        length=window.length,
        index=np.ravel_multi_index(at, grid) if at else np.zeros(window.referenced, np.uint64),
        url=window.url,
        inlined=inlined,
    )


def _files(piece: ChunkTable, number: dict[str, int]) -> np.ndarray[Any, np.dtype[np.int32]]:
    names = np.array([number[url] for url in piece.urls] or [0], np.int32)
    return np.broadcast_to(names[0], piece.referenced) if piece.url is None else names[piece.url]

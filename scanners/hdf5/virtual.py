"""Virtual datasets whose sources are whole chunks: their chunks, moved into one grid.

HDF5 File Format Specification, "Virtual Dataset". A mapping selects blocks of the virtual
dataset and blocks of a source. It can be expressed where the blocks of both consist of whole
chunks; everything else is refused with the name of the source.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError, SourceNotFoundError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.scanners.hdf5.selection import UNLIMITED, HyperslabDimension, axes_of
from refmaker.scanners.hdf5.types import ValueStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from refmaker.scanners.hdf5.dataset import OpenDataset

__all__ = ["virtual_array"]

_MOST = 10_000
"""Mappings of a dataset, and sources of a series."""
_CHUNKS_MOST = 2**26
"""Chunks of one mapping: a selection costs memory, however few of its chunks were written."""
_UNWRITTEN = 512
"""Elements of a chunk along each dimension where no source tells it."""
_HINT = "scan the source files and combine them"
_SERIES = re.compile(r"%(0?\d{0,2})b")


@dataclass(frozen=True, slots=True)
class _ChunkMapping:
    """Where one source's chunks go: flat chunk numbers in the source and in the target."""

    source: Array
    chunk_shape: tuple[int, ...]
    origin: NDArray[np.int64]
    target: NDArray[np.int64]


def virtual_array(
    dataset: OpenDataset,
    find: Callable[[str, str], Array],
    expect: Callable[[str], object],
    passed_over: Callable[[str], object] | None = None,
) -> Array:
    """Return a virtual dataset as one array over the chunks of its sources.

    Parameters
    ----------
    find : callable
        Gives the array of a dataset, by file name (``"."`` is the same file) and path.
    expect : callable
        Is told the name of the file that would make the dataset longer, if it came.
    passed_over : callable, optional
        Is told of sources that are not there, whose regions then read as the fill value, as HDF5
        reads them; without it they are refused.

    Raises
    ------
    UnsupportedError
        If its mappings cannot be expressed; names file and dataset of the source.
    """
    places: list[_ChunkMapping] = []
    for mapping in _mappings(dataset, find, expect, passed_over):
        places.append(mapping.place(dataset, places[0] if places else None))
    if not places and passed_over is not None:
        return _unwritten(dataset)
    if not places:
        raise UnsupportedError("none of its sources is there", code="virtual")
    first = places[0]
    grid = chunk_grid(dataset.shape, first.chunk_shape)
    pieces = [_moved(place) for place in places]
    urls = tuple(dict.fromkeys(url for piece in pieces for url in piece.urls))
    number = {url: i for i, url in enumerate(urls)}
    index = np.concatenate([piece.index for piece in pieces])
    if np.unique(index).size < index.size:
        raise UnsupportedError("its sources overlap", code="virtual")
    table = ChunkTable.from_columns(
        grid,
        urls,
        offset=np.concatenate([piece.offset for piece in pieces]),
        length=np.concatenate([piece.length for piece in pieces]),
        index=index,
        url=np.concatenate([piece.files(number) for piece in pieces]),
        inlined={key: data for piece in pieces for key, data in piece.inlined.items()},
    )
    source = first.source
    return Array(
        dataset.shape,
        first.chunk_shape,
        source.dtype,
        table,
        fill_value=dataset.stored_fill,
        order=source.order,
        filters=source.filters,
        compressor=source.compressor,
    )


def _unwritten(dataset: OpenDataset) -> Array:
    """Return the array of a virtual dataset of which no source is there."""
    element = dataset.element
    if element.form is not ValueStorage.RAW or element.dims:
        raise UnsupportedError("none of its sources is there", code="virtual")
    chunk = tuple(max(1, min(extent, _UNWRITTEN)) for extent in dataset.shape)
    table = ChunkTable.empty(chunk_grid(dataset.shape, chunk))
    return Array(dataset.shape, chunk, element.dtype, table, fill_value=dataset.stored_fill)


@dataclass(frozen=True, slots=True)
class _Mapping:
    """One mapping whose source has been found."""

    file: str
    path: str
    source: Array
    target: list[HyperslabDimension]
    origin: list[HyperslabDimension]

    def refuse(self, why: str) -> UnsupportedError:
        """Return the error that says why it cannot be expressed."""
        return _unsupported(self.file, self.path, why)

    def place(self, dataset: OpenDataset, first: _ChunkMapping | None) -> _ChunkMapping:
        """Return where the source's chunks go; `first` is what other sources must agree with."""
        source, element = self.source, dataset.element
        codecs = source.filters[: len(element.codecs)]
        if codecs != element.codecs or element.dims or source.dtype != element.dtype:
            raise self.refuse(f"its type {source.dtype} is to be converted to {element.dtype}")
        if source.chunks.absent and not _same_fill(source.fill_value, dataset.stored_fill):
            raise self.refuse("it was not written completely and has another fill value")
        pairs = self._pairs(dataset)
        chunk = tuple(
            1 if of is None else source.chunk_shape[of] for of in (pair for _, pair in pairs)
        )
        if first is not None and (
            chunk != first.chunk_shape
            or source.codecs != first.source.codecs
            or source.order != first.source.order
        ):
            raise self.refuse("its chunks differ in shape or codecs from those of other sources")
        return self._numbers(dataset, pairs, chunk)

    def _pairs(self, dataset: OpenDataset) -> list[tuple[HyperslabDimension, int | None]]:
        """Pair every axis of the virtual dataset with one of the source, or with none.

        A source with fewer dimensions fills one position along the others.
        """
        pairs: list[tuple[HyperslabDimension, int | None]] = []
        of = len(self.origin) - 1
        spare = len(self.target) - len(self.origin)
        for axis in range(len(self.target) - 1, -1, -1):
            target = self.target[axis].within(dataset.shape[axis])
            origin = self.origin[of].within(self.source.shape[of]) if of >= 0 else None
            if origin is not None and self.target[axis].unlimited and target.block == origin.block:
                target = target.first(origin.count)
                origin = origin.first(target.count)
            if origin is not None and target.length == origin.length:
                self.origin[of] = origin
                pairs.append((target, of))
                of -= 1
            elif target.length == 1 and spare > 0:
                pairs.append((target, None))
                spare -= 1
            else:
                raise self.refuse("the selections have different shapes")
        if of >= 0:
            raise self.refuse("it has more dimensions")
        return pairs[::-1]

    def _numbers(
        self,
        dataset: OpenDataset,
        pairs: list[tuple[HyperslabDimension, int | None]],
        chunk: tuple[int, ...],
    ) -> _ChunkMapping:
        source = self.source
        to: list[NDArray[np.int64]] = []
        of: list[NDArray[np.int64]] = []
        for (target, at), size, extent in zip(pairs, chunk, dataset.shape, strict=True):
            there = target.chunks(size, extent)
            here = None
            if at is not None:
                # Behind its own edge, or the target's, a chunk holds nothing that is seen.
                edge = self.origin[at].stop if target.stop == extent else source.shape[at]
                here = self.origin[at].chunks(size, edge)
                of.append(here if here is not None else np.empty(0, np.int64))
            if there is None or (at is not None and (here is None or here.size != there.size)):
                raise self.refuse(f"its blocks do not consist of chunks of {chunk}")
            if target.stop > extent or (at is not None and self.origin[at].stop > source.shape[at]):
                raise self.refuse("a selection reaches over the edge")
            to.append(there)
        if math.prod(part.size for part in to) > _CHUNKS_MOST:
            raise self.refuse(f"more than {_CHUNKS_MOST} chunks")
        grid = chunk_grid(dataset.shape, chunk)
        return _ChunkMapping(source, chunk, _flat(of, source.chunks.grid), _flat(to, grid))


def _flat(numbers: list[NDArray[np.int64]], grid: tuple[int, ...]) -> NDArray[np.int64]:
    """Return flat chunk numbers of all combinations of numbers along each axis, in C order."""
    if not numbers:
        return np.zeros(1, np.int64)
    mesh = np.meshgrid(*numbers, indexing="ij")
    return np.ravel_multi_index([part.reshape(-1) for part in mesh], grid).astype(np.int64)


def _mappings(
    dataset: OpenDataset,
    find: Callable[[str, str], Array],
    expect: Callable[[str], object],
    passed_over: Callable[[str], object] | None,
) -> Iterator[_Mapping]:
    """Yield all mappings; a numbered series of sources is one for each that exists."""
    plist = dataset.plist
    count = int(plist.get_virtual_count())
    if count > _MOST:
        raise UnsupportedError(f"{count} virtual mappings", code="virtual")
    for i in range(count):
        file, path = plist.get_virtual_filename(i), plist.get_virtual_dsetname(i)
        target = axes_of(plist.get_virtual_vspace(i), dataset.shape)
        if target is None:
            raise _unsupported(file, path, "its place is no regular hyperslab")
        numbered = any(_SERIES.search(name.replace("%%", "")) for name in (file, path))
        places = [(file, path, target)]
        if numbered:
            places = list(_series(dataset, file, path, target))
            # HDF5 makes the dataset as long as the files are there that come first.
            expect(_numbered(file, len(places)).replace("%%", "%"))
        for name, inner, place in places:
            one, of = name.replace("%%", "%"), inner.replace("%%", "%")
            optional = numbered or passed_over is not None
            source = _source(one, of, find, optional=optional)
            if source is None and passed_over is not None and not numbered:
                passed_over(
                    f"{dataset.path}: the source {of} in {one} is not there; its region reads as "
                    "the fill value"
                )
            if source is None:
                continue
            origin = axes_of(plist.get_virtual_srcspace(i), source.shape)
            if origin is None:
                raise _unsupported(
                    name, inner, "what it takes of the source is no regular hyperslab"
                )
            yield _Mapping(name, inner, source, place, origin)


def _series(
    dataset: OpenDataset, file: str, path: str, target: list[HyperslabDimension]
) -> Iterator[tuple[str, str, list[HyperslabDimension]]]:
    """Yield the names and the place of each source of a series ``%b``."""
    growing = [axis for axis, part in enumerate(target) if part.count == UNLIMITED]
    if len(growing) != 1:
        raise _unsupported(file, path, "a numbered series without one growing dimension")
    axis = growing[0]
    part = target[axis]
    starts = range(part.start, dataset.shape[axis], max(1, part.stride))
    if len(starts) > _MOST:
        raise _unsupported(file, path, f"a series of more than {_MOST} sources")
    for number, start in enumerate(starts):
        place = [*target]
        place[axis] = replace(part, start=start, count=1)
        yield _numbered(file, number), _numbered(path, number), place


def _numbered(name: str, number: int) -> str:
    """Put a number into a name; doubled per cent signs stay doubled."""
    parts = name.split("%%")
    return "%%".join(_SERIES.sub(lambda found: f"{number:{found[1] or 'd'}}", p) for p in parts)


def _source(
    file: str, path: str, find: Callable[[str, str], Array], *, optional: bool
) -> Array | None:
    """Return a source; None for a missing one of a series, whose place HDF5 leaves unwritten."""
    try:
        return find(file, path)
    except SourceNotFoundError as error:
        if optional:
            return None
        raise _unsupported(
            file,
            path,
            str(error),
            "read its region as fill values with `settings={'missing-sources': 'fill'}`",
        ) from error
    except (RefmakerError, OSError) as error:
        raise _unsupported(file, path, str(error)) from error


def _unsupported(file: str, path: str, why: str, hint: str = _HINT) -> UnsupportedError:
    return UnsupportedError(
        f"virtual dataset with source {path} in {file}: {why}",
        code="virtual",
        hint=hint,
    )


def _same_fill(one: Any, other: Any) -> bool:
    left, right = (b"" if v is None else np.asarray(v).tobytes() for v in (one, other))
    # A fill value that nobody declared is zero, of whatever length.
    return left == right or not (any(left) or any(right))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows of the virtual dataset's table that come from one source."""

    urls: tuple[str, ...]
    index: NDArray[np.int64]
    offset: NDArray[np.uint64]
    length: NDArray[Any]
    url: NDArray[np.int32] | None
    inlined: dict[int, bytes]

    def files(self, number: dict[str, int]) -> NDArray[np.int32]:
        """Return each row's file in a common list."""
        names = np.array([number[url] for url in self.urls] or [0], np.int32)
        return np.full(self.index.size, names[0]) if self.url is None else names[self.url]


def _moved(place: _ChunkMapping) -> _Piece:
    """Return a source's chunks under their numbers in the virtual dataset."""
    table = place.source.chunks
    known = table.numbers().astype(np.int64)
    rows = np.searchsorted(known, place.origin)
    present = rows < known.size
    present[present] = known[rows[present]] == place.origin[present]
    rows = rows[present]
    inlined = {
        int(to): table.inlined[int(of)]
        for to, of in zip(place.target[~present], place.origin[~present], strict=True)
        if int(of) in table.inlined
    }
    return _Piece(
        table.urls,
        place.target[present],
        table.offset[rows],
        table.length[rows],
        None if table.url is None else table.url[rows],
        inlined,
    )

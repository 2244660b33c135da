"""Where the chunks of an array come from, in each of the files that are like one another."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.model.chunk_table import ChunkTable
from refmaker.scanners.hdf5.chunk_index import chunk_index_reader
from refmaker.scanners.hdf5.filters import encoding_for
from refmaker.scanners.hdf5.layout import DataLayoutMessage, IndexType, Storage
from refmaker.scanners.hdf5.object_header import UNDEFINED
from refmaker.scanners.hdf5.structure_error import StructureMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array
    from refmaker.scanners.hdf5.batched_reads import Request
    from refmaker.scanners.hdf5.chunk_index import ChunkIndexEntries
    from refmaker.scanners.hdf5.dataset import OpenDataset
    from refmaker.scanners.hdf5.structure import StructureKey

__all__ = ["TableRebuilder", "recipe_for"]

_CHUNKS_MOST = 2**16
"""Chunks of a file that a pattern is made of: it stays in memory."""
_DECODED_MOST = 64 * 1024
"""Bytes of a chunk that is decoded for the sake of the few values in it."""
_BLOCKS_MOST = 64
"""Blocks that are put together in Python."""


@dataclass(slots=True)
class _Move:
    """A contiguous array: the same pieces from another place on."""

    address: int
    end: int

    def table(
        self, old: ChunkTable, place: int | DataLayoutMessage, source: Source, _: StructureKey
    ) -> ChunkTable:
        """Return the chunks."""
        shift = _address(place) - self.address
        if self.end + shift > source.size:
            raise StructureMismatchError("data behind the end of the file")
        offset = (old.offset.astype("i8") + shift).astype("u8")
        return replace(old, urls=(source.url,), offset=offset)


@dataclass(slots=True)
class _Inline:
    """A small contiguous array, kept whole."""

    nbytes: int

    def table(
        self, old: ChunkTable, place: int | DataLayoutMessage, source: Source, outline: StructureKey
    ) -> ChunkTable:
        """Return the chunks."""
        at, end = _address(place), _address(place) + self.nbytes
        inside = end <= len(outline.head)
        return _holding(old, outline.head[at:end] if inside else source.read(at, self.nbytes))


@dataclass(slots=True)
class _Chunks:
    """A chunked array, each of whose chunks was written through all filters.

    Parameters
    ----------
    layout : DataLayoutMessage
        Its layout, but for the address, where addresses are all that differs.
    shape, maxshape : tuple
        Extents of the dataset.
    length : int
        Bytes of every chunk where there are no filters, else 0.
    """

    layout: DataLayoutMessage
    shape: tuple[int, ...]
    maxshape: tuple[int | None, ...]
    length: int

    def table(
        self, old: ChunkTable, place: int | DataLayoutMessage, source: Source, outline: StructureKey
    ) -> ChunkTable:
        """Return the chunks."""
        columns = self.columns(place, source, outline)
        return ChunkTable.from_columns(
            old.grid,
            (source.url,),
            offset=columns.offset,
            length=columns.length,
            index=columns.index,
        )

    def columns(
        self, place: int | DataLayoutMessage, source: Source, outline: StructureKey
    ) -> ChunkIndexEntries:
        """Return the chunks as their index lists them."""
        layout = replace(self.layout, address=place) if isinstance(place, int) else place
        columns = _columns(layout, self, source, outline)
        count = math.prod(-(-n // c) for n, c in zip(self.shape, layout.chunk, strict=True))
        if len(columns) != count or columns.mask.any():
            raise StructureMismatchError("chunks that are absent or skipped filters")
        if self.length and (columns.length != self.length).any():
            raise StructureMismatchError("unfiltered chunks of another size")
        if int((columns.offset + columns.length).max()) > source.size:
            raise StructureMismatchError("chunks behind the end of the file")
        return columns


@dataclass(slots=True)
class _InlineChunk:
    """A small array of one chunk, kept whole.

    Parameters
    ----------
    chunks : _Chunks
        Where the chunk lies.
    dtype : numpy.dtype
        Type of the elements.
    codecs : tuple of dict
        Codec configurations that stand for the filters.
    """

    chunks: _Chunks
    dtype: np.dtype[Any]
    codecs: tuple[Mapping[str, Any], ...]

    def table(
        self, old: ChunkTable, place: int | DataLayoutMessage, source: Source, outline: StructureKey
    ) -> ChunkTable:
        """Return the chunks."""
        from numcodecs import get_codec

        columns = self.chunks.columns(place, source, outline)
        offset, length = int(columns.offset[0]), int(columns.length[0])
        if length > 2 * _DECODED_MOST:
            raise StructureMismatchError("a large chunk")
        data: Any = source.read(offset, length)
        try:
            for config in reversed(self.codecs):
                data = get_codec(dict(config)).decode(data)
            chunk = np.frombuffer(data, self.dtype).reshape(self.chunks.layout.chunk)
        except (ValueError, TypeError, RuntimeError, OSError, zlib.error) as error:
            raise StructureMismatchError(str(error)) from error
        return _holding(old, chunk[tuple(slice(n) for n in self.chunks.shape)].tobytes())


TableRebuilder = _Move | _Inline | _Chunks | _InlineChunk


def _columns(
    layout: DataLayoutMessage, of: _Chunks, source: Source, outline: StructureKey
) -> ChunkIndexEntries:
    reader = chunk_index_reader(layout, outline.superblock, of.shape, of.maxshape)
    try:
        requests = next(reader)
        while True:
            requests = reader.send([_blocks(request, source, outline.head) for request in requests])
    except StopIteration as done:
        found: ChunkIndexEntries = done.value
        return found


def _blocks(request: Request, source: Source, head: bytes) -> NDArray[np.uint8]:
    """Read blocks, from what is in memory if they all are."""
    length = request.length
    places = request.offsets.tolist()
    if len(places) > _BLOCKS_MOST or max(places, default=0) + length > len(head):
        return source.read_blocks(request.offsets, length)
    data = bytearray(b"".join([head[at : at + length] for at in places]))
    return np.frombuffer(data, np.uint8).reshape(len(places), length)


def _holding(old: ChunkTable, data: bytes) -> ChunkTable:
    return old if old.inlined[0] == data else replace(old, inlined={0: data})


def _address(place: int | DataLayoutMessage) -> int:
    address = place if isinstance(place, int) else place.address
    return UNDEFINED if address is None else address


def recipe_for(
    array: Array, dataset: OpenDataset, outline: StructureKey, number: int, source: Source
) -> TableRebuilder | None:
    """Return where an array's chunks come from; None if they are the same in all such files.

    Parameters
    ----------
    dataset : OpenDataset
        The dataset, in the hands of h5py.

    Raises
    ------
    StructureMismatchError
        If they come from anywhere else.
    """
    table, place = array.chunks, outline.places.get(number)
    if array.dtype.kind == "O" or table.size > _CHUNKS_MOST:
        raise StructureMismatchError("strings, or too many chunks")
    if array.shape != dataset.zarr_shape:
        raise StructureMismatchError("an array that is longer than its dataset")
    if place is None or _address(place) == UNDEFINED or math.prod(array.shape) == 0:
        if table.referenced:
            raise StructureMismatchError("data without a place")
        return None
    whole = table.referenced == 0 and table.size == 1 and len(table.inlined) == 1
    if whole and array.codecs:
        raise StructureMismatchError("small values behind codecs")
    nbytes = len(table.inlined[0]) if whole else 0
    if not whole and (table.absent or table.inlined or table.urls != (source.url,)):
        raise StructureMismatchError("an array of several parts")
    if dataset.layout == h5py.h5d.CONTIGUOUS:
        last = int((table.offset + table.length).max(initial=0))
        end = max(last, _address(place) + dataset.nbytes)
        return _Inline(nbytes) if whole else _Move(_address(place), end)
    if dataset.layout != h5py.h5d.CHUNKED:
        raise StructureMismatchError("another layout")
    return _chunked_recipe(dataset, place, whole=whole)


def _chunked_recipe(
    dataset: OpenDataset, place: int | DataLayoutMessage, *, whole: bool
) -> TableRebuilder:
    chunk, element = dataset.chunk_shape, dataset.element
    size = math.prod(chunk) * element.itemsize
    layout = place if isinstance(place, DataLayoutMessage) else DataLayoutMessage(
        3, Storage.CHUNKED, place, 0, chunk, int(dataset.type.get_size()), IndexType.BTREE1
    )  # fmt: skip
    chunks = _Chunks(layout, dataset.shape, dataset.maxshape, 0 if dataset.pipeline else size)
    if not whole:
        return chunks
    if element.codecs or element.dims or math.prod(dataset.grid) > 1 or size > _DECODED_MOST:
        raise StructureMismatchError("small values in large or many chunks")
    none = np.empty(0, np.uint64)
    encoding = encoding_for(
        dataset.pipeline, none, none.astype(np.uint32), dtype=element.dtype,
        itemsize=element.itemsize, chunk_shape=chunk,
    )  # fmt: skip
    return _InlineChunk(chunks, element.dtype, encoding.codecs)

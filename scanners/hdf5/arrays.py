"""Datasets to arrays: each layout in its own way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable
from refmaker.model.contiguous import contiguous_table
from refmaker.scanners.hdf5.external import external_table
from refmaker.scanners.hdf5.filters import encoding_for
from refmaker.scanners.hdf5.strings import CODEC, read_strings, string_chunks
from refmaker.scanners.hdf5.types import ValueStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source
    from refmaker.scanners.hdf5.chunk_index import ChunkIndexEntries
    from refmaker.scanners.hdf5.dataset import OpenDataset
    from refmaker.scanning.options import ScanOptions

__all__ = ["ArrayMaker", "inlinable"]

_CHUNK_LIMIT = 4 * 1024**2
"""Bytes of a chunk that HDF5 may be made to decode for the sake of inlining few values."""
_BUILT_IN = frozenset([1, 2, 3, 4, 5, 6, 32000])
"""Filters that come with every h5py: the library's own, and LZF."""


def inlinable(dataset: OpenDataset, threshold: int) -> bool:
    """Tell whether a dataset is so small that its values are kept in the reference set."""
    if dataset.element.form is not ValueStorage.RAW or dataset.layout == h5py.h5d.VIRTUAL:
        return False
    if dataset.layout == h5py.h5d.COMPACT:
        return True
    if dataset.plist.get_external_count():
        return False
    if dataset.layout == h5py.h5d.CHUNKED:
        chunk = math.prod(dataset.chunk_shape) * dataset.element.itemsize
        # Plugins are not asked while scanning: what is inlined does not depend on them.
        if chunk > _CHUNK_LIMIT or any(f.id not in _BUILT_IN for f in dataset.pipeline):
            return False
    return 0 < dataset.nbytes <= threshold


class ArrayMaker:
    """Makes the arrays of one file.

    Parameters
    ----------
    source : Source
        The file.
    options : ScanOptions
        How to scan.
    siblings : RelatedFiles
        Opens external files.
    path_of : callable
        Gives the path of a referenced object.
    warn : callable
        Is told what a reader should know.
    """

    def __init__(
        self,
        source: Source,
        options: ScanOptions,
        siblings: RelatedFiles,
        path_of: Callable[[Any], str],
        warn: Callable[[str], None],
    ) -> None:
        self._source = source
        self._options = options
        self._siblings = siblings
        self._path_of = path_of
        self._warn = warn

    def make(self, dataset: OpenDataset, columns: ChunkIndexEntries | Exception | None) -> Array:
        """Return the array of a dataset that is not virtual, without names and attributes.

        Parameters
        ----------
        columns : ChunkIndexEntries, Exception or None
            Where the chunks of a chunked dataset lie, or why that is not known.

        Raises
        ------
        RefmakerError, OSError, RuntimeError, ValueError
            If it cannot be expressed, or is damaged.
        """
        if dataset.element.form is not ValueStorage.RAW:
            return self._strings(dataset)
        if math.prod(dataset.zarr_shape) == 0:
            return self._empty(dataset)
        if inlinable(dataset, self._options.inline_threshold):
            return self._inlined(dataset)
        if dataset.layout == h5py.h5d.CHUNKED:
            if isinstance(columns, Exception):
                raise columns
            if columns is None:
                raise FormatError("its chunks were not looked for")
            return self._chunked(dataset, columns)
        return self._contiguous(dataset)

    def _strings(self, dataset: OpenDataset) -> Array:
        texts = read_strings(dataset, self._options.inline_budget, self._path_of, self._warn)
        chunk, table = string_chunks(texts, dataset.shape)
        return Array(dataset.shape, chunk, np.dtype(object), table, filters=(CODEC,))

    def _empty(self, dataset: OpenDataset) -> Array:
        shape = dataset.zarr_shape
        chunk = tuple(max(1, extent) for extent in shape)
        if dataset.layout == h5py.h5d.CHUNKED:
            chunk = (*dataset.chunk_shape, *dataset.element.dims)
        grid = tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))
        return Array(shape, chunk, dataset.element.dtype, ChunkTable.empty(grid))

    def _inlined(self, dataset: OpenDataset) -> Array:
        shape = dataset.zarr_shape
        data = dataset.read().tobytes()
        table = ChunkTable.inline((1,) * len(shape), {0: data})
        return Array(shape, shape, dataset.element.dtype, table)

    def _contiguous(self, dataset: OpenDataset) -> Array:
        element, shape = dataset.element, dataset.zarr_shape
        target = self._options.chunk_bytes
        offset = dataset.id.get_offset()
        if dataset.plist.get_external_count():
            chunk, table = external_table(dataset, self._siblings, target)
        elif offset is None:
            chunk, table = shape, ChunkTable.empty((1,) * len(shape))
        else:
            self._inside(dataset, int(offset), dataset.nbytes)
            chunk, table = contiguous_table(
                shape, element.stored, int(offset), self._source.url, target
            )
        return Array(
            shape, chunk, element.dtype, table,
            fill_value=_fill(dataset, chunk, table), filters=element.codecs,
        )  # fmt: skip

    def _chunked(self, dataset: OpenDataset, columns: ChunkIndexEntries) -> Array:
        element = dataset.element
        encoding = encoding_for(
            dataset.pipeline,
            columns.length,
            columns.mask,
            dtype=np.dtype((element.dtype, element.dims)) if element.dims else element.dtype,
            itemsize=element.itemsize,
            chunk_shape=dataset.chunk_shape,
        )
        if not encoding.codecs and bool(np.any(columns.length != encoding.nbytes)):
            raise FormatError(f"unfiltered chunks that do not have {encoding.nbytes} bytes")
        keep = np.ones(len(columns), bool)
        keep[encoding.inline] = False
        self._afford(dataset, encoding.inline.size * encoding.nbytes)
        inlined = {
            number: encoding.inlined(self._decoded(dataset, number))
            for number in columns.index[encoding.inline].tolist()
        }
        table = ChunkTable.from_columns(
            (*dataset.grid, *(1,) * len(element.dims)),
            (self._source.url,),
            offset=columns.offset[keep],
            length=columns.length[keep],
            index=columns.index[keep],
            inlined=inlined,
        )
        return Array(
            dataset.zarr_shape,
            (*dataset.chunk_shape, *element.dims),
            element.dtype,
            table,
            fill_value=_fill(dataset, (*dataset.chunk_shape, *element.dims), table),
            filters=(*element.codecs, *encoding.codecs),
        )

    def _afford(self, dataset: OpenDataset, nbytes: int) -> None:
        if nbytes > self._options.inline_budget or (nbytes and dataset.element.codecs):
            raise UnsupportedError(
                f"chunks of equal length went through different filters; inlining {nbytes} bytes "
                "of them would pass the budget",
                code="filter-mask-conflict",
                hint="raise `inline_budget`",
            )

    def _decoded(self, dataset: OpenDataset, number: int) -> bytes:
        """Return one chunk as HDF5 decodes it, padded to a whole chunk."""
        at = np.unravel_index(number, dataset.grid)
        corner = [int(n) * c for n, c in zip(at, dataset.chunk_shape, strict=True)]
        count = [
            min(c, n - a)
            for a, c, n in zip(corner, dataset.chunk_shape, dataset.shape, strict=True)
        ]
        part = np.zeros((*count, *dataset.element.dims), dataset.element.dtype)
        space = dataset.id.get_space()
        space.select_hyperslab(tuple(corner), tuple(count))
        memory = h5py.h5s.create_simple(tuple(count))
        dataset.id.read(memory, space, part, dataset.type)
        whole = np.zeros((*dataset.chunk_shape, *dataset.element.dims), dataset.element.dtype)
        whole[tuple(slice(n) for n in count)] = part
        return whole.tobytes()

    def _inside(self, dataset: OpenDataset, offset: int, nbytes: int) -> None:
        if offset + nbytes > self._source.size:
            raise TruncatedError(
                f"{nbytes} bytes of data are needed where the file has {self._source.size} in all",
                path=dataset.path,
                offset=offset,
            )


def _fill(dataset: OpenDataset, chunk: tuple[int, ...], table: ChunkTable) -> Any:
    """Return the value of elements in absent chunks; None if it is zero, or no chunk is absent."""
    if not table.absent:
        return None
    try:
        return dataset.stored_fill
    except UnsupportedError:
        # HDF5 converts the fill value of such types only by reading what was never written.
        inlined = np.fromiter(table.inlined, np.uint64, len(table.inlined))
        present = np.union1d(table.numbers(), inlined)
        gaps = np.flatnonzero(present != np.arange(present.size, dtype=np.uint64))
        absent = int(gaps[0]) if gaps.size else present.size
        at = np.unravel_index(absent, table.grid) if table.grid else ()
        place = tuple(int(n) * c for n, c in zip(at, chunk, strict=True))[: len(dataset.shape)]
        value = dataset.element_at(place)
        return value if any(value.tobytes()) else None

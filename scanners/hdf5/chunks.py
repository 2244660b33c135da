"""Where the chunks of many datasets lie: our readers first, HDF5's own iterator behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, RefmakerError, TruncatedError
from refmaker.scanners.hdf5.batched_reads import run_readers
from refmaker.scanners.hdf5.chunk_index import (
    ChunkIndexEntries,
    chunk_index_reader,
    chunk_iter_is_wrong,
)
from refmaker.scanners.hdf5.layout import DataLayoutMessage, layout_reader
from refmaker.scanners.hdf5.superblock import Superblock, superblock_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from refmaker.io.source import Source
    from refmaker.scanners.hdf5.dataset import OpenDataset

__all__ = ["ChunkFinder", "iterate"]

SMALL = 1024
"""Chunks below which, in a local file, asking HDF5 costs less than parsing the index."""
_CHECKED_MOST = 4 * 1024**2
"""Bytes of a chunk that is read only to compare it."""


class ChunkFinder:
    """Finds the chunks of the datasets of one file.

    Parameters
    ----------
    source : Source
        The file.
    warn : callable
        Is told when an index had to be read through HDF5.
    verify : bool
        Whether every position is compared with what HDF5 says.
    """

    def __init__(
        self, source: Source, warn: Callable[[str], None], *, verify: bool = False
    ) -> None:
        self._source = source
        self._warn = warn
        self._verify = verify
        self._cache = source if source.path is None else None
        [found] = run_readers([superblock_reader(source.size)], source.read_blocks)
        self._superblock: Superblock | Exception = found

    def find(self, datasets: Iterable[OpenDataset]) -> dict[int, ChunkIndexEntries | Exception]:
        """Return the chunks of chunked datasets, by address, or why they could not be found.

        Edge chunks that the file stores unfiltered come with every bit of their mask set.
        """
        wanted = {dataset.address: dataset for dataset in datasets}
        layouts = self._layouts([d for d in wanted.values() if self._needs_layout(d)])
        ours = [
            d
            for d in wanted.values()
            if d.address in layouts and (self._parses(d) or _mislisted(d, layouts[d.address]))
        ]
        found = self._columns(ours, layouts)
        for address, dataset in wanted.items():
            columns = found.get(address)
            if not isinstance(columns, ChunkIndexEntries):
                self._explain(dataset, columns)
                columns = None
            found[address] = self._settle(dataset, columns, layouts.get(address))
        return found

    def _settle(
        self,
        dataset: OpenDataset,
        columns: ChunkIndexEntries | None,
        layout: DataLayoutMessage | None,
    ) -> ChunkIndexEntries | Exception:
        """Ask HDF5 where our readers did not answer, or where that was asked for."""
        try:
            if layout is not None and _mislisted(dataset, layout):
                if columns is None:
                    raise FormatError("its chunk index cannot be read")
            elif columns is None:
                columns = iterate(dataset)
            elif self._verify:
                columns = self._compared(dataset, columns)
            return self._finish(dataset, columns, layout)
        except (RefmakerError, OSError, RuntimeError, ValueError, KeyError) as error:
            return error

    def _parses(self, dataset: OpenDataset) -> bool:
        return self._source.path is None or math.prod(dataset.grid) >= SMALL

    def _needs_layout(self, dataset: OpenDataset) -> bool:
        if isinstance(self._superblock, Exception):
            return False
        partial = any(n % c for n, c in zip(dataset.shape, dataset.chunk_shape, strict=True))
        # Only layouts of HDF5 1.10 can leave edges unfiltered; older superblocks rule them out.
        unfiltered = partial and bool(dataset.pipeline) and self._superblock.version >= 2
        growing = [limit is None for limit in dataset.maxshape]
        mislisted = self._superblock.version >= 2 and sum(growing) == 1 and not growing[0]
        return self._parses(dataset) or unfiltered or mislisted

    def _layouts(self, datasets: Sequence[OpenDataset]) -> dict[int, DataLayoutMessage]:
        if isinstance(self._superblock, Exception) or not datasets:
            return {}
        superblock = self._superblock
        readers = [layout_reader(dataset.address, superblock) for dataset in datasets]
        results = run_readers(readers, self._source.read_blocks, cache=self._cache)
        return {
            dataset.address: result
            for dataset, result in zip(datasets, results, strict=True)
            if isinstance(result, DataLayoutMessage) and result.chunk == dataset.chunk_shape
        }

    def _columns(
        self, datasets: Sequence[OpenDataset], layouts: dict[int, DataLayoutMessage]
    ) -> dict[int, ChunkIndexEntries | Exception]:
        if isinstance(self._superblock, Exception) or not datasets:
            return {}
        readers = [
            chunk_index_reader(layouts[d.address], self._superblock, d.shape, d.maxshape)
            for d in datasets
        ]
        results = run_readers(readers, self._source.read_blocks, cache=self._cache)
        found: dict[int, ChunkIndexEntries | Exception] = {}
        for dataset, result in zip(datasets, results, strict=True):
            checkable = not _mislisted(dataset, layouts[dataset.address])
            if (
                isinstance(result, ChunkIndexEntries)
                and checkable
                and not self._agrees(dataset, result)
            ):
                found[dataset.address] = ValueError("HDF5 places some of the chunks elsewhere")
            else:
                found[dataset.address] = result
        return found

    def _agrees(self, dataset: OpenDataset, columns: ChunkIndexEntries) -> bool:
        try:
            return _spot_check(dataset, columns, self._source)
        except (RefmakerError, OSError, RuntimeError, ValueError):
            return False

    def _explain(self, dataset: OpenDataset, error: object) -> None:
        if isinstance(error, Exception):
            self._warn(f"{dataset.path}: chunk index read through HDF5 ({error})")

    def _compared(self, dataset: OpenDataset, ours: ChunkIndexEntries) -> ChunkIndexEntries:
        theirs = iterate(dataset)
        if not _same(ours, theirs):
            self._warn(f"{dataset.path}: chunk index read through HDF5 (ours differed)")
        return theirs

    def _finish(
        self, dataset: OpenDataset, columns: ChunkIndexEntries, layout: DataLayoutMessage | None
    ) -> ChunkIndexEntries:
        """Check bounds, and mark the chunks over the edge that are stored unfiltered."""
        ends = columns.offset + columns.length
        if ends.size and int(ends.max()) > self._source.size:
            worst = int(columns.offset[int(np.argmax(ends))])
            raise TruncatedError(
                "chunks lie behind the end of the file", path=dataset.path, offset=worst
            )
        if layout is None or not layout.unfiltered_edges:
            return columns
        at = np.unravel_index(columns.index.astype(np.int64), dataset.grid)
        partial = np.zeros(len(columns), bool)
        for axis, (n, c) in enumerate(zip(dataset.shape, dataset.chunk_shape, strict=True)):
            if n % c:
                partial |= at[axis] == dataset.grid[axis] - 1
        mask = np.where(partial, np.uint32(0xFFFFFFFF), columns.mask)
        return ChunkIndexEntries(columns.index, columns.offset, columns.length, mask)


def _mislisted(dataset: OpenDataset, layout: DataLayoutMessage) -> bool:
    return chunk_iter_is_wrong(layout, dataset.maxshape)


def iterate(dataset: OpenDataset) -> ChunkIndexEntries:
    """Return a dataset's chunks as HDF5 lists them.

    Raises
    ------
    OSError, RuntimeError
        If the library cannot read the index.
    """
    rows: list[Any] = []
    # The callback must return None: anything else ends the iteration.
    dataset.id.chunk_iter(rows.append)
    rank = len(dataset.shape)
    if not rows:
        none = np.empty(0, np.uint64)
        return ChunkIndexEntries(none, none, none, none.astype(np.uint32))
    corners, masks, offsets, sizes = zip(*rows, strict=True)
    # Damaged indexes name places that no signed integer holds.
    corner = np.array(corners, np.uint64).reshape(len(rows), rank)
    scaled = corner // np.array(dataset.chunk_shape, np.uint64)
    inside = (scaled < np.array(dataset.grid, np.uint64)).all(axis=1)
    places = scaled[inside].astype(np.int64)
    index = np.ravel_multi_index(tuple(places.T), dataset.grid).astype(np.uint64)
    order = np.argsort(index, kind="stable")
    return ChunkIndexEntries(
        index[order],
        np.array(offsets, np.uint64)[inside][order],
        np.array(sizes, np.uint64)[inside][order],
        np.array(masks, np.uint32)[inside][order],
    )


def _spot_check(dataset: OpenDataset, columns: ChunkIndexEntries, source: Source) -> bool:
    """Compare single chunks with HDF5: the first by its place, two more by their bytes.

    HDF5 walks its index from the start to tell the place of a chunk, but finds the bytes of any
    chunk at once. Bytes of remote files are left alone.
    """
    if not len(columns):
        return True
    known = dataset.id.get_chunk_info_by_coord(_corner(dataset, columns, 0))
    ours = (int(columns.offset[0]), int(columns.length[0]), int(columns.mask[0]))
    if ours != (known.byte_offset, known.size, known.filter_mask):
        return False
    if source.path is None:
        return True
    for row in {len(columns) // 2, len(columns) - 1} - {0}:
        offset, length = int(columns.offset[row]), int(columns.length[row])
        if length > _CHECKED_MOST:
            continue
        mask, raw = dataset.id.read_direct_chunk(_corner(dataset, columns, row))
        if mask != int(columns.mask[row]) or bytes(raw) != source.read(offset, length):
            return False
    return True


def _corner(dataset: OpenDataset, columns: ChunkIndexEntries, row: int) -> tuple[int, ...]:
    """Return the first element of a row's chunk."""
    at = np.unravel_index(int(columns.index[row]), dataset.grid)
    return tuple(int(n) * c for n, c in zip(at, dataset.chunk_shape, strict=True))


def _same(one: ChunkIndexEntries, other: ChunkIndexEntries) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("index", "offset", "length", "mask")
    )

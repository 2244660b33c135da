"""Select and run the reader of a dataset's chunk index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import UnsupportedError
from refmaker.scanners.hdf5.batched_reads import ReadBlocks, Steps, run_readers
from refmaker.scanners.hdf5.chunk_index.columns import ChunkGrid, ChunkIndexEntries, ColumnsBuilder
from refmaker.scanners.hdf5.layout import DataLayoutMessage, IndexType, Storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refmaker.scanners.hdf5.superblock import Superblock

__all__ = ["chunk_index_reader", "chunk_iter_is_wrong", "read_chunk_index"]


def chunk_iter_is_wrong(layout: DataLayoutMessage, maxshape: Sequence[int | None]) -> bool:
    """Whether HDF5's own listing of the chunks must not be used.

    Extensible arrays count chunks with the unlimited dimension in front. HDF5 does so
    when it reads and writes data, but not when it lists chunks: where the unlimited
    dimension is not the first, ``chunk_iter``, ``get_chunk_info`` and
    ``get_chunk_info_by_coord`` give the places of chunks under other chunks'
    coordinates (seen with HDF5 2.0.0). Offsets, sizes and masks are right as a set.

    Parameters
    ----------
    maxshape : sequence of int or None
        Largest extent; None where unlimited.

    Returns
    -------
    bool
        Neither a fallback to that listing nor a comparison with it makes sense.
    """
    return layout.index is IndexType.EXTENSIBLE_ARRAY and maxshape[0] is not None


def chunk_index_reader(
    layout: DataLayoutMessage,
    superblock: Superblock,
    shape: Sequence[int],
    maxshape: Sequence[int | None],
) -> Steps[ChunkIndexEntries]:
    """Read a chunk index, batched with others; see `batched_reads.run_readers`.

    Parameters
    ----------
    shape : sequence of int
        Current extent in elements.
    maxshape : sequence of int or None
        Largest extent; None where unlimited. (Array indexes are laid out by it.)

    Returns
    -------
    ChunkIndexEntries
        What ``h5py``'s ``chunk_iter`` would list, sorted; where that is wrong
        (:func:`chunk_iter_is_wrong`), what HDF5 finds when it reads the dataset.

    Raises
    ------
    FormatError, TruncatedError
        The index is corrupt.
    UnsupportedError
        It is of a kind or version that is not implemented.
    """
    if layout.storage is not Storage.CHUNKED or layout.index is None:
        raise UnsupportedError("the dataset has no chunks", code="hdf5-not-chunked")
    grid = ChunkGrid.of(layout, superblock, shape, maxshape)
    start = layout.address
    if not grid.size or start is None:
        return ColumnsBuilder(grid).build()
    if layout.index in (IndexType.SINGLE, IndexType.IMPLICIT):
        from refmaker.scanners.hdf5.chunk_index.implicit import implicit_columns, single_columns

        single = layout.index is IndexType.SINGLE
        return single_columns(grid, start) if single else implicit_columns(grid, start)
    return (yield from _reader(layout.index)(grid, start))


def _reader(index: IndexType) -> Callable[[ChunkGrid, int], Steps[ChunkIndexEntries]]:
    """Return the reader of a kind of index, which is loaded when a file has such a one."""
    if index is IndexType.BTREE1:
        from refmaker.scanners.hdf5.chunk_index.btree1 import read_btree1

        return read_btree1
    if index is IndexType.BTREE2:
        from refmaker.scanners.hdf5.chunk_index.btree2 import read_btree2

        return read_btree2
    if index is IndexType.FIXED_ARRAY:
        from refmaker.scanners.hdf5.chunk_index.fixed_array import read_fixed_array

        return read_fixed_array
    from refmaker.scanners.hdf5.chunk_index.extensible_array import read_extensible_array

    return read_extensible_array


def read_chunk_index(
    layout: DataLayoutMessage,
    superblock: Superblock,
    shape: Sequence[int],
    maxshape: Sequence[int | None],
    read_blocks: ReadBlocks,
) -> ChunkIndexEntries:
    """Read one chunk index.

    Parameters
    ----------
    layout, superblock, shape, maxshape
        See :func:`chunk_index_reader`.
    read_blocks : callable
        As for `batched_reads.run_readers`.

    Raises
    ------
    FormatError, TruncatedError, UnsupportedError
        See :func:`chunk_index_reader`.
    """
    [result] = run_readers([chunk_index_reader(layout, superblock, shape, maxshape)], read_blocks)
    if isinstance(result, Exception):
        raise result
    return result

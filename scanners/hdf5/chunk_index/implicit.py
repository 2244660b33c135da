"""Chunk indexes that are no structure on disk at all: single chunk and implicit.

HDF5 File Format Specification, VII.A "The Single Chunk Index" and VII.B "The Implicit
Index".
"""

from __future__ import annotations

from math import prod

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.hdf5.chunk_index.columns import ChunkGrid, ChunkIndexEntries, ColumnsBuilder

__all__ = ["implicit_columns", "single_columns"]


def single_columns(grid: ChunkGrid, start: int) -> ChunkIndexEntries:
    """Columns of a dataset that is one chunk."""
    layout = grid.layout
    builder = ColumnsBuilder(grid)
    if grid.size != 1:
        raise FormatError(f"a single chunk index over {grid.size} chunks", offset=start)
    builder.add(
        np.zeros(1, np.uint64),
        np.array([start - grid.superblock.base], np.uint64),
        layout.size if layout.single_filtered else layout.chunk_bytes,
        layout.mask,
    )
    return builder.build()


def implicit_columns(grid: ChunkGrid, start: int) -> ChunkIndexEntries:
    """Columns of a dataset whose unfiltered chunks lie one behind the other.

    All chunks up to the largest extent have their place, in C order.
    """
    layout, superblock = grid.layout, grid.superblock
    builder = ColumnsBuilder(grid)
    most = tuple(count for count in grid.max_counts if count is not None)
    if len(most) != len(grid.counts):
        raise FormatError("an implicit index with an unlimited dimension", offset=start)
    # Before anything is allocated: the last chunk of the grid must lie in the file.
    last = 0
    for count, limit in zip(grid.counts, most, strict=True):
        last = last * limit + count - 1
    if start + (last + 1) * layout.chunk_bytes > superblock.end:
        raise FormatError("the chunks reach past the end of the file", offset=start)
    index = np.arange(grid.size, dtype=np.uint64)
    place = np.zeros(grid.size, dtype=np.uint64)
    for axis in range(len(most)):
        stride = np.uint64(prod(grid.counts[axis + 1 :]))
        place += (index // stride % np.uint64(grid.counts[axis])) * np.uint64(
            prod(most[axis + 1 :])
        )
    address = place * np.uint64(layout.chunk_bytes) + np.uint64(start - superblock.base)
    builder.add(index, address, layout.chunk_bytes, 0)
    return builder.build()

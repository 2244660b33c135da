"""The fixed array index (layout versions 4 and 5, no unlimited dimension).

HDF5 File Format Specification, VII.C "The Fixed Array Index": a header (FAHD) and one
data block (FADB) with an element for each chunk up to the largest extent. A large
data block is divided into pages, each with a checksum, and has a bitmap of the pages
that were ever written.
"""

from __future__ import annotations

from math import prod

import numpy as np

from refmaker.errors import FormatError, TruncatedError
from refmaker.scanners.hdf5.batched_reads import Steps, batches, fetch
from refmaker.scanners.hdf5.checksum import check_blocks
from refmaker.scanners.hdf5.chunk_index.columns import (
    U64,
    ChunkGrid,
    ChunkIndexEntries,
    ColumnsBuilder,
)
from refmaker.scanners.hdf5.chunk_index.elements import Elements, check_prefix
from refmaker.scanners.hdf5.chunk_index.nodes import read_header
from refmaker.scanners.hdf5.object_header import UNDEFINED, absolute

__all__ = ["read_fixed_array"]

_HEADER_SIZE = 28
_PREFIX_SIZE = 14
_WHAT = "fixed array data block"


def read_fixed_array(grid: ChunkGrid, start: int) -> Steps[ChunkIndexEntries]:
    """Read a fixed array."""
    builder = ColumnsBuilder(grid)
    superblock = grid.superblock
    most = tuple(count for count in grid.max_counts if count is not None)
    if len(most) != len(grid.counts):
        raise FormatError("a fixed array with an unlimited dimension", offset=start)
    what = "fixed array header"
    header = yield from read_header(start, _HEADER_SIZE, superblock.end, b"FAHD", what)
    elements = Elements.of(grid, header, start, most, tuple(range(len(most))))
    page_bits = header[7]
    count = int.from_bytes(header[8:16], "little")
    if count != prod(most) or page_bits != grid.layout.parameters[0] or page_bits > 62:
        raise FormatError("the fixed array does not fit the dataset", offset=start)
    address = int.from_bytes(header[16:24], "little")
    if address != UNDEFINED:
        where = absolute(address, superblock.base, superblock.end, _WHAT)
        if count <= 1 << page_bits:
            yield from _read_block(elements, builder, where, count)
        else:
            yield from _read_pages(elements, builder, where, (count, 1 << page_bits))
    return builder.build()


def _expected(elements: Elements) -> tuple[bytes, int, int]:
    grid = elements.grid
    return b"FADB", elements.client, (grid.layout.address or 0) - grid.superblock.base


def _read_block(elements: Elements, builder: ColumnsBuilder, where: int, count: int) -> Steps[None]:
    """Read a data block without pages."""
    end = _PREFIX_SIZE + count * elements.size
    file_size = elements.grid.superblock.end
    blocks = yield from fetch([where], end + 4, file_size, _WHAT)
    offsets = np.array([where], np.uint64)
    check_prefix(blocks, offsets, _expected(elements), _WHAT)
    check_blocks(blocks, end, offsets, _WHAT)
    elements.add_to(builder, blocks[:, _PREFIX_SIZE:end], np.zeros(1, np.uint64))


def _read_pages(
    elements: Elements, builder: ColumnsBuilder, where: int, counts: tuple[int, int]
) -> Steps[None]:
    """Read a data block with pages: those that were written and hold current chunks."""
    count, per_page = counts
    file_size = elements.grid.superblock.end
    pages = -(-count // per_page)
    prefix = _PREFIX_SIZE + -(-pages // 8) + 4
    if where + prefix + count * elements.size + 4 * pages > file_size:
        raise TruncatedError(f"{_WHAT} reaches past the end of the file", offset=where)
    blocks = yield from fetch([where], prefix, file_size, _WHAT)
    offsets = np.array([where], np.uint64)
    check_prefix(blocks, offsets, _expected(elements), _WHAT)
    check_blocks(blocks, prefix - 4, offsets, _WHAT)
    pages_written: U64 = np.flatnonzero(
        np.unpackbits(blocks[0, _PREFIX_SIZE:-4], count=pages)
    ).astype(np.uint64)
    last = 0
    for size, limit in zip(elements.grid.counts, elements.counts, strict=True):
        last = last * limit + size - 1
    wanted = pages_written[pages_written <= last // per_page]
    length = per_page * elements.size
    whole = wanted < count // per_page  # all but the last page, if that is shorter
    for part, nbytes in (
        (wanted[whole], length),
        (wanted[~whole], count % per_page * elements.size),
    ):
        places = part * np.uint64(length + 4) + np.uint64(where + prefix)
        for batch in batches(len(part), nbytes):
            rows = yield from fetch(places[batch], nbytes + 4, file_size, "fixed array page")
            check_blocks(rows, nbytes, places[batch], "fixed array page")
            elements.add_to(builder, rows[:, :nbytes], part[batch] * np.uint64(per_page))

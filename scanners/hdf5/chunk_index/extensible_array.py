"""The extensible array index (layout versions 4 and 5, one unlimited dimension).

HDF5 File Format Specification, VII.D "The Extensible Array Index". The elements lie in
data blocks (EADB) whose sizes grow as the array does: the first few elements in the
index block (EAIB), the next data blocks are pointed to by the index block, all others
by super blocks (EASB). Super block u holds 2^(u/2) data blocks of 2^((u+1)/2) times
the smallest number of elements. Data blocks larger than a page are divided into pages,
and a bitmap in the super block tells which pages were ever written.

The array counts chunks with the unlimited dimension moved to the front, so that it
only ever grows at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.hdf5.batched_reads import (
    BATCH_BYTES,
    Blocks,
    Request,
    Steps,
    batches,
    checked_request,
    fetch,
)
from refmaker.scanners.hdf5.checksum import check_blocks
from refmaker.scanners.hdf5.chunk_index.columns import (
    U64,
    ChunkGrid,
    ChunkIndexEntries,
    ColumnsBuilder,
    absolute_offsets,
)
from refmaker.scanners.hdf5.chunk_index.elements import Elements, check_prefix
from refmaker.scanners.hdf5.chunk_index.nodes import check_disjoint, read_header
from refmaker.scanners.hdf5.object_header import UNDEFINED, absolute

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_extensible_array"]

_HEADER_SIZE = 72
_PREFIX_SIZE = 14
_BLOCK = "extensible array data block"
_SUPER = "extensible array super block"


@dataclass(frozen=True, slots=True)
class _Level:
    """The data blocks of one super block.

    ``start`` counts elements behind those of the index block.
    """

    number: int
    start: int
    blocks: int
    elements: int


@dataclass(frozen=True, slots=True)
class _Array:
    """Parameters of one array, from its header."""

    elements: Elements
    header: int
    max_bits: int
    inline: int
    min_elements: int
    min_pointers: int
    page: int
    limit: int
    index_block: int

    @property
    def file_size(self) -> int:
        return self.elements.grid.superblock.end

    @property
    def prefix(self) -> int:
        """Bytes before the elements of a data block: its offset in the array comes last."""
        return _PREFIX_SIZE + -(-self.max_bits // 8)

    @property
    def direct(self) -> int:
        """How many levels the index block points to without a super block."""
        return 2 * (self.min_pointers.bit_length() - 1)

    def levels(self) -> list[_Level]:
        """All levels that the array may have."""
        found, start = [], 0
        for number in range(1 + self.max_bits - (self.min_elements.bit_length() - 1)):
            level = _Level(number, start, 1 << number // 2, self.min_elements << (number + 1) // 2)
            found.append(level)
            start += level.blocks * level.elements
        return found

    def expected(self, signature: bytes) -> tuple[bytes, int, int]:
        """Say what the array's blocks start with."""
        return signature, self.elements.client, self.header - self.elements.grid.superblock.base


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Equally long blocks or pages of elements: where they lie, their first elements."""

    offsets: U64
    first: U64
    skip: int
    size: int

    @property
    def length(self) -> int:
        return self.skip + self.size + 4


def read_extensible_array(grid: ChunkGrid, start: int) -> Steps[ChunkIndexEntries]:
    """Read an extensible array."""
    builder = ColumnsBuilder(grid)
    what = "extensible array header"
    header = yield from read_header(start, _HEADER_SIZE, grid.superblock.end, b"EAHD", what)
    array = _parse_header(header, grid, start)
    if array.index_block == UNDEFINED or not array.limit:
        return builder.build()
    runs, supers = yield from _read_index_block(array, builder)
    runs += yield from _read_super_blocks(array, supers)
    for part in runs:
        check_disjoint(part.offsets, part.length, _BLOCK)
    for pack in _packs(runs):
        replies = yield tuple(_request(part, array) for part in pack)
        for part, rows in zip(pack, replies, strict=True):
            _add_elements(array, builder, part, rows)
    return builder.build()


def _parse_header(header: bytes, grid: ChunkGrid, offset: int) -> _Array:
    free = [axis for axis, count in enumerate(grid.max_counts) if count is None]
    if len(free) != 1:
        raise FormatError(
            f"an extensible array with {len(free)} unlimited dimensions", offset=offset
        )
    order = (free[0], *(axis for axis in range(len(grid.counts)) if axis != free[0]))
    counts = tuple(grid.max_counts[axis] or 0 for axis in order)
    elements = Elements.of(grid, header, offset, counts, order)
    max_bits, inline, min_elements, min_pointers, page_bits = header[7:12]
    # The layout message names the same five, in another order.
    if grid.layout.parameters != (max_bits, inline, min_pointers, min_elements, page_bits):
        raise FormatError("the extensible array does not fit the dataset", offset=offset)
    powers = all(n and not n & (n - 1) for n in (min_elements, min_pointers))
    if not powers or max_bits > 64 or min_pointers < 2 or page_bits > 62:
        raise FormatError("impossible parameters of an extensible array", offset=offset)
    needed = 0
    for axis, limit in zip(order, counts, strict=True):
        needed = needed * limit + grid.counts[axis] - 1
    array = _Array(
        elements,
        offset,
        max_bits,
        inline,
        min_elements,
        min_pointers,
        1 << page_bits,
        min(int.from_bytes(header[44:52], "little"), needed + 1),
        int.from_bytes(header[60:68], "little"),
    )
    if len(array.levels()) < array.direct:
        raise FormatError("impossible parameters of an extensible array", offset=offset)
    return array


def _wanted(array: _Array, level: _Level) -> int:
    """How many data blocks of a level hold elements below the limit."""
    rest = array.limit - array.inline - level.start
    return max(0, min(level.blocks, -(-rest // level.elements)))


def _read_index_block(
    array: _Array, builder: ColumnsBuilder
) -> Steps[tuple[list[_Runs], list[tuple[_Level, int]]]]:
    """Elements inside the index block; the data blocks and super blocks it points to."""
    what = "extensible array index block"
    superblock = array.elements.grid.superblock
    where = absolute(array.index_block, superblock.base, array.file_size, what)
    levels = array.levels()
    inline = array.inline * array.elements.size
    data_pointers = 2 * (array.min_pointers - 1)
    end = _PREFIX_SIZE + inline + 8 * (data_pointers + len(levels) - array.direct)
    blocks = yield from fetch([where], end + 4, array.file_size, what)
    offsets = np.array([where], np.uint64)
    check_prefix(blocks, offsets, array.expected(b"EAIB"), what)
    check_blocks(blocks, end, offsets, what)
    elements = blocks[:, _PREFIX_SIZE : _PREFIX_SIZE + inline]
    array.elements.add_to(builder, elements, np.zeros(1, np.uint64))
    pointers = blocks[0, _PREFIX_SIZE + inline : end].view("<u8").astype(np.uint64)
    runs, at = [], 0
    for level in levels[: array.direct]:
        addresses = pointers[at : at + level.blocks][: _wanted(array, level)]
        runs.append(_block_runs(array, level, addresses))
        at += level.blocks
    supers = [
        (level, int(address))
        for level, address in zip(levels[array.direct :], pointers[data_pointers:], strict=True)
        if address != UNDEFINED and _wanted(array, level)
    ]
    return runs, supers


def _read_super_blocks(array: _Array, supers: list[tuple[_Level, int]]) -> Steps[list[_Runs]]:
    """Find the data blocks that super blocks point to, all in one round."""
    if not supers:
        return []
    requests = []
    for level, address in supers:
        where = absolute(address, array.elements.grid.superblock.base, array.file_size, _SUPER)
        length = array.prefix + _bitmap_size(array, level) + 8 * level.blocks + 4
        requests.append(checked_request([where], length, array.file_size, _SUPER))
    replies = yield tuple(requests)
    runs = []
    for (level, _), request, block in zip(supers, requests, replies, strict=True):
        check_prefix(block, request.offsets, array.expected(b"EASB"), _SUPER)
        check_blocks(block, request.length - 4, request.offsets, _SUPER)
        pointers = block[0, request.length - 4 - 8 * level.blocks : -4]
        addresses = pointers.view("<u8").astype(np.uint64)[: _wanted(array, level)]
        runs.append(_block_runs(array, level, addresses))
        if level.elements > array.page:
            bits = block[0, array.prefix : array.prefix + _bitmap_size(array, level)]
            runs.append(_page_runs(array, level, addresses, np.unpackbits(bits)))
    return runs


def _bitmap_size(array: _Array, level: _Level) -> int:
    """Bytes of a super block's bitmaps of pages: whole bytes for each data block."""
    pages = level.elements // array.page
    return level.blocks * -(-pages // 8) if pages > 1 else 0


def _firsts(array: _Array, level: _Level, numbers: U64) -> U64:
    """First elements of some data blocks of a level."""
    return numbers * np.uint64(level.elements) + np.uint64(array.inline + level.start)


def _block_runs(array: _Array, level: _Level, addresses: U64) -> _Runs:
    """Locate the allocated data blocks; of those with pages the part before the pages."""
    numbers = np.flatnonzero(addresses != UNDEFINED).astype(np.uint64)
    offsets = absolute_offsets(addresses[numbers], array.elements.grid.superblock, _BLOCK)
    paged = level.elements > array.page
    size = 0 if paged else level.elements * array.elements.size
    return _Runs(offsets, _firsts(array, level, numbers), array.prefix, size)


def _page_runs(array: _Array, level: _Level, addresses: U64, bits: Blocks) -> _Runs:
    """Locate the written pages of data blocks that hold elements below the limit."""
    pages = level.elements // array.page
    size = array.page * array.elements.size
    # The bits of successive data blocks follow each other without gaps.
    written = bits[: len(addresses) * pages].reshape(len(addresses), pages).astype(bool)
    written &= (addresses != UNDEFINED)[:, None]
    block, page = (column.astype(np.uint64) for column in np.nonzero(written))
    first = _firsts(array, level, block) + page * np.uint64(array.page)
    keep = first < array.limit
    block, page, first = block[keep], page[keep], first[keep]
    start = absolute_offsets(addresses[block], array.elements.grid.superblock, _BLOCK)
    offsets = start + page * np.uint64(size + 4) + np.uint64(array.prefix + 4)
    return _Runs(offsets, first, 0, size)


def _packs(runs: list[_Runs]) -> Iterator[list[_Runs]]:
    """Divide the runs into rounds of at most BATCH_BYTES."""
    pack: list[_Runs] = []
    held = 0
    for part in runs:
        for batch in batches(len(part.offsets), part.length):
            some = _Runs(part.offsets[batch], part.first[batch], part.skip, part.size)
            size = len(some.offsets) * some.length
            if pack and held + size > BATCH_BYTES:
                yield pack
                pack, held = [], 0
            pack.append(some)
            held += size
    if pack:
        yield pack


def _request(part: _Runs, array: _Array) -> Request:
    return checked_request(part.offsets, part.length, array.file_size, _BLOCK)


def _add_elements(array: _Array, builder: ColumnsBuilder, part: _Runs, rows: Blocks) -> None:
    if part.skip:
        check_prefix(rows, part.offsets, array.expected(b"EADB"), _BLOCK)
    check_blocks(rows, part.skip + part.size, part.offsets, _BLOCK)
    if part.size:
        elements = rows[:, part.skip : part.skip + part.size]
        array.elements.add_to(builder, elements, part.first)

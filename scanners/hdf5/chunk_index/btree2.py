"""The version 2 B-tree over chunks (layout versions 4 and 5, several unlimited dimensions).

HDF5 File Format Specification, III.A.2 "Version 2 B-trees", record types 10 (chunks
without filters) and 11 (with filters). Records lie in leaves and in internal nodes;
how many a node has is told by its parent, so the tree is read breadth first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.hdf5.batched_reads import Blocks, Steps, batches, fetch
from refmaker.scanners.hdf5.checksum import check_blocks
from refmaker.scanners.hdf5.chunk_index.columns import (
    U64,
    ChunkGrid,
    ChunkIndexEntries,
    ColumnsBuilder,
    absolute_offsets,
)
from refmaker.scanners.hdf5.chunk_index.elements import little_endian
from refmaker.scanners.hdf5.chunk_index.nodes import check_disjoint, read_header
from refmaker.scanners.hdf5.object_header import UNDEFINED

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_btree2"]

_HEADER_SIZE = 38
_PREFIX_SIZE = 6
_OVERHEAD = _PREFIX_SIZE + 4  # with the checksum
_MAX_DEPTH = 32
_FILTERED = 11
_WHAT = "version 2 B-tree node"


@dataclass(frozen=True, slots=True)
class _Tree:
    """Parameters of one tree.

    ``count_width`` and ``total_widths`` are the bytes, in a pointer to a node, of the
    number of its records and (by depth of the node) of all records below it.
    """

    grid: ChunkGrid
    kind: int
    node_size: int
    record_size: int
    depth: int
    root: int
    root_records: int
    total: int
    count_width: int
    total_widths: tuple[int, ...]
    room: tuple[int, ...]

    def pointer_size(self, depth: int) -> int:
        """Bytes of a pointer inside a node of that depth to one below it."""
        return 8 + self.count_width + self.total_widths[depth - 1]


def read_btree2(grid: ChunkGrid, start: int) -> Steps[ChunkIndexEntries]:
    """Read a version 2 B-tree."""
    builder = ColumnsBuilder(grid)
    file_size = grid.superblock.end
    what = "version 2 B-tree header"
    header = yield from read_header(start, _HEADER_SIZE, file_size, b"BTHD", what)
    tree = _parse_header(header, grid, start)
    if tree.root == UNDEFINED or not tree.total:
        return builder.build()
    nodes = absolute_offsets(np.array([tree.root], np.uint64), grid.superblock, _WHAT)
    counts = np.array([tree.root_records], dtype=np.int64)
    for depth in range(tree.depth, -1, -1):
        check_disjoint(nodes, tree.node_size, _WHAT)
        below: list[tuple[U64, U64]] = []
        for batch in batches(len(nodes), tree.node_size):
            rows = yield from fetch(nodes[batch], tree.node_size, file_size, _WHAT)
            _check_nodes(tree, rows, nodes[batch], counts[batch], depth)
            _add_records(tree, builder, rows, counts[batch], int(nodes[batch.start]))
            if depth:
                below.append(_pointers(tree, rows, counts[batch], depth))
        if depth:
            address = np.concatenate([pair[0] for pair in below])
            nodes = absolute_offsets(address, grid.superblock, _WHAT)
            counts = np.concatenate([pair[1] for pair in below]).astype(np.int64)
    columns = builder.build()
    if len(columns) != tree.total:
        raise FormatError(
            f"the B-tree has {len(columns)} records instead of {tree.total}", offset=start
        )
    return columns


def _parse_header(header: bytes, grid: ChunkGrid, offset: int) -> _Tree:
    if header[4] != 0:
        raise UnsupportedError(
            f"version 2 B-tree header of version {header[4]}",
            code="hdf5-index-version",
            offset=offset,
        )
    kind = header[5]
    node_size = int.from_bytes(header[6:10], "little")
    record_size = int.from_bytes(header[10:12], "little")
    depth = int.from_bytes(header[12:14], "little")
    rank = len(grid.counts)
    expected = {10: 8 + 8 * rank, _FILTERED: 12 + grid.layout.size_width + 8 * rank}
    if record_size != expected.get(kind) or node_size != grid.layout.parameters[0]:
        raise FormatError("the version 2 B-tree does not fit the dataset", offset=offset)
    if depth > _MAX_DEPTH:
        raise FormatError(f"a version 2 B-tree of depth {depth}", offset=offset)
    root_records = int.from_bytes(header[24:26], "little")
    total = int.from_bytes(header[26:34], "little")
    room = [(node_size - _OVERHEAD) // record_size]
    count_width = _width(room[0])
    widths, most = [0], room[0]
    for _ in range(depth):
        pointer = 8 + count_width + widths[-1]
        room.append((node_size - _OVERHEAD - pointer) // (record_size + pointer))
        most = (room[-1] + 1) * most + room[-1]
        widths.append(_width(most))
    if min(room) < 1 or max(widths) > 8 or total > grid.size:
        raise FormatError("impossible parameters of a version 2 B-tree", offset=offset)
    return _Tree(
        grid,
        kind,
        node_size,
        record_size,
        depth,
        int.from_bytes(header[16:24], "little"),
        root_records,
        total,
        count_width,
        tuple(widths),
        tuple(room),
    )


def _width(limit: int) -> int:
    """Bytes that store numbers up to a limit."""
    return -(-max(1, limit.bit_length()) // 8)


def _check_nodes(
    tree: _Tree,
    rows: Blocks,
    nodes: U64,
    counts: NDArray[np.int64],
    depth: int,
) -> None:
    """Refuse nodes that are not what their place in the tree demands."""
    prefix = (b"BTIN" if depth else b"BTLF") + bytes([0, tree.kind])
    wrong = (rows[:, :_PREFIX_SIZE] != np.frombuffer(prefix, np.uint8)).any(axis=1)
    wrong |= (counts < 1) | (counts > tree.room[depth])
    if wrong.any():
        raise FormatError(f"{_WHAT} is not one, or is overfull", offset=int(nodes[wrong][0]))
    used = _PREFIX_SIZE + counts * tree.record_size
    if depth:
        used += (counts + 1) * tree.pointer_size(depth)
    check_blocks(rows, used, nodes, _WHAT)


def _add_records(
    tree: _Tree,
    builder: ColumnsBuilder,
    rows: Blocks,
    counts: NDArray[np.int64],
    offset: int,
) -> None:
    """Turn the records of some nodes into chunks."""
    most, grid = int(counts.max()), tree.grid
    table = np.ascontiguousarray(rows[:, _PREFIX_SIZE : _PREFIX_SIZE + most * tree.record_size])
    table = table.reshape(len(rows), most, tree.record_size)
    records = table[np.arange(most) < counts[:, None]]
    rank = len(grid.counts)
    scaled = np.ascontiguousarray(records[:, -8 * rank :]).view("<u8").astype(np.uint64)
    index = grid.flat([scaled[:, axis] for axis in range(rank)], _WHAT, offset)
    address = little_endian(records[:, :8])
    if tree.kind == _FILTERED:
        end = 8 + grid.layout.size_width
        mask = np.ascontiguousarray(records[:, end : end + 4]).view("<u4")[:, 0]
        builder.add(index, address, little_endian(records[:, 8:end]), mask)
    else:
        builder.add(index, address, grid.layout.chunk_bytes, 0)


def _pointers(
    tree: _Tree,
    rows: Blocks,
    counts: NDArray[np.int64],
    depth: int,
) -> tuple[U64, U64]:
    """Addresses and record counts of the nodes below some internal nodes."""
    size = tree.pointer_size(depth)
    place = np.arange(int(counts.max()) + 1)
    node, number = np.nonzero(place <= counts[:, None])
    start = _PREFIX_SIZE + counts[node] * tree.record_size + number * size
    raw = rows[node[:, None], start[:, None] + np.arange(8 + tree.count_width)]
    return little_endian(raw[:, :8]), little_endian(raw[:, 8:])

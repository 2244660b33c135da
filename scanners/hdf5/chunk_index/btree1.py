"""The version 1 B-tree over chunks (layout versions 1 to 3).

HDF5 File Format Specification, III.A.1 "Version 1 B-trees", node type 1. The tree is
read breadth first: all nodes of a level are blocks of one size, viewed as one array
of a structured type. These nodes carry no checksum, so everything that they say twice
is compared: levels, siblings, key coordinates, the count of chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.hdf5.batched_reads import Blocks, Steps, batches, fetch
from refmaker.scanners.hdf5.chunk_index.columns import (
    U64,
    ChunkGrid,
    ChunkIndexEntries,
    ColumnsBuilder,
    absolute_offsets,
)
from refmaker.scanners.hdf5.chunk_index.nodes import check_disjoint
from refmaker.scanners.hdf5.object_header import UNDEFINED

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_btree1"]

_HEADER = np.dtype(
    [
        ("signature", "S4"),
        ("type", "u1"),
        ("level", "u1"),
        ("used", "<u2"),
        ("left", "<u8"),
        ("right", "<u8"),
    ]
)
_WHAT = "B-tree node"


def read_btree1(grid: ChunkGrid, start: int) -> Steps[ChunkIndexEntries]:
    """Read a version 1 B-tree."""
    builder = ColumnsBuilder(grid)
    entry = _entry_dtype(len(grid.counts))
    room = 2 * grid.superblock.chunk_k
    # A last key follows the last child; nothing is to be learned from it.
    length = _HEADER.itemsize + room * entry.itemsize + (entry.itemsize - 8)
    file_size = grid.superblock.end
    nodes = np.array([start], dtype=np.uint64)
    level: int | None = None
    while level != 0:
        check_disjoint(nodes, length, _WHAT)
        children: list[U64] = []
        below: int | None = None
        for batch in batches(len(nodes), length):
            blocks = yield from fetch(nodes[batch], length, file_size, _WHAT)
            header = blocks[:, : _HEADER.itemsize].view(_HEADER)[:, 0]
            below = int(header["level"][0]) if level is None else level - 1
            _check_headers(header, nodes, batch, (below, room), grid)
            entries = _entries(blocks, header, entry, room)
            if below == 0:
                _add_chunks(builder, entries, grid, int(nodes[batch.start]))
            else:
                children.append(absolute_offsets(entries["child"], grid.superblock, _WHAT))
        level = below
        nodes = np.concatenate(children) if children else nodes
    return builder.build()


def _entry_dtype(rank: int) -> np.dtype[np.void]:
    """Describe a key and the child behind it; the last coordinate counts bytes."""
    return np.dtype(
        [("size", "<u4"), ("mask", "<u4"), ("coords", "<u8", (rank + 1,)), ("child", "<u8")]
    )


def _check_headers(
    header: NDArray[np.void], nodes: U64, batch: slice, expected: tuple[int, int], grid: ChunkGrid
) -> None:
    """Refuse nodes that are not what their place in the tree demands."""
    level, room = expected
    empty_root = len(nodes) == 1 and level == 0
    before = np.concatenate([[np.uint64(UNDEFINED)], nodes[:-1]])[batch]
    after = np.concatenate([nodes[1:], [np.uint64(UNDEFINED)]])[batch]
    for column, stored in ((before, header["left"]), (after, header["right"])):
        column[column != UNDEFINED] -= np.uint64(grid.superblock.base)
        _refuse(stored != column, nodes[batch], "has other siblings than its parent says")
    _refuse(header["signature"] != b"TREE", nodes[batch], "has no signature")
    _refuse(header["type"] != 1, nodes[batch], "is not one of a chunk index")
    _refuse(header["level"] != level, nodes[batch], "is not of the level below its parent")
    _refuse(header["used"] > room, nodes[batch], f"has more than {room} children")
    if not empty_root:
        _refuse(header["used"] == 0, nodes[batch], "is empty")


def _refuse(wrong: NDArray[np.bool_], nodes: U64, why: str) -> None:
    if wrong.any():
        raise FormatError(f"{_WHAT} {why}", offset=int(nodes[wrong][0]))


def _entries(
    blocks: Blocks, header: NDArray[np.void], entry: np.dtype[np.void], room: int
) -> NDArray[np.void]:
    """Select the used entries of all nodes, in order."""
    start = _HEADER.itemsize
    table = blocks[:, start : start + room * entry.itemsize].view(entry)
    used = header["used"]
    if len(table) == 1:
        return table[0, : int(used[0])]
    return table[np.arange(room) < used[:, None]]


def _add_chunks(
    builder: ColumnsBuilder, entries: NDArray[np.void], grid: ChunkGrid, offset: int
) -> None:
    """Turn leaf entries into chunks."""
    coords = entries["coords"]
    scaled = []
    for axis, chunk in enumerate(grid.layout.chunk):
        column = coords[:, axis]
        quotient = column // np.uint64(chunk)
        if (quotient * np.uint64(chunk) != column).any():
            raise FormatError(f"{_WHAT} names a chunk that is off the grid", offset=offset)
        scaled.append(quotient)
    if coords[:, -1].any():
        raise FormatError(f"{_WHAT} names a chunk that starts inside an element", offset=offset)
    builder.add(
        grid.flat(scaled, _WHAT, offset),
        entries["child"].copy(),
        entries["size"].astype(np.uint64),
        entries["mask"].copy(),
    )

"""Chunk tables of many inputs to one table over the cube's grid, in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.chunk_table import count as product

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from refmaker.combine.agreement import Findings
    from refmaker.combine.concat_dimensions import ConcatDimension
    from refmaker.model.edges import Edges

__all__ = [
    "CellOwners",
    "VariableGrid",
    "claims",
    "filled_positions",
    "misaligned",
    "missing",
    "place",
]

Item = tuple[int, Array]

_AT_ONCE = 1 << 12
"""Chunks whose numbers are made together."""
_SPARSE = 2
"""Chunks of the grid for each one there is, beyond which absent ones get no row."""


@dataclass(frozen=True, slots=True)
class VariableGrid:
    """The geometry of one variable of the cube.

    Parameters
    ----------
    names : tuple of str
        Its dimensions.
    axes : tuple of ConcatDimension or None
        For each of them the axis, if inputs are joined along it.
    local : tuple of int
        For each of them the dimension of the inputs' arrays; -1 for one that they lack.
    shape, chunk_shape : tuple of int
        Elements of the cube and of a chunk.
    edges : tuple of Edges or None, optional
        For each of them how chunks of different lengths cut it; see `refmaker.model.Array`.
    """

    names: tuple[str, ...]
    axes: tuple[ConcatDimension | None, ...]
    local: tuple[int, ...]
    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    edges: tuple[Edges | None, ...] | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Chunks along each dimension."""
        grid = chunk_grid(self.shape, self.chunk_shape)
        if self.edges is None:
            return grid
        pairs = zip(grid, self.edges, strict=True)
        return tuple(n if along is None else along.count for n, along in pairs)

    def along(self, j: int) -> Edges | None:
        """Return how chunks of different lengths cut a dimension; None where all are alike."""
        return None if self.edges is None else self.edges[j]

    def chunk_at(self, j: int, positions: Any) -> NDArray[np.int64]:
        """Return the chunks along a dimension that begin at positions."""
        along = self.along(j)
        if along is None:
            found: NDArray[np.int64] = np.asarray(positions, np.int64) // self.chunk_shape[j]
            return found
        at: NDArray[np.int64] = np.searchsorted(along.starts, positions).astype(np.int64)
        return at

    def starts(self, j: int) -> NDArray[np.int64]:
        """Return where the chunks along a dimension begin."""
        along = self.along(j)
        if along is None:
            return np.arange(self.grid[j], dtype=np.int64) * self.chunk_shape[j]
        return along.starts

    @property
    def joined(self) -> tuple[int, ...]:
        """The dimensions with an axis."""
        return tuple(j for j, axis in enumerate(self.axes) if axis is not None)

    @property
    def cells(self) -> tuple[int, ...]:
        """Chunks along the dimensions with an axis."""
        grid = self.grid
        return tuple(grid[j] for j in self.joined)

    def where(self, cell: int) -> str:
        """Return a cell as messages name it: by the coordinates of its first element."""
        at = np.unravel_index(cell, self.cells)
        named = []
        for j, number in zip(self.joined, at, strict=True):
            axis = self.axes[j]
            if axis is not None:
                named.append(axis.label(int(self.starts(j)[number])))
        return ", ".join(named)

    def local_grid(self, array: Array) -> tuple[int, ...]:
        """Return an input's chunks along the cube's dimensions."""
        grid = array.chunks.grid
        return tuple(1 if k < 0 else grid[k] for k in self.local)


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs whose grids are alike.

    Parameters
    ----------
    items : ndarray of int64, shape (n,)
        Their places in the list of items.
    grid : tuple of int
        Their grid, along the cube's dimensions.
    maps : tuple of ndarray
        For each dimension the cube's chunk number of every chunk along it, of shape
        (n, chunks) where there is an axis, else (1, chunks).
    """

    items: NDArray[np.int64]
    grid: tuple[int, ...]
    maps: tuple[NDArray[np.int64], ...]

    def parts(self) -> Iterator[Batch]:
        """Yield the same inputs, so few at a time that numbers of their chunks take no room."""
        step = max(1, _AT_ONCE // max(1, product(self.grid)))
        for first in range(0, self.items.size, step):
            rows = slice(first, first + step)
            maps = (part[rows] if part.shape[0] > 1 else part for part in self.maps)
            yield Batch(self.items[rows], self.grid, tuple(maps))


@dataclass(frozen=True, slots=True)
class CellOwners:
    """Which input has which cell; a cell is a chunk number along the joined dimensions.

    Parameters
    ----------
    cell : ndarray of int64, shape (n,)
        Flat numbers of cells, ascending.
    item : ndarray of int64, shape (n,)
        Place in the list of items of the input that has it.
    """

    cell: NDArray[np.int64]
    item: NDArray[np.int64]

    def twice(self) -> NDArray[np.int64]:
        """Return the rows whose cell is that of the row before."""
        return np.flatnonzero(self.cell[1:] == self.cell[:-1]) + 1


def misaligned(
    path: str, items: Sequence[Item], layout: VariableGrid, found: Findings | None, hint: str
) -> set[int]:
    """Return the inputs whose chunks are not chunks of a regular cube, and explain the first.

    A chunk of an input has to begin where one of the cube begins, and may be partial at the
    end of the cube only.

    Parameters
    ----------
    items : sequence of (int, Array)
        The inputs, all of one chunk shape.
    found : Findings, optional
        Gets the explanation.
    """
    bad: set[int] = set()
    numbers = np.array([i for i, _ in items], np.int64)
    present = set(numbers.tolist())
    for j in layout.joined:
        axis, size = layout.axes[j], layout.chunk_shape[j]
        if axis is None:
            continue
        start, count = axis.start[numbers], axis.count[numbers]
        end = start + count
        wrong_start = start % size != 0
        wrong_end = (end % size != 0) & (end != axis.size)
        wrong_start &= count > 0
        wrong_end &= count > 0
        for k in np.flatnonzero(wrong_start | wrong_end).tolist():
            i = int(numbers[k])
            if i in axis.scattered:
                continue
            if not bad and found is not None:
                found.say(path, _explained(axis, size, i, bool(wrong_end[k]), found), hint)
            bad.add(i)
        for i in axis.scattered:
            if not _whole_chunks(axis, axis.scattered[i], size) and i in present:
                if not bad and found is not None:
                    name = found.members[i].name
                    text = f"chunks of {size} along {axis.name} in {name} hold positions of the"
                    found.say(path, f"{text} cube that do not follow one another", hint)
                bad.add(i)
    return bad


def _explained(axis: ConcatDimension, size: int, member: int, at_end: bool, found: Findings) -> str:
    name = found.members[member].name
    start, n = int(axis.start[member]), int(axis.count[member])
    if at_end:
        return (
            f"the last chunk along {axis.name} in {name} is partial ({n} elements in chunks of"
            f" {size}), but is not the last of the cube, which has {axis.size} elements"
        )
    return (
        f"{name} begins at position {start} along {axis.name}, which is inside a chunk of {size}"
        f" elements; inputs before it end with partial chunks"
    )


def _whole_chunks(axis: ConcatDimension, at: NDArray[np.int64], size: int) -> bool:
    """Whether each chunk's positions are those of one chunk of the cube, in order."""
    first = at[::size]
    expected = np.repeat(first, size)[: at.size] + np.arange(at.size) % size
    lengths = np.minimum(size, axis.size - first)
    own = np.minimum(size, at.size - np.arange(first.size) * size)
    aligned = bool(np.all(first % size == 0)) and bool(np.all(at == expected))
    return aligned and bool(np.all(lengths == own))


def _batches(items: Sequence[Item], layout: VariableGrid) -> list[Batch]:
    alike: dict[tuple[int, ...], list[int]] = {}
    for k, (_, array) in enumerate(items):
        alike.setdefault(array.chunks.grid, []).append(k)
    numbers = np.array([i for i, _ in items], np.int64)
    found = []
    for places in alike.values():
        rows = np.array(places, np.int64)
        local = layout.local_grid(items[places[0]][1])
        maps = []
        for j, (axis, n) in enumerate(zip(layout.axes, local, strict=True)):
            steps = np.arange(n, dtype=np.int64)[None, :]
            if axis is None:
                maps.append(steps)
                continue
            chunk = layout.chunk_at(j, axis.start[numbers[rows]])[:, None] + steps
            for row, i in zip(places, numbers[rows].tolist(), strict=True):
                if axis.scattered and i in axis.scattered:
                    begins = items[row][1].starts(layout.local[j])
                    chunk[places.index(row)] = layout.chunk_at(j, axis.scattered[i][begins])
            maps.append(chunk)
        found.append(Batch(rows, local, tuple(maps)))
    return found


def _flat(batch: Batch, grid: Sequence[int], dims: Sequence[int]) -> NDArray[np.int64]:
    """Return flat numbers of a batch's chunks over some dimensions, shape (inputs, chunks)."""
    total = np.zeros((batch.items.size, 1), np.int64)
    stride = product([grid[j] for j in dims])
    for j in dims:
        stride //= max(1, grid[j])
        part = batch.maps[j] * stride
        total = (total[:, :, None] + part[:, None, :]).reshape(batch.items.size, -1)
    return total


def claims(items: Sequence[Item], layout: VariableGrid) -> CellOwners:
    """Return which input has which cell, ascending; of one cell, in the order of the inputs."""
    grid, dims = layout.grid, layout.joined
    cells, owners = [], []
    for batch in _batches(items, layout):
        flat = _flat(batch, grid, dims)
        cells.append(flat.reshape(-1))
        owners.append(np.repeat(batch.items, flat.shape[1]))
    cell, item = np.concatenate(cells), np.concatenate(owners)
    if cell.size > 1 and not bool(np.all(cell[1:] > cell[:-1])):
        order = np.lexsort((item, cell))
        cell, item = cell[order], item[order]
    return CellOwners(cell, item)


def missing(claims: CellOwners, layout: VariableGrid) -> NDArray[np.int64]:
    """Return the cells that no input has, ascending."""
    total = product(layout.cells)
    if claims.cell.size - claims.twice().size == total:
        return np.empty(0, np.int64)
    there = np.zeros(total, bool)
    there[claims.cell] = True
    return np.flatnonzero(~there)


def filled_positions(
    layout: VariableGrid, regular: Collection[str], *, by_element: bool = False
) -> NDArray[np.bool_]:
    """Return where an axis that was made regular has positions that no input has at all.

    Parameters
    ----------
    regular : collection of str
        Names of the axes that were made regular.
    by_element : bool
        Count elements along the joined dimensions instead of chunks.

    Returns
    -------
    ndarray of bool
        Over the cells, or over the elements along the joined dimensions.
    """
    shape = tuple(layout.shape[j] for j in layout.joined) if by_element else layout.cells
    found = np.zeros(shape, bool)
    for k, j in enumerate(layout.joined):
        axis = layout.axes[j]
        if axis is None or axis.name not in regular:
            continue
        gap = ~axis.covered()
        if not by_element:
            gap = np.logical_and.reduceat(gap, layout.starts(j))
        found |= gap.reshape([-1 if n == k else 1 for n in range(len(shape))])
    return found


def place(
    items: Sequence[Item], layout: VariableGrid, lost: NDArray[np.int64] | None = None
) -> ChunkTable:
    """Return the table of the cube.

    Parameters
    ----------
    items : sequence of (int, Array)
        Number of each input, and its array; all of one chunk shape.
    lost : ndarray of int64, shape (n, 2), optional
        Pairs of an item's place and a cell that it gives up to another input.
    """
    grid = layout.grid
    held = [array.chunks.length.dtype for _, array in items if array.chunks.referenced]
    referenced = sum(array.chunks.referenced for _, array in items)
    # Every row goes to its place at once: to gather them first would take as much memory again.
    index: NDArray[np.int64] | None = None
    total = product(grid)
    if total > _SPARSE * referenced:
        moved = (_referenced(*found)[0] for found in _moved(items, layout, lost))
        index = np.sort(np.concatenate([np.empty(0, np.int64), *moved]))
        total = index.size
    offset = np.zeros(total, np.uint64)
    length = np.zeros(total, np.result_type(np.uint32, *set(held)))
    file = np.full(total, -1, np.int32)
    urls: dict[str, int] = {}
    inlined: dict[int, bytes] = {}
    written = 0
    for table, numbers, kept in _moved(items, layout, lost):
        for number, data in table.inlined.items():
            if kept is None or kept[number]:
                inlined[int(numbers[number])] = data
        if not table.referenced:
            continue
        own = np.array([urls.setdefault(url, len(urls)) for url in table.urls], np.int32)
        here, rows = _referenced(table, numbers, kept)
        at = here if index is None else np.searchsorted(index, here)
        offset[at] = table.offset[rows]
        length[at] = table.length[rows]
        file[at] = own[0] if table.url is None else own[table.url[rows]]
        written += at.size
    if not referenced:
        return ChunkTable.inline(grid, inlined)
    if np.count_nonzero(file >= 0) != written:
        raise MetadataError("a chunk is referenced twice")
    if index is None and written < total:
        index = np.flatnonzero(file >= 0)
        offset, length, file = offset[index], length[index], file[index]
    return ChunkTable.from_columns(
        grid, tuple(urls), offset=offset, length=length, index=index, url=file, inlined=inlined
    )


def _moved(
    items: Sequence[Item], layout: VariableGrid, lost: NDArray[np.int64] | None
) -> Iterator[tuple[ChunkTable, NDArray[np.int64], NDArray[np.bool_] | None]]:
    """Yield each input's table, the cube's number of each of its chunks, and which it keeps."""
    grid = layout.grid
    for batch in _batches(items, layout):
        for part in batch.parts():
            flat = _flat(part, grid, range(len(grid)))
            gone = _given_up(part, layout, lost)
            for row, k in enumerate(part.items.tolist()):
                yield items[k][1].chunks, flat[row], None if gone is None else gone.get(row)


def _referenced(
    table: ChunkTable, numbers: NDArray[np.int64], kept: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], Any]:
    """Return the cube's numbers of a table's rows that are kept, and which rows those are."""
    if table.index is not None:
        own = table.index.astype(np.int64)
        numbers, kept = numbers[own], None if kept is None else kept[own]
    return (numbers, slice(None)) if kept is None else (numbers[kept], kept)


def _given_up(
    batch: Batch, layout: VariableGrid, lost: NDArray[np.int64] | None
) -> dict[int, NDArray[np.bool_]] | None:
    """Return, for the inputs of a batch that give up cells, which of their chunks they keep."""
    if lost is None or not lost.size:
        return None
    cells = _flat(batch, layout.grid, layout.joined)
    inner = tuple(batch.grid[j] for j in layout.joined)
    shape = [batch.grid[j] if j in layout.joined else 1 for j in range(len(batch.grid))]
    found = {}
    for row, k in enumerate(batch.items.tolist()):
        mine = lost[lost[:, 0] == k, 1]
        if mine.size:
            kept = ~np.isin(cells[row], mine)
            wide = np.broadcast_to(kept.reshape(inner).reshape(shape), batch.grid)
            found[row] = wide.reshape(-1)
    return found

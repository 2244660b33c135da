"""Where the chunks of one array lie, as columns of numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ChunkTable", "Reference", "count"]

_GRID_LIMIT = 2**62
_OFFSET_LIMIT = 2**63
_TYPES = {"offset": "u8", "length": "u4 u8", "url": "i4", "index": "u8"}
_EMPTY: Mapping[Any, Any] = MappingProxyType({})


class Reference(NamedTuple):
    """One byte range: ``length`` bytes at ``offset`` of ``url``; 0 bytes at 0 is the whole file."""

    url: str
    offset: int
    length: int


def count(grid: Sequence[int]) -> int:
    """Return the product of extents, exactly."""
    total = 1
    for extent in grid:
        total *= extent
    return total


def _column(name: str, values: Any, limit: int) -> tuple[NDArray[Any], int]:
    """Return integers and the largest of them, if all are in ``0 <= value < limit``."""
    column = np.asarray(values)
    if column.size == 0:
        return column.astype(np.uint64), 0
    if column.dtype.kind not in "iu":
        raise MetadataError(f"column {name} holds {column.dtype}, expected integers")
    # As unsigned integers, those below 0 are the largest: one look tells both.
    wide = column.astype("i8" if column.dtype.kind == "i" else "u8", copy=False)
    high = int(wide.view("u8").max())
    if high >= limit:
        low, high = int(column.min()), int(column.max())
        if low < 0 or high >= limit:
            raise MetadataError(f"column {name} holds {low if low < 0 else high}")
    return column, high


def _used(
    urls: tuple[str, ...], url: NDArray[Any] | None
) -> tuple[tuple[str, ...], NDArray[Any] | None]:
    """Return the files that rows name, and the rows' positions among them."""
    if url is None or not url.size:
        return urls, url
    used = np.flatnonzero(np.bincount(url, minlength=len(urls)))
    if used.size == len(urls):
        return urls, url
    position = np.zeros(len(urls), np.int32)
    position[used] = np.arange(used.size)
    return tuple(urls[number] for number in used.tolist()), position[url]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChunkTable:
    """Where the chunks of one array lie, as columns.

    A chunk is known by its flat number: the C-order position in the chunk grid. Chunks that
    are neither in the columns nor inlined were never written and are *absent*.

    Parameters
    ----------
    grid : tuple of int
        Number of chunks along each dimension; ``()`` for a scalar, which has one chunk.
    urls : tuple of str
        The files that the rows point into.
    offset : ndarray of uint64, shape (n,)
        First byte of each chunk.
    length : ndarray of uint32 or uint64, shape (n,)
        Bytes of each chunk; offset 0 and length 0 together mean the whole file.
    url : ndarray of int32, shape (n,), optional
        Position of each row's file in `urls`; None when all rows lie in ``urls[0]``.
    index : ndarray of uint64, shape (n,), optional
        Ascending flat chunk numbers of the rows; None when row i is chunk i of a full grid.
    inlined : mapping of int to bytes
        Encoded bytes of chunks that are kept in the set itself, by flat chunk number.

    Raises
    ------
    MetadataError
        If columns disagree in length, order or range.
    """

    grid: tuple[int, ...]
    urls: tuple[str, ...]
    offset: NDArray[np.uint64]
    length: NDArray[Any]
    url: NDArray[np.int32] | None = None
    index: NDArray[np.uint64] | None = None
    inlined: Mapping[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        total = self.size
        if min(self.grid, default=0) < 0 or total > _GRID_LIMIT:
            raise MetadataError(f"a grid of {self.grid} chunks cannot be numbered")
        self._check_columns()
        if self.index is not None:
            # Differences would do no good: unsigned integers never fall below 0.
            ascending = bool((self.index[1:] > self.index[:-1]).all())
            if self.index.size and (int(self.index[-1]) >= total or not ascending):
                raise MetadataError("chunk numbers are not ascending numbers of the grid")
        elif self.referenced != total:
            raise MetadataError(f"{self.referenced} rows for {total} chunks, and no index")
        if self.inlined:
            self._check_inlined(total)

    def _check_columns(self) -> None:
        n = self.offset.shape[0]
        for name, types in _TYPES.items():
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise MetadataError(f"column {name} has shape {column.shape}, expected ({n},)")
            if column is not None and column.dtype.str[1:] not in types.split():
                raise MetadataError(f"column {name} holds {column.dtype}, expected {types}")
        if n == 0:
            return
        if not self.urls:
            raise MetadataError("rows without a file")
        if max(int(self.offset.max()), int(self.length.max())) >= _OFFSET_LIMIT:
            raise MetadataError("an offset or length is larger than any file")
        if self.url is not None:
            low, high = int(self.url.min()), int(self.url.max())
            if low < 0 or high >= len(self.urls):
                raise MetadataError(f"file numbers {low}..{high} for {len(self.urls)} files")

    def _check_inlined(self, total: int) -> None:
        if self.index is None:
            raise MetadataError("a table that references every chunk cannot inline any")
        if any(not 0 <= key < total for key in self.inlined):
            raise MetadataError("an inlined chunk lies outside the grid")
        keys = np.fromiter(self.inlined, np.uint64, len(self.inlined))
        if bool(np.isin(keys, self.index).any()):
            raise MetadataError("a chunk is both referenced and inlined")

    @classmethod
    def empty(cls, grid: tuple[int, ...]) -> ChunkTable:
        """Return a table with no chunk at all."""
        none = np.empty(0, np.uint64)
        return cls(grid, (), none, none.astype(np.uint32), index=none)

    @classmethod
    def inline(cls, grid: tuple[int, ...], chunks: Mapping[int, bytes]) -> ChunkTable:
        """Return a table whose every chunk is inlined."""
        return replace(cls.empty(grid), inlined=dict(chunks))

    @classmethod
    def from_columns(
        cls,
        grid: tuple[int, ...],
        urls: tuple[str, ...],
        *,
        offset: NDArray[Any],
        length: NDArray[Any],
        index: NDArray[Any] | None = None,
        url: NDArray[Any] | None = None,
        inlined: Mapping[int, bytes] = _EMPTY,
    ) -> ChunkTable:
        """Make a table from columns in any order and any integer types.

        Rows are sorted by `index`; an index that names every chunk is dropped, a column
        of equal files becomes a single file, lengths are kept in the smallest type.

        Raises
        ------
        MetadataError
            If a chunk is named twice, a value is negative or no integer, or as for the class.
        """
        offset = _column("offset", offset, _OFFSET_LIMIT)[0].astype(np.uint64, copy=False)
        length, longest = _column("length", length, _OFFSET_LIMIT)
        length = length.astype(np.uint32 if longest < 2**32 else np.uint64, copy=False)
        if url is not None:
            url = _column("url", url, len(urls))[0].astype(np.int32, copy=False)
        if index is not None:
            index = _column("index", index, count(grid))[0].astype(np.uint64, copy=False)
        if any(c is not None and c.shape != offset.shape for c in (length, url, index)):
            raise MetadataError("columns of different lengths")
        if index is not None:
            if index.size > 1 and not bool((index[1:] > index[:-1]).all()):
                order = np.argsort(index, kind="stable")
                index, offset, length = index[order], offset[order], length[order]
                url = None if url is None else url[order]
                if bool(np.any(index[1:] == index[:-1])):
                    raise MetadataError("a chunk is referenced twice")
            if index.size == count(grid) and not inlined:
                index = None
        if url is not None and bool((url == url[:1]).all()):
            urls, url = (urls[int(url[0])],) if url.size else (), None
        return cls(grid, urls, offset, length, url, index, dict(inlined))

    def __repr__(self) -> str:
        return (
            f"<ChunkTable {self.grid}: {self.referenced} referenced, {len(self.inlined)} inlined, "
            f"{self.absent} absent>"
        )

    @property
    def size(self) -> int:
        """Number of chunks of the grid, present or not."""
        return count(self.grid)

    @property
    def referenced(self) -> int:
        """Number of chunks that are byte ranges."""
        return int(self.offset.shape[0])

    @property
    def present(self) -> int:
        """Number of chunks that are byte ranges or inlined."""
        return self.referenced + len(self.inlined)

    @property
    def absent(self) -> int:
        """Number of chunks that were never written."""
        return self.size - self.present

    @property
    def nbytes(self) -> int:
        """Bytes that the columns take in memory, without URLs and inlined chunks."""
        columns = (self.offset, self.length, self.url, self.index)
        return sum(column.nbytes for column in columns if column is not None)

    def numbers(self) -> NDArray[np.uint64]:
        """Return the flat chunk number of each row, shape (n,)."""
        if self.index is not None:
            return self.index
        return np.arange(self.referenced, dtype=np.uint64)

    def coordinates(self) -> tuple[NDArray[Any], ...]:
        """Return the rows' positions in the grid: one int array of shape (n,) per dimension."""
        if not self.grid:
            return ()
        return np.unravel_index(self.numbers().astype(np.int64), self.grid)

    def get(self, position: int | tuple[int, ...]) -> Reference | bytes | None:
        """Return one chunk: a byte range, inlined bytes, or None if absent.

        Parameters
        ----------
        position : int or tuple of int
            Flat chunk number, or position in the grid.

        Raises
        ------
        MetadataError
            If there is no such chunk in the grid.
        """
        number = self._flat(position) if isinstance(position, tuple) else int(position)
        if not 0 <= number < self.size:
            raise MetadataError(f"chunk {number} of a grid of {self.size}")
        if number in self.inlined:
            return self.inlined[number]
        row = number
        if self.index is not None:
            row = int(np.searchsorted(self.index, np.uint64(number)))
            if row == self.index.size or int(self.index[row]) != number:
                return None
        file = 0 if self.url is None else int(self.url[row])
        return Reference(self.urls[file], int(self.offset[row]), int(self.length[row]))

    def _flat(self, position: tuple[int, ...]) -> int:
        if len(position) != len(self.grid):
            raise MetadataError(f"position {position} in a grid of {len(self.grid)} dimensions")
        number = 0
        for at, extent in zip(position, self.grid, strict=True):
            if not 0 <= at < extent:
                raise MetadataError(f"position {position} outside the grid {self.grid}")
            number = number * extent + int(at)
        return number

    def with_urls(self, urls: Sequence[str]) -> ChunkTable:
        """Return the same table with its files renamed, in order."""
        if len(urls) != len(self.urls):
            raise MetadataError(f"{len(urls)} names for {len(self.urls)} files")
        return replace(self, urls=tuple(urls))

    def window(self, start: Sequence[int], stop: Sequence[int]) -> ChunkTable:
        """Return the chunks of the box ``start <= position < stop`` as a table of its own."""
        grid = tuple(max(0, b - a) for a, b in zip(start, stop, strict=True))
        if any(a < 0 or b > n for a, b, n in zip(start, stop, self.grid, strict=True)):
            raise MetadataError(
                f"window {tuple(start)}..{tuple(stop)} outside the grid {self.grid}"
            )
        if grid == self.grid:
            return self
        if self.index is None:
            box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            offset, length = (
                column.reshape(self.grid)[box].reshape(-1) for column in (self.offset, self.length)
            )
            url = None if self.url is None else self.url.reshape(self.grid)[box].reshape(-1)
            urls, url = _used(self.urls, url)
            return ChunkTable.from_columns(grid, urls, offset=offset, length=length, url=url)
        at = self.coordinates()
        inside = np.ones(self.referenced, bool)
        for axis, (a, b) in enumerate(zip(start, stop, strict=True)):
            inside &= (at[axis] >= a) & (at[axis] < b)
        moved = tuple(at[axis][inside] - start[axis] for axis in range(len(grid)))
        index = np.ravel_multi_index(moved, grid) if inside.any() else np.empty(0, np.uint64)
        inlined = {}
        for number, data in self.inlined.items():
            where = np.unravel_index(number, self.grid)
            here = tuple(int(x) - a for x, a in zip(where, start, strict=True))
            if all(0 <= x < n for x, n in zip(here, grid, strict=True)):
                inlined[int(np.ravel_multi_index(here, grid))] = data
        urls, url = _used(self.urls, None if self.url is None else self.url[inside])
        return ChunkTable.from_columns(
            grid,
            urls,
            offset=self.offset[inside],
            length=self.length[inside],
            index=index,
            url=url,
            inlined=inlined,
        )

    @staticmethod
    def concatenate(tables: Sequence[ChunkTable], axis: int) -> ChunkTable:
        """Join tables along one dimension of their grids, in the order given.

        Raises
        ------
        MetadataError
            If the grids differ in another dimension.
        """
        if not tables:
            raise MetadataError("no tables to join")
        first = tables[0].grid
        rest = {table.grid[:axis] + table.grid[axis + 1 :] for table in tables}
        if len(rest) != 1 or not 0 <= axis < len(first):
            raise MetadataError(f"grids {[table.grid for table in tables]} along axis {axis}")
        grid = (*first[:axis], sum(table.grid[axis] for table in tables), *first[axis + 1 :])
        if count(grid) > _GRID_LIMIT:
            raise MetadataError(f"a grid of {grid} chunks is larger than can be numbered")
        urls = tuple(dict.fromkeys(url for table in tables for url in table.urls))
        number_of = {url: i for i, url in enumerate(urls)}
        index, files, inlined, shift = [], [], {}, 0
        for table in tables:
            at = list(table.coordinates())
            at[axis] = at[axis] + shift
            index.append(np.ravel_multi_index(tuple(at), grid).astype(np.uint64))
            names = np.array([number_of[url] for url in table.urls] or [0], np.int32)
            where = 0 if table.url is None else table.url
            files.append(np.broadcast_to(names[where], table.referenced))
            for number, data in table.inlined.items():
                place = [int(x) for x in np.unravel_index(number, table.grid)]
                place[axis] += shift
                inlined[int(np.ravel_multi_index(tuple(place), grid))] = data
            shift += table.grid[axis]
        return ChunkTable.from_columns(
            grid,
            urls,
            offset=np.concatenate([table.offset for table in tables]),
            length=np.concatenate([table.length for table in tables]),
            index=np.concatenate(index),
            url=np.concatenate(files),
            inlined=inlined,
        )

    def same(self, other: ChunkTable) -> bool:
        """Tell whether two tables say the same of every chunk, however they hold it."""
        if self.grid != other.grid or dict(self.inlined) != dict(other.inlined):
            return False
        if not np.array_equal(self.numbers(), other.numbers()):
            return False
        columns = np.array_equal(self.offset, other.offset) and np.array_equal(
            self.length.astype(np.uint64), other.length.astype(np.uint64)
        )
        return columns and self._files() == other._files()

    def _files(self) -> list[str]:
        if self.url is None:
            return [self.urls[0]] if self.referenced else []
        names = [self.urls[i] for i in self.url.tolist()]
        return names[:1] if len(set(names)) == 1 else names

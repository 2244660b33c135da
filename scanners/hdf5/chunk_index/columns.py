"""What every chunk index amounts to: columns over the chunk grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.scanners.hdf5.object_header import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.scanners.hdf5.layout import DataLayoutMessage
    from refmaker.scanners.hdf5.superblock import Superblock

__all__ = ["ChunkGrid", "ChunkIndexEntries", "ColumnsBuilder", "absolute_offsets"]

U64: TypeAlias = NDArray[np.uint64]
U32: TypeAlias = NDArray[np.uint32]

_MAX_CHUNKS = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class ChunkIndexEntries:
    """Where a dataset's chunks lie. Chunks that were never written are not listed.

    Parameters
    ----------
    index : ndarray of uint64, shape (n,)
        Flat C-order position in the chunk grid; sorted, unique.
    offset : ndarray of uint64, shape (n,)
        Absolute byte offset in the file.
    length : ndarray of uint64, shape (n,)
        Stored bytes.
    mask : ndarray of uint32, shape (n,)
        Filter mask: bit i set means that filter i of the pipeline was skipped.
    """

    index: U64
    offset: U64
    length: U64
    mask: U32

    def __len__(self) -> int:
        return len(self.index)


class ChunkGrid(NamedTuple):
    """The chunk grid of a dataset.

    Parameters
    ----------
    layout : DataLayoutMessage
        The dataset's layout.
    superblock : Superblock
        The file's superblock.
    counts : tuple of int
        Chunks along each dimension.
    max_counts : tuple of int or None
        Chunks along each dimension when it has grown as far as it may; None where it
        may grow without bound.
    """

    layout: DataLayoutMessage
    superblock: Superblock
    counts: tuple[int, ...]
    max_counts: tuple[int | None, ...]

    @classmethod
    def of(
        cls,
        layout: DataLayoutMessage,
        superblock: Superblock,
        shape: Sequence[int],
        maxshape: Sequence[int | None],
    ) -> ChunkGrid:
        """Check a dataset's shape against its chunks and count them.

        Parameters
        ----------
        shape, maxshape : sequence of int
            Current and largest extent; None where unlimited.

        Raises
        ------
        FormatError
            The ranks differ.
        UnsupportedError
            There are more chunks than 64-bit positions can name.
        """
        if not len(shape) == len(maxshape) == len(layout.chunk):
            raise FormatError(
                f"a dataset of {len(shape)} dimensions has chunks of {len(layout.chunk)}"
            )
        if any(
            most is not None and most < size for size, most in zip(shape, maxshape, strict=True)
        ):
            raise FormatError("a dataset is larger than its largest extent")
        sizes = zip(shape, layout.chunk, strict=True)
        limits = zip(maxshape, layout.chunk, strict=True)
        counts = tuple(-(-size // chunk) for size, chunk in sizes)
        if prod(counts) > _MAX_CHUNKS or layout.chunk_bytes > _MAX_CHUNKS:
            raise UnsupportedError("too many chunks", code="hdf5-grid-too-large")
        most = tuple(None if size is None else -(-size // chunk) for size, chunk in limits)
        return cls(layout, superblock, counts, most)

    @property
    def size(self) -> int:
        """Chunks in the grid."""
        return prod(self.counts)

    def flat(self, scaled: Sequence[U64], what: str, offset: int) -> U64:
        """Flat positions of scaled coordinates (in chunks), one column a dimension.

        Raises
        ------
        FormatError
            A coordinate lies outside the grid.
        """
        position = np.zeros(len(scaled[0]), dtype=np.uint64)
        for column, count in zip(scaled, self.counts, strict=True):
            if len(column) and int(column.max()) >= count:
                raise FormatError(f"{what} names a chunk outside the dataset", offset=offset)
            position *= np.uint64(count)
            position += column
        return position

    def from_array(self, position: U64, counts: Sequence[int], order: Sequence[int]) -> U64:
        """Flat positions in this grid of elements of an array index.

        Parameters
        ----------
        position : ndarray of uint64
            Elements of the array.
        counts : sequence of int
            Extents of the array, slowest first; the first one does not matter.
        order : sequence of int
            Which dimension of the dataset each of them is.

        Returns
        -------
        ndarray of uint64
            Flat positions; the largest uint64 where the grid does not reach.
        """
        if tuple(order) == tuple(range(len(order))) and tuple(counts[1:]) == self.counts[1:]:
            return np.where(position < self.size, position, np.uint64(UNDEFINED))
        rest = position.copy()
        inside = np.ones(len(rest), dtype=bool)
        flat = np.zeros(len(rest), dtype=np.uint64)
        strides = [prod(self.counts[axis + 1 :]) for axis in range(len(self.counts))]
        for place in range(len(order) - 1, -1, -1):
            axis = order[place]
            if place:
                rest, column = np.divmod(rest, np.uint64(counts[place]))
            else:
                column = rest
            inside &= column < self.counts[axis]
            flat += column * np.uint64(strides[axis])
        flat[~inside] = UNDEFINED
        return flat


def absolute_offsets(addresses: U64, superblock: Superblock, what: str) -> U64:
    """Absolute offsets of defined addresses.

    Raises
    ------
    TruncatedError
        One lies past the end of the file (or is undefined).
    """
    outside = addresses >= superblock.end - superblock.base
    if outside.any():
        raise TruncatedError(
            f"{what} lies past the end of the file ({superblock.end} bytes)",
            offset=int(addresses[outside][0]),
        )
    return addresses + np.uint64(superblock.base)


@dataclass(slots=True)
class ColumnsBuilder:
    """Collects chunks batch by batch and checks them.

    Parameters
    ----------
    grid : ChunkGrid
        The grid that the chunks belong to.
    """

    grid: ChunkGrid
    _index: list[U64] = field(default_factory=list)
    _offset: list[U64] = field(default_factory=list)
    _length: list[U64] = field(default_factory=list)
    _mask: list[U32] = field(default_factory=list)
    _count: int = 0

    def add(self, index: U64, address: U64, length: U64 | int, mask: U32 | int) -> None:
        """Add chunks.

        Parameters
        ----------
        index : ndarray of uint64, shape (n,)
            Flat positions, inside the grid.
        address : ndarray of uint64, shape (n,)
            Addresses relative to the base address.
        length : ndarray of uint64, shape (n,), or int
            Stored bytes.
        mask : ndarray of uint32, shape (n,), or int
            Filter masks.

        Raises
        ------
        FormatError
            More chunks than the grid has, an empty one, or one at address 0.
        TruncatedError
            A chunk reaches past the end of the file.
        """
        self._count += len(index)
        if self._count > self.grid.size:
            raise FormatError(
                f"the chunk index lists more than the {self.grid.size} chunks of the dataset",
                offset=self.grid.layout.address,
            )
        if not address.all():
            raise FormatError(
                "a chunk lies where the superblock is", offset=self.grid.superblock.base
            )
        offset = absolute_offsets(address, self.grid.superblock, "chunk")
        lengths = np.broadcast_to(np.asarray(length, np.uint64), index.shape)
        masks = np.broadcast_to(np.asarray(mask, np.uint32), index.shape)
        if not lengths.all():
            where = int(offset[lengths == 0][0])
            raise FormatError("a chunk of 0 bytes is stored", offset=where)
        outside = lengths > np.uint64(self.grid.superblock.end) - offset
        if outside.any():
            raise TruncatedError(
                "a chunk reaches past the end of the file", offset=int(offset[outside][0])
            )
        self._index.append(index)
        self._offset.append(offset)
        self._length.append(lengths)
        self._mask.append(masks)

    def build(self) -> ChunkIndexEntries:
        """Join, sort and check that no chunk is listed twice.

        Raises
        ------
        FormatError
            Two entries for one chunk.
        """
        index: U64 = _joined(self._index, np.uint64)
        offset: U64 = _joined(self._offset, np.uint64)
        length: U64 = _joined(self._length, np.uint64)
        mask: U32 = _joined(self._mask, np.uint32)
        if not (index[1:] > index[:-1]).all():
            order = np.argsort(index, kind="stable")
            index = index[order]
            twice = np.flatnonzero(index[1:] == index[:-1])
            if len(twice):
                raise FormatError(
                    f"chunk {int(index[twice[0]])} is listed twice",
                    offset=self.grid.layout.address,
                )
            offset, length, mask = offset[order], length[order], mask[order]
        return ChunkIndexEntries(index, offset, length, mask)


def _joined(parts: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    """Concatenate and let go of the parts."""
    column = np.concatenate(parts) if parts else np.empty(0, dtype=dtype)
    parts.clear()
    return column

"""Elements of the array indexes: an address, and for filtered chunks size and mask.

HDF5 File Format Specification, VII.C "The Fixed Array Index" and VII.D "The Extensible
Array Index": both store the same elements, for client 0 (chunks without filters) and
client 1 (with filters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.hdf5.object_header import UNDEFINED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.hdf5.chunk_index.columns import U64, ChunkGrid, ColumnsBuilder

__all__ = ["Elements", "check_prefix", "little_endian"]


def little_endian(raw: NDArray[np.uint8]) -> U64:
    """Unsigned integers of any width up to 8 bytes.

    Parameters
    ----------
    raw : ndarray of uint8, shape (..., width)
        Their bytes, least significant first.

    Returns
    -------
    ndarray of uint64, shape (...)
    """
    wide = np.zeros((*raw.shape[:-1], 8), dtype=np.uint8)
    wide[..., : raw.shape[-1]] = raw
    return wide.view("<u8")[..., 0]


@dataclass(frozen=True, slots=True)
class Elements:
    """How the elements of one array look, and which chunks they are.

    Parameters
    ----------
    grid : ChunkGrid
        The chunk grid.
    client : int
        0 for chunks without filters, 1 with filters.
    counts : tuple of int
        Extents of the array, slowest first.
    order : tuple of int
        Which dimension of the dataset each of them is.
    """

    grid: ChunkGrid
    client: int
    counts: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def of(
        cls,
        grid: ChunkGrid,
        header: bytes,
        offset: int,
        counts: tuple[int, ...],
        order: tuple[int, ...],
    ) -> Elements:
        """Check the version, client and element size in an array's header.

        Raises
        ------
        UnsupportedError
            An unknown version.
        FormatError
            An unknown client, or an element size that does not fit the layout.
        """
        version, client, size = header[4:7]
        if version != 0:
            raise UnsupportedError(
                f"chunk index version {version}", code="hdf5-index-version", offset=offset
            )
        if client > 1:
            raise FormatError(f"array client {client} is not a chunk index", offset=offset)
        elements = cls(grid, client, counts, order)
        if size != elements.size:
            raise FormatError(
                f"chunk index elements of {size} bytes instead of {elements.size}", offset=offset
            )
        return elements

    @property
    def size(self) -> int:
        """Bytes per element."""
        return 12 + self.grid.layout.size_width if self.client else 8

    def add_to(self, builder: ColumnsBuilder, raw: NDArray[np.uint8], first: U64) -> None:
        """Decode runs of elements and add the chunks that are allocated.

        Elements beyond the dataset's current extent are dropped.

        Parameters
        ----------
        raw : ndarray of uint8, shape (n, m * size)
            ``n`` runs of ``m`` elements.
        first : ndarray of uint64, shape (n,)
            Position in the array of each run's first element.
        """
        count = raw.shape[1] // self.size
        rows = np.ascontiguousarray(raw).reshape(len(raw) * count, self.size)
        address = little_endian(rows[:, :8]) if self.client else rows.view("<u8")[:, 0]
        position: U64 = np.add.outer(first, np.arange(count, dtype=np.uint64)).reshape(-1)
        index = self.grid.from_array(position, self.counts, self.order)
        keep = (address != UNDEFINED) & (index != UNDEFINED)
        whole = bool(keep.all())
        if not whole:
            index, address = index[keep], address[keep]
        if not self.client:
            builder.add(index, address.astype(np.uint64), self.grid.layout.chunk_bytes, 0)
            return
        if not whole:
            rows = rows[keep]
        mask = np.ascontiguousarray(rows[:, -4:]).view("<u4")[:, 0]
        builder.add(index, address, little_endian(rows[:, 8:-4]), mask)


def check_prefix(
    blocks: NDArray[np.uint8],
    offsets: U64,
    expected: tuple[bytes, int, int],
    what: str,
) -> None:
    """Check what all blocks of an array start with.

    Parameters
    ----------
    blocks : ndarray of uint8, shape (n, at least 14)
        The blocks.
    offsets : ndarray of uint64, shape (n,)
        Where they lie, for the error.
    expected : tuple of (bytes, int, int)
        Signature, client, and the address of the array's header, relative to the base.
    what : str
        Name of the structure, for the error.

    Raises
    ------
    FormatError
        A block differs.
    """
    signature, client, header = expected
    prefix = signature + bytes([0, client]) + header.to_bytes(8, "little")
    wrong = (blocks[:, : len(prefix)] != np.frombuffer(prefix, np.uint8)).any(axis=1)
    if wrong.any():
        raise FormatError(f"{what} does not belong to its array", offset=int(offsets[wrong][0]))

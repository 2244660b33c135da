"""Elements in chunks: their header, and the table of where each chunk lies.

Implements SPECIAL_CHUNKED of the HDF Specification 4.2, section 3.6.4, as ``hchunks.c`` writes it.
The table is a Vdata with the number of a chunk along each dimension, and the name of its element.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.scanners.hdf4.coders import CODER_BYTES, REPACK, Coder, read_coder
from refmaker.scanners.hdf4.descriptors import CHUNK, COMPRESSED_DATA
from refmaker.scanners.hdf4.elements import COMPRESSED
from refmaker.scanners.hdf4.vdata import RECORDS
from refmaker.scanners.hdf4.vgroups import VDATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.hdf4.datasets import FileTables
    from refmaker.scanners.hdf4.elements import Elements
    from refmaker.scanners.hdf4.vdata import VData

__all__ = ["ChunkHeader", "ChunkPlaces", "read_chunk_header", "read_chunk_table"]

_FIXED = struct.Struct(">iBiiiiHHHHi")
_MAX_RANK: Final = 32
_MAX_CHUNK: Final = 2**31 - 1
_HEADER = np.dtype(
    [("code", ">u2"), ("version", ">u2"), ("size", ">u4"), ("ref", ">u2"), ("model", ">u2"),
     ("coder", ">u2")]
)  # fmt: skip
"""The header of a compressed chunk, up to the coder's parameters."""


class ChunkHeader(NamedTuple):
    """What the header of an element in chunks says.

    Parameters
    ----------
    shape, chunk_shape : tuple of int
        Elements along each dimension, of all and of a chunk.
    itemsize : int
        Bytes of an element.
    fill : bytes
        The value of elements that were never written.
    table : int
        Reference number of the Vdata that holds the table.
    coder : Coder or None
        How chunks are compressed.
    """

    shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    itemsize: int
    fill: bytes
    table: int
    coder: Coder | None

    @property
    def nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunk_shape) * self.itemsize


def read_chunk_header(tables: FileTables, at: int) -> ChunkHeader:
    """Return the header of an element in chunks.

    Parameters
    ----------
    tables : FileTables
        The file.
    at : int
        Where the element's header begins, with the code of special elements.

    Raises
    ------
    FormatError, TruncatedError
        If it says what cannot be.
    UnsupportedError
        If the chunks are compressed in a way that nothing here decodes.
    """
    head = tables.elements.head
    raw = head(at + 2, _FIXED.size)
    _, _, flag, _, _, itemsize, tag, table, _, _, rank = _FIXED.unpack(raw)
    if not 0 < rank <= _MAX_RANK or tag != VDATA:
        raise FormatError(f"chunks of {rank} dimensions, listed by an element {tag}", offset=at)
    at += 2 + _FIXED.size
    extents = struct.unpack(f">{3 * rank}i", head(at, 12 * rank))
    shape, chunk_shape = extents[1::3], extents[2::3]
    if min(shape) < 0 or min(chunk_shape) < 1 or itemsize < 1:
        raise FormatError(f"chunks of {chunk_shape} of the shape {shape}", offset=at)
    if math.prod(chunk_shape) * itemsize > _MAX_CHUNK:
        raise FormatError(f"chunks of {chunk_shape} of {itemsize} bytes", offset=at)
    at += 12 * rank
    (count,) = struct.unpack(">i", head(at, 4))
    if not 0 <= count <= 256:
        raise FormatError(f"a fill value of {count} bytes", offset=at)
    fill = head(at + 4, count)
    at += 4 + count
    coder = None
    if flag & 0xFF == COMPRESSED:
        _, length = struct.unpack(">Hi", head(at, 6))
        coder = read_coder(head(at + 6, min(max(length, 4), CODER_BYTES)))
    return ChunkHeader(shape, chunk_shape, itemsize, fill, table, coder)


def read_chunk_table(
    tables: FileTables,
    places: ChunkPlaces,
    header: ChunkHeader,
    shape: tuple[int, ...],
    budget: int,
) -> ChunkTable:
    """Return where the chunks lie; chunks in several places are read.

    Parameters
    ----------
    tables : FileTables
        The file.
    places : ChunkPlaces
        Of all chunks in it.
    header : ChunkHeader
        Of the element.
    shape : tuple of int
        Elements along each dimension.
    budget : int
        Bytes of chunks that may be read because they lie in several places.

    Raises
    ------
    FormatError, TruncatedError
        If a chunk has no place in the array, is not there, or has another size than it needs.
    UnsupportedError
        If chunks in several places are more than the budget; code ``hdf4-linked``.
    """
    grid = chunk_grid(shape, header.chunk_shape)
    at, keys = _rows(tables, header)
    try:
        number = np.ravel_multi_index(tuple(at.T), grid) if at.size else np.empty(0, np.int64)
    except ValueError as error:
        raise FormatError(f"a chunk outside of the grid {grid}") from error
    row = tables.elements.descriptors.rows(keys)
    urls = (tables.elements.source.url,)
    usual = places.usual(header, row)
    if usual is not None:
        offset, length = usual
        return ChunkTable.from_columns(grid, urls, offset=offset, length=length, index=number)
    found = _Found(tables, places, header, keys, row)
    kept = found.kept
    return ChunkTable.from_columns(
        grid,
        urls,
        offset=found.offset[kept],
        length=found.length[kept],
        index=number[kept],
        inlined=found.read_scattered(number, budget),
    )


def _rows(tables: FileTables, header: ChunkHeader) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return numbers of chunks, shape (n, rank), and keys of their descriptors, shape (n,)."""
    vdata: VData | None = tables.vdatas.get(header.table)
    rank = len(header.shape)
    if vdata is None or vdata.width != 4 * rank + 4 or vdata.by_field:
        raise FormatError(f"the table of chunks {header.table} is none")
    raw = tables.elements.read(RECORDS, vdata.ref) if vdata.rows else b""
    if len(raw) < vdata.rows * vdata.width:
        raise FormatError(f"{len(raw)} bytes for a table of {vdata.rows} chunks")
    # A number for each dimension; then tag and reference number, which are a key together.
    rows = np.frombuffer(raw, ">i4", vdata.rows * (rank + 1)).reshape(-1, rank + 1)
    found = rows.astype(np.int64)
    keys = found[:, -1]
    if bool((keys >> 16 != CHUNK).any()):
        raise FormatError("a table of chunks names elements of another kind")
    return found[:, :-1], keys


class ChunkPlaces:
    """Where the data of all compressed chunks of a file lie, by the row of their descriptors.

    Parameters
    ----------
    elements : Elements
        The elements of the file. The headers of chunks are read together.

    Attributes
    ----------
    row : ndarray of int64, shape (descriptors,)
        That of the data; -1 where there are none.
    size : ndarray of int64, shape (descriptors,)
        Decoded bytes; -1 where the header is no such.
    coder : ndarray of int64, shape (descriptors,)
    """

    def __init__(self, elements: Elements) -> None:
        known = self._known = elements.descriptors
        self.row, self.size, self.coder, self._usual = (
            np.full(known.tag.shape, -1, np.int64) for _ in range(4)
        )
        last = elements.source.size - _HEADER.itemsize
        there = np.flatnonzero((known.tag == CHUNK) & known.special & (known.offset <= last))
        if not there.size:
            return
        raw = elements.windows.read_rows(known.offset[there], _HEADER.itemsize)
        head = raw.reshape(-1).view(_HEADER)
        fine = (head["code"] == COMPRESSED) & (head["model"] == 0)
        self.size[there] = np.where(fine, head["size"].astype(np.int64), -1)
        self.coder[there] = head["coder"]
        self.row[there] = data = known.rows(head["ref"].astype(np.int64) | COMPRESSED_DATA << 16)
        end = known.offset[data] + known.length[data]
        written = known.written[there] & (data >= 0) & known.written[data]
        usual = written & ~known.special[data] & (end <= elements.source.size)
        self._usual[there[usual]] = self.size[there[usual]] << 16 | self.coder[there[usual]]

    def usual(
        self, header: ChunkHeader, row: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return offset and length of chunks, if all are as nearly all are: written, in one place.

        Parameters
        ----------
        header : ChunkHeader
            Of the element.
        row : ndarray of int64, shape (n,)
            Those of the chunks' descriptors; -1 for chunks that are not there.
        """
        if header.coder is None or not header.coder.number:
            return None
        wanted = header.nbytes << 16 | header.coder.number
        if not row.size or int(row.min()) < 0 or not bool((self._usual[row] == wanted).all()):
            return None
        data = self.row[row]
        return self._known.offset[data], self._known.length[data]


class _Found:
    """The chunks of one element, by column.

    Attributes
    ----------
    offset, length : ndarray of int64, shape (n,)
    kept : ndarray of bool, shape (n,)
        Whether a chunk is a range of bytes: it was written, and in one place.
    """

    def __init__(
        self,
        tables: FileTables,
        places: ChunkPlaces,
        header: ChunkHeader,
        keys: NDArray[np.int64],
        row: NDArray[np.int64],
    ) -> None:
        self._elements, self._header, self._keys = tables.elements, header, keys
        known = tables.elements.descriptors
        if row.size and int(row.min()) < 0:
            raise FormatError("a chunk that is not there")
        written = known.written[row]
        special = known.special[row] & written
        self._row = row
        if header.coder is None:
            self._scattered = special
        else:
            self._check_headers(places, written, special)
            self._row = places.row[row]
            # Data that are named and not there were never written.
            written &= self._row >= 0
            written &= known.written[self._row]
            self._scattered = known.special[self._row] & written
        self.offset, self.length = known.offset[self._row], known.length[self._row]
        self.kept = written & ~self._scattered
        self._check()

    def _check_headers(
        self, places: ChunkPlaces, written: NDArray[np.bool_], special: NDArray[np.bool_]
    ) -> None:
        if not bool((special == written).all()):
            raise UnsupportedError(
                "chunks of which only some are compressed",
                code="hdf4-chunks",
                hint=REPACK,
            )
        nbytes, coder = self._header.nbytes, self._header.coder
        row = self._row[written]
        alike = (places.size[row] == nbytes) & (places.coder[row] == (coder.number if coder else 0))
        if not bool(alike.all()):
            raise FormatError(f"a chunk that is not compressed as others, or not of {nbytes} bytes")

    def _check(self) -> None:
        offset, length = self.offset[self.kept], self.length[self.kept]
        if not offset.size:
            return
        end = int((offset + length).max())
        if end > self._elements.source.size:
            raise TruncatedError(
                f"a chunk ends at byte {end}, the file at {self._elements.source.size}",
                hint="the file is incomplete",
            )
        if self._header.coder is None or not self._header.coder.number:
            nbytes = self._header.nbytes
            if bool((length != nbytes).any()):
                raise FormatError(f"a chunk that has not the {nbytes} bytes of others")

    def read_scattered(self, number: NDArray[np.int64], budget: int) -> dict[int, bytes]:
        """Return the chunks that lie in several places, by number, as they are stored."""
        found: dict[int, bytes] = {}
        elements = self._elements
        for row in np.flatnonzero(self._scattered).tolist():
            if self._header.coder is None:
                element = elements.locate(CHUNK, int(self._keys[row]) & 0xFFFF)
            else:
                data = int(elements.descriptors.ref[self._row[row]])
                element = elements.compressed_data(data)
            if not element.written:
                continue
            budget -= element.stored
            if budget < 0:
                raise UnsupportedError(
                    "its chunks lie in several places each, and are more than is inlined",
                    code="hdf4-linked",
                    hint=f"raise `inline_budget`; or {REPACK}",
                )
            if element.coder is not None or element.chunked is not None:
                raise FormatError("a chunk that is compressed by itself")
            if self._header.coder is None and element.stored != self._header.nbytes:
                raise FormatError(f"a chunk of {element.stored} bytes")
            found[int(number[row])] = element.read()
        return found

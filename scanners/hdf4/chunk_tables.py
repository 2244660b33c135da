"""Elements in chunks: their header, and the table of where each chunk lies.

Implements SPECIAL_CHUNKED of the HDF Specification 4.2, section 3.6.4, as ``hchunks.c`` writes it.
The table is a Vdata with the number of a chunk along each dimension, and the name of its element.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.scanners.hdf4.coders import CODER_BYTES, Coder, read_coder
from refmaker.scanners.hdf4.descriptors import NOWHERE
from refmaker.scanners.hdf4.elements import COMPRESSED
from refmaker.scanners.hdf4.vdata import RECORDS
from refmaker.scanners.hdf4.vgroups import VDATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.hdf4.datasets import FileTables
    from refmaker.scanners.hdf4.vdata import VData

__all__ = ["ChunkHeader", "read_chunk_header", "read_chunk_table"]

_CHUNK: Final = 61
_COMPRESSED_DATA: Final = 40
_FIXED = struct.Struct(">iBiiiiHHHHi")
_MAX_RANK: Final = 32
_MAX_CHUNK: Final = 2**31 - 1
_HEADER = np.dtype(
    [("code", ">u2"), ("version", ">u2"), ("size", ">u4"), ("ref", ">u2"), ("model", ">u2"),
     ("coder", ">u2")]
)  # fmt: skip
"""The header of a compressed chunk, up to the coder's parameters."""


@dataclass(frozen=True, slots=True)
class ChunkHeader:
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
    rows = np.frombuffer(head(at, 12 * rank), ">i4").reshape(rank, 3)
    shape, chunk_shape = tuple(rows[:, 1].tolist()), tuple(rows[:, 2].tolist())
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
    tables: FileTables, header: ChunkHeader, shape: tuple[int, ...], budget: int
) -> ChunkTable:
    """Return where the chunks lie; chunks in several places are read.

    Parameters
    ----------
    tables : FileTables
        The file.
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
    at, refs = _rows(tables, header)
    if at.size and (int(at.min()) < 0 or bool((at >= np.array(grid, np.int64)).any())):
        raise FormatError(f"a chunk outside of the grid {grid}")
    number = np.ravel_multi_index(tuple(at.T), grid) if at.size else np.empty(0, np.int64)
    places = _Places(tables, header, refs)
    inlined = places.read_scattered(number, budget)
    kept = places.kept
    return ChunkTable.from_columns(
        grid,
        (tables.elements.source.url,),
        offset=places.offset[kept],
        length=places.length[kept],
        index=number[kept],
        inlined=inlined,
    )


def _rows(tables: FileTables, header: ChunkHeader) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the chunks' numbers, shape (n, rank), and the reference numbers of their elements."""
    vdata: VData | None = tables.vdatas.get(header.table)
    rank = len(header.shape)
    if vdata is None or vdata.width != 4 * rank + 4 or vdata.by_field:
        raise FormatError(f"the table of chunks {header.table} is none")
    raw = tables.elements.read(RECORDS, vdata.ref) if vdata.rows else b""
    if len(raw) < vdata.rows * vdata.width:
        raise FormatError(f"{len(raw)} bytes for a table of {vdata.rows} chunks")
    kind = np.dtype([("at", ">i4", (rank,)), ("tag", ">u2"), ("ref", ">u2")])
    rows = np.frombuffer(raw, kind, vdata.rows)
    if bool((rows["tag"] != _CHUNK).any()):
        raise FormatError("a table of chunks names elements of another kind")
    return rows["at"].reshape(-1, rank).astype(np.int64), rows["ref"].astype(np.int64)


class _Places:
    """Where chunks lie, by column.

    Attributes
    ----------
    offset, length : ndarray of int64, shape (n,)
    kept : ndarray of bool, shape (n,)
        Whether a chunk is a range of bytes: it was written, and in one place.
    """

    def __init__(self, tables: FileTables, header: ChunkHeader, refs: NDArray[np.int64]) -> None:
        self._tables, self._header, self._refs = tables, header, refs
        known = tables.elements.descriptors
        row = known.rows(_CHUNK, refs)
        if bool((row < 0).any()):
            raise FormatError("a chunk that is not there")
        self.offset, self.length = known.offset[row], known.length[row]
        written = (self.offset != NOWHERE) & (self.length != NOWHERE)
        special = known.special[row] & written
        self._scattered = np.zeros(refs.shape, bool)
        if header.coder is None:
            self._scattered = special
        elif not bool(special[written].all()):
            raise UnsupportedError(
                "chunks of which only some are compressed",
                code="hdf4-chunks",
                hint="hrepack of the HDF tools can write the file anew",
            )
        else:
            written = self._compressed(written)
        self.kept = written & ~self._scattered
        self._check()

    def _compressed(self, written: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Replace the places of headers by those of the data that they name."""
        coder, nbytes = self._header.coder, self._header.nbytes
        head = self._headers(self.offset[written])
        wrong = (head["code"] != COMPRESSED) | (head["size"] != nbytes) | (head["model"] != 0)
        if bool((wrong | (head["coder"] != (coder.number if coder else 0))).any()):
            raise FormatError(f"a chunk that is not compressed as others, or of {nbytes} bytes")
        known = self._tables.elements.descriptors
        row = np.full(written.shape, -1, np.int64)
        row[written] = known.rows(_COMPRESSED_DATA, head["ref"].astype(np.int64))
        there = row >= 0
        at = np.maximum(row, 0)
        self.offset = np.where(there, known.offset[at], NOWHERE)
        self.length = np.where(there, known.length[at], NOWHERE)
        self._scattered = there & known.special[at]
        self._data = np.where(there, known.ref[at], 0)
        kept: NDArray[np.bool_] = there & (self.offset != NOWHERE) & (self.length != NOWHERE)
        return kept

    def _headers(self, offset: NDArray[np.int64]) -> NDArray[Any]:
        source, size = self._tables.elements.source, _HEADER.itemsize
        if offset.size and int(offset.max()) + size > source.size:
            raise TruncatedError("the header of a chunk lies past the end of the file")
        rows = self._tables.elements.windows.read_rows(offset, size)
        return rows.reshape(-1).view(_HEADER)

    def _check(self) -> None:
        offset, length = self.offset[self.kept], self.length[self.kept]
        if not offset.size:
            return
        end = int((offset + length).max())
        if end > self._tables.elements.source.size:
            raise TruncatedError(
                f"a chunk ends at byte {end}, the file at {self._tables.elements.source.size}",
                hint="the file is incomplete",
            )
        if self._header.coder is None or not self._header.coder.number:
            nbytes = self._header.nbytes
            if bool((length != nbytes).any()):
                raise FormatError(f"a chunk that has not the {nbytes} bytes of others")

    def read_scattered(self, number: NDArray[np.int64], budget: int) -> dict[int, bytes]:
        """Return the chunks that lie in several places, by number, as they are stored."""
        found: dict[int, bytes] = {}
        elements = self._tables.elements
        for row in np.flatnonzero(self._scattered).tolist():
            if self._header.coder is None:
                element = elements.locate(_CHUNK, int(self._refs[row]))
            else:
                element = elements.compressed_data(int(self._data[row]))
            if not element.written:
                continue
            budget -= element.stored
            if budget < 0:
                raise UnsupportedError(
                    "its chunks lie in several places each, and are more than is inlined",
                    code="hdf4-linked",
                    hint="raise `inline_budget`, or write the file anew by hrepack",
                )
            if element.coder is not None or element.chunked is not None:
                raise FormatError("a chunk that is compressed by itself")
            if self._header.coder is None and element.stored != self._header.nbytes:
                raise FormatError(f"a chunk of {element.stored} bytes")
            found[int(number[row])] = element.read()
        return found

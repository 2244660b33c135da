"""Data elements to arrays: whatever way their bytes are stored.

Elements of which the file holds no byte get no chunks, and the fill value that the library gives.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.contiguous import contiguous_table, pieces_between_cuts
from refmaker.scanners.hdf4.chunk_tables import ChunkPlaces, read_chunk_header, read_chunk_table
from refmaker.scanners.hdf4.coders import REPACK
from refmaker.scanners.hdf4.linked import HOLE
from refmaker.scanners.hdf4.number_types import DEFAULT_FILL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.scanners.hdf4.chunk_tables import ChunkHeader
    from refmaker.scanners.hdf4.datasets import FileTables
    from refmaker.scanners.hdf4.elements import Element
    from refmaker.scanning.options import ScanOptions

__all__ = ["ArrayMaker", "Meaning"]

_LEAST_PIECE: Final = 4096
"""Bytes of a chunk below which data in several places are rather inlined."""
_MOST_BYTES: Final = 2**62


class Meaning(NamedTuple):
    """What the bytes of an element are.

    Parameters
    ----------
    shape : tuple of int
        Elements along each dimension.
    dtype : numpy.dtype
        Their type.
    fill : object
        The missing value that the file declares, as a scalar; None if it declares none.
    dimensions : tuple of str
        Names of the dimensions.
    attributes : mapping
        JSON values.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any = None
    dimensions: tuple[str, ...] | None = None
    attributes: Mapping[str, Any] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def whole(self) -> tuple[int, ...]:
        """The shape of one chunk that holds all."""
        return tuple(max(1, extent) for extent in self.shape)


class ArrayMaker:
    """Makes arrays of the elements of one file.

    Parameters
    ----------
    tables : FileTables
        The file.
    options : ScanOptions
        How to scan.
    """

    def __init__(self, tables: FileTables, options: ScanOptions) -> None:
        self._tables = tables
        self._options = options
        self._places: ChunkPlaces | None = None

    def make(self, element: Element | None, meaning: Meaning) -> Array:
        """Return the array of an element; of None, one that has no data.

        Raises
        ------
        FormatError, TruncatedError
            If the element does not hold what the array needs.
        UnsupportedError
            If it is stored in a way that references cannot express.
        """
        if meaning.nbytes >= _MOST_BYTES:
            raise FormatError(f"an array of the shape {meaning.shape}")
        if element is None or not element.written or not meaning.nbytes:
            return self._absent(meaning)
        if element.chunked is not None:
            return self._chunked(element.chunked, meaning)
        if element.coder is not None:
            return self._compressed(element, meaning)
        if element.size < meaning.nbytes:
            raise FormatError(
                f"its data have {element.size} bytes, its shape {meaning.shape} needs "
                f"{meaning.nbytes}"
            )
        return self._plain(element, meaning)

    def records(self, element: Element | None, shape: tuple[int, ...], itemsize: int) -> int:
        """Return how many records the data of an unlimited array have: as many as are written.

        Parameters
        ----------
        element : Element or None
            The data.
        shape : tuple of int
            Extents, of which the first does not count.
        itemsize : int
            Bytes of an element.
        """
        if element is None or not element.written:
            return 0
        if element.chunked is not None:
            return read_chunk_header(self._tables, element.chunked).shape[0]
        record = math.prod(shape[1:]) * itemsize
        return element.size // record if record else 0

    def _plain(self, element: Element, meaning: Meaning) -> Array:
        """Return an array of bytes that are not compressed, in one place or in several."""
        nbytes = meaning.nbytes
        if nbytes <= self._options.inline_threshold:
            return self._inlined(element, meaning)
        target = self._options.chunk_bytes
        url, itemsize = element.source.url, meaning.dtype.itemsize
        if element.single:
            start = int(element.offset[0])
            chunk, table = contiguous_table(meaning.shape, itemsize, start, url, target)
            return _array(meaning, chunk, table)
        lengths = _cut(element, nbytes)
        offsets = element.offset[: lengths.size]
        pieces = pieces_between_cuts(meaning.shape, itemsize, lengths, target)
        fits = nbytes <= self._options.inline_budget
        small = pieces is None or math.prod(pieces[0]) * itemsize < _LEAST_PIECE
        if pieces is None or (small and fits):
            return self._inlined(element, meaning)
        chunk, starts = pieces
        size = math.prod(chunk) * itemsize
        place = np.searchsorted(np.cumsum(lengths), starts, "right")
        first = np.cumsum(lengths) - lengths
        kept = offsets[place] != HOLE
        holes = np.flatnonzero(~kept)
        if holes.size * size > self._options.inline_budget:
            raise _scattered(nbytes, lengths.size)
        zeros = bytes(size)
        table = ChunkTable.from_columns(
            chunk_grid(meaning.shape, chunk),
            (url,),
            offset=(offsets[place] + starts - first[place])[kept],
            length=np.full(int(kept.sum()), size, np.int64),
            index=np.flatnonzero(kept),
            inlined=dict.fromkeys(holes.tolist(), zeros),
        )
        return _array(meaning, chunk, table)

    def _inlined(self, element: Element, meaning: Meaning, *, encoded: bool = False) -> Array:
        """Return an array of one chunk whose bytes are kept in the reference set."""
        nbytes = element.stored if encoded else meaning.nbytes
        if nbytes > max(self._options.inline_budget, self._options.inline_threshold):
            raise _scattered(nbytes, element.offset.size)
        table = ChunkTable.inline((1,) * len(meaning.shape), {0: element.read(nbytes)})
        return _array(meaning, meaning.whole, table)

    def _compressed(self, element: Element, meaning: Meaning) -> Array:
        """Return an array of one compressed chunk."""
        if element.size != meaning.nbytes:
            raise UnsupportedError(
                f"its compressed data hold {element.size} bytes, its shape {meaning.shape} needs "
                f"{meaning.nbytes}",
                code="hdf4-size",
                hint=REPACK,
            )
        codec = element.coder.codec(element.size, meaning.dtype) if element.coder else None
        return self.encoded(element, meaning, codec)

    def encoded(self, element: Element, meaning: Meaning, codec: Mapping[str, Any] | None) -> Array:
        """Return an array of one chunk that a codec decodes.

        Parameters
        ----------
        element : Element
            Its bytes.
        meaning : Meaning
            What they are.
        codec : mapping or None
            A configuration of numcodecs.

        Raises
        ------
        UnsupportedError
            If they lie in several places and are more than is inlined.
        """
        if not element.written or not meaning.nbytes:
            return self._absent(meaning)
        small = meaning.nbytes <= self._options.inline_threshold
        few = element.stored <= 2 * self._options.inline_threshold + 64
        if (small and few) or not element.single:
            return replace(self._inlined(element, meaning, encoded=True), compressor=codec)
        grid = (1,) * len(meaning.shape)
        table = ChunkTable.from_columns(
            grid, (element.source.url,), offset=element.offset, length=element.length
        )
        return _array(meaning, meaning.whole, table, codec=codec)

    def _chunked(self, at: int, meaning: Meaning) -> Array:
        header = read_chunk_header(self._tables, at)
        if header.itemsize != meaning.dtype.itemsize or len(header.shape) != len(meaning.shape):
            raise FormatError(f"chunks of {header.shape} elements of {header.itemsize} bytes")
        if self._places is None:
            self._places = ChunkPlaces(self._tables.elements)
        table = read_chunk_table(
            self._tables, self._places, header, meaning.shape, self._options.inline_budget
        )
        fill = meaning.fill
        if table.absent and len(header.fill) == meaning.dtype.itemsize:
            fill = np.frombuffer(header.fill, meaning.dtype)[0]
        codec = None
        if header.coder is not None:
            codec = header.coder.codec(header.nbytes, meaning.dtype)
        found = _array(meaning, header.chunk_shape, table, fill, codec)
        return self._small(found, header)

    def _small(self, array: Array, header: ChunkHeader) -> Array:
        """Return an array of one small chunk with its bytes in it."""
        table, most = array.chunks, self._options.inline_threshold
        if table.size != 1 or not table.referenced or header.nbytes > most:
            return array
        length = int(table.length[0])
        if length > 2 * most + 64:
            return array
        data = self._tables.elements.source.read(int(table.offset[0]), length)
        return replace(array, chunks=ChunkTable.inline(table.grid, {0: data}))

    def _absent(self, meaning: Meaning) -> Array:
        fill = meaning.fill
        if fill is None and meaning.nbytes:
            default = DEFAULT_FILL.get(meaning.dtype.str[1:])
            fill = None if default is None else np.array(default, meaning.dtype)[()]
        table = ChunkTable.empty(chunk_grid(meaning.shape, meaning.whole))
        return _array(meaning, meaning.whole, table, fill)


def _array(
    meaning: Meaning,
    chunk: tuple[int, ...],
    table: ChunkTable,
    fill: Any = None,
    codec: Mapping[str, Any] | None = None,
) -> Array:
    return Array(
        meaning.shape,
        chunk,
        meaning.dtype,
        table,
        compressor=codec,
        fill_value=meaning.fill if fill is None else fill,
        dimension_names=meaning.dimensions,
        attributes=dict(meaning.attributes or {}),
    )


def _cut(element: Element, nbytes: int) -> NDArray[np.int64]:
    """Return the bytes of the places that hold the first bytes of an element."""
    start = np.cumsum(element.length) - element.length
    length: NDArray[np.int64] = np.clip(nbytes - start, 0, element.length)
    return length[length > 0]


def _scattered(nbytes: int, places: int) -> UnsupportedError:
    return UnsupportedError(
        f"its {nbytes} bytes lie in {places} places, cut where no chunk can begin, and are more "
        "than is inlined",
        code="hdf4-linked",
        hint=f"raise `inline_budget`; or {REPACK}",
    )

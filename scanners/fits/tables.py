"""Binary tables: an array for every column.

Implements section 7.3 of the FITS Standard 4.0. A chunk is a run of whole rows, of which the codec
``refmaker.table_column`` takes the column's bytes.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import LimitError, TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.contiguous import piece_shape
from refmaker.scanners.fits.columns import table_columns
from refmaker.scanners.fits.heap import Heap, list_arrays, read_lists
from refmaker.scanners.fits.images import Coding, coding, dimension_names
from refmaker.scanners.fits.packed import GUNZIP, PackedSource, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.columns import Column
    from refmaker.scanners.fits.hdus import HDU
    from refmaker.scanners.fits.header import Header
    from refmaker.scanning.options import ScanOptions

__all__ = ["BinaryTable", "RowTable"]

_NUMBERS: Final = {"B": 8, "I": 16, "J": 32, "K": 64, "E": -32, "D": -64}
"""Types that may be scaled, as the BITPIX of the same type."""
_OTHERS: Final = {"L": "|S1", "X": "|u1", "C": ">c8", "M": ">c16"}
_DESCRIPTORS: Final = 64 * 1024**2
"""Bytes of rows that are read at most for the descriptors in them."""
_READ: Final = 1024**2
"""Bytes of a table that is read to inline its small columns."""
_DIMENSIONS: Final = re.compile(r"\( *[0-9]+ *(?:, *[0-9]+ *)*\)")
_MAX_RANK: Final = 32


class RowTable(ABC):
    """The rows of a table, of which a codec takes a column.

    Parameters
    ----------
    hdu : HDU
        The extension.
    source : Source or PackedSource
        The file; a table of up to 1 MiB is read where a column is small enough to be inlined.
    options : ScanOptions
        Thresholds.
    report : ScanReport
        Told of keywords that mean nothing.
    primary : bool
        Whether the root has an image; see `dimension_names`.

    Attributes
    ----------
    width, rows : int
        Bytes of a row, and how many there are.
    row_dimension : str
        Name of the dimension of all rows.
    columns : list of Column
        As the header describes them.

    Raises
    ------
    TruncatedError
        If the rows lie beyond the end of the file.
    """

    def __init__(
        self,
        hdu: HDU,
        source: Source | PackedSource,
        options: ScanOptions,
        report: ScanReport,
        *,
        primary: bool,
    ) -> None:
        header = hdu.header
        self._hdu, self._source, self._options, self._report = hdu, source, options, report
        self.width, self.rows = self.extent(header)
        self.row_dimension = dimension_names(hdu, 2, primary=primary)[0]
        end = header.data + self.width * self.rows
        if end > source.size:
            raise TruncatedError(
                f"its rows end at byte {end}, the file at {source.size}",
                offset=header.data,
                hint="the file is incomplete",
            )
        self._content: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        self.columns = self.described(header)

    @abstractmethod
    def described(self, header: Header) -> list[Column]:
        """Return the columns that a header describes."""

    @staticmethod
    def extent(header: Header) -> tuple[int, int]:
        """Return the bytes of a row, and how many there are."""
        width, rows = header.axes
        return width, rows

    def read(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the rows, shape (rows, bytes of a row)."""
        if self._content is None:
            raw = self._source.read(self._hdu.header.data, self.rows * self.width)
            self._content = np.frombuffer(raw, np.uint8).reshape(self.rows, self.width)
        return self._content

    def taken(
        self, inner: tuple[int, ...], names: tuple[str, ...], made: Coding, codec: Mapping[str, Any]
    ) -> Array:
        """Return what a codec takes out of runs of whole rows, shape (rows, ...).

        Parameters
        ----------
        inner : tuple of int
            Shape of the elements of one row.
        names : tuple of str
            Of the dimensions.
        made : Coding
            What the elements mean.
        codec : mapping
            Its configuration.
        """
        inside: tuple[Mapping[str, Any], ...] = ()
        compressor = codec
        if not self.rows or not self.width or 0 in inner:
            chunk, table = self._none(inner)
        elif isinstance(self._source, PackedSource):
            flat = (self.rows * self.width, *(1,) * len(inner))
            placed = place(self._source, flat, 1, self._hdu.header.data, self._options)
            chunk, table = (self.rows, *inner), placed.table
            inside = (codec, *placed.filters)
            compressor = placed.compressor or {}
        elif self.rows * self.width <= self._options.inline_threshold:
            chunk = (self.rows, *inner)
            table = ChunkTable.inline((1,) * len(chunk), {0: self.read().tobytes()})
        else:
            chunk, table = self._pieces(inner)
        shape = (self.rows, *inner)
        return made.array(table, shape, chunk, names, inner=inside, compressor=compressor or None)

    def column(
        self, column: Column, names: tuple[str, ...], made: Coding, inner: tuple[int, ...]
    ) -> Array:
        """Return the elements of a column, shape (rows, ...).

        Parameters
        ----------
        column : Column
            Where they lie in a row.
        names : tuple of str
            Of the dimensions.
        made : Coding
            What they mean.
        inner : tuple of int
            Shape of the elements of one row.
        """
        nbytes = column.width * self.rows
        small = nbytes <= self._options.inline_threshold and self.rows * self.width <= _READ
        if nbytes and small:
            shape = (self.rows, *inner)
            part = self.read()[:, column.start : column.start + column.width]
            table = ChunkTable.inline((1,) * len(shape), {0: part.tobytes()})
            return made.array(table, shape, shape, names)
        codec = {
            "id": "refmaker.table_column",
            "row": self.width,
            "start": column.start,
            "width": column.width,
        }
        return self.taken(inner, names, made, codec if nbytes else {})

    def _none(self, inner: tuple[int, ...]) -> tuple[tuple[int, ...], ChunkTable]:
        """Return chunk shape and table of a column without elements."""
        shape = (self.rows, *inner)
        chunk = tuple(max(1, extent) for extent in shape)
        return chunk, ChunkTable.empty(chunk_grid(shape, chunk))

    def _pieces(self, inner: tuple[int, ...]) -> tuple[tuple[int, ...], ChunkTable]:
        """Return chunk shape and table: runs of whole rows."""
        target = self._options.chunk_bytes
        (rows,) = piece_shape((self.rows,), self.width, target)
        count, nbytes = self.rows // rows, rows * self.width
        offset = np.arange(count, dtype=np.uint64) * np.uint64(nbytes)
        table = ChunkTable.from_columns(
            (count, *(1,) * len(inner)),
            (self._source.url,),
            offset=offset + np.uint64(self._hdu.header.data),
            length=np.full(count, nbytes, np.uint64),
        )
        return (rows, *inner), table


class BinaryTable(RowTable):
    """A binary table whose columns become arrays.

    Attributes
    ----------
    columns : list of Column
        Its columns.

    Raises
    ------
    FormatError
        If the columns make no sense; else as for `RowTable`.
    """

    def described(self, header: Header) -> list[Column]:
        """Return the columns, and note where the heap lies."""
        nbytes = self.width * self.rows
        origin = header.data + header.integer("THEAP", nbytes)
        self._heap = Heap(origin, header.data + nbytes, min(self._hdu.end, self._source.size))
        return table_columns(header)

    def arrays(self, column: Column, name: str, counts: str) -> dict[str, Array]:
        """Return a column as arrays.

        Parameters
        ----------
        column : Column
            One of `columns`.
        name, counts : str
            What it is called here, and what the numbers of elements of its lists would be.

        Returns
        -------
        dict of str to Array
            One array of shape (rows, ...); for lists as `list_arrays`.

        Raises
        ------
        UnsupportedError
            If its elements are scattered over the heap, or scaled in a way that attributes do
            not tell.
        FormatError, LimitError
            If its keywords or lists make no sense.
        """
        where = self._hdu.below(name)
        if column.code in "PQ":
            if isinstance(self._source, PackedSource):
                raise UnsupportedError(
                    "lists in the heap of a file that is compressed as a whole",
                    code="fits-gzip",
                    hint=GUNZIP,
                )
            if self.rows * self.width > _DESCRIPTORS:
                raise LimitError(f"{self.rows} rows are too many lists", offset=self._heap.origin)
            made = self._coding(column, column.inner, where)
            descriptors = self.read()[:, column.start : column.start + column.width]
            lists = read_lists(descriptors, column, self._heap)
            told = name, counts, self.row_dimension
            return list_arrays(lists, column, told, made, self._source, self._options)
        made = self._coding(column, column.code, where)
        inner = self._inner(column, where)
        if column.code == "A":
            if not column.width:
                raise UnsupportedError("texts without characters", code="fits-empty-column")
            units = made.attributes
            made, inner = Coding(np.dtype(f"|S{inner[-1]}")), inner[:-1]
            made.attributes |= units
        names = (self.row_dimension, *(f"{name}_{axis}" for axis in range(len(inner), 0, -1)))
        return {name: self.column(column, names, made, inner)}

    def _coding(self, column: Column, code: str, where: str) -> Coding:
        """Return what the stored elements of a type mean."""
        header, number = self._hdu.header, column.number
        keys = f"TSCAL{number}", f"TZERO{number}", f"TNULL{number}", f"TUNIT{number}"
        if code in _NUMBERS:
            return coding(header, _NUMBERS[code], where, self._report, keys)
        if any(header.keywords.get(key) not in (None, *plain) for key, plain in _plain(keys)):
            raise UnsupportedError(
                f"{keys[0]} and {keys[1]} of a column of the type {code!r}",
                code="fits-scaling",
            )
        made = Coding(np.dtype(_OTHERS.get(code, "|S1")))
        if header.text(keys[3]):
            made.attributes["units"] = header.text(keys[3])
        return made

    def _inner(self, column: Column, where: str) -> tuple[int, ...]:
        """Return the dimensions of an element of the column, in C order; characters are one."""
        count = column.width if column.code == "X" else column.repeat
        key = f"TDIM{column.number}"
        text = self._hdu.header.text(key)
        if text and column.code != "X":
            found = _DIMENSIONS.fullmatch(text)
            sides = tuple(int(side) for side in text[1:-1].split(",")[::-1]) if found else ()
            if sides and len(sides) < _MAX_RANK and math.prod(sides) == count:
                return sides
            self._report.warn(f"{where}: {key} {text!r} is left out: it does not fit {count}")
        if column.code == "A":
            return (count,)
        return () if count == 1 and column.code != "X" else (count,)


def _plain(keys: tuple[str, str, str, str]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the keywords of scaling with the values that change nothing."""
    return (keys[0], (1,)), (keys[1], (0,))

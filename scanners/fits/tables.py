"""Binary tables: an array for every column whose elements lie in the rows.

Implements section 7.3 of the FITS Standard 4.0. A chunk is a run of whole rows, of which the codec
``refmaker.fits_column`` takes the column's bytes.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable
from refmaker.model.contiguous import piece_shape
from refmaker.scanners.fits.columns import table_columns
from refmaker.scanners.fits.images import Coding, coding, dimension_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.columns import Column
    from refmaker.scanners.fits.hdus import HDU
    from refmaker.scanning.options import ScanOptions

__all__ = ["BinaryTable"]

_NUMBERS: Final = {"B": 8, "I": 16, "J": 32, "K": 64, "E": -32, "D": -64}
"""Types that may be scaled, as the BITPIX of the same type."""
_OTHERS: Final = {"L": "|S1", "X": "|u1", "C": ">c8", "M": ">c16"}
_READ: Final = 1024**2
"""Bytes of a table that is read to inline its small columns."""
_DIMENSIONS: Final = re.compile(r"\( *[0-9]+ *(?:, *[0-9]+ *)*\)")
_MAX_RANK: Final = 32


class BinaryTable:
    """A binary table whose columns become arrays.

    Parameters
    ----------
    hdu : HDU
        The extension.
    source : Source
        The file; a table of up to 1 MiB is read where a column is small enough to be inlined.
    options : ScanOptions
        Thresholds.
    report : ScanReport
        Told of keywords that mean nothing.
    primary : bool
        Whether the root has an image; see `dimension_names`.

    Raises
    ------
    FormatError, TruncatedError
        If the columns make no sense, or the rows lie beyond the end of the file.
    """

    def __init__(
        self, hdu: HDU, source: Source, options: ScanOptions, report: ScanReport, *, primary: bool
    ) -> None:
        header = hdu.header
        self._hdu, self._source, self._options, self._report = hdu, source, options, report
        self._width, self._rows = header.axes
        self.columns = table_columns(header)
        self._row_dimension = dimension_names(hdu, 2, primary=primary)[0]
        end = header.data + self._width * self._rows
        if end > source.size:
            raise TruncatedError(
                f"its rows end at byte {end}, the file at {source.size}",
                offset=header.data,
                hint="the file is incomplete",
            )
        self._content: np.ndarray[Any, np.dtype[np.uint8]] | None = None

    def array(self, column: Column, name: str) -> Array:
        """Return a column as an array, shape (rows, ...).

        Parameters
        ----------
        column : Column
            One of `columns`.
        name : str
            What it is called here.

        Raises
        ------
        UnsupportedError
            If its elements lie in the heap, or are scaled in a way that attributes do not tell.
        FormatError
            If its keywords make no sense.
        """
        where = self._hdu.below(name)
        made = self._coding(column, where)
        inner = self._inner(column, where)
        if column.code == "A":
            if not column.width:
                raise UnsupportedError("texts without characters", code="fits-empty-column")
            made, inner = Coding(np.dtype(f"|S{inner[-1]}")), inner[:-1]
        shape = (self._rows, *inner)
        names = (self._row_dimension, *(f"{name}_{axis}" for axis in range(len(inner), 0, -1)))
        compressor: Mapping[str, Any] | None = None
        nbytes = column.width * self._rows
        if not nbytes:
            chunk = tuple(max(1, extent) for extent in shape)
            shape_grid = tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))
            table = ChunkTable.empty(shape_grid)
        elif nbytes <= self._options.inline_threshold and self._rows * self._width <= _READ:
            chunk = shape
            part = self._read()[:, column.start : column.start + column.width]
            table = ChunkTable.inline((1,) * len(shape), {0: part.tobytes()})
        else:
            chunk, table = self._pieces(inner)
            compressor = {
                "id": "refmaker.fits_column",
                "row": self._width,
                "start": column.start,
                "width": column.width,
            }
        return Array(
            shape,
            chunk,
            made.dtype,
            table,
            fill_value=made.fill_value,
            filters=made.filters,
            compressor=compressor,
            dimension_names=names,
            attributes=made.attributes,
        )

    def _read(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the rows, shape (rows, bytes of a row)."""
        if self._content is None:
            raw = self._source.read(self._hdu.header.data, self._rows * self._width)
            self._content = np.frombuffer(raw, np.uint8).reshape(self._rows, self._width)
        return self._content

    def _pieces(self, inner: tuple[int, ...]) -> tuple[tuple[int, ...], ChunkTable]:
        """Return chunk shape and table: runs of whole rows."""
        target = self._options.chunk_bytes
        (rows,) = piece_shape((self._rows,), self._width, target)
        count, nbytes = self._rows // rows, rows * self._width
        offset = np.arange(count, dtype=np.uint64) * np.uint64(nbytes)
        table = ChunkTable.from_columns(
            (count, *(1,) * len(inner)),
            (self._source.url,),
            offset=offset + np.uint64(self._hdu.header.data),
            length=np.full(count, nbytes, np.uint64),
        )
        return (rows, *inner), table

    def _coding(self, column: Column, where: str) -> Coding:
        """Return what the stored elements mean."""
        header, number = self._hdu.header, column.number
        if column.code in "PQ":
            raise UnsupportedError(
                f"its elements, of the type {column.inner!r}, lie in the heap, in lists of "
                "different lengths",
                code="fits-heap",
                hint="astropy.io.fits reads it",
            )
        keys = f"TSCAL{number}", f"TZERO{number}", f"TNULL{number}"
        if column.code in _NUMBERS:
            return coding(header, _NUMBERS[column.code], where, self._report, keys)
        if any(header.keywords.get(key) not in (None, *plain) for key, plain in _plain(keys)):
            raise UnsupportedError(
                f"{keys[0]} and {keys[1]} of a column of the type {column.code!r}",
                code="fits-scaling",
            )
        return Coding(np.dtype(_OTHERS.get(column.code, "|S1")))

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


def _plain(keys: tuple[str, str, str]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the keywords of scaling with the values that change nothing."""
    return (keys[0], (1,)), (keys[1], (0,))

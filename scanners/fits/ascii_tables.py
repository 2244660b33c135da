"""ASCII tables: an array for every column.

Implements section 7.2 of the FITS Standard 4.0. A chunk is a run of whole rows: the codec
``refmaker.table_column`` takes texts out of them, ``refmaker.fits_ascii`` makes numbers of theirs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.fits.columns import Column
from refmaker.scanners.fits.images import Coding, scaling
from refmaker.scanners.fits.tables import RowTable

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.fits.header import Header

__all__ = ["ASCIITable"]

_FORM: Final = re.compile(r"([AIFED])([0-9]+)(?:\.([0-9]+))?")
_MAX_FIELDS: Final = 999
_MISSING: Final = -(2**63)
"""What integers without a value become, where TNULL is no integer."""


class ASCIITable(RowTable):
    """A table of text whose columns become arrays.

    Attributes
    ----------
    columns : list of Column
        Its columns; ``inner`` holds the digits behind the decimal point.

    Raises
    ------
    FormatError
        If the columns make no sense; else as for `RowTable`.
    """

    def described(self, header: Header) -> list[Column]:
        """Return the fields, as TFORMn and TBCOLn give them."""
        count = header.integer("TFIELDS")
        if not 0 <= count <= _MAX_FIELDS:
            raise FormatError(f"TFIELDS is {count}", offset=header.start)
        return [self._field(number) for number in range(1, count + 1)]

    def _field(self, number: int) -> Column:
        header = self._hdu.header
        form = header.text(f"TFORM{number}")
        found = _FORM.fullmatch(form)
        start = header.integer(f"TBCOL{number}") - 1
        if not found or int(found[2]) < 1 or not 0 <= start <= self.width - int(found[2]):
            raise FormatError(
                f"TFORM{number} is {form!r}, TBCOL{number} {start + 1} of {self.width}",
                offset=header.start,
            )
        name = header.text(f"TTYPE{number}") or f"col{number}"
        return Column(number, name, found[1], 1, start, int(found[2]), found[3] or "0")

    def arrays(self, column: Column, name: str, _counts: str) -> dict[str, Array]:
        """Return a column as an array, shape (rows,).

        Parameters
        ----------
        column : Column
            One of `columns`.
        name : str
            What it is called here.

        Raises
        ------
        UnsupportedError
            If the texts of a column have a value for none.
        FormatError
            If its keywords make no sense.
        """
        codec: dict[str, Any] = {
            "id": "refmaker.table_column",
            "row": self.width,
            "start": column.start,
            "width": column.width,
        }
        made = Coding(np.dtype(f"|S{column.width}"))
        if column.code != "A":
            made = Coding(np.dtype("<i8" if column.code == "I" else "<f8"))
            codec |= {"id": "refmaker.fits_ascii", "dtype": made.dtype.str}
            codec |= self._numbers(column, made)
        units = self._hdu.header.text(f"TUNIT{column.number}")
        if units:
            made.attributes["units"] = units
        return {name: self.taken((), (self.row_dimension,), made, codec)}

    def _numbers(self, column: Column, made: Coding) -> dict[str, Any]:
        """Return how the fields of a column are read, and say what its values mean."""
        header, number = self._hdu.header, column.number
        scale, zero = scaling(header, f"TSCAL{number}", f"TZERO{number}")
        if scale != 1:
            made.attributes["scale_factor"] = float(scale)
        if zero != 0:
            made.attributes["add_offset"] = float(zero)
        found: dict[str, Any] = {}
        if column.code != "I":
            found["decimals"] = int(column.inner)
        null = header.keywords.get(f"TNULL{number}")
        if null is None:
            return found
        if isinstance(null, bool) or not isinstance(null, str | int):
            raise UnsupportedError(
                f"TNULL{number} is {null!r}: how fields without a value are written is not clear",
                code="fits-null",
            )
        found["null"] = str(null).strip()
        if column.code == "I":
            given = re.fullmatch(r"[+-]?[0-9]{1,18}", str(null).strip())
            found["missing"] = int(null) if given else _MISSING
            made.attributes["_FillValue"] = found["missing"]
            made.fill_value = np.int64(found["missing"])
        return found

"""Random groups: rows of parameters and an array each, as radio interferometers write them.

Implements section 6 of the FITS Standard 4.0: GCOUNT groups of PCOUNT parameters and an array of
``NAXIS2`` to ``NAXISm``, all of the type that BITPIX tells.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from refmaker.errors import UnsupportedError
from refmaker.scanners.fits.columns import Column
from refmaker.scanners.fits.hdus import DATA
from refmaker.scanners.fits.images import coding, dimension_names
from refmaker.scanners.fits.tables import RowTable

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.fits.header import Header

__all__ = ["GROUP_DIMENSION", "RandomGroups"]

GROUP_DIMENSION: Final = "GCOUNT"
"""Name of the dimension of all groups."""
_PARAMETERS: Final = 999
_MAX_RANK: Final = 32


class RandomGroups(RowTable):
    """Random groups, whose parameters and data become arrays.

    Attributes
    ----------
    columns : list of Column
        The data, then the parameters.

    Raises
    ------
    UnsupportedError
        If there are more parameters, or dimensions, than can be told; else as for `RowTable`.
    """

    def described(self, header: Header) -> list[Column]:
        """Return the data, then the parameters."""
        self.row_dimension = GROUP_DIMENSION
        size, count = abs(header.bitpix) // 8, header.integer("PCOUNT", 0)
        if count > _PARAMETERS or len(header.axes) > _MAX_RANK:
            raise UnsupportedError(
                f"groups of {count} parameters and {len(header.axes)} axes",
                code="fits-random-groups",
            )
        elements = self.width // size - count
        columns = [Column(0, DATA, "", elements, count * size, elements * size, "")]
        for number in range(1, count + 1):
            name = header.text(f"PTYPE{number}") or f"parameter{number}"
            columns.append(Column(number, name, "", 1, (number - 1) * size, size, ""))
        return columns

    @staticmethod
    def extent(header: Header) -> tuple[int, int]:
        """Return the bytes of a group, and how many there are."""
        elements = math.prod(header.axes[1:]) if header.axes[1:] else 0
        width = abs(header.bitpix) // 8 * (header.integer("PCOUNT", 0) + elements)
        return width, header.integer("GCOUNT", 1)

    def arrays(self, column: Column, name: str, counts: str) -> dict[str, Array]:  # noqa: ARG002
        """Return the data, shape (GCOUNT, NAXISm, ..., NAXIS2), or a parameter, shape (GCOUNT,).

        Parameters
        ----------
        column : Column
            One of `columns`.
        name, counts : str
            What it is called here; what numbers of elements would be called.

        Raises
        ------
        FormatError
            If a factor or an offset is no number, or the factor is 0.
        """
        header, where = self._hdu.header, self._hdu.below(name)
        names: tuple[str, ...] = (self.row_dimension,)
        if not column.number:
            made = coding(header, header.bitpix, where, self._report)
            inner = header.axes[:0:-1]
            names += dimension_names(self._hdu, len(header.axes), primary=False)[:-1]
            return {name: self.column(column, names, made, inner)}
        at = column.number
        keys = f"PSCAL{at}", f"PZERO{at}", f"PNULL{at}", f"PUNIT{at}"
        made = coding(header, header.bitpix, where, self._report, keys)
        return {name: self.column(column, names, made, ())}

"""The GRIB codecs of kerchunk and gribscan, for references that they wrote.

They take the place of ``grib`` and ``gribscan.rawgrib`` where those packages are not installed;
`refmaker.codecs.register` never replaces a codec that is. Both mean the first field of a message,
and put its values, in scanning order, into the array's shape.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, deliver, input_bytes
from refmaker.codecs.grib_coordinates import GRIBCoordinates
from refmaker.codecs.grib_field import decode_field
from refmaker.codecs.grib_grid import read_definition
from refmaker.codecs.grib_sections import damaged, first_field, last_field
from refmaker.errors import FormatError, LimitError, MetadataError

__all__ = ["GribscanGRIB", "KerchunkGRIB"]

_COORDINATES = ("latitude", "longitude")


class KerchunkGRIB(DecodeOnly):
    """Decode what kerchunk's codec ``grib`` decodes.

    Missing values are NaN by the message's own account, not where values are 9999.

    Parameters
    ----------
    var : str
        ``latitude`` or ``longitude`` of the points; anything else means the values.
    dtype : str, optional
        Type of the result; float64 for coordinates and float32 for values without it.

    Raises
    ------
    MetadataError
        If `dtype` is no type of numbers.
    """

    codec_id = "grib"
    fields = ("var", "dtype")

    def __init__(self, var: str, dtype: str | None = None) -> None:
        self.var = var
        self.dtype = dtype
        default = "float64" if var in _COORDINATES else "float32"
        try:
            self._type = np.dtype(dtype or default)
        except TypeError as error:
            raise MetadataError(f"{self.codec_id}: dtype {dtype!r}") from error
        if self._type.kind not in "fiu":
            raise MetadataError(f"{self.codec_id}: dtype {dtype!r}")

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one message; see `refmaker.codecs.grib.GRIB` for errors."""
        run = first_field(input_bytes(buf))
        if self.var not in _COORDINATES:
            exact = np.dtype("<f4" if self._type == np.float32 else "<f8")
            values = decode_field(run, None, exact)
        else:
            values = _coordinates(run, self.var)
        return deliver(self.codec_id, values.astype(self._type, copy=False), out)


class GribscanGRIB(DecodeOnly):
    """Decode what gribscan's codec ``gribscan.rawgrib`` decodes: values in float64."""

    codec_id = "gribscan.rawgrib"

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one message; see `refmaker.codecs.grib.GRIB` for errors."""
        values = decode_field(first_field(input_bytes(buf)), None, np.dtype("<f8"))
        return deliver(self.codec_id, values, out)


def _coordinates(run: Any, name: str) -> Any:
    """Return the coordinates of the grid in a message, shape (points,)."""
    field = last_field(run)
    section = field.sections.get(2 if field.edition == 1 else 3)
    if section is None:
        damaged("a message without a grid definition")
    try:
        grid = read_definition(field.edition, section.tobytes())
    except (FormatError, LimitError) as error:
        damaged(str(error))
    codec = GRIBCoordinates(field.edition, name, [prod(grid.shape)])
    return codec.decode(section)

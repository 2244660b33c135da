"""Latitudes and longitudes of every point of a GRIB grid, computed from its definition."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError, FormatError, LimitError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GRIBCoordinates"]

_NAMES = ("latitude", "longitude")
_MOST = 2**29 - 1
"""Points whose float64 take 4 GiB."""


class GRIBCoordinates(DecodeOnly):
    """Compute coordinates from a grid definition; no message is decoded.

    A chunk is a grid definition as it stands in the file: section 3 of edition 2, or section 2 of
    edition 1, with its header. Grids that are not known here are asked of ecCodes.

    Parameters
    ----------
    edition : {1, 2}
        Edition of GRIB.
    name : {"latitude", "longitude"}
        What to compute, in degrees as float64.
    shape : sequence of int
        Shape of the chunk: (rows, columns), or (values,) where there is no rectangle.

    Raises
    ------
    MetadataError
        If a setting is impossible.
    """

    codec_id = "refmaker.grib_coordinates"
    fields = ("edition", "name", "shape")

    def __init__(self, edition: int, name: str, shape: Sequence[int]) -> None:
        self.edition = bounded("edition", edition, 1, 2)
        if name not in _NAMES:
            raise MetadataError(f"{self.codec_id}: name {name!r}, not one of {_NAMES}")
        self.name = name
        self.shape = [bounded("shape", side, 1, _MOST) for side in shape]
        bounded("shape", prod(self.shape), 1, _MOST)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Compute one chunk.

        Returns
        -------
        ndarray of float64
            Degrees, of shape `shape`; NaN where a view from space misses the earth.

        Raises
        ------
        CodecError
            If the definition contradicts itself or `shape`.
        UnsupportedError
            If neither refmaker nor ecCodes knows the grid.
        MissingDependencyError
            If only ecCodes does, and is not installed.
        """
        try:
            found = self._points(input_bytes(buf).tobytes())
        except (FormatError, LimitError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        values = np.ascontiguousarray(found[_NAMES.index(self.name)], np.float64)
        return deliver(self.codec_id, values.reshape(self.shape), out)

    def _points(self, section: bytes) -> tuple[Any, Any]:
        from refmaker.codecs.grib_eccodes import grid_points
        from refmaker.codecs.grib_grid import read_definition
        from refmaker.codecs.grib_points import KNOWN, points

        grid = read_definition(self.edition, section)
        if grid.points != prod(self.shape):
            raise FormatError(f"{grid.points} points in a chunk of shape {self.shape}")
        return points(grid) if grid.kind in KNOWN else grid_points(section, grid)

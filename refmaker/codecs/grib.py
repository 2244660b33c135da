"""GRIB messages, editions 1 and 2: from the bytes of one field to its values.

Implements sections 5 to 7 of GRIB edition 2 (WMO Manual on Codes, FM 92-XIV) and sections 2 to 4
of edition 1 (FM 92-XIII Ext.). What a chunk is, which packings are decoded here and which by
ecCodes, and what missing values become is said at `GRIB`.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.grib_scanning import arrange
from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["GRIB"]

#: Bits of the scanning mode (flag table 3.4; table 8 of edition 1) that decide where values go.
_DTYPES = ("<f8", "<f4")
_MAX_RANK = 8


class GRIB(DecodeOnly):
    """Decode one field of a GRIB message.

    A chunk is a run of bytes of the file, in one of two forms:

    - a whole message, ``GRIB`` to ``7777``, of either edition; of several fields in it the last
      one is meant;
    - a part of a message of edition 2 that begins where a section 2, 3, 4, 5 or 6 begins and ends
      where the section 7 of the wanted field ends. All sections in between are walked over, and
      the last field is meant: its sections 5 and 7 are the last ones in the run.

    The last section 6 says where values are: indicator 255, everywhere; 0, the bitmap in it; 254,
    the bitmap that the last section 6 with indicator 0 *in the run* holds. A field of indicator
    254 is therefore referenced from that earlier section 6 (or from anywhere before it) on. For
    packings that need the grid (spectral fields: templates 5.50, 5.51, 5.53) the run begins with
    section 3 or earlier.

    The number of points is that of `shape`, when there is one; section 3 and the bitmap have to
    hold as many. Without a bitmap section 5 has to count as many too, with one as many as the
    bitmap has bits set.

    Decoded here are templates 5.0 (simple), 5.2 and 5.3 (complex packing, with spatial
    differences), 5.4 (IEEE), 5.40 (JPEG 2000), 5.41 (PNG), 5.42 (CCSDS) and simple packing of
    edition 1; everything else by ecCodes. Values equal those of ecCodes bit for bit in float64;
    float32 values are those, rounded.

    Missing values are NaN: points that a bitmap excludes, and those that complex packing marks
    with its primary or secondary substitute. No value is ever compared with a number that stands
    for missing ones.

    Parameters
    ----------
    dtype : {"<f8", "<f4"}
        Type of the values.
    shape : sequence of int, optional
        Shape of the chunk: (rows, columns), or (values,) where there is no rectangle. Leading
        dimensions of length 1 are allowed. Without it values come as one row, and whole messages
        or runs that hold section 3 are needed.
    scanning : int
        Scanning mode (flag table 3.4). Only bits 0x20 (consecutive values along a column) and
        0x10 (every second row or column backwards) count; values are put back into rows. Axes
        are never flipped: rows and columns run as in the message.

    Raises
    ------
    MetadataError
        If a setting is impossible, or a chunk of this shape takes more than 4 GiB.
    """

    codec_id = "refmaker.grib"
    fields = ("dtype", "shape", "scanning")

    def __init__(
        self, dtype: str = "<f8", shape: Sequence[int] | None = None, scanning: int = 0
    ) -> None:
        if dtype not in _DTYPES:
            raise MetadataError(f"{self.codec_id}: dtype {dtype!r}, not one of {_DTYPES}")
        self.dtype = dtype
        self.scanning = bounded("scanning", scanning, 0, 255)
        self.shape: list[int] | None = None
        if shape is not None:
            if not 1 <= len(shape) <= _MAX_RANK:
                raise MetadataError(f"{self.codec_id}: a chunk of {len(shape)} dimensions")
            self.shape = [bounded("shape", side, 1, MAX_CHUNK) for side in shape]
            bounded("shape", prod(self.shape) * np.dtype(dtype).itemsize, 1, MAX_CHUNK)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one chunk.

        Returns
        -------
        ndarray of float64 or float32
            The values, in C order, of shape `shape` or of one dimension without it.

        Raises
        ------
        CodecError
            If the bytes are no such run, contradict themselves or the shape, or cannot be
            decoded. The error's ``offset`` counts from the first byte of the chunk.
        UnsupportedError
            If nothing here decodes the packing; the message names its template, the code is
            ``grib-packing``.
        MissingDependencyError
            If the packing needs a library that is not installed.
        """
        from refmaker.codecs.grib_field import decode_field

        points = None if self.shape is None else prod(self.shape)
        values = decode_field(input_bytes(buf), points, np.dtype(self.dtype))
        if self.shape is not None:
            values = arrange(values, self.shape, self.scanning)
        return deliver(self.codec_id, values, out)

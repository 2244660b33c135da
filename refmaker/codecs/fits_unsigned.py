"""Unsigned 64-bit integers of FITS."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, deliver, input_bytes
from refmaker.errors import CodecError, MetadataError

__all__ = ["FITSUnsigned"]


class FITSUnsigned(DecodeOnly):
    """Unsigned integers that are stored as signed ones, less 2^(n - 1).

    Table 11 of the FITS Standard 4.0 (section 4.4.2.5): ``BZERO`` is half of the range. Adding it
    is the same as inverting the highest bit, which is exact where arithmetic in double precision
    is not.

    Parameters
    ----------
    dtype : str
        numpy type string of the unsigned integers, such as ``">u8"``; elements are stored in the
        same byte order.
    """

    codec_id = "refmaker.fits_unsigned"
    fields = ("dtype",)

    def __init__(self, dtype: str) -> None:
        kind = np.dtype(dtype)
        if kind.kind != "u":
            raise MetadataError(f"{self.codec_id}: {dtype!r} is no unsigned integer type")
        self.dtype = kind.str

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the elements as unsigned integers, in the same byte order."""
        raw, kind = input_bytes(buf), np.dtype(self.dtype)
        if raw.size % kind.itemsize:
            raise CodecError(
                f"{self.codec_id}: {raw.size} bytes are no whole number of {self.dtype} elements"
            )
        highest = kind.type(1 << (8 * kind.itemsize - 1))
        values = (raw.view(kind) ^ highest).astype(kind, copy=False)
        return deliver(self.codec_id, values.view(np.uint8), out)

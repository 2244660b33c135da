"""HDF5 integers that use only some of their bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError, MetadataError

__all__ = ["HDF5Bits"]


class HDF5Bits(DecodeOnly):
    """Integers with a precision below their size, or a bit offset above zero.

    The fixed-point datatype of HDF5 (File Format Specification, IV.A.2.d, class 0) may place a
    value of `precision` bits at bit `offset` of each element; the other bits are padding without
    meaning. HDF5 moves and sign-extends the value when it converts to a native type, which
    reading raw bytes leaves out.

    Parameters
    ----------
    dtype : str
        numpy type string of an element in the file, byte order included, such as ``">i2"``. A
        signed type is sign-extended.
    precision : int
        Bits that carry the value, 1 to the size of the type.
    offset : int
        Lowest of these bits, counted from the least significant bit of the element.
    """

    codec_id = "refmaker.hdf5_bits"
    fields = ("dtype", "precision", "offset")

    def __init__(self, dtype: str, precision: int, offset: int = 0) -> None:
        kind = np.dtype(dtype)
        if kind.kind not in "iu":
            raise MetadataError(f"{self.codec_id}: {dtype!r} is not an integer type")
        self.dtype = kind.str
        self.precision = bounded("precision", precision, 1, 8 * kind.itemsize)
        self.offset = bounded("offset", offset, 0, 8 * kind.itemsize - self.precision)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the elements as whole integers, in the same type and byte order."""
        raw = input_bytes(buf)
        stored = np.dtype(self.dtype)
        if raw.size % stored.itemsize:
            raise CodecError(
                f"{self.codec_id}: {raw.size} bytes are no whole number of {self.dtype} elements"
            )
        # Left, so that the value's top bit is the element's; then right: an arithmetic shift of
        # a signed type carries the sign down.
        values = raw.view(stored).astype(stored.newbyteorder("="))
        values <<= 8 * stored.itemsize - self.precision - self.offset
        values >>= 8 * stored.itemsize - self.precision
        return deliver(self.codec_id, values.astype(stored, copy=False).view(np.uint8), out)

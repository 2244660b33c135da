"""The n-bit filter of HDF5 (filter 5), for atomic datatypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.bitpack import unpack_bits
from refmaker.errors import CodecError, MetadataError

__all__ = ["HDF5Nbit"]


class HDF5Nbit(DecodeOnly):
    """Elements stored with only the bits that carry their value.

    A chunk is the `precision` bits of every element, most significant first, without gaps and
    without a header. Decoding puts them back at bit `offset` of zeroed elements; it is the
    datatype conversion (see ``refmaker.hdf5_bits``) that sign-extends them.

    Parameters
    ----------
    size : int
        Bytes per element, 1..8.
    precision, offset : int
        Bits that carry the value, and the lowest of them.
    byteorder : {'<', '>'}
        Byte order of the elements.
    count : int
        Elements per chunk.
    """

    codec_id = "refmaker.hdf5_nbit"
    fields = ("size", "precision", "offset", "byteorder", "count")

    def __init__(
        self, size: int, precision: int, count: int, offset: int = 0, byteorder: str = "<"
    ) -> None:
        self.size = bounded("size", size, 1, 8)
        self.precision = bounded("precision", precision, 1, 8 * self.size)
        self.offset = bounded("offset", offset, 0, 8 * self.size - self.precision)
        self.count = bounded("count", count, 1, MAX_CHUNK // self.size)
        if byteorder not in ("<", ">"):
            raise MetadataError(f"{self.codec_id}: byte order {byteorder!r} is not '<' or '>'")
        self.byteorder = byteorder

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Unpack one chunk."""
        raw = input_bytes(buf)
        needed = -(-self.count * self.precision // 8)
        if raw.size < needed:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes, at least {needed} are needed")
        values = unpack_bits(raw, self.precision, self.count)
        width = next(width for width in (1, 2, 4, 8) if self.size <= width)
        whole = values.astype(f"=u{width}", copy=False)
        if self.offset:
            whole = whole << self.offset
        elements = whole.astype(f"{self.byteorder}u{width}", copy=False).view(np.uint8)
        if width != self.size:  # elements of 3, 5, 6 or 7 bytes: cut away the leading zeros
            columns = slice(self.size) if self.byteorder == "<" else slice(width - self.size, None)
            elements = np.ascontiguousarray(elements.reshape(-1, width)[:, columns]).reshape(-1)
        return deliver(self.codec_id, elements, out)

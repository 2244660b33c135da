"""N-bit encoding of HDF4."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.bitpack import unpack_bits
from refmaker.errors import CodecError, MetadataError

__all__ = ["HDF4Nbit"]


class HDF4Nbit(DecodeOnly):
    """Integers of which some neighbouring bits are stored.

    Coder 2 of the compression headers (HDF Specification 4.2, section 3.6.3, ``cnbit.c``). The bits
    of each element follow those of the one before, the highest first. Decoding puts them back in
    their place; the bits below are all 0 or all 1, those above likewise, or copies of the highest
    one that is stored.

    Parameters
    ----------
    dtype : str
        numpy type string of an element, an integer with its byte order.
    start : int
        Place of the highest stored bit, 0 for the lowest of an element.
    bits : int
        Bits stored.
    sign : bool
        Whether the highest is copied to those above it.
    ones : bool
        Whether the other bits are 1.
    count : int
        Elements of a chunk.
    """

    codec_id = "refmaker.hdf4_nbit"
    fields = ("dtype", "start", "bits", "sign", "ones", "count")

    def __init__(
        self,
        dtype: str,
        start: int,
        bits: int,
        count: int,
        *,
        sign: bool = False,
        ones: bool = False,
    ) -> None:
        kind = np.dtype(dtype)
        if kind.kind not in "iu":
            raise MetadataError(f"{self.codec_id}: {dtype!r} is not an integer type")
        self.dtype = kind.str
        self.start = bounded("start", start, 0, 8 * kind.itemsize - 1)
        self.bits = bounded("bits", bits, 1, self.start + 1)
        self.count = bounded("count", count, 0, MAX_CHUNK // kind.itemsize)
        self.sign, self.ones = bool(sign), bool(ones)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Unpack one chunk.

        Raises
        ------
        CodecError
            If the chunk is too short for its elements.
        """
        raw = input_bytes(buf)
        needed = -(-self.count * self.bits // 8)
        if raw.size < needed:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes, at least {needed} are needed")
        kind = np.dtype(self.dtype)
        whole = np.dtype(f"u{kind.itemsize}")
        all_bits = (1 << 8 * kind.itemsize) - 1
        low = self.start - self.bits + 1
        field = ((1 << self.bits) - 1) << low
        values = unpack_bits(raw, self.bits, self.count).astype(whole) << whole.type(low)
        if self.ones:
            values |= whole.type(all_bits & ~field)
        if self.sign:
            above = all_bits & ~((1 << (self.start + 1)) - 1)
            negative = (values >> whole.type(self.start)) & whole.type(1) != 0
            values = np.where(
                negative, values | whole.type(above), values & whole.type(all_bits & ~above)
            )
        stored = values.astype(kind.str.replace("i", "u"), copy=False)
        return deliver(self.codec_id, stored.view(np.uint8), out)

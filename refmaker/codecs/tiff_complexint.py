"""Complex numbers of two integers, as complex floats that hold them exactly."""

from __future__ import annotations

from typing import Any, ClassVar

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError, MetadataError

__all__ = ["TIFFComplexInt"]


class TIFFComplexInt(DecodeOnly):
    """Decode samples of TIFF's SampleFormat 5: a real and an imaginary integer.

    Parameters
    ----------
    bits : int
        Of each of the two integers: 8, 16 or 32. Up to 16 they become complex64, else
        complex128, both little-endian.
    byteorder : {"<", ">"}
        Of the integers.
    """

    codec_id: ClassVar[str] = "refmaker.tiff_complexint"
    fields: ClassVar[tuple[str, ...]] = ("bits", "byteorder")

    def __init__(self, bits: int, byteorder: str) -> None:
        self.bits = bounded("bits", bits, 8, 32)
        if self.bits not in (8, 16, 32):
            raise MetadataError(f"codec setting 'bits' is {bits}, not 8, 16 or 32")
        if byteorder not in ("<", ">"):
            raise MetadataError(f"codec setting 'byteorder' is {byteorder!r}")
        self.byteorder = byteorder

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the complex numbers, shape (n,)."""
        data = input_bytes(buf)
        if data.size % (self.bits // 4):
            raise CodecError(f"{self.codec_id}: {data.size} bytes are no whole number of pairs")
        pairs = data.view(f"{self.byteorder}i{self.bits // 8}")
        numbers = pairs.astype("<f4" if self.bits <= 16 else "<f8")
        return deliver(self.codec_id, numbers.view("<c8" if self.bits <= 16 else "<c16"), out)

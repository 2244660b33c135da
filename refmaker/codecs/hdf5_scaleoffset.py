"""The scale-offset filter of HDF5 (filter 6)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, Buffer, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.bitpack import unpack_bits
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["HDF5ScaleOffset"]

_FLOAT_DSCALE, _INTEGER = 0, 2
_HEADER = 21


class HDF5ScaleOffset(DecodeOnly):
    """Values stored as differences from the chunk's minimum, in as few bits as that takes.

    A chunk is: bits per value (u32 LE), size of the minimum (u8), the minimum (LE), padding up
    to byte 21, then the codes, most significant bit first, without gaps. Integers are code +
    minimum, modulo their size; floats (D-scale only, E-scale was never implemented in HDF5) are
    code / 10^D + minimum in their own precision. The highest code marks the fill value where one
    is defined.

    Parameters
    ----------
    values : sequence of int
        The filter's client values: scale type (0 float D-scale, 2 integer), scale factor (two's
        complement; for integers the bits asked for, 0 for as many as it takes), elements per
        chunk, class (0 integer, 1 float), size in bytes, signed (1),
        byte order (0 little, 1 big), fill value defined (1), then the fill value's bytes in
        words of four, little-endian.
    """

    codec_id = "refmaker.hdf5_scaleoffset"
    fields = ("values",)

    def __init__(self, values: Sequence[int]) -> None:
        self.values = [bounded("values", value, 0, 2**32 - 1) for value in values]
        if len(self.values) < 8:
            raise MetadataError(f"{self.codec_id}: {len(self.values)} client values, at least 8")
        scale, factor, count, kind, size, _signed, order, fill = self.values[:8]
        if (kind, scale) not in {(0, _INTEGER), (1, _FLOAT_DSCALE)}:
            raise MetadataError(f"{self.codec_id}: scale type {scale} for datatype class {kind}")
        if size not in ((1, 2, 4, 8), (4, 8))[kind] or order > 1 or fill > 1:
            raise MetadataError(f"{self.codec_id}: size {size}, byte order {order}, fill {fill}")
        if kind == 0 and factor >= 8 * size:
            # As many bits as an element has: the filter then leaves chunks as they are.
            raise MetadataError(f"{self.codec_id}: {factor} bits asked for, nothing is packed")
        if fill and len(self.values) < 8 + -(-size // 4):
            raise MetadataError(f"{self.codec_id}: the fill value is cut off")
        self._count = bounded("count", count, 1, MAX_CHUNK // size)
        self._digits = factor - 2**32 if factor >= 2**31 else factor
        self._float = kind == 1
        self._size = size
        self._swapped = order == 1
        words = np.array(self.values[8:], "<u4").view(np.uint8)[:size]
        self._fill = int(words.view(f"<u{size}")[0]) if fill else None

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Unpack and rescale one chunk."""
        raw = input_bytes(buf)
        if raw.size < 5:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes hold no header")
        bits = int(raw[:4].view("<u4")[0])
        if bits > 8 * self._size:
            raise CodecError(f"{self.codec_id}: {bits} bits in elements of {self._size} bytes")
        needed = _HEADER + -(-self._count * bits // 8)
        if raw.size < needed:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes, at least {needed} are needed")
        if bits == 8 * self._size:
            values = raw[_HEADER:needed].view(f"<u{self._size}").astype(f"=u{self._size}")
        else:
            minimum = int.from_bytes(raw[5 : 5 + min(int(raw[4]), 8)].tobytes(), "little")
            values = self._restore(raw[_HEADER:], bits, minimum)
        order = ">" if self._swapped else "<"
        stored = values.view(f"=u{self._size}").astype(f"{order}u{self._size}", copy=False)
        return deliver(self.codec_id, stored.view(np.uint8), out)

    def _restore(self, packed: Buffer, bits: int, minimum: int) -> NDArray[Any]:
        unsigned = np.dtype(f"=u{self._size}")
        least = np.array(minimum & (2 ** (8 * self._size) - 1), unsigned)
        codes: NDArray[Any]
        if bits:
            codes = unpack_bits(packed, bits, self._count).astype(unsigned, copy=False)
        else:
            codes = np.zeros(self._count, unsigned)
        values: NDArray[Any]
        if self._float:
            real = np.dtype(f"=f{self._size}")
            # pow in double precision, rounded: what powf gives for the single precision type.
            with np.errstate(all="ignore"):
                scale = real.type(_power_of_ten(self._digits))
                values = codes.astype(real)
                values /= scale
                values += least.view(real)
            values = values.view(unsigned)
        else:
            values = codes + least
        if self._fill is not None:
            values[codes == 2**bits - 1] = self._fill
        return values


def _power_of_ten(exponent: int) -> float:
    try:
        return math.pow(10.0, exponent)
    except OverflowError:
        return math.inf

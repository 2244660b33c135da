"""Horizontal differencing of samples whose bits do not fill an integer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, expect, input_bytes
from refmaker.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TIFFPredictor"]


class TIFFPredictor(DecodeOnly):
    """Undo TIFF's predictor 2 for samples of any number of bits, once they are unpacked.

    Implements section 14 of TIFF 6.0: each sample is the difference to the one of the pixel
    before it in its row, modulo two to the number of bits.

    Parameters
    ----------
    shape : sequence of int
        Rows, columns and, if there are several, samples of a segment.
    bits : int
        Of a sample, 1 to 32.
    """

    codec_id: ClassVar[str] = "refmaker.tiff_predictor"
    fields: ClassVar[tuple[str, ...]] = ("shape", "bits")

    def __init__(self, shape: Sequence[int], bits: int) -> None:
        if not 2 <= len(shape) <= 3:
            raise MetadataError(f"codec setting 'shape' is {shape!r}")
        self.shape = [bounded("shape", extent, 1, 2**31 - 1) for extent in shape]
        self.bits = bounded("bits", bits, 1, 32)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the samples as little-endian integers of the smallest size that holds them."""
        itemsize = 1 if self.bits <= 8 else 2 if self.bits <= 16 else 4
        data = input_bytes(buf)
        expect(self.codec_id, data.size, math.prod(self.shape) * itemsize, "the segment")
        differences = data.view(f"<u{itemsize}").reshape(self.shape)
        # Sums wrap at 2**32, which the bits that are kept do not notice.
        sums = np.cumsum(differences, axis=1, dtype=np.uint32) & np.uint32(2**self.bits - 1)
        return deliver(self.codec_id, sums.astype(f"<u{itemsize}"), out)

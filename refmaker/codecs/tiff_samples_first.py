"""Pixels whose samples lie side by side, as planes one after another."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError

__all__ = ["TIFFSamplesFirst"]


class TIFFSamplesFirst(DecodeOnly):
    """Put the samples of a chunky TIFF segment before its rows and columns.

    Parameters
    ----------
    samples : int
        Samples of a pixel.
    itemsize : int
        Bytes of a sample.
    """

    codec_id: ClassVar[str] = "refmaker.tiff_samples_first"
    fields: ClassVar[tuple[str, ...]] = ("samples", "itemsize")

    def __init__(self, samples: int, itemsize: int) -> None:
        self.samples = bounded("samples", samples, 1, 65535)
        self.itemsize = bounded("itemsize", itemsize, 1, 16)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the bytes of the planes, one after another."""
        data = input_bytes(buf)
        if data.size % (self.samples * self.itemsize):
            raise CodecError(f"{self.codec_id}: {data.size} bytes are no whole number of pixels")
        pixels = data.reshape(-1, self.samples, self.itemsize)
        planes = np.ascontiguousarray(pixels.transpose(1, 0, 2)).reshape(-1)
        return deliver(self.codec_id, planes, out)

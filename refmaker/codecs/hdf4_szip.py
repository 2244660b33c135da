"""SZIP as HDF4 stores it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from refmaker.codecs.base import (
    MAX_CHUNK,
    DecodeOnly,
    bounded,
    deliver,
    expect,
    input_bytes,
    library,
)
from refmaker.errors import CodecError

__all__ = ["HDF4Szip"]

_MARKED: Final = 0x10000
"""Bit of the mask of chunks that begin with a mark and their length."""
_MARK: Final = 5
_AS_IS: Final = 1


class HDF4Szip(DecodeOnly):
    """Extended Rice coding, behind a mark that may say that nothing was gained by it.

    Coder 5 of the compression headers (``cszip.c``, CCSDS 121.0-B). Where the mask has bit 0x10000,
    a chunk begins with a byte that is 1 if the elements follow as they are, and 4 bytes of their
    length.

    Parameters
    ----------
    size : int
        Bytes of the decoded chunk.
    options_mask, pixels_per_block, bits_per_pixel, pixels_per_scanline : int
        As in the header of the element.
    """

    codec_id = "refmaker.hdf4_szip"
    fields = ("size", "options_mask", "pixels_per_block", "bits_per_pixel", "pixels_per_scanline")

    def __init__(
        self,
        size: int,
        options_mask: int,
        pixels_per_block: int,
        bits_per_pixel: int,
        pixels_per_scanline: int,
    ) -> None:
        self.size = bounded("size", size, 0, MAX_CHUNK)
        self.options_mask = bounded("options_mask", options_mask, 0, 2**31 - 1)
        self.pixels_per_block = bounded("pixels_per_block", pixels_per_block, 2, 32)
        self.bits_per_pixel = bounded("bits_per_pixel", bits_per_pixel, 1, 64)
        self.pixels_per_scanline = bounded("pixels_per_scanline", pixels_per_scanline, 1, 4096)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one chunk.

        Raises
        ------
        CodecError
            If it cannot be decoded to that many bytes.
        MissingDependencyError
            If imagecodecs is not installed.
        """
        raw = input_bytes(buf)
        if self.options_mask & _MARKED:
            if raw.size < _MARK:
                raise CodecError(f"{self.codec_id}: {raw.size} bytes, without a length")
            length = int(raw[1:_MARK].view(">u4")[0])
            if length > raw.size - _MARK:
                raise CodecError(f"{self.codec_id}: {length} bytes of {raw.size - _MARK}")
            as_is, raw = int(raw[0]) == _AS_IS, raw[_MARK : _MARK + length]
            if as_is:
                expect(self.codec_id, raw.size, self.size, "the chunk")
                return deliver(self.codec_id, raw, out)
        imagecodecs = library("imagecodecs")
        try:
            found = imagecodecs.szip_decode(
                raw.tobytes(),
                options_mask=self.options_mask & ~_MARKED,
                pixels_per_block=self.pixels_per_block,
                bits_per_pixel=self.bits_per_pixel,
                pixels_per_scanline=self.pixels_per_scanline,
                header=False,
                out=self.size,
            )
        except (imagecodecs.SzipError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        expect(self.codec_id, len(found), self.size, "the decoded chunk")
        return deliver(self.codec_id, np.frombuffer(found, np.uint8), out)

"""CCITT strips of a TIFF image whose last strip has fewer rows than the others."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes, library
from refmaker.errors import CodecError, MetadataError

__all__ = ["TIFFFax"]

_DECODERS = {2: "ccittrle_decode", 3: "ccittfax3_decode", 4: "ccittfax4_decode"}


class TIFFFax(DecodeOnly):
    """Decode rows of black and white runs, of a full strip or of the last.

    The decoder has to know the number of rows, which the stream does not tell. A strip that
    cannot be decoded with all rows is taken for the last one if it has exactly that one's.

    Parameters
    ----------
    compression : int
        TIFF's number: 2 (modified Huffman), 3 (Group 3) or 4 (Group 4).
    height, width : int
        Rows and columns of a full strip.
    tail : int
        Rows of the last strip.
    t4_options : int
        Of Group 3.
    """

    codec_id: ClassVar[str] = "refmaker.tiff_fax"
    fields: ClassVar[tuple[str, ...]] = ("compression", "height", "width", "tail", "t4_options")

    def __init__(
        self, compression: int, height: int, width: int, tail: int, t4_options: int = 0
    ) -> None:
        self.compression = bounded("compression", compression, 2, 4)
        self.height = bounded("height", height, 1, 2**31 - 1)
        self.width = bounded("width", width, 1, 2**31 - 1)
        self.tail = bounded("tail", tail, 1, self.height)
        self.t4_options = bounded("t4_options", t4_options, 0, 2**32 - 1)
        if self.height * self.width > 2**32:
            raise MetadataError(f"codec settings of {self.height} rows of {self.width} pixels")

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the pixels as booleans, filled up with 0 to `height` rows."""
        data = bytes(input_bytes(buf))
        try:
            rows = self._rows(data, self.height)
        except CodecError:
            rows = self._rows(data, self.tail)
            if self._decodes(data, self.tail + 1):
                # It has more rows than the last strip, so that it is a damaged full one.
                raise
        full = np.zeros((self.height, self.width), np.uint8)
        full[: len(rows)] = rows
        return deliver(self.codec_id, full.view(bool).reshape(-1), out)

    def _decodes(self, data: bytes, height: int) -> bool:
        try:
            self._rows(data, height)
        except CodecError:
            return False
        return True

    def _rows(self, data: bytes, height: int) -> Any:
        imagecodecs = library("imagecodecs")
        decode = getattr(imagecodecs, _DECODERS[self.compression])
        options = {"t4options": self.t4_options} if self.compression == 3 else {}
        try:
            found = decode(data, height, self.width, **options)
        except (RuntimeError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        return np.asarray(found, np.uint8).reshape(-1, self.width)[:height]

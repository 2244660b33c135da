"""The last strip of a TIFF image, filled up to the size of the others."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError

__all__ = ["TIFFPad"]


class TIFFPad(DecodeOnly):
    """Fill up what is too short because it is the last strip; cut off what is too much.

    Parameters
    ----------
    nbytes : int
        Bytes of a full strip.
    tail : int
        Bytes of the last strip: the only shorter length that is taken for anything but damage.
    over : int
        Bytes that the last strip may have beyond its own, and that are not looked at.

    Notes
    -----
    Zeros are put in behind the image's last row, where no reader looks. Decoders may give more
    than a strip's bytes; TIFF 6.0, section 9, has readers take what they need.
    """

    codec_id: ClassVar[str] = "refmaker.tiff_pad"
    fields: ClassVar[tuple[str, ...]] = ("nbytes", "tail", "over")

    def __init__(self, nbytes: int, tail: int, over: int = 0) -> None:
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)
        self.tail = bounded("tail", tail, 0, self.nbytes)
        self.over = bounded("over", over, 0, self.nbytes)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the strip's bytes, filled up or cut to ``nbytes``."""
        data = input_bytes(buf)
        if data.size < self.nbytes:
            if not self.tail <= data.size <= self.tail + self.over:
                raise CodecError(
                    f"{self.codec_id}: {data.size} bytes, expected {self.nbytes}, or {self.tail} "
                    "in the last strip"
                )
            full = np.zeros(self.nbytes, np.uint8)
            full[: self.tail] = data[: self.tail]
            return deliver(self.codec_id, full, out)
        return deliver(self.codec_id, data[: self.nbytes], out)

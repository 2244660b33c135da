"""A part of what a stream unpacks to: the data of a file that was compressed with its header."""

from __future__ import annotations

from typing import Any, ClassVar

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.codecs.checks import MAX_HEADER
from refmaker.errors import CodecError

__all__ = ["Crop"]


class Crop(DecodeOnly):
    """Keep a range of bytes, and leave out what stands before and behind it.

    Parameters
    ----------
    offset : int
        First byte that is kept.
    nbytes : int
        Bytes that are kept.
    """

    codec_id: ClassVar[str] = "refmaker.crop"
    fields: ClassVar[tuple[str, ...]] = ("offset", "nbytes")

    def __init__(self, offset: int, nbytes: int) -> None:
        self.offset = bounded("offset", offset, 0, MAX_HEADER)
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the range, ``nbytes`` bytes.

        Raises
        ------
        CodecError
            If the bytes end before it does.
        """
        data = input_bytes(buf)
        end = self.offset + self.nbytes
        if data.size < end:
            raise CodecError(
                f"{self.codec_id}: the file unpacks to {data.size} bytes, its data end at {end}"
            )
        return deliver(self.codec_id, data[self.offset : end], out)

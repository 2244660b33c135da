"""CCITT strips of a TIFF image whose last strip has fewer rows, or that may be damaged."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, input_bytes, library
from refmaker.errors import CodecError, MetadataError

__all__ = ["TIFFFax", "is_whole_group4"]

_DECODERS = {2: "ccittrle_decode", 3: "ccittfax3_decode", 4: "ccittfax4_decode"}
_END = re.compile(r"(?:0{11,}1)+0*$")
"""End-of-line codes, behind the last row of Group 4 and of nothing else, with what fills up."""
_TAIL = 64
"""Last bytes of a strip, in which its end is looked for."""
_MORE = 128
"""Rows that a stream may have beyond those of its image."""
_FIVE, _PIXELS = "001" + "0111" + "10", (0, 0, 1, 1, 1)
"""Codes of two white pixels and three black ones."""
_REST = ("", *(f"001{white}0000110111" for white in ("000111", "0111", "1000", "1011")))
"""Codes of none to four white pixels."""


def is_whole_group4(data: bytes, height: int, width: int) -> bool:
    """Tell whether a stream of CCITT Group 4 (ITU-T T.6) has all of its rows.

    The decoder gives white rows where a stream is damaged or ends too early. Here one row more is
    put in behind the last one: it is only found if all before it were understood.

    Parameters
    ----------
    height, width : int
        Rows and columns; of less than five columns nothing can be told, and True is returned.
    """
    if width < len(_PIXELS):
        return True
    head, tail = data[:-_TAIL], data[-_TAIL:]
    bits = "".join(f"{byte:08b}" for byte in tail)
    end = _END.search(bits)
    if end is None:
        # Without an end of its own, it is followed by less than a byte of zeros.
        places = list(range(len(bits), max(len(bits.rstrip("0")), len(bits) - 8) - 1, -1))
    else:
        fill = bits.index("1", end.start()) - end.start() - 11
        places = [end.start() + at for at in (fill, *range(min(fill, 8)))]
    row = _FIVE * (width // 5) + _REST[width % 5] + "000000000001" * 2
    true = np.resize(np.array(_PIXELS, np.uint8), width)
    true[width - width % 5 :] = 0
    for place in places:
        text = bits[:place] + row
        text += "0" * (-len(text) % 8)
        other = head + int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:]
        try:
            found = _decoded(4, other, height + _MORE, width)
        except CodecError:
            continue
        if (found[height:] == true).all(axis=1).any():
            return True
    return False


def _decoded(compression: int, data: bytes, height: int, width: int, t4_options: int = 0) -> Any:
    """Return rows of 0 and 1, shape (height, width)."""
    decode = getattr(library("imagecodecs"), _DECODERS[compression])
    options = {"t4options": t4_options} if compression == 3 else {}
    try:
        found = decode(data, height, width, **options)
    except (RuntimeError, ValueError) as error:
        raise CodecError(f"{TIFFFax.codec_id}: {error}") from error
    return np.asarray(found, np.uint8).reshape(-1, width)[:height]


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
        rows = self._group4(data) if self.compression == 4 else self._other(data)
        full = np.zeros((self.height, self.width), np.uint8)
        full[: len(rows)] = rows
        return deliver(self.codec_id, full.view(bool).reshape(-1), out)

    def _group4(self, data: bytes) -> Any:
        for height in (self.height, self.tail):
            if is_whole_group4(data, height, self.width):
                return self._rows(data, height)
        raise CodecError(
            f"{self.codec_id}: a Group 4 stream that has not all of its {self.height} rows of "
            f"{self.width} pixels"
        )

    def _other(self, data: bytes) -> Any:
        try:
            return self._rows(data, self.height)
        except CodecError:
            rows = self._rows(data, self.tail)
            if self._decodes(data, self.tail + 1):
                # It has more rows than the last strip, so that it is a damaged full one.
                raise
            return rows

    def _decodes(self, data: bytes, height: int) -> bool:
        try:
            self._rows(data, height)
        except CodecError:
            return False
        return True

    def _rows(self, data: bytes, height: int) -> Any:
        return _decoded(self.compression, data, height, self.width, self.t4_options)

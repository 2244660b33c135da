"""What decides how the segments of a page are decoded, and into which elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from refmaker.codecs.codestream import CodestreamInfo

__all__ = ["PageEncoding", "element_type"]


class PageEncoding(NamedTuple):
    """The storage of one page, and of all pages of its kind.

    Parameters
    ----------
    byteorder : {"<", ">"}
        Of the file.
    width, length, samples : int
        Of the image.
    bits, sample_format : int
        Of every sample; 0 if the samples differ.
    compression, predictor, photometric, planar, fill_order : int
        Values of the tags.
    tiled : bool
        Whether it is stored in tiles.
    chunk_width, chunk_length : int
        Pixels of a tile or of a strip that is not the last.
    extra_samples : tuple of int
        What the samples beyond the colours are.
    subsampling : tuple of int
        Horizontal and vertical subsampling of YCbCr.
    t4_options : int
        Of CCITT Group 3.
    tables : bytes
        Tables that all JPEG segments share; empty if there are none.
    stream : CodestreamInfo, optional
        What the first segment of JPEG that was written says of itself.
    skip_bits : tuple of int
        Parameters of EER: skip, horizontal and vertical bits.
    """

    byteorder: Literal["<", ">"]
    width: int
    length: int
    samples: int
    bits: int
    sample_format: int
    compression: int
    predictor: int
    photometric: int
    planar: int
    fill_order: int
    tiled: bool
    chunk_width: int
    chunk_length: int
    extra_samples: tuple[int, ...] = ()
    subsampling: tuple[int, int] = (1, 1)
    t4_options: int = 0
    tables: bytes = b""
    stream: CodestreamInfo | None = None
    skip_bits: tuple[int, int, int] = (7, 2, 2)

    @property
    def separate(self) -> bool:
        """Whether each sample is stored in segments of its own."""
        return self.planar == 2 and self.samples > 1

    @property
    def stored(self) -> bool:
        """Whether segments are not compressed, so that their size is known."""
        return self.compression == 1

    @property
    def run(self) -> int:
        """Samples of one row of a segment."""
        return self.chunk_width * (1 if self.separate else self.samples)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a segment as stored without compression; rows begin on a byte."""
        return -(-self.run * self.bits // 8)


def element_type(facts: PageEncoding) -> np.dtype[Any]:
    """Return the type of an image's elements, in file byte order where it has one.

    One-bit samples are bool, other integers the smallest type that holds them; 24-bit floats
    become float32, and pairs of integers the smallest complex type that holds them exactly.

    Raises
    ------
    UnsupportedError
        If there is no such type; the message names the tag.
    """
    bits, form = facts.bits, facts.sample_format
    name = ""
    if bits < 1 or form < 1:
        raise UnsupportedError(
            "BitsPerSample or SampleFormat differ between the samples, or cannot be read",
            code="samples-differ",
        )
    if form in (1, 4):
        name = "?" if bits == 1 else "u1" if bits <= 8 else "u2" if bits <= 16 else ""
        name = name or ("u4" if bits <= 32 else "u8" if bits == 64 else "")
    elif form == 2:
        name = {8: "i1", 16: "i2", 32: "i4", 64: "i8"}.get(bits, "")
    elif form == 3:
        name = {16: "f2", 24: "f4", 32: "f4", 64: "f8"}.get(bits, "")
    elif form == 5:
        name = {16: "c8", 32: "c8", 64: "c16"}.get(bits, "")
    elif form == 6:
        name = {64: "c8", 128: "c16"}.get(bits, "")
    if not name:
        raise UnsupportedError(
            f"samples of {bits} bits in SampleFormat {form} have no element type", code="bits"
        )
    dtype = np.dtype(name)
    return dtype.newbyteorder(facts.byteorder) if dtype.itemsize > 1 else dtype

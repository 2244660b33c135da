"""Transfer syntaxes: how a data set and its frames are encoded.

Implements PS3.5, section 10 and annex A, with the retired syntaxes that archives still hold.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["EXPLICIT", "IMPLICIT", "PixelEncoding", "TransferSyntax", "transfer_syntax"]

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


class PixelEncoding(StrEnum):
    """How frames are encoded."""

    NATIVE = "native"
    RAW = "raw"
    DEFLATED_FRAMES = "deflate"
    RLE = "rle"
    JPEG = "jpeg"
    JPEG_LS = "jpegls"
    JPEG_2000 = "jpeg2k"
    JPEG_XL = "jpegxl"
    VIDEO = "video"
    JPIP = "jpip"
    UNKNOWN = "unknown"


class TransferSyntax(NamedTuple):
    """One transfer syntax.

    Parameters
    ----------
    uid : str
        Its unique identifier.
    name : str
        What it is called.
    kind : PixelEncoding
        How frames are encoded.
    implicit, big : bool
        How data elements are encoded.
    deflated : bool
        Whether the data set is one deflate stream.
    lossy : bool
        Whether decoders may differ by one from one another.
    big_pixels : bool
        Whether the pixel data are big-endian, whatever the data set is.
    """

    uid: str
    name: str
    kind: PixelEncoding = PixelEncoding.NATIVE
    implicit: bool = False
    big: bool = False
    deflated: bool = False
    lossy: bool = False
    big_pixels: bool = False


_BASE = "1.2.840.10008.1.2"
_TABLE: dict[str, TransferSyntax] = {}


def _add(
    suffix: str, name: str, kind: PixelEncoding = PixelEncoding.NATIVE, **fields: bool
) -> None:
    uid = f"{_BASE}{suffix}"
    _TABLE[uid] = TransferSyntax(uid, name, kind, **fields)


_add("", "Implicit VR Little Endian", implicit=True)
_add(".1", "Explicit VR Little Endian")
_add(".2", "Explicit VR Big Endian", big=True, big_pixels=True)
_add(".1.98", "Encapsulated Uncompressed Explicit VR Little Endian", PixelEncoding.RAW)
_add(".1.99", "Deflated Explicit VR Little Endian", deflated=True)
_add(".4.50", "JPEG Baseline (Process 1)", PixelEncoding.JPEG, lossy=True)
_add(".4.51", "JPEG Extended (Process 2 and 4)", PixelEncoding.JPEG, lossy=True)
_add(".4.53", "JPEG Spectral Selection (Process 6 and 8)", PixelEncoding.JPEG, lossy=True)
_add(".4.55", "JPEG Full Progression (Process 10 and 12)", PixelEncoding.JPEG, lossy=True)
_add(".4.57", "JPEG Lossless (Process 14)", PixelEncoding.JPEG)
_add(".4.70", "JPEG Lossless (Process 14, Selection Value 1)", PixelEncoding.JPEG)
_add(".4.80", "JPEG-LS Lossless", PixelEncoding.JPEG_LS)
_add(".4.81", "JPEG-LS Near-Lossless", PixelEncoding.JPEG_LS)
_add(".4.90", "JPEG 2000 (Lossless Only)", PixelEncoding.JPEG_2000)
_add(".4.91", "JPEG 2000", PixelEncoding.JPEG_2000, lossy=True)
_add(".4.94", "JPIP Referenced", PixelEncoding.JPIP)
_add(".4.95", "JPIP Referenced Deflate", PixelEncoding.JPIP, deflated=True)
_add(".4.110", "JPEG XL Lossless", PixelEncoding.JPEG_XL)
_add(".4.111", "JPEG XL JPEG Recompression", PixelEncoding.JPEG_XL, lossy=True)
_add(".4.112", "JPEG XL", PixelEncoding.JPEG_XL, lossy=True)
_add(".4.201", "High-Throughput JPEG 2000 (Lossless Only)", PixelEncoding.JPEG_2000)
_add(".4.202", "High-Throughput JPEG 2000 with RPCL (Lossless Only)", PixelEncoding.JPEG_2000)
_add(".4.203", "High-Throughput JPEG 2000", PixelEncoding.JPEG_2000, lossy=True)
_add(".4.204", "JPIP HTJ2K Referenced", PixelEncoding.JPIP)
_add(".4.205", "JPIP HTJ2K Referenced Deflate", PixelEncoding.JPIP, deflated=True)
_add(".5", "RLE Lossless", PixelEncoding.RLE)
_add(".8.1", "Deflated Image Frame Compression", PixelEncoding.DEFLATED_FRAMES)
_add(".20", "Papyrus 3 Implicit VR Little Endian", implicit=True)
for _number, _name in (
    ("100", "MPEG2 Main Profile / Main Level"),
    ("101", "MPEG2 Main Profile / High Level"),
    ("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
    ("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1"),
    ("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video"),
    ("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video"),
    ("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2"),
    ("107", "HEVC/H.265 Main Profile / Level 5.1"),
    ("108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
):
    _add(f".4.{_number}", _name, PixelEncoding.VIDEO, lossy=True)
    # The same streams in several fragments.
    _add(f".4.{_number}.1", f"Fragmentable {_name}", PixelEncoding.VIDEO, lossy=True)
for _number, _name in (("1", "Uncompressed Progressive"), ("2", "Uncompressed Interlaced")):
    _add(f".7.{_number}", f"SMPTE ST 2110-20 {_name} Active Video", PixelEncoding.VIDEO)
_add(".7.3", "SMPTE ST 2110-30 PCM Digital Audio", PixelEncoding.VIDEO)
for _number, _name in (
    ("52", "JPEG Extended (Process 3 and 5)"),
    ("54", "JPEG Spectral Selection (Process 7 and 9)"),
    ("56", "JPEG Full Progression (Process 11 and 13)"),
    ("58", "JPEG Lossless (Process 15)"),
    ("59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
    ("60", "JPEG Extended, Hierarchical (Process 17 and 19)"),
    ("61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)"),
    ("62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)"),
    ("63", "JPEG Full Progression, Hierarchical (Process 24 and 26)"),
    ("64", "JPEG Full Progression, Hierarchical (Process 25 and 27)"),
    ("65", "JPEG Lossless, Hierarchical (Process 28)"),
    ("66", "JPEG Lossless, Hierarchical (Process 29)"),
    ("92", "JPEG 2000 Part 2 Multi-component (Lossless Only)"),
    ("93", "JPEG 2000 Part 2 Multi-component"),
):
    # Arithmetic coding, hierarchies and transforms over components: nothing decodes them surely.
    _add(f".4.{_number}", _name, PixelEncoding.UNKNOWN)
_GE = "1.2.840.113619.5.2"
_TABLE[_GE] = TransferSyntax(
    _GE, "Implicit VR Little Endian with big-endian pixels", implicit=True, big_pixels=True
)


def transfer_syntax(uid: str) -> TransferSyntax:
    """Return what a transfer syntax means.

    Parameters
    ----------
    uid : str
        As in (0002,0010).

    Returns
    -------
    TransferSyntax
        Of kind ``UNKNOWN``, with elements in explicit VR, if it is not in the tables: that is what
        the standard asks of all but the default one.
    """
    found = _TABLE.get(uid)
    return found or TransferSyntax(uid, "unknown transfer syntax", PixelEncoding.UNKNOWN)

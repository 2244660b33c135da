"""Which codecs decode the segments of an image, and into what.

Implements sections 8 (baseline), 13-15 (LZW, predictor, tiles), 22 (JPEG) of TIFF 6.0, its
Technical Notes 2 and 3, and the registered compressions. Ids of numcodecs and imagecodecs are
used wherever they decode exactly; those of this package where none does.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.scanners.tiff.page_encoding import PageEncoding, element_type
from refmaker.scanners.tiff.tags import JPEG, compression_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ChunkCodecs", "encoding"]

_STREAMS: dict[int, Mapping[str, Any]] = {
    5: {"id": "imagecodecs_lzw"},
    8: {"id": "zlib", "level": 6},
    32773: {"id": "imagecodecs_packbits"},
    32946: {"id": "zlib", "level": 6},
    34925: {"id": "lzma"},
    34926: {"id": "zstd", "level": 3},
    50000: {"id": "zstd", "level": 3},
    50013: {"id": "zlib", "level": 6},
}
"""Compressions of plain bytes; viewers in browsers refuse those without a level."""

_IMAGES: dict[int, Mapping[str, Any]] = {
    22610: {"id": "imagecodecs_jpegxr"},
    33003: {"id": "imagecodecs_jpeg2k"},
    33004: {"id": "imagecodecs_jpeg2k"},
    33005: {"id": "imagecodecs_jpeg2k"},
    34712: {"id": "imagecodecs_jpeg2k"},
    34927: {"id": "imagecodecs_webp"},
    34933: {"id": "imagecodecs_png"},
    34934: {"id": "imagecodecs_jpegxr"},
    50001: {"id": "imagecodecs_webp"},
    50002: {"id": "imagecodecs_jpegxl"},
    52546: {"id": "imagecodecs_jpegxl"},
}
"""Compressions that know the shape and type of their image."""

_FAX = {2: "imagecodecs_ccittrle", 3: "imagecodecs_ccittfax3", 4: "imagecodecs_ccittfax4"}
_LERC = 34887
_YCBCR = 6
_UNASSOCIATED_ALPHA = 2
_PROCESSES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA})
"""Markers of JPEG frames that decoders know: sequential, progressive, lossless, arithmetic."""


class ChunkCodecs(NamedTuple):
    """How the segments of an image are decoded.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the decoded elements.
    steps : tuple of dict
        Codec configurations in the order in which they decode.
    ragged : int
        Number of `steps` after which a short last strip has to be filled up; -1 if segments
        are stored plainly, and it is the table's business.
    segment_bytes, row_bytes : int
        Bytes of a full segment at that point, and of one row.
    fills : bool
        Whether `steps` fill up a short last strip themselves.
    """

    dtype: np.dtype[Any]
    steps: tuple[Mapping[str, Any], ...]
    ragged: int
    segment_bytes: int
    row_bytes: int
    fills: bool = False

    @property
    def plain(self) -> bool:
        """Whether the bytes of the file are those of the elements."""
        return not self.steps

    def padded(self, rows: int, over: int = 0) -> ChunkCodecs:
        """Return the same with a step that fills up a last strip, and cuts what is too much.

        Parameters
        ----------
        rows : int
            Of the last strip.
        over : int
            Bytes that it may have beyond those.
        """
        if self.fills:
            return self
        at = max(self.ragged, 0)
        tail = self.row_bytes * rows
        pad = {"id": "refmaker.tiff_pad", "nbytes": self.segment_bytes, "tail": tail}
        if over:
            pad["over"] = over
        return self._replace(steps=(*self.steps[:at], pad, *self.steps[at:]))

    def split(self) -> tuple[tuple[Mapping[str, Any], ...], Mapping[str, Any] | None]:
        """Return the steps as an array's ``filters`` and ``compressor``."""
        if not self.steps:
            return (), None
        return tuple(reversed(self.steps[1:])), self.steps[0]


def encoding(facts: PageEncoding) -> ChunkCodecs:
    """Return how the segments of an image are decoded.

    Raises
    ------
    UnsupportedError
        If nothing decodes them; the message names the tag and its value.
    """
    if facts.compression in _FAX:
        return _fax(facts)
    if facts.compression in JPEG:
        return _jpeg(facts)
    if facts.compression == _LERC:
        return _lerc(facts)
    if facts.compression in _IMAGES:
        return _image(facts)
    if facts.compression in (65000, 65001, 65002):
        return _eer(facts)
    if facts.compression != 1 and facts.compression not in _STREAMS:
        raise UnsupportedError(
            f"Compression {facts.compression} ({compression_name(facts.compression)}) "
            "is decoded by nothing here",
            code="compression",
        )
    return _stream(facts)


def _stream(facts: PageEncoding) -> ChunkCodecs:
    """Return the steps of plain bytes: bit order, compression, packing, predictor."""
    dtype = element_type(facts)
    if facts.photometric == _YCBCR and facts.subsampling != (1, 1):
        raise UnsupportedError(
            f"YCbCrSubSampling {facts.subsampling[0]}x{facts.subsampling[1]} of data that are "
            "not JPEG",
            code="subsampling",
        )
    steps: list[Mapping[str, Any]] = []
    if facts.fill_order == 2:
        steps.append({"id": "imagecodecs_bitorder"})
    if facts.compression in _STREAMS:
        steps.append(_STREAMS[facts.compression])
    ragged = len(steps) if steps else -1
    steps += _unpacked(facts, dtype)
    if ragged < 0 and steps:
        ragged = 0
    dtype = _native(dtype) if _repacked(facts) else dtype
    steps += _predicted(facts, dtype)
    if ragged < 0 and steps:
        ragged = 0
    nbytes = facts.row_bytes * facts.chunk_length
    return ChunkCodecs(dtype, tuple(steps), ragged, nbytes, facts.row_bytes)


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # Written out, so that references made on any machine are the same.
    return dtype.newbyteorder("<")


def _repacked(facts: PageEncoding) -> bool:
    return facts.sample_format == 5 or facts.bits not in (8, 16, 32, 64, 128)


def _unpacked(facts: PageEncoding, dtype: np.dtype[Any]) -> list[Mapping[str, Any]]:
    """Return the step that makes elements of samples that are none."""
    if not _repacked(facts):
        return []
    if facts.predictor > 1 and facts.sample_format in (3, 5):
        raise UnsupportedError(
            f"Predictor {facts.predictor} of samples in SampleFormat {facts.sample_format} with "
            f"{facts.bits} bits",
            code="predictor",
        )
    if facts.sample_format == 5:
        return [
            {
                "id": "refmaker.tiff_complexint",
                "bits": facts.bits // 2,
                "byteorder": facts.byteorder,
            }
        ]
    if facts.sample_format == 3:
        return [{"id": "imagecodecs_float24", "byteorder": facts.byteorder}]
    return [
        {
            "id": "imagecodecs_packints",
            "dtype": _native(dtype).str,
            "bitspersample": facts.bits,
            "runlen": facts.run,
        }
    ]


def _predicted(facts: PageEncoding, dtype: np.dtype[Any]) -> list[Mapping[str, Any]]:
    """Return the step that undoes a predictor."""
    if facts.predictor in (0, 1):
        return []
    if facts.predictor not in (2, 3):
        raise UnsupportedError(f"Predictor {facts.predictor} is not known", code="predictor")
    if dtype.kind in "cb" or (facts.predictor == 3 and facts.sample_format != 3):
        raise UnsupportedError(f"Predictor {facts.predictor} of {dtype}", code="predictor")
    several = facts.samples > 1 and not facts.separate
    shape = [facts.chunk_length, facts.chunk_width, *([facts.samples] if several else [])]
    if facts.predictor == 2 and facts.bits not in (8, 16, 32, 64):
        return [{"id": "refmaker.tiff_predictor", "shape": shape, "bits": facts.bits}]
    return [
        {
            "id": "imagecodecs_delta" if facts.predictor == 2 else "imagecodecs_floatpred",
            "axis": -2 if several else -1,
            "dist": 1,
            "shape": shape,
            "dtype": dtype.str,
        }
    ]


def _image(facts: PageEncoding) -> ChunkCodecs:
    """Return a codec that knows the shape and type of what it decodes."""
    dtype = _native(element_type(facts))
    step = dict(_IMAGES[facts.compression])
    if step["id"] == "imagecodecs_webp":
        step["hasalpha"] = facts.samples == 4 and not facts.separate
    return ChunkCodecs(dtype, (step,), 1, *_decoded(facts, dtype))


def _lerc(facts: PageEncoding) -> ChunkCodecs:
    """Return LERC, with its mask where values depend on it or on the order of the samples."""
    # libtiff hands its codecs the bytes of the file's order, so that LERC's numbers are of those.
    dtype = element_type(facts)
    if facts.bits not in (8, 16, 32, 64) or facts.sample_format not in (1, 2, 3):
        raise UnsupportedError(
            f"LERC of {facts.bits} bits in SampleFormat {facts.sample_format}", code="bits"
        )
    if facts.predictor > 1:
        raise UnsupportedError(
            f"Predictor {facts.predictor} of LERC, which libtiff leaves and tifffile undoes",
            code="predictor",
        )
    samples = 1 if facts.separate else facts.samples
    step: dict[str, Any] = {"id": "imagecodecs_lerc"}
    if samples > 1 or dtype.kind == "f":
        alpha = facts.bits == 8 and facts.extra_samples[-1:] == (_UNASSOCIATED_ALPHA,)
        step = {
            "id": "refmaker.tiff_lerc",
            "width": facts.chunk_width,
            "samples": samples,
            "dtype": _native(dtype).str,
            "alpha": samples > 1 and alpha,
        }
    return ChunkCodecs(dtype, (step,), 1, *_decoded(facts, dtype))


def _decoded(facts: PageEncoding, dtype: np.dtype[Any]) -> tuple[int, int]:
    row = facts.run * dtype.itemsize
    return row * facts.chunk_length, row


def _jpeg(facts: PageEncoding) -> ChunkCodecs:
    """Return JPEG with its tables, and the colours that the photometric interpretation says."""
    if facts.compression == 6 and (facts.stream is None or facts.samples != 1):
        raise UnsupportedError(
            "Compression 6 (old-style JPEG), whose streams are no whole JPEG files",
            code="compression",
        )
    if facts.separate and facts.photometric == _YCBCR and facts.subsampling != (1, 1):
        raise UnsupportedError("YCbCrSubSampling of separate planes", code="subsampling")
    dtype = _native(element_type(facts))
    _check_frame(facts, dtype)
    space, out = _colours(facts)
    step = {
        "id": "imagecodecs_jpeg",
        "tables": base64.b64encode(facts.tables).decode() if facts.tables else None,
        "header": None,
        "bitspersample": facts.bits,
        "colorspace_jpeg": space,
        "colorspace_data": out,
    }
    return ChunkCodecs(dtype, (step,), 1, *_decoded(facts, dtype))


def _check_frame(facts: PageEncoding, dtype: np.dtype[Any]) -> None:
    """Refuse JPEG whose frame is not what the tags say, or that no decoder knows."""
    frame = facts.stream
    if frame is None:
        # Nothing was written, or it begins in a way of its own.
        return
    if frame.process not in _PROCESSES:
        raise UnsupportedError(f"a JPEG frame of process {frame.process:#x}", code="jpeg-process")
    samples = 1 if facts.separate else facts.samples
    if frame.components != samples:
        raise UnsupportedError(
            f"JPEG of {frame.components} components, where SamplesPerPixel says {samples}",
            code="jpeg-components",
        )
    if (frame.precision > 8) != (dtype.itemsize > 1) or dtype.itemsize > 2 or dtype.kind != "u":
        raise UnsupportedError(
            f"JPEG of {frame.precision} bits, where BitsPerSample says {facts.bits}",
            code="jpeg-precision",
        )
    if frame.lossless and (frame.subsampled or facts.photometric == _YCBCR):
        raise UnsupportedError("lossless JPEG of YCbCr", code="jpeg-process")
    wide = frame.columns != facts.chunk_width
    low = frame.rows < facts.chunk_length if facts.tiled else frame.rows == 0
    if wide or low or frame.rows > facts.chunk_length:
        raise UnsupportedError(
            f"JPEG of {frame.columns} x {frame.rows} pixels in segments of {facts.chunk_width} x "
            f"{facts.chunk_length}",
            code="jpeg-size",
        )


def _colours(facts: PageEncoding) -> tuple[int | None, int | None]:
    """Return the colour spaces of the JPEG stream and of the result, in libjpeg's terms."""
    if facts.stream is not None and facts.stream.lossless:
        # Values as they are: there is nothing to convert without loss.
        return 0, 0
    if facts.separate:
        return None, 1
    if facts.extra_samples:
        return None, None
    wanted = {2: 3, 5: 4, _YCBCR: 3}.get(facts.photometric, facts.samples)
    if facts.samples != wanted:
        # More than the colours, though no tag says so: as they are.
        return 0, 0
    if facts.photometric == _YCBCR:
        return None, 2
    if facts.photometric == 2:
        # Without a JFIF marker nothing but the tag says what the colours are.
        return (None if facts.stream is not None and facts.stream.jfif else 2), 2
    if facts.photometric == 5:
        return None, 4
    if facts.photometric > 3 and facts.samples > 1:
        raise UnsupportedError(
            f"PhotometricInterpretation {facts.photometric} of JPEG data", code="photometric"
        )
    return None, None


def _fax(facts: PageEncoding) -> ChunkCodecs:
    """Return a CCITT compression: rows of black and white runs."""
    if facts.bits != 1 or (facts.samples > 1 and not facts.separate):
        raise UnsupportedError(
            f"Compression {facts.compression} of {facts.samples} samples of {facts.bits} bits",
            code="bits",
        )
    steps: list[Mapping[str, Any]] = []
    if facts.fill_order == 2:
        steps.append({"id": "imagecodecs_bitorder"})
    step = {
        "id": _FAX[facts.compression],
        "height": facts.chunk_length,
        "width": facts.chunk_width,
    }
    if facts.compression == 3:
        step["t4options"] = facts.t4_options
    tail = 0 if facts.tiled else facts.length % facts.chunk_length
    if tail:
        step = {
            "id": "refmaker.tiff_fax",
            "compression": facts.compression,
            "height": facts.chunk_length,
            "width": facts.chunk_width,
            "tail": tail,
            "t4_options": facts.t4_options if facts.compression == 3 else 0,
        }
    steps.append(step)
    nbytes = facts.run * facts.chunk_length
    return ChunkCodecs(
        np.dtype(bool), tuple(steps), len(steps), nbytes, facts.run, fills=bool(tail)
    )


def _eer(facts: PageEncoding) -> ChunkCodecs:
    """Return the electron event representation."""
    if facts.compression == 65002:
        skip, horizontal, vertical = facts.skip_bits
    else:
        skip, horizontal, vertical = (7 if facts.compression == 65001 else 8), 2, 2
    step = {
        "id": "imagecodecs_eer",
        "shape": [facts.chunk_length, facts.chunk_width],
        "skipbits": skip,
        "horzbits": horizontal,
        "vertbits": vertical,
        "superres": 0,
    }
    return ChunkCodecs(np.dtype("u1"), (step,), 1, facts.run * facts.chunk_length, facts.run)

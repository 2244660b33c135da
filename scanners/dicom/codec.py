"""The codec that decodes the frames of an array: one that any reader has, where it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import UnsupportedError
from refmaker.scanners.dicom.transfer import PixelEncoding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.codecs.codestream import CodestreamInfo
    from refmaker.scanners.dicom.pixels import PixelDescription

__all__ = ["ChunkCodecs", "compressed", "decoded_as", "uncompressed"]

_STOCK: dict[PixelEncoding, dict[str, Any]] = {
    PixelEncoding.JPEG: {"id": "imagecodecs_jpeg"},
    PixelEncoding.JPEG_LS: {"id": "imagecodecs_jpegls"},
    PixelEncoding.JPEG_2000: {"id": "imagecodecs_jpeg2k"},
    PixelEncoding.JPEG_XL: {"id": "imagecodecs_jpegxl"},
}
_IMAGES = (
    PixelEncoding.JPEG,
    PixelEncoding.JPEG_LS,
    PixelEncoding.JPEG_2000,
    PixelEncoding.JPEG_XL,
)


class ChunkCodecs(NamedTuple):
    """How chunks are decoded.

    Parameters
    ----------
    codec : mapping or None
        Configuration of the compressor; None if chunks are the elements.
    photometric : str
        PhotometricInterpretation of what comes out.
    """

    codec: Mapping[str, Any] | None
    photometric: str


def uncompressed(
    layout: PixelDescription,
    frames: int,
    rows: int,
    columns: int,
    *,
    trust_bits: bool,
    **fields: Any,
) -> ChunkCodecs:
    """Return how chunks of uncompressed cells are decoded.

    Parameters
    ----------
    layout : PixelDescription
        The frames.
    frames, rows, columns : int
        Of one chunk.
    trust_bits : bool
        Whether bits above the stored ones are taken to be clean.
    **fields
        More settings of the codec.
    """
    dirty = layout.stored < layout.allocated and not trust_bits
    if layout.packed:
        # Cells of 12 bits are unpacked to 16, and have their sign in between.
        dirty = layout.packed > 1 and (layout.signed or layout.stored < layout.allocated)
    settings = {
        "bits": layout.stored if dirty else None,
        "packed": layout.packed,
        "swapped": layout.swapped,
        "ybr422": layout.halved,
        **fields,
    }
    photometric = "YBR_FULL" if layout.photometric == "YBR_FULL_422" else layout.photometric
    if not any(settings.values()) and settings.get("skip") is None:
        return ChunkCodecs(None, photometric)
    shape = [frames, rows, columns, layout.samples]
    return ChunkCodecs(_own(layout, shape, **settings), photometric)


def compressed(
    layout: PixelDescription,
    streams: Iterable[CodestreamInfo | None],
    *,
    fragments: bool,
    trust_bits: bool,
) -> ChunkCodecs:
    """Return how chunks of one encapsulated frame are decoded.

    Parameters
    ----------
    layout : PixelDescription
        The frames.
    streams : iterable of CodestreamInfo or None
        What the first frame of each instance says of itself.
    fragments : bool
        Whether chunks hold headers of items.
    trust_bits : bool
        Whether bits above the stored ones are taken to be clean, in frames that are not images
        of a precision of their own.

    Raises
    ------
    UnsupportedError
        If the streams are not what the header says, with code ``pixel-layout``.
    """
    shape = [1, layout.rows, layout.columns, layout.samples]
    if layout.kind in _IMAGES:
        return _image(layout, set(streams), shape, fragments=fragments)
    if layout.kind is PixelEncoding.RLE:
        dirty = layout.stored < layout.allocated and not trust_bits
        if not (dirty or fragments or layout.packed or layout.samples > 1):
            stock = {"id": "imagecodecs_dicomrle", "dtype": layout.dtype}
            return ChunkCodecs(stock, layout.photometric)
        own = _own(
            layout,
            shape,
            encoding="rle",
            fragments=fragments,
            bits=layout.stored if dirty else None,
            packed=layout.packed,
            planar=layout.samples > 1,
        )
        return ChunkCodecs(own, layout.photometric)
    found = uncompressed(
        layout,
        1,
        layout.rows,
        layout.columns,
        trust_bits=trust_bits,
        fragments=fragments,
        planar=layout.planar,
    )
    if layout.kind is PixelEncoding.RAW:
        return found
    # Stock codecs do not inflate a stream without the header of zlib.
    settings = found.codec or _own(layout, shape)
    return ChunkCodecs({**settings, "encoding": "deflate"}, found.photometric)


def _image(
    layout: PixelDescription,
    streams: set[CodestreamInfo | None],
    shape: list[int],
    *,
    fragments: bool,
) -> ChunkCodecs:
    decoded = {decoded_as(layout, stream) for stream in streams}
    if len(decoded) > 1:
        raise UnsupportedError(
            "the frames of the instances differ in colours or precision", code="pixel-layout"
        )
    rgb, photometric, significant = decoded.pop()
    exact = not fragments and significant is None and None not in streams
    widths = {_decoded_bytes(stream) for stream in streams if stream is not None}
    if exact and widths == {layout.type.itemsize} and layout.kind is not PixelEncoding.JPEG_XL:
        stock = dict(_STOCK[layout.kind])
        if rgb:
            stock |= {"colorspace_data": "RGB", "colorspace_jpeg": "RGB"}
        return ChunkCodecs(stock, photometric)
    if layout.kind is PixelEncoding.JPEG_XL and not fragments and significant is None:
        return ChunkCodecs(_STOCK[layout.kind], photometric)
    own = _own(
        layout, shape, encoding=layout.kind.value, fragments=fragments, bits=significant, rgb=rgb
    )
    return ChunkCodecs(own, photometric)


def decoded_as(
    layout: PixelDescription, stream: CodestreamInfo | None
) -> tuple[bool, str, int | None]:
    """Return what has to be equal in frames of one array: hashable.

    Parameters
    ----------
    layout : PixelDescription
        What the header says of the frames.
    stream : CodestreamInfo or None
        What a frame says of itself.

    Returns
    -------
    bool
        Whether to keep a decoder from converting colours.
    str
        What the decoded samples mean.
    int or None
        How many of their bits count, if the others are not what they should be.

    Raises
    ------
    UnsupportedError
        If they contradict each other, with code ``pixel-layout``.
    """
    if stream is not None:
        _agree(layout, stream)
    return *_colours(layout, stream), _bits(layout, stream)


def _agree(layout: PixelDescription, stream: CodestreamInfo) -> None:
    ours = (layout.rows, layout.columns, layout.samples)
    theirs = (stream.rows, stream.columns, stream.components)
    if ours != theirs:
        raise UnsupportedError(
            f"the header tells of {ours} rows, columns and samples, a frame of {theirs}",
            code="pixel-layout",
        )
    if stream.precision > layout.allocated:
        raise UnsupportedError(
            f"samples of {stream.precision} bits in cells of {layout.allocated}",
            code="pixel-layout",
        )


def _colours(layout: PixelDescription, stream: CodestreamInfo | None) -> tuple[bool, str]:
    """Return whether to keep a decoder from converting, and what comes out."""
    told = layout.photometric
    if layout.samples != 3:
        return False, told
    if layout.kind in (PixelEncoding.JPEG_2000, PixelEncoding.JPEG_XL):
        # Decoders undo the transforms that the standard names so.
        halved = "YBR_FULL" if told == "YBR_FULL_422" else told
        return False, "RGB" if told in ("YBR_ICT", "YBR_RCT", "XYB") else halved
    if layout.kind is not PixelEncoding.JPEG:
        return False, told
    if stream is not None and stream.lossless:
        return True, told
    colours = stream.colours if stream is not None else ""
    rgb = colours == "RGB" or (not colours and told == "RGB")
    return rgb, "RGB"


def _bits(layout: PixelDescription, stream: CodestreamInfo | None) -> int | None:
    """Return how many bits of decoded samples count, if the others are not what they should be."""
    wide = layout.allocated
    if layout.kind is PixelEncoding.JPEG:
        # What a lossy coder overshoots is no dirt: cutting it off would turn white into black.
        clean = (
            stream is not None
            and not layout.signed
            and (stream.precision <= layout.stored or not stream.lossless)
        )
        return None if clean or layout.stored == wide else layout.stored
    if layout.kind is PixelEncoding.JPEG_LS:
        precision = layout.stored if stream is None else stream.precision
        return precision if layout.signed and precision < wide else None
    if layout.kind is PixelEncoding.JPEG_2000:
        differs = stream is not None and stream.signed != layout.signed
        if stream is not None and differs and layout.samples == 1 and stream.precision < wide:
            return stream.precision
        return None
    return layout.stored if layout.signed and layout.stored < wide else None


def _decoded_bytes(stream: CodestreamInfo) -> int:
    """Return the bytes of a sample as decoders give it."""
    return 1 if stream.precision <= 8 else 2 if stream.precision <= 16 else 4


def _own(layout: PixelDescription, shape: list[int], **settings: Any) -> dict[str, Any]:
    """Return a configuration of our own codec, without what is as it would be anyhow."""
    kept = {name: value for name, value in settings.items() if value not in (None, False, "raw")}
    if settings.get("skip") is not None:
        kept["skip"] = settings["skip"]
    return {"id": "refmaker.dicom", "shape": shape, "dtype": layout.dtype, **kept}

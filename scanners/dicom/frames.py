"""Frames of an instance as chunks: where each lies, and how it is decoded.

Implements PS3.5, section 8 and annex A, and PS3.3, C.7.6.3: native frames are computed from
the size of a frame, encapsulated frames are found by the offset tables or the items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.codecs.codestream import CodestreamInfo, describe
from refmaker.errors import MetadataError, RefmakerError, TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable
from refmaker.scanners.dicom.codec import compressed, decoded_as
from refmaker.scanners.dicom.items import FrameFragments, locate
from refmaker.scanners.dicom.native_frames import deflated_array, native_array, stacked_array
from refmaker.scanners.dicom.pixel_bytes import PixelBytes
from refmaker.scanners.dicom.pixels import (
    DECISIVE,
    PixelDescription,
    frame_count,
    is_told,
    layout,
)
from refmaker.scanners.dicom.transfer import PixelEncoding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.io.source import Source
    from refmaker.scanners.dicom.header import Header, PixelElement
    from refmaker.scanning.options import ScanOptions

__all__ = ["Frames", "decoded_alike", "instance_array", "layout_key", "stack"]

_HEAD = 512
"""Bytes of a frame in which its first marker segments stand as a rule."""
_LONG_HEAD = 256 * 1024
"""Bytes of a frame whose markers stand behind a colour profile or a thumbnail."""
_IMAGES = (PixelEncoding.JPEG, PixelEncoding.JPEG_LS, PixelEncoding.JPEG_2000)


class Frames(NamedTuple):
    """The frames of one or many instances, without any meaning.

    Parameters
    ----------
    array : Array
        Shape ``(frames, rows, columns)``, or ``(frames, rows, columns, samples)`` where a pixel
        has several samples; dtype, codecs and chunk table are final, dimension names and
        attributes are not set.
    photometric : str
        PhotometricInterpretation of the *decoded* values: JPEG and JPEG 2000 in YBR decode to
        ``"RGB"``, all else is as the header says.
    warnings : tuple of str
        What a reader should know; tags, never values.
    """

    array: Array
    photometric: str
    warnings: tuple[str, ...] = ()


def layout_key(header: Header) -> PixelDescription:
    """Return what has to be equal in instances that are stacked: hashable, comparable.

    Frame size, samples, element type, bits, photometric interpretation and compression.

    Raises
    ------
    FormatError, UnsupportedError
        If the image cannot be referenced at all; the code says why (``video``, ``jpip``,
        ``transfer-syntax``, ``pixel-layout``, ``no-pixels``, ``encapsulation``).
    """
    try:
        return layout(header)
    except RefmakerError as error:
        raise error.located(url=header.url) from None


def instance_array(
    header: Header,
    options: ScanOptions,
    source: Source | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    per_frame: bool = False,
    trust_bits: bool = False,
) -> Frames:
    """Return the frames of one instance, stacked along a leading frame axis.

    Parameters
    ----------
    header : Header
        The instance.
    options : ScanOptions
        ``chunk_bytes`` is the target size of native chunks.
    source : Source, optional
        The file, if it is open; otherwise it is opened, only if the header is not enough.
    storage_options : mapping, optional
        Passed to fsspec when it is opened.
    per_frame : bool
        Whether no chunk may hold more than one frame, so that frames can be moved about the
        grid. Frames of 1 bit that do not begin on a byte cannot be kept apart: then
        ``chunk_shape[0]`` is more than 1 nevertheless.
    trust_bits : bool
        Whether bits of a native sample above BitsStored are taken to be clean, so that
        readers without this package can read the frames.

    Raises
    ------
    UnsupportedError
        If the image cannot be referenced; the code says why.
    FormatError, TruncatedError
        If the file is damaged.
    """
    try:
        found = layout(header)
        if found.kind is not PixelEncoding.NATIVE:
            with PixelBytes(header, source, storage_options) as data:
                return _encapsulated(header, found, data, trust_bits=trust_bits)
        return _native(header, found, options, per_frame=per_frame, trust_bits=trust_bits)
    except RefmakerError as error:
        raise error.located(url=header.url) from None


def stack(
    headers: Sequence[Header],
    options: ScanOptions,
    *,
    storage_options: Mapping[str, Any] | None = None,
    trust_bits: bool = False,
) -> Frames:
    """Return the frames of many single-frame instances of equal `layout_key`, in their order.

    Raises
    ------
    MetadataError
        If the instances differ in layout, or one has several frames.
    UnsupportedError, FormatError, TruncatedError
        As for `instance_array`, naming the file.
    """
    if not headers:
        raise MetadataError("no instances to stack")
    found = layout_key(headers[0])
    plain = _plain_stack(headers, found, options, trust_bits=trust_bits)
    if plain is not None:
        return plain
    offsets = np.empty(len(headers), np.int64)
    lengths = np.empty(len(headers), np.int64)
    streams: set[CodestreamInfo | None] = set()
    single = True
    warnings: dict[str, None] = {}
    for i, header in enumerate(headers):
        try:
            pixels = _single(header, found)
            if found.kind is PixelEncoding.NATIVE:
                deflated = header.deflated
                offsets[i] = pixels.offset if deflated is None else deflated
                lengths[i] = header.size - offsets[i]
                warnings.update(dict.fromkeys(_fits(header, pixels, found, 1)))
                continue
            with PixelBytes(header, None, storage_options) as data:
                located = _whole(found, locate(header, data, 1))
                stream = _stream(found, located, data)
            if found.kind in _IMAGES:
                decoded_as(found, stream)
            streams.add(stream)
            offsets[i], lengths[i] = located.offset[0], located.length[0]
            single &= located.single
            warnings.update(dict.fromkeys(located.warnings))
        except RefmakerError as error:
            raise error.located(url=header.url) from None
    urls = tuple(header.url for header in headers)
    told = tuple(warnings)
    if found.kind is PixelEncoding.NATIVE and found.skip is not None:
        array, decoding = deflated_array(found, 1, offsets, lengths, urls)
        return Frames(array, decoding.photometric, told)
    if found.kind is PixelEncoding.NATIVE:
        array, decoding = stacked_array(
            found, offsets, urls, options.chunk_bytes, trust_bits=trust_bits
        )
        return Frames(array, decoding.photometric, told)
    located = FrameFragments(offsets, lengths, single, told)
    return _frames(found, located, streams, urls, trust_bits=trust_bits)


def decoded_alike(
    headers: Sequence[Header], storage_options: Mapping[str, Any] | None = None
) -> list[list[Header]]:
    """Return instances of equal `layout_key`, together those whose frames are decoded alike.

    Parameters
    ----------
    headers : sequence of Header
        Those of a stack; none of them is damaged.
    storage_options : mapping, optional
        Passed to fsspec when their files are opened.
    """
    groups: dict[Any, list[Header]] = {}
    for header in headers:
        found, key = layout(header), None
        if found.kind in _IMAGES:
            with PixelBytes(header, None, storage_options) as data:
                stream = _stream(found, locate(header, data, frame_count(header)), data)
            key = decoded_as(found, stream)
        groups.setdefault(key, []).append(header)
    return list(groups.values())


def _plain_stack(
    headers: Sequence[Header], found: PixelDescription, options: ScanOptions, *, trust_bits: bool
) -> Frames | None:
    """Return uncompressed instances of one form, if there is nothing odd about any of them."""
    first, form = headers[0], headers[0].form
    if found.kind is not PixelEncoding.NATIVE or first.deflated is not None:
        return None
    if form is None or not DECISIVE.isdisjoint(form.blanks):
        return None
    if any(header.form is not form for header in headers):
        return None
    try:
        warnings = _fits(first, _single(first, found), found, 1)
    except RefmakerError:
        return None
    offsets = np.array([_pixels(header).offset for header in headers], np.int64)
    sizes = np.array([header.size for header in headers], np.int64)
    if bool(np.any(offsets + found.chunk_bytes(1) > sizes)):
        return None
    urls = tuple(header.url for header in headers)
    array, decoding = stacked_array(
        found, offsets, urls, options.chunk_bytes, trust_bits=trust_bits
    )
    return Frames(array, decoding.photometric, warnings)


def _single(header: Header, found: PixelDescription) -> PixelElement:
    """Return the pixel data of an instance that can be stacked with others."""
    if layout(header) != found:
        raise MetadataError("the instances differ in the layout of their pixels")
    if frame_count(header) != 1:
        raise MetadataError("an instance of several frames is no slice")
    return _pixels(header)


def _pixels(header: Header) -> PixelElement:
    assert header.pixels is not None  # noqa: S101 - the layout would have been refused
    return header.pixels


def _native(
    header: Header,
    found: PixelDescription,
    options: ScanOptions,
    *,
    per_frame: bool,
    trust_bits: bool,
) -> Frames:
    pixels, frames = _pixels(header), frame_count(header)
    warnings = _fits(header, pixels, found, frames)
    if header.deflated is not None:
        at = np.array([header.deflated], np.int64)
        array, decoding = deflated_array(found, frames, at, header.size - at, (header.url,))
    else:
        array, decoding = native_array(
            found,
            frames,
            pixels.offset,
            header.url,
            options.chunk_bytes,
            per_frame=per_frame,
            trust_bits=trust_bits,
        )
    return Frames(array, decoding.photometric, (*header.warnings, *warnings, *_untold(header)))


def _fits(
    header: Header, pixels: PixelElement, found: PixelDescription, frames: int
) -> tuple[str, ...]:
    """Compare the bytes of all frames with those of the element and of the file."""
    needed = found.chunk_bytes(frames)
    length = pixels.length or 0
    if length < needed:
        raise TruncatedError(
            f"{frames} frames take {needed} bytes, the pixel data have {length}",
            offset=pixels.offset,
        )
    if header.deflated is None and pixels.offset + needed > header.size:
        raise TruncatedError(
            "the file ends inside the pixel data",
            offset=pixels.offset,
            hint="the file is incomplete",
        )
    if found.halved and length >= needed // 2 * 3:
        raise UnsupportedError(
            "the pixel data are too long for halved chrominance", code="pixel-layout"
        )
    extra = length - needed - needed % 2
    if extra <= 0:
        return ()
    more = extra // found.chunk_bytes(1)
    besides = f", enough for {more} more" if more else ""
    return (f"the pixel data have {extra} bytes more than their {frames} frames{besides}",)


def _untold(header: Header) -> tuple[str, ...]:
    """Say where it was the pixel data that told how many frames there are."""
    frames = frame_count(header)
    if frames == 1 or is_told(header):
        return ()
    return (f"NumberOfFrames is missing: the pixel data hold {frames} frames",)


def _encapsulated(
    header: Header, found: PixelDescription, data: PixelBytes, *, trust_bits: bool
) -> Frames:
    located = _whole(found, locate(header, data, frame_count(header)))
    streams = {_stream(found, located, data)}
    made = _frames(found, located, streams, (header.url,), trust_bits=trust_bits)
    warnings = (*header.warnings, *made.warnings, *_untold(header))
    return Frames(made.array, made.photometric, warnings)


def _whole(found: PixelDescription, located: FrameFragments) -> FrameFragments:
    """Refuse fragments that are shorter than the uncompressed frames in them."""
    if found.kind is PixelEncoding.RAW and located.single:
        short = located.length - 8 < found.chunk_bytes(1)
        if bool(np.any(short)):
            raise TruncatedError("a fragment is shorter than its frame")
    return located


def _stream(
    found: PixelDescription, located: FrameFragments, data: PixelBytes
) -> CodestreamInfo | None:
    """Return what the first frame says of itself."""
    if found.kind not in _IMAGES:
        return None
    at, length = int(located.offset[0]) + 8, int(located.length[0]) - 8
    for enough in (_HEAD, _LONG_HEAD):
        stream = describe(data.upto(at, min(length, enough)))
        if stream is not None or length <= enough:
            return stream
    return None


def _frames(
    found: PixelDescription,
    located: FrameFragments,
    streams: set[CodestreamInfo | None],
    urls: tuple[str, ...],
    *,
    trust_bits: bool,
) -> Frames:
    """Return encapsulated frames, one chunk each."""
    offset, length = located.offset, located.length
    if located.single:
        # The header of the only item is no part of the frame.
        offset, length = offset + 8, length - 8
        if found.kind is PixelEncoding.RAW:
            length = np.minimum(length, found.chunk_bytes(1))
    decoding = compressed(found, streams, fragments=not located.single, trust_bits=trust_bits)
    table = ChunkTable.from_columns(
        (len(offset), *(1,) * len(found.shape)),
        urls,
        offset=offset,
        length=length,
        url=np.arange(len(urls)) if len(urls) > 1 else None,
    )
    array = Array(
        (len(offset), *found.shape),
        (1, *found.shape),
        found.type,
        table,
        compressor=decoding.codec,
    )
    return Frames(array, decoding.photometric, located.warnings)

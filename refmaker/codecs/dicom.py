"""Frames of DICOM that no single other codec decodes exactly."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.codecs.base import DecodeOnly, bounded, deliver, expect, input_bytes, library
from refmaker.codecs.dicom_pixels import (
    expand_422,
    join_fragments,
    significant,
    split_tiles,
    swap_pairs,
    unpack_cells,
)
from refmaker.codecs.multipart import only_part, wrapped
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["DICOM"]

_IMAGES = ("jpeg", "jpegls", "jpeg2k", "jpegxl")
_ENCODINGS = ("raw", "deflate", "rle", *_IMAGES)
_LARGEST = 2**40


class DICOM(DecodeOnly):
    """One chunk of frames, from the bytes in the file to pixels.

    The steps, in the order in which they are taken, each only if the configuration names it:
    a message is opened; a deflated data set is inflated up to its pixels; the headers of
    fragments are removed; the frame is decompressed; swapped bytes, packed bits and halved
    chrominance are undone; planes become samples; unused bits are cleared, or filled with the
    sign. That the result has the size it should have is checked.

    Parameters
    ----------
    shape : sequence of int
        Frames, rows, columns and samples of a decoded chunk.
    dtype : str
        numpy type string of a sample, such as ``"<i2"``.
    encoding : {"raw", "deflate", "rle", "jpeg", "jpegls", "jpeg2k", "jpegxl"}
        How the frame is compressed.
    fragments : bool
        Whether the chunk is a row of fragments with the headers of their items.
    bits : int, optional
        Bits of a sample that are stored, where the others are not known to be clean.
    packed : int, optional
        1 or 12: bits of a cell where cells lie without gaps.
    planar : bool
        Whether the decompressed frame holds one plane per sample.
    swapped : bool
        Whether samples of 8 bits were written as big-endian words.
    ybr422 : bool
        Whether two pixels share their chrominance.
    rgb : bool
        Whether a JPEG stream without a word on its colours is RGB.
    last : int, optional
        Bytes of a last chunk that holds fewer frames than the others.
    tiles : sequence of int, optional
        Tiles below one another, beside one another, and how many of them are frames of the
        chunk, where a picture is a mosaic of them.
    skip : int, optional
        Bytes in front of the pixels in a deflated data set, which is what the chunk then is.
    multipart : bool
        Whether the frame is the only part of a message, as a service sends it.
    """

    codec_id = "refmaker.dicom"
    fields = (
        "shape",
        "dtype",
        "encoding",
        "fragments",
        "bits",
        "packed",
        "planar",
        "swapped",
        "ybr422",
        "rgb",
        "last",
        "skip",
        "tiles",
        "multipart",
    )

    def __init__(  # noqa: PLR0913 - the steps are independent of one another
        self,
        shape: Any,
        dtype: str,
        encoding: str = "raw",
        *,
        fragments: bool = False,
        bits: int | None = None,
        packed: int | None = None,
        planar: bool = False,
        swapped: bool = False,
        ybr422: bool = False,
        rgb: bool = False,
        last: int | None = None,
        skip: int | None = None,
        tiles: Any = None,
        multipart: bool = False,
    ) -> None:
        if not isinstance(shape, list | tuple) or len(shape) != 4:
            raise MetadataError(f"{self.codec_id}: shape {shape!r} is not four extents")
        if encoding not in _ENCODINGS:
            raise MetadataError(f"{self.codec_id}: there is no encoding {encoding!r}")
        try:
            self._type = np.dtype(dtype)
        except TypeError as error:
            raise MetadataError(f"{self.codec_id}: {dtype!r} is no type") from error
        if self._type.kind not in "iuf" or packed not in (None, 1, 12):
            raise MetadataError(f"{self.codec_id}: {dtype!r}, packed {packed!r}")
        if self._type.kind == "f" and (bits is not None or packed is not None):
            raise MetadataError(f"{self.codec_id}: all bits of {dtype!r} count")
        self.shape = [bounded("shape", extent, 1, 2**32) for extent in shape]
        self._count = int(np.prod([int(extent) for extent in self.shape], dtype=object))
        if self._count * self._type.itemsize > _LARGEST:
            raise MetadataError(f"{self.codec_id}: a chunk of {self.shape}")
        self.dtype = self._type.str
        self.encoding = encoding
        self.fragments = bool(fragments)
        self.bits = None if bits is None else bounded("bits", bits, 1, 64)
        self.packed = packed
        self.planar = bool(planar)
        self.swapped = bool(swapped)
        self.ybr422 = bool(ybr422)
        self.rgb = bool(rgb)
        self.last = None if last is None else bounded("last", last, 0, _LARGEST)
        self.skip = None if skip is None else bounded("skip", skip, 0, _LARGEST)
        self.tiles = None if tiles is None else self._checked(tiles)
        self.multipart = bool(multipart)

    def _checked(self, tiles: Any) -> list[int]:
        if not isinstance(tiles, list | tuple) or len(tiles) != 3:
            raise MetadataError(f"{self.codec_id}: tiles {tiles!r} are not three numbers")
        down, across, count = (bounded("tiles", number, 1, 2**16) for number in tiles)
        if self.shape[1] % down or self.shape[2] % across or count > down * across:
            raise MetadataError(f"{self.codec_id}: tiles {tiles!r} of {self.shape}")
        return [down, across, count]

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one chunk."""
        raw = input_bytes(buf)
        if self.multipart:
            raw = np.frombuffer(only_part(raw.tobytes()), np.uint8)
        if self.skip is not None:
            raw = self._inflated(raw)
        if self.fragments:
            raw = join_fragments(raw)
        cells = self._image(raw) if self.encoding in _IMAGES else self._cells(raw)
        if self.planar:
            frames, rows, columns, samples = self.shape
            planes = cells.reshape(frames, samples, rows, columns)
            cells = np.ascontiguousarray(np.moveaxis(planes, 1, 3)).reshape(-1)
        if self.bits is not None:
            cells = significant(cells, self.bits)
        cells = np.ascontiguousarray(cells).reshape(self.shape)
        if self.tiles is not None:
            cells = split_tiles(cells, *self.tiles)
        return deliver(self.codec_id, cells, out)

    @property
    def rewrites(self) -> bool:
        """Whether chunks are whole data sets, or messages that name an instance."""
        return self.skip is not None or self.multipart

    def shareable(self, buf: Any) -> bytes:
        """Return a chunk with zeros in place of all elements but the pixels, and a bare message."""
        if self.multipart:
            return wrapped(only_part(bytes(buf)))
        if self.skip is None:
            return bytes(buf)
        pixels = self._inflated(input_bytes(buf))
        # Fast rather than small: the pixels are what takes time.
        deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        front = deflate.compress(bytes(self.skip))
        return front + deflate.compress(pixels.tobytes()) + deflate.flush()

    @property
    def _stored(self) -> int:
        """Samples as they are stored, before chrominance is expanded."""
        return self._count * 2 // 3 if self.ybr422 else self._count

    def _cells(self, raw: Buffer) -> NDArray[Any]:
        """Return the samples of frames that are not an image file of their own."""
        nbytes = self._stored * self._type.itemsize
        if self.packed is not None:
            nbytes = -(-self._count * self.packed // 8)
        if self.encoding == "rle":
            # RLE puts the most significant byte first, whatever the byte order is; the
            # decoder gives planes of whole samples (PS3.5, G.2).
            raw = self._call("dicomrle_decode", raw.tobytes(), self._type.str)
            raw = np.frombuffer(raw, np.uint8)
        elif self.encoding == "deflate":
            raw = self._inflated(raw, nbytes)
        if self.swapped:
            raw = swap_pairs(raw)
        # Values of odd length are padded by a byte (PS3.5, 8.1.1).
        if raw.size == nbytes + 1:
            raw = raw[:nbytes]
        if raw.size == self.last:
            # Behind the last frame of the array nobody looks.
            raw = np.concatenate([raw, np.zeros(max(0, nbytes - raw.size), np.uint8)])
        expect(self.codec_id, raw.size, nbytes, "the chunk")
        if self.packed is not None:
            return unpack_cells(raw, self.packed, self._count).astype(self._type, copy=False)
        cells = raw.view(self._type)
        return expand_422(cells) if self.ybr422 else cells

    def _image(self, raw: Buffer) -> NDArray[Any]:
        data = raw.tobytes()
        if self.encoding == "jpeg":
            space = "RGB" if self.rgb else None
            image = self._call("jpeg8_decode", data, colorspace=space, outcolorspace=space)
        else:
            image = self._call(f"{self.encoding}_decode", data)
        image = np.asarray(image)
        frames, rows, columns, samples = self.shape
        known = {(rows, columns), (rows, columns, samples), (frames, rows, columns, samples)}
        if image.shape not in (known if samples == 1 else known - {(rows, columns)}):
            raise CodecError(
                f"{self.codec_id}: the stream holds an image of {image.shape}, "
                f"expected {tuple(self.shape)}"
            )
        if image.dtype.itemsize == self._type.itemsize:
            # Streams of JPEG and JPEG-LS do not tell the sign.
            return image.reshape(-1).view(self._type)
        if image.dtype.itemsize > self._type.itemsize or image.dtype.kind == "f":
            raise CodecError(
                f"{self.codec_id}: the stream holds {image.dtype}, expected {self._type}"
            )
        return image.reshape(-1).astype(self._type)

    def _inflated(self, raw: Buffer, nbytes: int | None = None) -> Buffer:
        """Inflate a frame of `nbytes`, or a data set up to the end of its pixels."""
        skip = 0 if nbytes is not None else int(self.skip or 0)
        wanted = nbytes if nbytes is not None else self._raw_bytes
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflate.decompress(raw.tobytes(), skip + wanted)
        except zlib.error as error:
            raise CodecError(f"{self.codec_id}: not a deflate stream: {error}") from error
        if len(data) < skip + wanted:
            expect(self.codec_id, len(data), skip + wanted, "the inflated data")
        return np.frombuffer(data, np.uint8)[skip:]

    @property
    def _raw_bytes(self) -> int:
        if self.packed is not None:
            return -(-self._count * self.packed // 8)
        return self._stored * self._type.itemsize

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a decoder of imagecodecs, whose errors are its own."""
        decoder = getattr(library("imagecodecs"), name)
        try:
            return decoder(*args, **kwargs)
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            raise CodecError(f"{self.codec_id}: {self.encoding}: {error}") from error

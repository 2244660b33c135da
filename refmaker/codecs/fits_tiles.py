"""Tile-compressed images of FITS."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.codecs.base import (
    MAX_CHUNK,
    DecodeOnly,
    bounded,
    deliver,
    expect,
    input_bytes,
    library,
)
from refmaker.codecs.fits_dither import dequantize
from refmaker.codecs.fits_hcompress import decode_hcompress
from refmaker.codecs.fits_plio import decode_plio
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["COMPRESSED", "COMPRESSIONS", "GZIPPED", "PLAIN", "FITSTiles"]

COMPRESSIONS: Final = ("RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS", "HCOMPRESS_1", "PLIO_1")
COMPRESSED, GZIPPED, PLAIN = 0, 1, 2
"""How a tile is stored: by the image's algorithm, by gzip as it was, or as it was."""
_MAX_RANK: Final = 32


def _unpacked(name: str, text: str, dtype: str) -> NDArray[Any]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype)
    except (ValueError, TypeError, binascii.Error) as error:
        raise MetadataError(f"refmaker.fits_tiles: {name} is no list of numbers") from error


class FITSTiles(DecodeOnly):
    """Chunks of whole tiles of a tile-compressed image.

    Section 10 of the FITS Standard 4.0. Tiles at the edge are smaller, and floats have a scale, an
    offset and random numbers for each tile, so a chunk has to be told which one it is. A codec
    sees nothing but bytes: the scanner gives every chunk a length of its own, lengthening some by
    bytes that follow them in the file, and the length tells the chunk.

    Parameters
    ----------
    shape, tile, chunk : sequence of int
        Elements of the image, of a tile, and of a chunk along each dimension, in C order.
    dtype : str
        Type of the elements, big-endian as in ``ZBITPIX``.
    compression : {"RICE_1", "GZIP_1", "GZIP_2", "NOCOMPRESS", "HCOMPRESS_1", "PLIO_1"}
        ``ZCMPTYPE``.
    lengths : str
        Bytes of each chunk, ``<u8`` in base64; no two are the same. Empty, with all other lists,
        where each chunk is one whole tile, which nothing tells from the others.
    offsets, sizes, kinds : str
        For each tile its first byte in its chunk (``<u4``), its bytes (``<u4``) and how it is
        stored (``u1``).
    block, width : int
        RICE_1's elements in a block and bytes of an element.
    scales, zeros : str
        ``ZSCALE`` and ``ZZERO`` of each tile (``<f8``); empty if the values are not quantised.
    blanks : str
        What stands for NaN in each tile (``<i4``); empty for nothing.
    dither, seed : int
        The method of subtractive dithering, and ``ZDITHER0``.
    smooth : bool
        Whether HCOMPRESS_1 smooths the image.
    """

    codec_id = "refmaker.fits_tiles"
    fields = (
        *("shape", "tile", "chunk", "dtype", "compression", "lengths", "offsets", "sizes"),
        *("kinds", "block", "width", "scales", "zeros", "blanks", "dither", "seed"),
        "smooth",
    )

    def __init__(  # noqa: PLR0913 - what a header says of an image
        self,
        *,
        shape: Sequence[int],
        tile: Sequence[int],
        chunk: Sequence[int],
        dtype: str,
        compression: str,
        lengths: str = "",
        offsets: str = "",
        sizes: str = "",
        kinds: str = "",
        block: int = 32,
        width: int = 4,
        scales: str = "",
        zeros: str = "",
        blanks: str = "",
        dither: int = 0,
        seed: int = 1,
        smooth: bool = False,
    ) -> None:
        self.shape = [bounded("shape", n, 1, 2**62) for n in shape]
        self.tile = [bounded("tile", n, 1, 2**62) for n in tile]
        self.chunk = [bounded("chunk", n, 1, 2**62) for n in chunk]
        if not 1 <= len(self.shape) == len(self.tile) == len(self.chunk) <= _MAX_RANK:
            raise MetadataError(f"{self.codec_id}: shapes {shape}, {tile} and {chunk}")
        kind = np.dtype(dtype)
        self.dtype = kind.str
        if kind.kind not in "iuf" or compression not in COMPRESSIONS:
            raise MetadataError(f"{self.codec_id}: {compression!r} of {dtype!r}")
        bounded("bytes of a chunk", math.prod(self.chunk) * kind.itemsize, 1, MAX_CHUNK)
        self.compression = compression
        self.lengths, self.offsets, self.sizes, self.kinds = lengths, offsets, sizes, kinds
        self.block = bounded("block", block, 1, 2**16)
        self.width = bounded("width", width, 1, 4)
        self.scales, self.zeros, self.blanks = scales, zeros, blanks
        self.dither = bounded("dither", dither, 0, 2)
        self.seed = bounded("seed", seed, 1, 10000)
        self.smooth = bool(smooth)
        self._alone = not lengths
        if self._alone:
            self._check_alone()
        else:
            self._unpack()

    def _check_alone(self) -> None:
        """Refuse lists where each chunk is one tile."""
        lists = (self.offsets, self.sizes, self.kinds, self.scales, self.zeros, self.blanks)
        if any(lists) or self.chunk != self.tile or self.dither:
            raise MetadataError(f"{self.codec_id}: chunks are not told apart by their lengths")

    def _unpack(self) -> None:
        """Read the lists, and compare how long they are."""
        self._grid = [-(-n // t) for n, t in zip(self.shape, self.tile, strict=True)]
        self._chunks = [-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True)]
        self._offsets = _unpacked("offsets", self.offsets, "<u4")
        self._sizes = _unpacked("sizes", self.sizes, "<u4")
        self._kinds = _unpacked("kinds", self.kinds, "u1")
        self._scales = _unpacked("scales", self.scales, "<f8")
        self._zeros = _unpacked("zeros", self.zeros, "<f8")
        self._blanks = _unpacked("blanks", self.blanks, "<i4")
        tiles, lengths = math.prod(self._grid), _unpacked("lengths", self.lengths, "<u8")
        every = {len(self._offsets), len(self._sizes), len(self._kinds)}
        some = {len(self._scales), len(self._zeros), len(self._blanks)}
        if every != {tiles} or not some <= {0, tiles}:
            raise MetadataError(f"{self.codec_id}: lists of {every | some}, for {tiles} tiles")
        if len(self._scales) != len(self._zeros):
            raise MetadataError(f"{self.codec_id}: scales and zeros do not belong together")
        self._numbers = {int(length): at for at, length in enumerate(lengths.tolist())}
        if len(self._numbers) != math.prod(self._chunks) or len(lengths) != len(self._numbers):
            raise MetadataError(f"{self.codec_id}: chunks are not told apart by their lengths")
        whole = [
            c % t == 0 or c >= n for n, t, c in zip(self.shape, self.tile, self.chunk, strict=True)
        ]
        if not all(whole):
            raise MetadataError(f"{self.codec_id}: chunks {self.chunk} of tiles {self.tile}")

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the elements of a chunk, C order, with zeros beyond the edge of the image."""
        data = input_bytes(buf)
        if self._alone:
            made = self._fitting(self._stored(data, self.dtype, math.prod(self.tile)))
            return deliver(self.codec_id, made.view(np.uint8), out)
        number = self._numbers.get(data.size)
        if number is None:
            raise CodecError(f"{self.codec_id}: no chunk has {data.size} bytes")
        start = [
            int(at) * c
            for at, c in zip(np.unravel_index(number, self._chunks), self.chunk, strict=True)
        ]
        stop = [min(s + c, n) for s, c, n in zip(start, self.chunk, self.shape, strict=True)]
        first = [s // t for s, t in zip(start, self.tile, strict=True)]
        count = [-(-e // t) - f for e, t, f in zip(stop, self.tile, first, strict=True)]
        values = np.zeros(self.chunk, self.dtype)
        for inner in np.ndindex(*count):
            at = [f + i for f, i in zip(first, inner, strict=True)]
            box = tuple(
                slice(a * t - s, min((a + 1) * t, n) - s)
                for a, t, n, s in zip(at, self.tile, self.shape, start, strict=True)
            )
            place = values[box]
            tile = int(np.ravel_multi_index(tuple(at), tuple(self._grid)))
            place[...] = self._tile(data, tile, place.size).reshape(place.shape)
        return deliver(self.codec_id, values.reshape(-1).view(np.uint8), out)

    def _tile(self, data: Buffer, tile: int, count: int) -> NDArray[Any]:
        """Return the elements of one tile, shape (count,)."""
        offset, size = int(self._offsets[tile]), int(self._sizes[tile])
        if offset + size > data.size:
            raise CodecError(f"{self.codec_id}: tile {tile} ends behind its chunk")
        raw = data[offset : offset + size]
        kind = int(self._kinds[tile])
        if kind == PLAIN:
            return self._view(raw, self.dtype, count)
        if kind == GZIPPED:
            return self._view(self._unzipped(raw, self.dtype, count), self.dtype, count)
        quantized = self._scales.size > 0
        stored = self._stored(raw, ">i4" if quantized else self.dtype, count)
        if not quantized:
            return self._fitting(stored)
        return dequantize(
            stored.astype(np.int32),
            float(self._scales[tile]),
            float(self._zeros[tile]),
            int(self._blanks[tile]) if self._blanks.size else None,
            self.dither,
            self.seed,
            tile,
        )

    def _stored(self, raw: Buffer, dtype: str, count: int) -> NDArray[Any]:
        """Return what the image's algorithm compressed."""
        kind = np.dtype(dtype)
        if self.compression == "NOCOMPRESS":
            return self._view(raw, dtype, count)
        if self.compression == "RICE_1":
            return self._rice(raw, count)
        if self.compression == "HCOMPRESS_1":
            return decode_hcompress(raw, count, smooth=self.smooth)
        if self.compression == "PLIO_1":
            return decode_plio(raw, count)
        if self.compression == "GZIP_2":
            unzipped = self._view(self._unzipped(raw, dtype, count), "u1", count * kind.itemsize)
            return self._view(unzipped.reshape(kind.itemsize, -1).T.reshape(-1), dtype, count)
        if kind.kind == "f":
            return self._view(self._unzipped(raw, dtype, count), dtype, count)
        # Some programs compress integers that are wider than those of the image.
        unzipped = self._unzipped(raw, ">i8", count)
        wide = {width * count: f">i{width}" for width in (2, 4, 8) if width > kind.itemsize}
        return self._view(unzipped, wide.get(unzipped.size, dtype), count)

    def _fitting(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return integers in the type of the image, which has to hold them."""
        kind = np.dtype(self.dtype)
        if stored.dtype.itemsize <= kind.itemsize:
            return stored.astype(kind, copy=False)
        limits = np.iinfo(kind)
        fitting = np.clip(stored, limits.min, limits.max)
        # Rounding alone leads beyond the type, as in cfitsio.
        if self.compression != "HCOMPRESS_1" and bool((fitting != stored).any()):
            raise CodecError(f"{self.codec_id}: elements do not fit into {self.dtype}")
        return np.asarray(fitting, kind)

    def _rice(self, raw: Buffer, count: int) -> NDArray[Any]:
        codecs = library("imagecodecs")
        kind = {1: "u1", 2: "i2", 4: "i4"}.get(self.width)
        if kind is None:
            raise CodecError(f"{self.codec_id}: RICE_1 with elements of {self.width} bytes")
        try:
            found = codecs.rcomp_decode(raw.tobytes(), shape=count, dtype=kind, nblock=self.block)
        except (codecs.RcompError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        values: NDArray[Any] = np.asarray(found).reshape(-1)
        expect(self.codec_id, values.size, count, "the tile")
        return values

    def _unzipped(self, raw: Buffer, dtype: str, count: int) -> Buffer:
        wanted = count * np.dtype(dtype).itemsize
        try:
            found = zlib.decompressobj(47).decompress(raw.tobytes(), wanted + 1)
        except zlib.error as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        return np.frombuffer(found, np.uint8)

    def _view(self, raw: Buffer, dtype: str, count: int) -> NDArray[Any]:
        expect(self.codec_id, raw.size, count * np.dtype(dtype).itemsize, "the tile")
        return np.ascontiguousarray(raw).view(dtype)

"""B3D, the HDF5 filter 32016 for light-sheet and localisation microscopy (decoding only).

A chunk is a sequence of 32-bit words: the number of symbols, a part with their values and a part
with the number of zeros before each of them. Parts are Huffman coded (`b3d_huffman`). Symbols are
residuals of a predictor, of pixels or, in lossy modes, of quantised square roots of pixels
(`b3d_image`). See Balázs et al., *A real-time compression library for microscopy images*, 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from refmaker.codecs.b3d_huffman import BLOCK, HuffmanTable, WordStream
from refmaker.codecs.b3d_image import Camera, restore_pixels, undo_prediction
from refmaker.codecs.base import DecodeOnly, bounded, deliver, expect, input_bytes
from refmaker.errors import CodecError, MetadataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["B3D"]

_VALUES = 11
_VERSION = 1
_UINT32_MAX = (1 << 32) - 1
# The filter counts a chunk's bytes, two per pixel whatever the type, in a signed 32-bit integer.
_MOST_PIXELS = (1 << 30) - 1

_TYPES = {0: "uint8", 1: "uint16", 4: "int8", 5: "int16"}
_WAVELETS = 100
_UNSUPPORTED_MODES = {
    9: "a wavelet mode",
    27: "the square root with dithering",
    37: "the Anscombe transform",
}
_PREDICTED_LOSSLESS = frozenset({1, 2, 7})
_PREDICTED_AS_FLOAT = frozenset({1, 3, 7, 11})
_PREDICTED_AS_INTEGER = frozenset({2, 17})


class B3D(DecodeOnly):
    """Decoder for chunks of the HDF5 filter B3D (32016).

    Parameters
    ----------
    cd_values : sequence of int
        The filter's 11 client data values as the file stores them: quantisation step x 1000
        (0 is lossless), mode, camera conversion x 1000, background, read noise x 1000, tile size,
        version, size in x, y, z, and type (0 uint8, 1 uint16, 4 int8, 5 int16).

    Raises
    ------
    UnsupportedError
        Another version, mode or type than those whose bitstream is known.
    MetadataError
        Values that no file can hold.

    Notes
    -----
    Lossy modes are reproduced bit for bit as the filter's GPU code computes them, which includes
    that values above 65,535 wrap. int16 is handled as if it was uint16, as the filter does.
    """

    codec_id: ClassVar[str] = "refmaker.b3d"
    fields: ClassVar[tuple[str, ...]] = ("cd_values",)

    def __init__(self, cd_values: Sequence[int]) -> None:
        if len(cd_values) != _VALUES:
            raise UnsupportedError(
                f"B3D: {len(cd_values)} client data values instead of {_VALUES}",
                code="b3d-parameters",
                hint="written by another version of the filter",
            )
        self.cd_values = [
            bounded(f"cd_values[{i}]", value, 0, _UINT32_MAX) for i, value in enumerate(cd_values)
        ]
        step, mode, conversion, background, noise, tile, version, x, y, z, kind = self.cd_values
        self._lossy = step > 0
        self._tile = tile
        self._shape = (y * z, x)
        self._pixels = x * y * z
        self._mode = mode
        _check_version(version, kind)
        _check_mode(mode, lossy=self._lossy)
        if tile == 0 or (self._lossy and conversion == 0):
            raise MetadataError(f"B3D: tile size {tile}, conversion {conversion} / 1000")
        if not 0 < self._pixels <= _MOST_PIXELS:
            raise MetadataError(
                f"B3D: a chunk of {x} x {y} x {z} pixels is impossible",
                hint="the filter holds chunks of 1 to 2**30 - 1 pixels",
            )
        self._dtype = np.dtype(_TYPES[kind])
        thousand = np.float32(1000)
        self._camera = Camera(
            mode=mode,
            step=np.float32(step) / thousand,
            conversion=np.float32(conversion) / thousand,
            background=np.float32(background),
            read_noise=np.float32(noise) / thousand,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of a decoded chunk."""
        return self._pixels * self._dtype.itemsize

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode a chunk.

        Parameters
        ----------
        out : writeable bytes-like, optional
            Receives the result; has exactly its size.

        Returns
        -------
        bytes
            The pixels of the chunk in C order and little-endian, or `out` where given.

        Raises
        ------
        CodecError
            The chunk is truncated or corrupt, or `out` has another size. The offset is that of
            the byte within the chunk.
        """
        if out is not None:
            expect(self.codec_id, input_bytes(out).size, self.nbytes, "the output")
        residuals = _read_residuals(WordStream(input_bytes(buf)), self._pixels)
        if residuals is None:
            # Nothing but zeros: one pixel says what all are.
            pixels = np.repeat(self._restore(np.zeros((1, 1), dtype=np.int16)), self._pixels)
        else:
            pixels = self._restore(residuals.reshape(self._shape))
        return pixels.tobytes() if out is None else deliver(self.codec_id, pixels, out)

    def _restore(self, residuals: NDArray[np.int16]) -> NDArray[Any]:
        """Turn residuals into pixels; takes shape (height, width), returns one dimension."""
        if not self._lossy:
            if self._mode in _PREDICTED_LOSSLESS:
                undo_prediction(residuals, self._tile)
            pixels = residuals.reshape(-1).view(np.uint16)
        elif self._mode in _PREDICTED_AS_FLOAT:
            values = undo_prediction(residuals.astype(np.float32), self._tile)
            pixels = restore_pixels(values, self._camera)
        else:
            quantised = undo_prediction(residuals, self._tile).view(np.uint16)
            pixels = restore_pixels(quantised, self._camera)
        if self._dtype.itemsize == 1:
            return np.minimum(pixels, 255).astype(np.uint8).view(self._dtype)
        return pixels.astype("<u2", copy=False)


def _check_version(version: int, kind: int) -> None:
    """Refuse versions and types whose bitstream is unknown."""
    if version != _VERSION:
        raise UnsupportedError(
            f"B3D: version {version} of the filter is unknown", code="b3d-version"
        )
    if kind not in _TYPES:
        raise UnsupportedError(
            f"B3D: type {kind} is none of {', '.join(map(str, _TYPES.values()))}",
            code="b3d-type",
        )


def _check_mode(mode: int, *, lossy: bool) -> None:
    """Refuse modes whose bitstream is unknown."""
    what = "a wavelet mode" if mode >= _WAVELETS else _UNSUPPORTED_MODES.get(mode)
    if what is None and mode and not lossy:
        return
    if mode not in _PREDICTED_AS_FLOAT | _PREDICTED_AS_INTEGER:
        raise UnsupportedError(
            f"B3D: mode {mode}, {what or 'unknown'}, is not supported", code="b3d-mode"
        )


def _read_residuals(stream: WordStream, pixels: int) -> NDArray[np.int16] | None:
    """Read a chunk's residuals, shape (pixels,), or None where all are 0."""
    count = stream.field(32)
    if count > pixels:
        raise stream.error(f"{count} symbols for {pixels} pixels")
    if count == 0:
        _read_empty_parts(stream)
        return None
    # The whole layout is checked before the first codeword is decoded.
    parts = _read_parts(stream, count, single_width=16)
    values, zeros = (part.decode(stream, count) for part in parts)
    # s even: s / 2; s odd: -(s + 1) / 2
    residuals = ((values >> 1) ^ -(values & 1)).view(np.int16)
    gaps = int(zeros.sum(dtype=np.int64))
    if gaps + count > pixels:
        raise stream.error(f"{gaps + count} residuals for {pixels} pixels")
    if gaps == 0 and count == pixels:
        return residuals
    image = np.zeros(pixels, dtype=np.int16)
    steps = zeros.astype(np.int64)
    steps += 1
    image[np.cumsum(steps, out=steps) - 1] = residuals
    return image


class _Part(NamedTuple):
    """Where one part of a chunk has its codewords, and what they mean."""

    table: HuffmanTable
    start: int
    sizes: NDArray[np.int64]
    size: int

    @classmethod
    def read(cls, stream: WordStream, count: int, *, single_width: int) -> _Part:
        """Read all of a part but its codewords, which are skipped."""
        table = HuffmanTable.read(stream, single_width=single_width)
        size = stream.field(32)
        start = stream.position
        stream.skip(-(-size // 32) * 32)
        sizes = stream.halfwords(-(-count // BLOCK))
        return cls(table, start, sizes, size)

    def decode(self, stream: WordStream, count: int) -> NDArray[np.uint16]:
        """Decode the codewords, shape (count,)."""
        return self.table.decode(stream, self.start, self.sizes, self.size, count)


def _read_parts(stream: WordStream, count: int, *, single_width: int) -> tuple[_Part, _Part]:
    """Read the parts of values and of runs of zeros, which end the chunk."""
    values = _Part.read(stream, count, single_width=single_width)
    zeros = _Part.read(stream, count, single_width=0)
    if stream.remaining:
        raise stream.error(f"{stream.remaining // 8} bytes left over")
    return values, zeros


def _read_empty_parts(stream: WordStream) -> None:
    """Check the two parts of a chunk without symbols.

    Their tables can be left over from another chunk. A table of values may then be one of runs,
    whose only symbol, 0, takes no bits: if the rest does not fit one way, it must the other.
    """
    start = stream.position
    try:
        _read_parts(stream, 0, single_width=16)
    except CodecError as error:
        stream.position = start
        try:
            _read_parts(stream, 0, single_width=0)
        except CodecError:
            raise error from None

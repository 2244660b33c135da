"""Blocks of N5 datasets, which say their own extents.

Implements "File-system specification" of N5, items 7 and 8: a header of big-endian numbers, then
the elements, compressed. Blocks at the end of a dataset are as small as what is left of it, where
Zarr's are all of one size.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from refmaker.codecs.base import (
    MAX_CHUNK,
    Buffer,
    DecodeOnly,
    bounded,
    deliver,
    expect,
    input_bytes,
)
from refmaker.codecs.bounded import Bounded
from refmaker.codecs.checks import library
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["COMPRESSORS", "N5"]

_LZ4 = "lz4_java"
"""Compression by the block streams of lz4-java, which no codec of numcodecs reads."""
COMPRESSORS = ("gzip", "zlib", "bz2", "lzma", "blosc", "zstd", _LZ4)
"""Codecs of elements."""
_VARYING = 1
"""Mode of blocks that also say how many elements they have."""
_FRAME = struct.Struct("<8sBIII")
"""A frame of lz4-java: its magic, method, length, length unpacked, checksum."""
_STORED, _PACKED = 0x10, 0x20


class N5(DecodeOnly):
    """Unpack a block, and fill it up with zeros to the size of all others.

    Parameters
    ----------
    shape : sequence of int
        Extents of a whole block in C order, which is the reverse of N5's.
    itemsize : int
        Bytes of an element.
    codec : mapping, optional
        The configuration of the codec of elements: one of `COMPRESSORS`.
    """

    codec_id: ClassVar[str] = "refmaker.n5"
    fields: ClassVar[tuple[str, ...]] = ("shape", "itemsize", "codec")

    def __init__(
        self, shape: Sequence[int], itemsize: int, codec: Mapping[str, Any] | None = None
    ) -> None:
        if not isinstance(shape, list | tuple) or not 1 <= len(shape) <= 32:
            raise MetadataError(f"{self.codec_id}: the shape {shape!r:.80}")
        self.shape = [bounded("shape", extent, 1, MAX_CHUNK) for extent in shape]
        self.itemsize = bounded("itemsize", itemsize, 1, 8)
        bounded("shape", math.prod(self.shape) * self.itemsize, 1, MAX_CHUNK)
        known = isinstance(codec, dict) and codec.get("id") in COMPRESSORS
        if codec is not None and not known:
            raise MetadataError(f"{self.codec_id}: the codec {codec!r:.80}")
        self.codec = codec

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the elements of a whole block in C order.

        Raises
        ------
        CodecError
            If header and elements do not agree, or the block is larger than those of its array.
        """
        data = input_bytes(buf)
        sizes, start = self._header(data)
        nbytes = math.prod(sizes) * self.itemsize
        found = self._unpacked(data[start:], nbytes)
        expect(self.codec_id, found.size, nbytes, "the block")
        if sizes != self.shape:
            whole = np.zeros(self.shape, f"V{self.itemsize}")
            part = found.view(f"V{self.itemsize}").reshape(sizes)
            whole[tuple(slice(0, extent) for extent in sizes)] = part
            found = whole.reshape(-1).view(np.uint8)
        return deliver(self.codec_id, found, out)

    def _header(self, data: Buffer) -> tuple[list[int], int]:
        """Return the extents of a block in C order, and where its elements begin."""
        rank = len(self.shape)
        start = 4 + 4 * rank
        raw = data[: start + 4].tobytes()
        if len(raw) < start:
            raise CodecError(f"{self.codec_id}: a block of {data.size} bytes has no header")
        mode, found, *sizes = struct.unpack_from(f">HH{rank}I", raw)
        sizes.reverse()
        if found != rank or mode > _VARYING:
            raise CodecError(f"{self.codec_id}: a block of mode {mode} with {found} dimensions")
        if any(not 1 <= size <= most for size, most in zip(sizes, self.shape, strict=True)):
            raise CodecError(f"{self.codec_id}: a block of {sizes} where blocks are {self.shape}")
        if mode == _VARYING:
            count = int.from_bytes(raw[start : start + 4], "big")
            expect(self.codec_id, count, math.prod(sizes), "the number of elements of a block")
            start += 4
        return sizes, start

    def _unpacked(self, data: Buffer, nbytes: int) -> Buffer:
        if self.codec is None:
            return data
        if self.codec["id"] == _LZ4:
            return np.frombuffer(_lz4(data.tobytes(), nbytes), np.uint8)
        from numcodecs import get_codec

        codec = Bounded(get_codec(dict(self.codec)), nbytes)
        return input_bytes(codec.decode(data))


def _lz4(data: bytes, most: int) -> bytes:
    """Unpack the frames of lz4-java's LZ4BlockOutputStream."""
    decode = library("imagecodecs").lz4_decode
    parts, at = [], 0
    while at + _FRAME.size <= len(data):
        magic, method, length, unpacked, _ = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        if magic != b"LZ4Block" or unpacked > most or at + length > len(data):
            raise CodecError(f"refmaker.n5: a damaged LZ4 frame at byte {at - _FRAME.size}")
        if unpacked == 0:
            break
        most -= unpacked
        raw = data[at : at + length]
        at += length
        if method & 0xF0 == _PACKED:
            try:
                raw = bytes(decode(raw, header=False, out=bytearray(unpacked)))
            except (RuntimeError, ValueError) as error:
                raise CodecError(f"refmaker.n5: damaged LZ4 data: {error}") from error
        elif method & 0xF0 != _STORED:
            raise CodecError(f"refmaker.n5: an LZ4 frame of method {method}")
        expect("refmaker.n5", len(raw), unpacked, "an LZ4 frame")
        parts.append(raw)
    return b"".join(parts)

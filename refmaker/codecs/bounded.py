"""Decoding that yields no more than was said beforehand, whatever the bytes would unpack to.

``bounded(codec, most)`` gives a codec of numcodecs a bound. Streams whose format says nothing of
what they unpack to (zlib, gzip, bz2, lzma) are unpacked by Python's own decompressors, which can
be told when to stop; frames and images that do say it (zstd, blosc, lz4, JPEG, PNG, JPEG 2000,
JPEG-LS, WebP) are asked first. What other codecs return is measured afterwards.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UNSAID", "Bounded", "bound_after", "bounded_codecs", "chunk_bytes"]

UNSAID = 256 * 1024**2
"""Bytes of a value whose size nothing says, such as a chunk of strings."""
_SLACK = 64 * 1024
_WIDER = 16
"""How many times larger than its values a filter may leave them: one byte kept as 16 at most."""
_LARGE = 1 << 15
"""Bytes of a stream that are worth loading another library."""
_IMAGE = 4
"""How many times larger an image may say to be than what its decoder is asked to make of it."""
_SAME = frozenset(
    {
        *("fletcher32", "crc32", "crc32c", "adler32", "jenkins_lookup3", "delta"),
        *("vlen-utf8", "vlen-bytes", "vlen-array", "json2", "msgpack2"),
    }
)
"""Filters that leave the values as large as they are, but for a checksum."""
_ZSTD_BLOCK = 128 * 1024
_LZMA_MEMORY = 1024**3


def chunk_bytes(shape: tuple[int, ...], itemsize: int, *, objects: bool = False) -> int:
    """Return the bytes that a decoded chunk has at most."""
    import math

    return UNSAID if objects else math.prod(shape) * itemsize


def bounded_codecs(codecs: list[Any], most: int) -> list[Bounded]:
    """Return codecs, in the order in which they encode, that decode to a chunk of bounded size.

    Parameters
    ----------
    codecs : list of numcodecs.abc.Codec
        The filters and then the compressor of an array.
    most : int
        Bytes of a decoded chunk.
    """
    found = []
    for codec in codecs:
        found.append(Bounded(codec, most))
        most = bound_after(codec, most)
    return found


def bound_after(codec: Any, most: int) -> int:
    """Return how much may go into a codec that decodes to `most` bytes.

    Parameters
    ----------
    codec : numcodecs.abc.Codec or None
        None for one of which nothing is known.
    most : int
        Bytes.
    """
    name = "" if codec is None else codec.codec_id
    if name == "refmaker.crop":
        return most * _WIDER + _SLACK + int(codec.offset)
    if name == "shuffle":
        # Exactly as many, so that they are decoded to where they stay.
        return most
    # What a filter leaves of the values is larger or smaller than they are, within reason.
    return most + 64 if name in _SAME else most * _WIDER + _SLACK


class Bounded(NamedTuple):
    """A codec that decodes to no more than a number of bytes.

    Parameters
    ----------
    codec : numcodecs.abc.Codec
    most : int
        Bytes.
    """

    codec: Any
    most: int

    @property
    def codec_id(self) -> str:
        """Id of the codec."""
        return str(self.codec.codec_id)

    def encode(self, data: Any) -> Any:
        """Encode as the codec does."""
        return self.codec.encode(data)

    def decode(self, data: Any, out: Any = None) -> Any:
        """Decode."""
        stream = _STREAMS.get(self.codec_id)
        if stream is not None and type(self.codec).__module__.partition(".")[0] == "numcodecs":
            return stream(self.codec, memoryview(_contiguous(data)), self.most)
        if self.codec_id in _IMAGES:
            said = _IMAGES[self.codec_id](bytes(memoryview(_contiguous(data))[:_SLACK]))
            self._check(said and said // _IMAGE)
        elif self.codec_id in _FRAMES:
            self._check(_FRAMES[self.codec_id](memoryview(_contiguous(data)), self.most))
        found = self.codec.decode(data) if out is None else self.codec.decode(data, out=out)
        self._check(_nbytes(found))
        return found

    def _check(self, size: int | None) -> None:
        if size is not None and size > self.most:
            raise _too_many(self.codec_id, self.most, size)


def _too_many(name: str, most: int, size: int | None = None) -> CodecError:
    told = "more" if size is None else f"{size} bytes"
    return CodecError(f"by {name} the chunk decodes to {told}, where it has {most} at most")


def _contiguous(data: Any) -> Any:
    from numcodecs.compat import ensure_contiguous_ndarray

    return ensure_contiguous_ndarray(data).view("u1")


def _nbytes(found: Any) -> int | None:
    """Return the size of what came out; None of objects, whose number their array bounds."""
    if getattr(getattr(found, "dtype", None), "hasobject", False):
        return None
    return int(found.nbytes) if hasattr(found, "nbytes") else len(found)


def _unpacked(name: str, make: Callable[[], Any], data: memoryview, most: int) -> bytes:
    """Unpack one stream after the other, as Python's own functions for whole files do."""
    parts: list[bytes] = []
    rest: Any = data
    while True:
        stream = make()
        # One byte more than may come shows that there are more.
        part = stream.decompress(rest, most + 1)
        parts.append(part)
        most -= len(part)
        if most < 0:
            raise _too_many(name, most + sum(map(len, parts)))
        if not stream.eof:
            raise CodecError(f"the {name} stream ends too early")
        rest = stream.unused_data
        if rest[:1] != data[:1]:
            # Behind the last stream stands nothing, or something else.
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _zlib(_: Any, data: memoryview, most: int) -> Any:
    import zlib

    found: Any = _by_libdeflate(data, most)
    if found is not None:
        return found
    stream = zlib.decompressobj()
    found = stream.decompress(data, most + 1)
    if len(found) > most:
        raise _too_many("zlib", most)
    if not stream.eof:
        raise CodecError("the zlib stream ends too early")
    return found


def _by_libdeflate(data: memoryview, most: int) -> Any:
    """Return what a zlib stream (RFC 1950) decodes to, three times as fast; else None.

    It writes to memory that is there beforehand. Streams that it does not take, or that hold more
    than there is room for, are left to Python's own decompressor, which says what is wrong.
    """
    if most >= UNSAID or (len(data) < _LARGE and "imagecodecs" not in sys.modules):
        # Loading the library takes as long as some thousand small chunks.
        return None
    import numpy as np

    try:
        import imagecodecs
    except ImportError:
        return None
    decode: Any = imagecodecs.deflate_decode
    try:
        return decode(data, out=np.empty(most, "u1"))
    except imagecodecs.DeflateError:
        return None


def _gzip(_: Any, data: memoryview, most: int) -> bytes:
    import zlib

    return _unpacked("gzip", lambda: zlib.decompressobj(31), data, most)


def _bz2(_: Any, data: memoryview, most: int) -> bytes:
    import bz2

    return _unpacked("bz2", bz2.BZ2Decompressor, data, most)


def _lzma(codec: Any, data: memoryview, most: int) -> bytes:
    import lzma

    raw = codec.format == lzma.FORMAT_RAW
    memory = None if raw else _LZMA_MEMORY
    filters = codec.filters if raw else None

    def make() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(codec.format, memory, filters)

    return _unpacked("lzma", make, data, most)


_STREAMS: dict[str, Callable[[Any, memoryview, int], Any]] = {
    "zlib": _zlib,
    "gzip": _gzip,
    "bz2": _bz2,
    "lzma": _lzma,
}


def _blosc_size(data: memoryview, _: int) -> int:
    if len(data) < 16 or struct.unpack_from("<I", data, 12)[0] > len(data):
        # The library would read on behind the end.
        raise CodecError("the blosc frame ends too early")
    return int(struct.unpack_from("<I", data, 4)[0])


def _lz4_size(data: memoryview, _: int) -> int | None:
    return struct.unpack_from("<I", data)[0] if len(data) >= 4 else None


def _lz4h5_size(data: memoryview, _: int) -> int | None:
    return struct.unpack_from(">Q", data)[0] if len(data) >= 12 else None


def _png_size(head: bytes) -> int | None:
    if len(head) < 26 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return None
    width, height, depth, kind = struct.unpack_from(">IIBB", head, 16)
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(kind, 4)
    return int(width * height * samples * (2 if depth == 16 else 1))


def _jpeg_size(head: bytes) -> int | None:
    """Return the size that the frame header says (T.81, B.2.2; JPEG-LS: T.87, C.2.2)."""
    at = 2
    while at + 9 < len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            depth, height, width, samples = struct.unpack_from(">BHHB", head, at + 4)
            return int(height * width * samples * (2 if depth > 8 else 1))
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _jpeg2k_size(head: bytes) -> int | None:
    """Return the size of the reference grid (T.800, A.5.1) for all components of 16 bits."""
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 44:
        return None
    x, y, x0, y0 = struct.unpack_from(">IIII", head, at + 8)
    samples = int.from_bytes(head[at + 40 : at + 42], "big")
    return int(max(0, x - x0) * max(0, y - y0)) * samples * ((head[at + 42] & 0x7F) // 8 + 1)


def _webp_size(head: bytes) -> int | None:
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    kind = head[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        height = int.from_bytes(head[27:30], "little") + 1
    elif kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (n & 0x3FFF for n in struct.unpack_from("<HH", head, 26))
    return width * height * 3


_IMAGES: dict[str, Callable[[bytes], int | None]] = {
    "imagecodecs_png": _png_size,
    "imagecodecs_jpeg": _jpeg_size,
    "imagecodecs_jpeg8": _jpeg_size,
    "imagecodecs_ljpeg": _jpeg_size,
    "imagecodecs_jpegls": _jpeg_size,
    "imagecodecs_jpeg2k": _jpeg2k_size,
    "imagecodecs_htj2k": _jpeg2k_size,
    "imagecodecs_webp": _webp_size,
}


def _zstd_size(data: memoryview, most: int) -> int | None:
    """Return what a frame of Zstandard says (RFC 8878, 3.1.1), or None if it cannot say much.

    A frame that does not tell its size is made of blocks, each of which says at least how much
    it cannot be more than.
    """
    if len(data) < 6 or bytes(data[:4]) != b"\x28\xb5\x2f\xfd":
        return None
    flags = data[4]
    single, width = flags >> 5 & 1, (0, 2, 4, 8)[flags >> 6]
    at = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    width = max(width, single)
    if width:
        size = int.from_bytes(data[at : at + width], "little")
        return size + 256 if width == 2 else size
    size, last = 0, 0
    while not last and at + 3 <= len(data) and size <= max(most, UNSAID):
        header = int.from_bytes(data[at : at + 3], "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        size += _ZSTD_BLOCK if kind == 2 else length
        at += 3 + (1 if kind == 1 else length)
    # Blocks need not be full: only what is beyond all measure is too much for certain.
    return size if size > max(most, UNSAID) else None


_FRAMES: dict[str, Callable[[memoryview, int], int | None]] = {
    "blosc": _blosc_size,
    "imagecodecs_blosc": _blosc_size,
    "lz4": _lz4_size,
    "imagecodecs_lz4h5": _lz4h5_size,
    "zstd": _zstd_size,
    "imagecodecs_zstd": _zstd_size,
}

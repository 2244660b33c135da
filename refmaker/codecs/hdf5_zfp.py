"""The H5Z-ZFP filter (HDF5 filter 32013)."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

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
from refmaker.errors import CodecError, MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HDF5Zfp"]

_MAGIC = b"zfp"
#: Bytes per value of the scalar types that a ZFP header can name.
_SIZES = (4, 8, 4, 8)
#: A header that spells out its parameters has as many bits, others 96.
_LONG_BITS = 148
_SPELLED_OUT = 0xFFF


class HDF5Zfp(DecodeOnly):
    """ZFP streams whose header the filter keeps in the file's metadata, not in the chunk.

    Parameters
    ----------
    header : sequence of int
        The filter's client values after the first (which holds versions): the ZFP header as
        32-bit words, magic and codec version, array type and dimensions, compression mode.
    nbytes : int
        Size of the decoded chunk in bytes.
    """

    codec_id = "refmaker.hdf5_zfp"
    fields = ("header", "nbytes")

    def __init__(self, header: Sequence[int], nbytes: int) -> None:
        self.header = [bounded("header", word, 0, 2**32 - 1) for word in header]
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)
        size = zfp_size(self.header)
        if size != self.nbytes:
            raise MetadataError(f"{self.codec_id}: the header says {size} bytes, not {nbytes}")

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress one chunk."""
        raw = input_bytes(buf)
        blocks, block_size, least = _blocks(self.header)
        if raw.size < -(-blocks * least // 8):
            raise CodecError(f"{self.codec_id}: {raw.size} bytes, the stream is cut off")
        # The library reads on until it has all blocks, wherever the stream ends. No block takes
        # more than twice its decoded size: behind that many zeros nothing is ever read.
        prefix = np.frombuffer(struct.pack(f"<{len(self.header)}I", *self.header), np.uint8)
        room = max(raw.size, blocks * (2 * block_size + 16))
        stream = np.zeros(prefix.size + room, np.uint8)
        stream[: prefix.size] = prefix
        if _is_long(self.header):
            # Behind a header of 148 bits the codec goes on where that ends, not at a whole byte.
            stream[_LONG_BITS // 8 + 1 : prefix.size] = 0
            stream[_LONG_BITS // 8] &= 0x0F
            stream[_LONG_BITS // 8 : _LONG_BITS // 8 + raw.size] |= raw << 4
            stream[_LONG_BITS // 8 + 1 : _LONG_BITS // 8 + 1 + raw.size] |= raw >> 4
        else:
            stream[prefix.size : prefix.size + raw.size] = raw
        try:
            decoded = library("imagecodecs").zfp_decode(stream)
        except (RuntimeError, ValueError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        expect(self.codec_id, decoded.nbytes, self.nbytes, "the decoded chunk")
        return deliver(self.codec_id, np.ascontiguousarray(decoded).reshape(-1).view(np.uint8), out)


def zfp_size(header: Sequence[int]) -> int:
    """Return the decoded size that a ZFP header announces, in bytes.

    Raises
    ------
    MetadataError
        If the words are no ZFP header in little-endian order.
    """
    itemsize, shape, _ = _parse(header)
    return itemsize * math.prod(shape)


def _parse(header: Sequence[int]) -> tuple[int, tuple[int, ...], int]:
    """Return bytes per value, shape (fastest axis first) and least number of bits per block.

    The header (``zfp_write_header``) is a little-endian bit stream: 32 bits of magic and version;
    2 bits of type, 2 bits of dimensionality and 48 bits shared by the dimensions; 12 bits of
    mode, followed, if they are all set, by 52 that begin with the least bits per block.
    """
    words = struct.pack(f"<{len(header)}I", *header)
    if len(words) < 12 or words[:3] != _MAGIC:
        raise MetadataError("the client values of the ZFP filter hold no ZFP header")
    bits = int.from_bytes(words[4:], "little")
    dims = (bits >> 2 & 3) + 1
    width = 48 // dims
    shape = tuple((bits >> 4 + axis * width & (1 << width) - 1) + 1 for axis in range(dims))
    mode = bits >> 52 & 0xFFF
    if mode < 2048:  # fixed rate
        least = mode + 1
    else:
        if mode == _SPELLED_OUT and len(words) < 20:
            raise MetadataError("the client values of the ZFP filter hold a part of a ZFP header")
        least = (bits >> 64 & 0x7FFF) + 1 if mode == _SPELLED_OUT else 1
    return _SIZES[bits & 3], shape, least


def _is_long(header: Sequence[int]) -> bool:
    """Tell whether the parameters follow the mode, as in expert mode and lossless accuracy."""
    return header[2] >> 20 == _SPELLED_OUT


def _blocks(header: Sequence[int]) -> tuple[int, int, int]:
    """Return number of blocks (four values a side), bytes in one, and its least stored bits."""
    itemsize, shape, least = _parse(header)
    return math.prod(-(-length // 4) for length in shape), itemsize * 4 ** len(shape), least

"""The bitshuffle filter, plain or with compression (HDF5 filter 32008)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from refmaker.codecs.base import (
    MAX_CHUNK,
    Buffer,
    DecodeOnly,
    bounded,
    deliver,
    expect,
    input_bytes,
    library,
)
from refmaker.errors import CodecError, MetadataError

__all__ = ["HDF5Bitshuffle"]


class HDF5Bitshuffle(DecodeOnly):
    """Bit-transposed blocks, each compressed with LZ4 or Zstandard, or not at all.

    A compressed chunk is: decoded size (u64 BE), block size in bytes (u32 BE), then for each block
    its compressed size (u32 BE) and its bytes. Blocks hold the same number of elements, a multiple
    of eight; the last one holds what is left, again a multiple of eight; up to seven elements
    after that are stored as they are. A plain chunk is the blocks and the rest alone.

    Parameters
    ----------
    itemsize : int
        Bytes per element, as the filter counts them.
    compression : {'lz4', 'zstd', 'none'}
        How blocks are compressed.
    nbytes : int
        Size of the decoded chunk in bytes.
    blocksize : int, optional
        Elements per block of plain chunks; 0 for the filter's default. Compressed chunks say it
        themselves.

    Notes
    -----
    The stock ``imagecodecs_bitshuffle`` takes the element size from the type of its input, which
    is bytes when Zarr calls it: it would return plain chunks with their bits in disorder.
    """

    codec_id = "refmaker.hdf5_bitshuffle"
    fields = ("itemsize", "compression", "nbytes", "blocksize")

    def __init__(self, itemsize: int, compression: str, nbytes: int, blocksize: int = 0) -> None:
        self.itemsize = bounded("itemsize", itemsize, 1, MAX_CHUNK)
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)
        self.blocksize = bounded("blocksize", blocksize, 0, MAX_CHUNK)
        if compression not in ("lz4", "zstd", "none"):
            raise MetadataError(f"{self.codec_id}: unknown compression {compression!r}")
        if self.nbytes % self.itemsize or self.blocksize % 8:
            raise MetadataError(f"{self.codec_id}: elements and blocks do not fit the chunk")
        self.compression = compression

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress and transpose one chunk back."""
        raw = input_bytes(buf)
        if self.compression == "none":
            expect(self.codec_id, raw.size, self.nbytes, "the chunk")
            shuffled, elements = raw, self.blocksize
        else:
            shuffled, elements = self._decompress(raw)
        # A memoryview, since the type of an array would be taken for that of the elements.
        decoded = library("imagecodecs").bitshuffle_decode(
            memoryview(cast(Any, shuffled)), itemsize=self.itemsize, blocksize=elements
        )
        return deliver(self.codec_id, np.frombuffer(decoded, np.uint8), out)

    def _decompress(self, raw: Buffer) -> tuple[Buffer, int]:
        if raw.size < 12:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes hold no header")
        expect(self.codec_id, int(raw[:8].view(">u8")[0]), self.nbytes, "the size in the header")
        # The filter divides, too: not every writer's block is a whole number of elements.
        elements = int(raw[8:12].view(">u4")[0]) // self.itemsize
        if elements == 0 or elements % 8:
            raise CodecError(f"{self.codec_id}: blocks of {elements} elements")
        block = elements * self.itemsize
        decompress = getattr(library("imagecodecs"), f"{self.compression}_decode")
        shuffled = np.empty(self.nbytes, np.uint8)
        whole = self.nbytes - self.nbytes % (8 * self.itemsize)
        source = 12
        # One turn per compressed block (8 KiB as a rule): each is a stream of its own.
        for start in range(0, whole, block):
            target = shuffled[start : min(start + block, whole)]
            length = int.from_bytes(raw[source : source + 4].tobytes(), "big")
            piece = raw[source + 4 : source + 4 + length]
            if source + 4 + length > raw.size or length == 0:
                raise CodecError(f"{self.codec_id}: the block at byte {source} is cut off")
            try:
                result = decompress(piece, out=target)
            except RuntimeError as error:
                raise CodecError(f"{self.codec_id}: block at byte {source}: {error}") from error
            expect(self.codec_id, len(result), target.size, f"the block at byte {source}")
            source += 4 + length
        expect(self.codec_id, raw.size - source, self.nbytes - whole, "the uncompressed tail")
        shuffled[whole:] = raw[source:]
        return shuffled, elements

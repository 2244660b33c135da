"""The Blosc2 filter (HDF5 filter 32026)."""

from __future__ import annotations

from typing import Any

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
from refmaker.errors import CodecError

__all__ = ["HDF5Blosc2"]

_MAGIC = b"\x9e\xa8b2frame\x00"


class HDF5Blosc2(DecodeOnly):
    """Contiguous Blosc2 frames, n-dimensional (b2nd) or plain.

    The chunk is a whole frame, not a Blosc2 chunk, so that the stock Blosc codecs do not read
    it; and the blocks of an n-dimensional frame have to be put back into C order. The package
    blosc2 does both.

    Parameters
    ----------
    nbytes : int
        Size of the decoded chunk in bytes.
    """

    codec_id = "refmaker.hdf5_blosc2"
    fields = ("nbytes",)

    def __init__(self, nbytes: int) -> None:
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress one chunk.

        Raises
        ------
        CodecError
            If the frame is corrupt, or does not give `nbytes` bytes.
        MissingDependencyError
            If the package blosc2 is not installed.
        """
        blosc2 = library("blosc2")
        raw = input_bytes(buf)
        self._check_frame(raw)
        try:
            schunk = blosc2.schunk_from_cframe(raw.tobytes(), copy=False)
            if "b2nd" in schunk.meta or "caterva" in schunk.meta:
                array = blosc2.ndarray_from_cframe(raw.tobytes(), copy=False)
                size = int(np.prod(array.shape, dtype=object)) * int(array.schunk.typesize)
                expect(self.codec_id, size, self.nbytes, "the frame's array")
                decoded = np.ascontiguousarray(array[...]).reshape(-1).view(np.uint8)
            else:
                expect(self.codec_id, schunk.nbytes, self.nbytes, "the frame's content")
                decoded = np.frombuffer(schunk[:], np.uint8)
        except (RuntimeError, TypeError, KeyError) as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        expect(self.codec_id, decoded.nbytes, self.nbytes, "the decoded chunk")
        return deliver(self.codec_id, decoded, out)

    def _check_frame(self, raw: Buffer) -> None:
        # Blosc2 CFRAME format: magic at byte 2, header size (i32 BE) at 11, frame size (u64 BE)
        # at 16. The library trusts what follows them, so a cut frame must not reach it.
        if raw.size < 87 or raw[:10].tobytes() != _MAGIC[:10]:
            raise CodecError(f"{self.codec_id}: the chunk is not a Blosc2 frame")
        header = int(raw[11:15].view(">i4")[0])
        frame = int(raw[16:24].view(">u8")[0])
        if frame != raw.size or not 87 <= header <= raw.size:
            raise CodecError(
                f"{self.codec_id}: a frame of {frame} bytes (header {header}) in a chunk of "
                f"{raw.size}"
            )

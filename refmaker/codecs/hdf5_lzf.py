"""The LZF filter of h5py (HDF5 filter 32000)."""

from __future__ import annotations

from typing import Any

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
from refmaker.errors import CodecError

__all__ = ["HDF5Lzf"]


class HDF5Lzf(DecodeOnly):
    """LZF streams without a header, as h5py writes them.

    The stream does not tell its decoded size, and the stock ``imagecodecs_lzf`` has no setting
    for it; the filter keeps it in its third client value.

    Parameters
    ----------
    nbytes : int
        Size of the decoded chunk in bytes.
    """

    codec_id = "refmaker.hdf5_lzf"
    fields = ("nbytes",)

    def __init__(self, nbytes: int) -> None:
        self.nbytes = bounded("nbytes", nbytes, 1, MAX_CHUNK)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decompress one chunk."""
        raw = input_bytes(buf)
        try:
            decoded = library("imagecodecs").lzf_decode(raw, header=False, out=self.nbytes)
        except RuntimeError as error:
            raise CodecError(f"{self.codec_id}: {error}") from error
        expect(self.codec_id, len(decoded), self.nbytes, "the decoded chunk")
        return deliver(self.codec_id, np.frombuffer(decoded, np.uint8), out)

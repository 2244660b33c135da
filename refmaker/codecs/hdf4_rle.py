"""Run-length encoding of HDF4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.base import Buffer

__all__ = ["HDF4RLE"]

_BATCH: Final = 8192
"""Counts that are expanded at a time."""


class HDF4RLE(DecodeOnly):
    """Runs of one byte, and mixed bytes, each behind a byte that counts them.

    Coder 1 of the compression headers (HDF Specification 4.2, section 3.6.3, ``crle.c``), and the
    older encoding of raster images (DFTAG_RLE, ``dfrle.c``). A count with the top bit set is
    followed by one byte that is repeated, any other by as many bytes.

    Parameters
    ----------
    size : int
        Bytes of the decoded chunk.
    least_run, least_mix : int
        What is added to the count of a run, and to that of mixed bytes: 3 and 1 for coder 1, both
        0 for images.
    """

    codec_id = "refmaker.hdf4_rle"
    fields = ("size", "least_run", "least_mix")

    def __init__(self, size: int, least_run: int = 3, least_mix: int = 1) -> None:
        self.size = bounded("size", size, 0, MAX_CHUNK)
        self.least_run = bounded("least_run", least_run, 0, 3)
        self.least_mix = bounded("least_mix", least_mix, 0, 1)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Expand a chunk.

        Raises
        ------
        CodecError
            If the chunk ends before the elements do.
        """
        raw = input_bytes(buf)
        counts = self._counts(raw)
        batches = [counts[first : first + _BATCH] for first in range(0, counts.size, _BATCH)]
        parts = [self._expanded(raw, batch) for batch in batches]
        found = np.concatenate([np.empty(0, np.uint8), *parts])
        if found.size < self.size:
            raise CodecError(f"{self.codec_id}: {raw.size} bytes do not hold {self.size}")
        return deliver(self.codec_id, found[: self.size], out)

    def _counts(self, raw: Buffer) -> NDArray[np.int64]:
        """Return where the counts stand that the decoded chunk needs."""
        run = raw >= 0x80
        ahead = np.where(run, 1, raw + np.uint8(self.least_mix)).astype(np.uint8).tobytes()
        made = np.where(run, (raw & 0x7F) + np.uint8(self.least_run),
                        raw + np.uint8(self.least_mix)).astype(np.uint8).tobytes()  # fmt: skip
        found: list[int] = []
        at, left = 0, self.size
        while left > 0 and at < len(ahead):
            found.append(at)
            left -= made[at]
            at += ahead[at] + 1
        return np.array(found, np.int64)

    def _expanded(self, raw: Buffer, at: NDArray[np.int64]) -> Buffer:
        """Return what the counts at some places stand for; less where the chunk ends before."""
        count = raw[at].astype(np.int64)
        run = count >= 0x80
        count = np.where(run, (count & 0x7F) + self.least_run, count + self.least_mix)
        # Each byte is a copy of one of the chunk: the next of them, or the same one again.
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        source = np.repeat(at + 1, count) + np.where(np.repeat(run, count), 0, within)
        found: Buffer = raw[source[source < raw.size]]
        return found

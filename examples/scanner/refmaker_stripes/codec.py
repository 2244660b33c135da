"""The codec of stripes that hold differences; needs neither the scanner nor its libraries."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from refmaker.codecs.base import DecodeOnly, deliver, input_bytes
from refmaker.codecs.checks import bounded, expect

__all__ = ["Differences"]


class Differences(DecodeOnly):
    """Restores samples from their differences.

    Parameters
    ----------
    count : int
        Samples of a stripe: what a chunk decodes to is known before it is decoded.
    """

    codec_id = "refmaker_stripes.differences"
    fields: ClassVar[tuple[str, ...]] = ("count",)

    def __init__(self, count: int) -> None:
        # Configurations come from documents that anybody may have written.
        self.count = bounded("count", count, 1, 2**31 - 1)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode one stripe."""
        raw = input_bytes(buf)
        expect(self.codec_id, raw.size, 2 * self.count, "the stripe")
        return deliver(self.codec_id, np.cumsum(raw.view("<u2"), dtype="<u2"), out)

"""One column out of whole rows of a table: of FITS, and of Vdatas of HDF4."""

from __future__ import annotations

from typing import Any

import numpy as np

from refmaker.codecs.base import MAX_CHUNK, DecodeOnly, bounded, deliver, input_bytes
from refmaker.errors import CodecError

__all__ = ["TableColumn"]


class TableColumn(DecodeOnly):
    """The bytes of one column of the rows of a table.

    Rows follow each other without gaps, and hold the elements of every column one behind the other
    (section 7.3.3 of the FITS Standard 4.0; section 3.3.8 of the HDF Specification 4.2).

    Parameters
    ----------
    row : int
        Bytes of a row.
    start, width : int
        First byte of the column in a row, and its bytes.
    """

    codec_id = "refmaker.table_column"
    fields = ("row", "start", "width")

    def __init__(self, row: int, start: int, width: int) -> None:
        self.row = bounded("row", row, 1, MAX_CHUNK)
        self.start = bounded("start", start, 0, self.row)
        self.width = bounded("width", width, 1, self.row - self.start)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the column's elements of all rows, C order."""
        raw = input_bytes(buf)
        if raw.size % self.row:
            raise CodecError(
                f"{self.codec_id}: {raw.size} bytes are no whole number of rows of {self.row}"
            )
        part = raw.reshape(-1, self.row)[:, self.start : self.start + self.width]
        return deliver(self.codec_id, np.ascontiguousarray(part).reshape(-1), out)

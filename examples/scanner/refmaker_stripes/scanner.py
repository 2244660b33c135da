"""The scanner of stripe files."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError, TruncatedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.protocol import setting_values
from refmaker_stripes.declared import FORMAT, MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["StripesScanner"]

_CODEC = "refmaker_stripes.differences"
_MOST = 2**31 - 1
"""Samples of a stripe at most."""


class StripesScanner:
    """Scanner of stripe files."""

    name = FORMAT.name
    suffixes = FORMAT.suffixes
    settings = FORMAT.settings

    def sniff(self, head: bytes, url: str) -> float:
        """Return how sure it is that a file starting with `head` is a stripe file."""
        return FORMAT.sniff(head, url)

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the image as an array, a chunk for each stripe."""
        report = ScanReport(source.url, self.name)
        report.add("/", Outcome.GROUP)
        axes = setting_values(self, options)["stripe-axes"]
        names = ("y", "x") if axes == "yx" else ("lat", "lon")
        array = _image(source, names)
        report.add("/image", Outcome.REFERENCED)
        return Group({"image": array}), report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with the format's own library."""
        from refmaker_stripes.library import StripesReader

        yield StripesReader(source)


def _image(source: Source, names: tuple[str, str]) -> Array:
    head = source.read_upto(0, 24)
    if not head.startswith(MAGIC):
        raise FormatError("it does not start like a stripe file", offset=0)
    if len(head) < 24:
        raise TruncatedError("the header is cut off", offset=len(head))
    rows, columns, step, differences = struct.unpack_from("<4I", head, 8)
    if not (rows and columns and step) or differences > 1:
        raise FormatError("the header says nothing sensible", offset=8)
    samples = step * columns
    if samples > _MOST:
        raise LimitError(f"stripes of {samples} samples are larger than any real one", offset=8)
    # What a file claims is compared with its size before anything is allocated for it.
    count = -(-rows // step)
    if 24 + 16 * count > source.size:
        raise TruncatedError(f"a table of {count} stripes ends behind the file", offset=24)
    table = np.frombuffer(source.read(24, 16 * count), "<u8").reshape(count, 2)
    offset, length = table[:, 0], table[:, 1]
    written = offset > 0
    if bool((length[written] != 2 * samples).any()):
        raise FormatError("a stripe has another length than its samples", path="image", offset=24)
    size = np.uint64(source.size)
    if bool(((offset > size) | (length > size - np.minimum(offset, size)))[written].any()):
        raise TruncatedError("a stripe ends behind the file", path="image", offset=24)
    chunks = ChunkTable.from_columns(
        (count, 1),
        (source.url,),
        offset=offset[written],
        length=length[written],
        index=np.flatnonzero(written),
    )
    return Array(
        (rows, columns),
        (step, columns),
        np.dtype("<u2"),
        chunks,
        # Chunks that are absent read as it; without any, the format declares none.
        fill_value=None if bool(written.all()) else 0,
        # A configuration is data: neither the codec nor numcodecs is imported to scan.
        compressor={"id": "refmaker_stripes.differences", "count": samples}
        if differences
        else None,
        dimension_names=names,
    )

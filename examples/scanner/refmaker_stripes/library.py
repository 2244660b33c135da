"""The format's own library, as far as this example needs one: writes and reads whole files."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker_stripes.declared import MAGIC

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.model import Array

__all__ = ["StripesReader", "write"]


class StripesReader:
    """Reads values, for ``refmaker verify``; shares nothing with the scanner's mapping.

    Parameters
    ----------
    source : Source
        The file.
    """

    def __init__(self, source: Source) -> None:
        data = source.read(0, source.size)
        rows, columns, step, differences = struct.unpack_from("<4I", data, 8)
        self.values = np.zeros((rows, columns), "<u2")
        for i, top in enumerate(range(0, rows, step)):
            offset, length = struct.unpack_from("<2Q", data, 24 + 16 * i)
            if offset:
                samples = np.frombuffer(data, "<u2", length // 2, offset)
                if differences:
                    samples = np.cumsum(samples, dtype="<u2")
                stripe = samples.reshape(step, columns)
                self.values[top : top + step] = stripe[: rows - top]

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return a region of the image."""
        del path, array
        return self.values[region]


def write(
    path: Path, values: NDArray[Any], step: int, *, differences: bool = False, skip: int = -1
) -> Path:
    """Write a stripe file; the stripe of number `skip` is left out."""
    rows, columns = values.shape
    count = -(-rows // step)
    padded = np.zeros((count * step, columns), "<u2")
    padded[:rows] = values
    table, body, at = b"", b"", 24 + 16 * count
    for i in range(count):
        samples = padded[i * step : (i + 1) * step].reshape(-1)
        if differences:
            samples = np.diff(samples, prepend=samples.dtype.type(0))
        data = b"" if i == skip else samples.astype("<u2").tobytes()
        table += struct.pack("<2Q", at + len(body) if data else 0, len(data))
        body += data
    head = MAGIC + struct.pack("<4I", rows, columns, step, differences)
    path.write_bytes(head + table + body)
    return path

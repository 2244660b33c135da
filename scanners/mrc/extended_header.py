"""What the extended header of FEI's microscopes says of every section.

Implements the fields of "MRC2014 file image format specification" (Thermo Fisher Scientific), types
``FEI1`` and ``FEI2``, that tell where and how a section was taken; a mask says which are set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.mrc.header import Header
    from refmaker.scanning.compressed_file import UnpackedHead

__all__ = ["FEI_FIELDS", "section_values"]

_SIZES = {b"FEI1": 768, b"FEI2": 888}
_LIMIT = 8 * 1024**2
"""Bytes of extended headers that are read."""
FEI_FIELDS = {
    "high_tension": ("HT", 84, 5, "V"),
    "dose": ("Dose", 92, 6, "m-2"),
    "alpha_tilt": ("Alpha tilt", 100, 7, "degree"),
    "beta_tilt": ("Beta tilt", 108, 8, "degree"),
    "tilt_axis_angle": ("Tilt axis angle", 140, 12, "degree"),
    "pixel_size_x": ("Pixel size X", 156, 14, "m"),
    "pixel_size_y": ("Pixel size Y", 164, 15, "m"),
}
"""Coordinates of sections: the field, its first byte, its bit of the mask, its unit."""


def section_values(
    header: Header, head: UnpackedHead, sections: int
) -> dict[str, NDArray[np.float64]]:
    """Return the fields that are set for all sections, by the names of their coordinates.

    Parameters
    ----------
    header : Header
        Says type and size of the extended header.
    head : UnpackedHead
        The file's first bytes.
    sections : int
        How many there are; none is told of if the extended header has fewer.
    """
    size = _SIZES.get(bytes(header.fields["exttyp"]), 0)
    length = size * sections
    if not length or not length <= min(int(header.fields["nsymbt"]), _LIMIT):
        return {}
    raw = np.frombuffer(head.read(header.size, length), np.uint8).reshape(sections, size)

    def column(at: int, kind: str) -> NDArray[Any]:
        dtype = np.dtype(header.order + kind)
        return np.ascontiguousarray(raw[:, at : at + dtype.itemsize]).view(dtype)[:, 0]

    if not np.all(column(0, "i4") == size):
        return {}
    mask = int(np.bitwise_and.reduce(column(8, "u4")))
    found = {
        name: column(at, "f8").astype(np.float64)
        for name, (_, at, bit, _) in FEI_FIELDS.items()
        if mask >> bit & 1
    }
    return {name: values for name, values in found.items() if np.isfinite(values).all()}

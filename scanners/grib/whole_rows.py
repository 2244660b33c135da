"""Reduced grids of edition 1 that end at another longitude than their rows do.

Section 2 does not count the points of a reduced grid: which of a whole circle there are follows
from the first and the last longitude. Some writers give the last of 4 N longitudes, whatever the
longest row has (octahedral grids have more), and so leave out points that section 4 holds.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from refmaker.codecs.grib_grid import read_definition
from refmaker.errors import FormatError, LimitError

__all__ = ["whole_rows"]

_GAUSSIAN, _SIMPLE, _BITMAP = 4, 0, 0x40
_SPARE = 16
"""Bits that may follow the values of section 4, which has an even number of octets."""


def whole_rows(product: bytes, grid: bytes, how: bytes) -> bytes:
    """Return a grid definition whose last longitude leaves in it as many points as are packed.

    Parameters
    ----------
    product, grid : bytes
        Sections 1 and 2.
    how : bytes
        The first 11 octets of section 4.

    Returns
    -------
    bytes
        Section 2: as it is, where it does not contradict section 4.
    """
    reduced = len(grid) > 32 and grid[5] == _GAUSSIAN and grid[6:8] == b"\xff\xff"
    if not reduced or product[7] & _BITMAP or how[3] >> 4 != _SIMPLE or not how[10]:
        return grid
    bits = (int.from_bytes(how[:3], "big") - 11) * 8 - (how[3] & 0x0F)
    return _whole(grid, bits, how[10])


@lru_cache(64)
def _whole(grid: bytes, bits: int, width: int) -> bytes:
    try:
        found = read_definition(1, grid)
    except (FormatError, LimitError):
        return grid
    lengths = found.row_lengths
    if lengths is None or found.values.get("Lo1") != 0:
        return grid
    count = int(lengths.sum())
    if found.points == count or not 0 <= bits - count * width < _SPARE:
        return grid
    # Octets 21-23, in thousandths of a degree.
    last = ceil(360_000 - 360_000 / int(lengths.max()))
    return grid[:20] + last.to_bytes(3, "big") + grid[23:]

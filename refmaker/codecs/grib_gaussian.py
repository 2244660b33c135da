"""Latitudes of Gaussian grids: the roots of Legendre polynomials."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError, LimitError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["gaussian_latitudes", "gaussian_rows"]

_MOST = 8192
"""Largest number of parallels between pole and equator: twice that of the finest grids in use."""


@lru_cache(maxsize=16)
def gaussian_latitudes(parallels: int) -> NDArray[np.float64]:
    """Return the latitudes of a Gaussian grid.

    Parameters
    ----------
    parallels : int
        Number of parallels between a pole and the equator (N).

    Returns
    -------
    ndarray of float64, shape (2 * parallels,), read-only
        Degrees, from north to south.

    Raises
    ------
    FormatError
        If there are none.
    LimitError
        If there are more than 8192.
    """
    if parallels < 1:
        raise FormatError("a Gaussian grid without parallels")
    if parallels > _MOST:
        raise LimitError(f"a Gaussian grid of {parallels} parallels, at most {_MOST}")
    degree = 2 * parallels
    index = np.arange(1, parallels + 1)
    # Tricomi's first approximation, then Newton's method: each step doubles the digits.
    roots = np.cos(np.pi * (4 * index - 1) / (4 * degree + 2))
    roots *= 1 - (degree - 1) / (8.0 * degree**3)
    for _ in range(5):
        before, here = np.ones_like(roots), roots.copy()
        for k in range(2, degree + 1):
            before, here = here, ((2 * k - 1) * roots * here - (k - 1) * before) / k
        step = here * (roots * roots - 1) / (degree * (roots * here - before))
        roots -= step
        if np.abs(step).max() < 1e-15:
            break
    north = np.rad2deg(np.arcsin(roots))
    latitudes = np.concatenate([north, -north[::-1]])
    latitudes.flags.writeable = False
    return latitudes


def gaussian_rows(parallels: int, first: float, rows: int, *, northwards: bool) -> slice:
    """Find the rows of a grid among the latitudes of a Gaussian grid.

    Parameters
    ----------
    parallels : int
        Number of parallels between a pole and the equator.
    first : float
        Latitude of the first row as the message gives it, rounded to its unit.
    northwards : bool
        Whether the following rows are to the north.

    Returns
    -------
    slice
        Into `gaussian_latitudes`.

    Raises
    ------
    FormatError
        If there are no such rows.
    """
    latitudes = gaussian_latitudes(parallels)
    if rows == latitudes.size:
        # All of them, whatever the first latitude is said to be.
        return slice(None, None, -1) if northwards else slice(None)
    start = int(np.argmin(np.abs(latitudes - first)))
    spacing = 90.0 / parallels
    last = start - rows + 1 if northwards else start + rows - 1
    if abs(latitudes[start] - first) > spacing / 10 + 1e-3 or not 0 <= last < latitudes.size:
        raise FormatError(f"{rows} rows from latitude {first} on a Gaussian grid N{parallels}")
    if northwards:
        return slice(start, last - 1 if last else None, -1)
    return slice(start, last + 1)

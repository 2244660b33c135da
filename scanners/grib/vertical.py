"""Coefficients of hybrid levels: pressure at half levels is a + b times that at the surface.

Implements the lists of vertical coordinate parameters: 4-octet numbers of IEEE at the end of
section 4 (edition 2), of IBM in section 2 (edition 1, code table 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.model.inline import inline_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.grib.variables import DimensionCoordinate

__all__ = ["HYBRID", "coefficient_arrays", "coefficients"]

HYBRID = "hybrid"
"""Type of level that has coefficients."""
_TOLD = {
    "ap": {"units": "Pa", "long_name": "hybrid A coefficient at levels"},
    "b": {"units": "1", "long_name": "hybrid B coefficient at levels"},
}
_COMMENT = "pressure = ap + b * ps; ps is the surface pressure, or exp of its logarithm (lnsp)"


def coefficients(
    edition: int, octets: bytes, levels: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return a and b at both ends of levels, by name.

    Parameters
    ----------
    edition : {1, 2}
        How numbers are written.
    octets : bytes
        The list, 4 octets a number: a at all half levels, then b.
    levels : ndarray of float64, shape (n,)
        Numbers of full levels, from 1.

    Returns
    -------
    dict
        ``ap`` and ``b``, each of shape (n, 2); empty where the list is none of such levels.
    """
    words = np.frombuffer(octets, ">u4")
    half = len(words) // 2
    whole = levels.astype(np.int64)
    if len(words) % 2 or half < 2 or (whole != levels).any():
        return {}
    if whole.min() < 1 or whole.max() > half - 1:
        return {}
    numbers = _ibm(words) if edition == 1 else words.view(">f4").astype(np.float64)
    return {
        name: np.stack([part[whole - 1], part[whole]], axis=1)
        for name, part in (("ap", numbers[:half]), ("b", numbers[half:]))
    }


def _ibm(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Return numbers of IBM's single precision: sign, exponent to 16, 24 bits (reg. 92.6.4)."""
    words = words.astype(np.int64)
    mantissa, exponent = words & 0xFFFFFF, (words >> 24 & 0x7F) - 64
    found = mantissa * 16.0 ** (exponent - 6)
    return np.where(words >> 31, -found, found)


def coefficient_arrays(
    axis: DimensionCoordinate, name: str, dimension: str | None, edition: int, octets: bytes
) -> Iterator[tuple[str, Array]]:
    """Yield the coordinates of coefficients along an axis of hybrid levels, with their bounds.

    Parameters
    ----------
    name : str
        Name of the axis in its group.
    dimension : str or None
        Its dimension; None for a single level.
    edition, octets
        As for `coefficients`.
    """
    levels = np.asarray(axis.values, np.float64)
    suffix = name.removeprefix(HYBRID)
    for key, ends in coefficients(edition, octets, levels).items():
        called = f"{key}{suffix}"
        middle = ends.mean(axis=1)
        told = {**_TOLD[key], "bounds": f"{called}_bounds", "comment": _COMMENT}
        if dimension is None:
            yield called, inline_array(middle[0], (), told)
            yield f"{called}_bounds", inline_array(ends[0], ("bounds",), {})
        else:
            yield called, inline_array(middle, (dimension,), told)
            yield f"{called}_bounds", inline_array(ends, (dimension, "bounds"), {})

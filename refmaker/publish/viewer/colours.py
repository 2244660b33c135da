"""Numbers as colours, and pictures as PNG."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["COLOUR_MAPS", "colour_table", "coloured", "limits", "png", "suggested"]

# Sixteen colours of each, at even distances: those of matplotlib, and those of ColorBrewer.
COLOUR_MAPS = {
    "viridis": "440154481a6c472f7d41448739568c31688e2a788e23888e1f988b22a88435b77954c5687ad151a5db36"
    "d2e21bfde725",
    "inferno": "0000040c0826240c4f420a685d126e781c6d932667ae305cc73e4cdd513aed6925f8850ffca50afac62d"
    "f2e661fcffa4",
    "blue to red": "0530611854932c75b44393c378b4d5a7d0e4d1e5f0eaf1f5f9eee7fddbc7f7b799ea8e70d6604dbe"
    "303699102767001f",
    "grey": "000000ffffff",
    "grey, inverted": "ffffff000000",
}
"""Names of colour maps, and their colours as hexadecimal numbers."""
_EVEN_HANDED = 2.5
"""How much longer one side of zero may be, where zero is to be in the middle."""
_TAILS = (0.2, 99.8)
"""Parts of the values, in percent, that the colours of a range span."""


@cache
def colour_table(name: str) -> NDArray[np.uint8]:
    """Return 256 colours of a map: red, green, blue.

    Raises
    ------
    KeyError
        If there is no such map.
    """
    known = np.frombuffer(bytes.fromhex(COLOUR_MAPS[name]), np.uint8).reshape(-1, 3)
    at = np.linspace(0, len(known) - 1, 256)
    bands = [np.interp(at, np.arange(len(known)), band) for band in known.T]
    table = np.stack(bands, axis=1).round().astype(np.uint8)
    table.setflags(write=False)
    return table


def coloured(values: NDArray[Any], low: float, high: float, name: str) -> NDArray[np.uint8]:
    """Return the colours of values between two ends; what is no number is transparent.

    Parameters
    ----------
    values : ndarray of number, shape (rows, columns)
    low, high : float
        Values of the first and the last colour, which what lies beyond has, too.
    name : str
        One of `COLOUR_MAPS`.

    Returns
    -------
    ndarray of uint8, shape (rows, columns, 4)
        Red, green, blue, opacity.
    """
    numbers = values.astype(np.float64)
    known = ~np.isnan(numbers)
    span = high - low if high > low else 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        part = np.clip((np.where(known, numbers, low) - low) / span, 0, 1)
    pixels = np.zeros((*values.shape, 4), np.uint8)
    pixels[..., :3] = colour_table(name)[np.rint(part * 255).astype(np.intp)]
    pixels[..., 3] = np.where(known, 255, 0)
    pixels[~known] = 0
    return pixels


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture as PNG.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (rows, columns, 3 or 4)
    """
    from imagecodecs import png_encode

    return bytes(png_encode(np.ascontiguousarray(pixels), level=3))


def limits(values: NDArray[Any]) -> tuple[float, float] | None:
    """Return the ends of a range for values, without their outermost; None if there are none."""
    numbers = values[np.isfinite(values)].astype(np.float64)
    if not numbers.size:
        return None
    low, high = np.percentile(numbers, _TAILS)
    if low == high:
        low, high = numbers.min(), numbers.max()
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)


def suggested(low: float, high: float) -> tuple[float, float, str]:
    """Return a range and colours for values: with zero in the middle, if it nearly is there."""
    if low < 0 < high and max(-low, high) <= _EVEN_HANDED * min(-low, high):
        end = max(-low, high)
        return -end, end, "blue to red"
    return low, high, "viridis"

"""Numbers as colours, and pictures as PNG."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.publish.pictures.canvas import PALETTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["COLOUR_MAPS", "by_kind", "colour_table", "coloured", "kind_colour", "png"]

# Sixteen colours of each, at even distances: those of matplotlib, and those of ColorBrewer.
COLOUR_MAPS = {
    "viridis": "440154481a6c472f7d41448739568c31688e2a788e23888e1f988b22a88435b77954c568"
    "7ad151a5db36d2e21bfde725",
    "inferno": "0000040c0826240c4f420a685d126e781c6d932667ae305cc73e4cdd513aed6925f8850f"
    "fca50afac62df2e661fcffa4",
    "blue to red": "0530611854932c75b44393c378b4d5a7d0e4d1e5f0eaf1f5f9eee7fddbc7f7b799ea8e70"
    "d6604dbe303699102767001f",
    "grey": "000000ffffff",
    "grey, inverted": "ffffff000000",
}
"""Names of colour maps, and their colours as hexadecimal numbers."""


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


def by_kind(values: NDArray[Any], kinds: Sequence[float]) -> NDArray[np.uint8]:
    """Return the colours of values that stand for kinds of cells; others are transparent.

    Parameters
    ----------
    values : ndarray of number, shape (rows, columns)
    kinds : sequence of float
        The values.
    """
    pixels = np.zeros((*values.shape, 4), np.uint8)
    for at, kind in enumerate(kinds):
        pixels[values == kind] = (*bytes.fromhex(kind_colour(at)[1:]), 255)
    return pixels


def kind_colour(number: int) -> str:
    """Return the colour of a kind of cells, as ``#rrggbb``."""
    return PALETTE[number % len(PALETTE)]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture as PNG.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (rows, columns, 3 or 4)
    """
    from imagecodecs import png_encode

    return bytes(png_encode(np.ascontiguousarray(pixels), level=3))

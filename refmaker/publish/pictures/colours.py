"""Which colours values have: by what they are, and how they are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.attributes import text_of
from refmaker.publish.pictures.compositing import limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.pictures.subjects import Subject

__all__ = ["Shades", "kinds_of", "shades"]

_FLAGS = 12
"""Kinds of cells that are told apart."""
_BALANCED = 0.25
"""How much less far values go to one side of zero than to the other, and are still balanced."""


@dataclass(frozen=True, slots=True, eq=False)
class Shades:
    """Colours of values.

    Parameters
    ----------
    map : object
        Name of a map of colours, or one.
    low, high : float
        Values at its ends.
    extend : str
        Which ends of it stand for values beyond as well, as matplotlib says it.
    kinds : tuple of (float, str)
        Values that are names of kinds, with these names.
    """

    map: Any
    low: float
    high: float
    extend: str = "neither"
    kinds: tuple[tuple[float, str], ...] = ()


def shades(subject: Subject, array: Array, values: NDArray[Any]) -> Shades:
    """Return the colours of a picture.

    Parameters
    ----------
    subject : Subject
        What it shows.
    array : Array
        Where values are from.
    values : ndarray of float64
        As they are meant.
    """
    kinds = kinds_of(array)
    if kinds:
        from matplotlib.colors import ListedColormap

        from refmaker.publish.pictures.canvas import PALETTE

        colours = [PALETTE[n % len(PALETTE)] for n in range(len(kinds))]
        return Shades(ListedColormap(colours), 0, len(kinds), kinds=kinds)
    grey = subject.kind in ("image", "montage", "pyramid") and not subject.crs
    window = _window(array) if grey else None
    low, high = window or limits(values)
    finite = values[np.isfinite(values)]
    ends = (
        bool(finite.size) and float(finite.min()) < low,
        bool(finite.size) and finite.max() > high,
    )
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(ends, "neither")
    if grey:
        inverted = text_of(array.attributes, "photometric", "photometric_interpretation").lower()
        names = {"miniswhite": "gray_r", "monochrome1": "gray_r"}
        return Shades(names.get(inverted, "gray"), low, high, extend)
    if low < 0 < high and min(-low, high) > _BALANCED * max(-low, high):
        most = max(-low, high)
        return Shades("RdBu_r", -most, most, extend)
    return Shades("viridis", low, high, extend)


def kinds_of(array: Array) -> tuple[tuple[float, str], ...]:
    """Return the values that stand for kinds of cells (CF conventions, section 3.5)."""
    if array.dtype.kind == "b":
        return (0.0, "false"), (1.0, "true")
    values = array.attributes.get("flag_values")
    meanings = text_of(array.attributes, "flag_meanings").split()
    if not isinstance(values, list) or len(values) != len(meanings) or len(values) > _FLAGS:
        return ()
    if not all(isinstance(value, int | float) for value in values):
        return ()
    return tuple(zip(map(float, values), meanings, strict=True))


def _window(array: Array) -> tuple[float, float] | None:
    """Return the first window of DICOM (PS3.3, C.11.2.1.2.1)."""
    centre, width = (array.attributes.get(f"window_{name}") for name in ("center", "width"))
    centre, width = (one[0] if isinstance(one, list) and one else one for one in (centre, width))
    if isinstance(centre, int | float) and isinstance(width, int | float) and width > 1:
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return None

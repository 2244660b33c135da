"""Channels of an image as red, green and blue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.pictures.subjects import Subject

__all__ = ["coloured", "limits"]

_COLOURS = ("00FFFF", "FF00FF", "FFFF00", "FF0000", "00FF00", "0000FF", "FFFFFF", "FF8000")
"""Of channels that name none."""
_HEX = re.compile("[0-9A-Fa-f]{6}")
_RGB = ("red", "green", "blue")
_PLAIN = 3


def limits(values: NDArray[Any]) -> tuple[float, float]:
    """Return the range that colours are spread over: all but a hundredth at either end."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [1, 99])
    if low == high:
        low, high = finite.min(), finite.max()
    return (float(low), float(high)) if low < high else (float(low), float(low) + 1)


def coloured(subject: Subject, array: Array, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colours of 8 bits.

    Parameters
    ----------
    subject : Subject
        With its channels.
    array : Array
        Where they are from.
    values : ndarray, shape (..., channels)
        As they are meant.

    Returns
    -------
    ndarray of uint8, shape (..., 3)
    """
    count = values.shape[-1]
    if _is_rgb(subject, count):
        shown = values[..., :_PLAIN]
        if array.dtype.str[1:] != "u1":
            low, high = limits(shown)
            shown = (shown - low) * (255 / (high - low))
        if count < _PLAIN:
            shown = np.repeat(shown[..., :1], _PLAIN, axis=-1)
        return np.asarray(np.nan_to_num(shown, nan=255).clip(0, 255), np.uint8)
    total = np.zeros((*values.shape[:-1], _PLAIN))
    for channel in range(count):
        low, high = limits(values[..., channel])
        part = np.nan_to_num((values[..., channel] - low) / (high - low)).clip(0, 1)
        total += part[..., None] * _colour(subject, channel)
    return np.asarray(total.clip(0, 255), np.uint8)


def _is_rgb(subject: Subject, count: int) -> bool:
    """Whether channels are red, green and blue themselves."""
    labels = tuple(label.lower() for label, _ in subject.channels)
    return not labels or labels[:_PLAIN] == _RGB or (count in (3, 4) and not any(labels))


def _colour(subject: Subject, channel: int) -> NDArray[Any]:
    known = subject.channels[channel][1] if channel < len(subject.channels) else ""
    text = known if _HEX.fullmatch(known) else _COLOURS[channel % len(_COLOURS)]
    return np.array([int(text[at : at + 2], 16) for at in (0, 2, 4)], "f8")

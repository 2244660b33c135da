"""Palettes: the colours that the values of an image are numbers of (TIFF 6.0, section 5; DICOM)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.attributes import text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.publish.pictures.source import Source

__all__ = ["painted"]

_MOST = 1 << 16
"""Colours of a palette."""


def painted(source: Source, path: str, values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return the colours of an image that has a palette; None if it has none.

    Parameters
    ----------
    source : Source
        Where the palette is found: an attribute of the image, or an array beside it.
    path : str
        Of the image.
    values : ndarray of float64
        Numbers of colours.

    Returns
    -------
    ndarray of uint8
        With an axis of red, green and blue more; white where nothing is.
    """
    array = source.array(path)
    if array.dtype.kind not in "iu":
        return None
    first, colours = _of_tiff(array) or _of_dicom(source, path, array) or (0, None)
    if colours is None:
        return None
    # Lower values have the first colour, higher ones the last (PS3.3, C.7.6.3.1.5).
    numbers = np.nan_to_num(values).astype(np.int64) - first
    found: NDArray[np.uint8] = colours[numbers.clip(0, len(colours) - 1)]
    found[np.isnan(values)] = 255
    return found


def _of_tiff(array: Array) -> tuple[int, NDArray[np.uint8]] | None:
    told = array.attributes.get("colormap")
    if text_of(array.attributes, "photometric").lower() != "palette" or not isinstance(told, list):
        return None
    try:
        table = np.asarray(told, "f8")
    except (ValueError, TypeError):
        return None
    if table.ndim != 2 or table.shape[0] != 3 or not 0 < table.shape[1] <= _MOST:
        return None
    return 0, _bytes(table.T)


def _of_dicom(source: Source, path: str, array: Array) -> tuple[int, NDArray[np.uint8]] | None:
    if text_of(array.attributes, "photometric_interpretation") != "PALETTE COLOR":
        return None
    beside = source.beside(path, "palette")
    table = None if beside is None else source.coordinate(beside)
    if beside is None or table is None or table.ndim != 2 or table.shape[1] != 3 or not len(table):
        return None
    first = source.array(beside).attributes.get("first_value", 0)
    return (first if isinstance(first, int) else 0), _bytes(table)


def _bytes(table: NDArray[Any]) -> NDArray[np.uint8]:
    """Return colours of 16 bits, or of 8, as 8."""
    scale = 257 if table.max() > 255 else 1
    return np.asarray((table / scale).round().clip(0, 255), np.uint8)

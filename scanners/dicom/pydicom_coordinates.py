"""The numbers beside an image, by pydicom's reading of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.dicom.pydicom_places import ATTRIBUTES, number, positions, vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.pydicom_places import FrameReading

__all__ = ["axis_values", "frame_values"]


def axis_values(name: str, frames: Sequence[FrameReading], image: Array) -> NDArray[np.float64]:
    """Return the distances of rows or of columns from the first, for ``y`` or ``x``."""
    spacing = vector(frames[0].get("PixelSpacing"), 2)
    axis = [n.partition("_")[0] for n in image.dimension_names or ()].index(name)
    return np.asarray(np.arange(image.shape[axis]) * spacing["yx".index(name)])


def frame_values(
    name: str, frames: Sequence[FrameReading], image: Array
) -> NDArray[np.float64] | None:
    """Return what a coordinate has to be for each frame.

    Parameters
    ----------
    name : str
        Its name, without the number of the image.
    frames : sequence of FrameReading
        The frames.
    image : Array
        The array that the coordinate belongs to.

    Returns
    -------
    ndarray of float64, shape (n,) or (n, k), or None
        NaN where a frame has no number; None for what pydicom is not asked.
    """
    if name == "position":
        return positions(frames)
    if name in ("rescale_slope", "rescale_intercept"):
        slope = np.array([number(f.get("RescaleSlope")) for f in frames])
        intercept = np.array([number(f.get("RescaleIntercept")) for f in frames])
        known = np.isfinite(slope) & np.isfinite(intercept) & (slope != 0)
        return np.where(known, slope if name == "rescale_slope" else intercept, np.nan)
    if name == "z":
        origin, direction = image.attributes["origin"], np.array(image.attributes["direction"])
        return np.asarray((positions(frames) - np.array(origin)) @ direction[:, 0])
    if name in ATTRIBUTES:
        return np.array([number(f.get(*ATTRIBUTES[name])) for f in frames])
    return None

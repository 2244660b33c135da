"""What numbers frames of nuclear medicine and PET, by pydicom's reading of them alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["slice_plane", "vector_number"]

_VECTORS = {
    "energy_window": "EnergyWindowVector",
    "detector": "DetectorVector",
    "phase": "PhaseVector",
    "rotation": "RotationVector",
    "rr_interval": "RRIntervalVector",
    "time_slot": "TimeSlotVector",
    "slice": "SliceVector",
    "angular_view": "AngularViewVector",
    "time_slice": "TimeSliceVector",
}


def vector_number(dataset: Any, frame: int, name: str) -> float | None:
    """Return the number of a frame along a dimension, NaN where there is none.

    None for names that are no such dimension.
    """
    keyword = _VECTORS.get(name)
    if keyword is None:
        return None
    values = dataset.get(keyword)
    if values is None:
        return _by_image_index(dataset, name)
    listed = [values] if isinstance(values, int) else list(values)
    return float(listed[frame]) if frame < len(listed) else math.nan


def _by_image_index(dataset: Any, name: str) -> float:
    index, slices = dataset.get("ImageIndex"), dataset.get("NumberOfSlices")
    slots = dataset.get("NumberOfTimeSlots")
    if index is None or not slices:
        return math.nan
    volume = (int(index) - 1) // int(slices)
    if name == "time_slice":
        return float(volume + 1)
    if slots and name in ("rr_interval", "time_slot"):
        return float((volume // int(slots) if name == "rr_interval" else volume % int(slots)) + 1)
    return math.nan


def slice_plane(dataset: Any, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return position and orientation of a reconstructed slice, None for what is none."""
    detectors = dataset.get("DetectorInformationSequence")
    number = vector_number(dataset, frame, "slice")
    step = dataset.get("SpacingBetweenSlices")
    if not detectors or number is None or math.isnan(number) or step is None:
        return None
    place, cosines = (
        detectors[0].get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    if place is None or cosines is None:
        return None
    directions = np.array([float(value) for value in cosines])
    across = np.cross(directions[:3], directions[3:])
    first = np.array([float(value) for value in place])
    return first + (number - 1) * float(step) * across, directions

"""Where frames belong, by pydicom's reading of them alone: which frame fills which cell.

Nothing here is shared with what makes reference sets. A frame's position, orientation and
dimension attributes are taken from pydicom's data sets (PS3.3, C.7.6.2, C.7.6.16 and C.7.6.17)
and compared with the places that an array claims for its cells.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import UnsupportedError
from refmaker.scanners.dicom.pydicom_vectors import slice_plane, vector_number
from refmaker.scanning.protocol import MismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ATTRIBUTES", "FrameReading", "cells", "number", "positions", "vector"]

_NEAR = 0.02
"""Millimetres, or the share of a step, that a frame may be from the place claimed for it."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "temporal_position": ("TemporalPositionIndex", "TemporalPositionIdentifier"),
    "echo_time": ("EffectiveEchoTime", "EchoTime"),
    "echo_number": ("EchoNumbers",),
    "inversion_time": ("InversionTimes", "InversionTime"),
    "repetition_time": ("RepetitionTime",),
    "flip_angle": ("FlipAngle",),
    "trigger_time": ("NominalCardiacTriggerDelayTime", "TriggerTime"),
    "frame_reference_time": ("FrameReferenceTime",),
    "cardiac_phase": ("NominalPercentageOfCardiacPhase",),
    "respiratory_trigger_time": ("NominalRespiratoryTriggerDelayTime",),
    "respiratory_phase": ("NominalPercentageOfRespiratoryPhase",),
    "segment": ("ReferencedSegmentNumber",),
    "energy": ("KVP",),
    "acquisition_number": ("FrameAcquisitionNumber", "AcquisitionNumber"),
    "instance_number": ("InstanceNumber",),
    "slice_location": ("SliceLocation",),
}
"""Keywords of the numbers that may be dimensions or coordinates; the first that is there counts."""
_TEXTS = {
    "complex_component": ("ComplexImageComponent",),
    "image_type": ("FrameType", "ImageType"),
    "optical_path": ("OpticalPathIdentifier",),
}
_POSITION = ("ImagePositionPatient", "ImagePositionVolume")
_ORIENTATION = ("ImageOrientationPatient", "ImageOrientationVolume")
_CLOCKS = (
    (
        "FrameAcquisitionDateTime",
        "FrameReferenceDateTime",
        "AcquisitionDateTime",
        "AcquisitionTime",
    ),
    ("ContentTime",),
    ("NominalCardiacTriggerDelayTime", "TriggerTime"),
    ("FrameReferenceTime",),
)


class FrameReading:
    """One frame as pydicom reads it.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Its instance.
    frame : int
        Its number in it, from 0.
    """

    def __init__(self, dataset: Any, frame: int) -> None:
        self.dataset = dataset
        self.frame = frame
        groups: list[Any] = []
        each = dataset.get("PerFrameFunctionalGroupsSequence")
        if each is not None and frame < len(each):
            groups.append(each[frame])
        shared = dataset.get("SharedFunctionalGroupsSequence")
        if shared:
            groups.append(shared[0])
        self._groups = groups

    def get(self, *keywords: str) -> Any:
        """Return the first of some attributes that is there: of the frame, or of all frames."""
        for keyword in keywords:
            for group in self._groups:
                found = _inside(group, keyword, 3)
                if found is not None:
                    return found
            found = self.dataset.get(keyword)
            if found is not None and not (isinstance(found, str) and not found.strip()):
                return found
        return None


def _inside(item: Any, keyword: str, depth: int) -> Any:
    """Return an attribute of an item, or of the first items of sequences in it."""
    found = item.get(keyword)
    if found is not None or depth == 0:
        return found
    for element in item:
        if element.VR == "SQ" and element.value:
            found = _inside(element.value[0], keyword, depth - 1)
            if found is not None:
                return found
    return None


def number(value: Any) -> float:
    """Return a number as pydicom reads it, NaN where there is none."""
    if value is None or isinstance(value, bytes):
        return math.nan
    if not isinstance(value, str) and hasattr(value, "__len__"):
        distinct = {number(part) for part in value}
        return distinct.pop() if len(distinct) == 1 else math.nan
    text = str(value)
    try:
        return math.nan if "_" in text else float(text.replace(",", "."))
    except ValueError:
        return math.nan


def vector(value: Any, length: int) -> NDArray[np.float64]:
    """Return several numbers, NaN where there are none."""
    if value is None or isinstance(value, str) or len(value) != length:
        return np.full(length, np.nan)
    return np.array([number(part) for part in value], np.float64)


def cells(
    frames: Sequence[FrameReading],
    names: Sequence[str],
    shape: Sequence[int],
    attributes: Mapping[str, Any],
) -> NDArray[np.int64]:
    """Return the cell of each frame.

    Parameters
    ----------
    frames : sequence of FrameReading
        The frames of an array.
    names, shape : sequence
        Names and extents of its dimensions in front of rows and columns.
    attributes : mapping
        Its attributes, which claim where the cells lie.

    Returns
    -------
    ndarray of int64, shape (n,)
        Flat numbers, C order.

    Raises
    ------
    UnsupportedError
        If these attributes do not give each frame a cell of its own, with code ``no-oracle``.
    MismatchError
        If a frame lies where no cell is.
    """
    if not names:
        return np.zeros(len(frames), np.int64)
    if tuple(names) == ("frame",):
        order = np.empty(len(frames), np.int64)
        order[_in_order(frames)] = np.arange(len(frames))
        return order
    places = np.zeros(len(frames), np.int64)
    if names[-1] == "z":
        places = _places(frames, shape[-1], attributes)
        names, lead = names[:-1], shape[:-1]
    else:
        lead = tuple(shape)
    flat = np.zeros(len(frames), np.int64)
    for name, extent in zip(names, lead, strict=True):
        codes = _codes(frames, name, places)
        if codes is None or int(codes.max(initial=0)) >= extent:
            raise _unplaced(name)
        flat = flat * extent + codes
    flat = flat * (shape[-1] if len(lead) < len(shape) else 1) + places
    if np.unique(flat).size != flat.size:
        raise _unplaced(", ".join(names) or "z")
    return flat


def _unplaced(name: str) -> UnsupportedError:
    return UnsupportedError(
        f"pydicom's attributes do not tell the place of a frame along {name}", code="no-oracle"
    )


def _in_order(frames: Sequence[FrameReading]) -> list[int]:
    """Return frames by the number of their instance, of their part, and their own."""

    def key(which: int) -> tuple[float, float, int]:
        frame = frames[which]
        instance = number(frame.dataset.get("InstanceNumber"))
        part = number(frame.dataset.get("ConcatenationFrameOffsetNumber"))
        if not math.isnan(part):
            return -1.0, part, frame.frame
        return (math.inf if math.isnan(instance) else instance), 0.0, frame.frame

    # Instances that have no number, or one in common, stay in the order given.
    order = {id(f.dataset): n for n, f in reversed(list(enumerate(frames)))}
    return sorted(range(len(frames)), key=lambda n: (*key(n)[:2], order[id(frames[n].dataset)], n))


def positions(frames: Sequence[FrameReading]) -> NDArray[np.float64]:
    """Return where the first elements of frames lie, millimetres, shape (n, 3)."""
    planes = [slice_plane(f.dataset, f.frame) for f in frames]
    if all(plane is not None for plane in planes):
        return np.array([plane[0] for plane in planes if plane is not None])
    found = np.array([vector(f.get(*_POSITION), 3) for f in frames])
    offsets = frames[0].dataset.get("GridFrameOffsetVector")
    if offsets is None or len(offsets) != len(frames):
        return found
    # Planes of a dose grid (PS3.3, C.8.8.3.2).
    away = vector(offsets, len(frames))
    cosines = vector(frames[0].get("ImageOrientationPatient"), 6)
    across = np.cross(cosines[:3], cosines[3:])
    if away[0] != 0:
        across = np.array([0.0, 0.0, 1.0])
    numbers = np.array([frame.frame for frame in frames])
    return np.asarray(found[0] + (away - away[0])[numbers][:, None] * across)


def _places(
    frames: Sequence[FrameReading], extent: int, attributes: Mapping[str, Any]
) -> NDArray[np.int64]:
    """Return which plane each frame is, by its position and the planes that are claimed."""
    position = positions(frames)
    origin, direction = attributes.get("origin"), attributes.get("direction")
    spacing = attributes.get("spacing")
    if origin is None or direction is None or not np.isfinite(position).all():
        raise _unplaced("z")
    planes = [slice_plane(f.dataset, f.frame) for f in frames]
    cosines = np.array(
        [
            vector(f.get(*_ORIENTATION), 6) if plane is None else plane[1]
            for f, plane in zip(frames, planes, strict=True)
        ]
    )
    claimed = np.concatenate([np.array(direction)[:, 2], np.array(direction)[:, 1]])
    if not bool(np.all(np.abs(cosines - claimed) < 1e-3)):
        raise MismatchError("frames lie in other planes than the array says")
    along = np.array(direction)[:, 0]
    step = spacing[0] if spacing else None
    if step is None:
        distance = (position - np.array(origin)) @ along
        places = _ranks(distance)
        if int(places.max(initial=0)) + 1 != extent:
            raise MismatchError(f"frames lie in {int(places.max()) + 1} planes, not in {extent}")
        return places
    distance = (position - np.array(origin)) @ along
    places = np.asarray(np.rint(distance / step), np.int64)
    expected = np.array(origin) + places[:, None] * step * along
    away = float(np.linalg.norm(position - expected, axis=1).max())
    if away > _NEAR * max(1.0, step) or places.min() < 0 or places.max() >= extent:
        raise MismatchError(f"a frame lies {away:.3f} mm from the planes that the array claims")
    return places


def _ranks(distance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each distance, the same for those that are near one another."""
    order = np.argsort(distance, kind="stable")
    fresh = np.concatenate([[False], np.diff(distance[order]) > _NEAR / 2])
    ranks = np.empty(distance.size, np.int64)
    ranks[order] = np.cumsum(fresh)
    return ranks


def _codes(
    frames: Sequence[FrameReading], name: str, places: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Return the number of each frame's value along one dimension."""
    if name in ATTRIBUTES:
        values = np.array([number(f.get(*ATTRIBUTES[name])) for f in frames])
        return _numbered(values)
    numbered = [vector_number(f.dataset, f.frame, name) for f in frames]
    known = [value for value in numbered if value is not None]
    if len(known) == len(frames):
        return _numbered(np.array(known))
    if name in _TEXTS:
        return _first_met([_text(f.get(*_TEXTS[name])) for f in frames], frames)
    if name == "diffusion":
        rows = np.array([_diffusion(f) for f in frames])
        rows = np.where(np.isnan(rows), -np.inf, rows)
        return _numbered(rows)
    if name == "time":
        return _by_clock(frames, places)
    order = _in_order(frames)
    if name == "repeat":
        return _counted(places, order)
    if name == "volume":
        instances = [id(frames[n].dataset) for n in order]
        rank = {one: n for n, one in enumerate(dict.fromkeys(instances))}
        return np.array([rank[id(f.dataset)] for f in frames], np.int64)
    index = name.removeprefix("dimension_")
    if index.isdecimal():
        values = np.array([_dimension_index(f, int(index) - 1) for f in frames])
        return _numbered(values)
    return None


def _numbered(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers, or rows of them, by their rank among the distinct ones."""
    return np.asarray(np.unique(values, axis=0, return_inverse=True)[1], np.int64).reshape(-1)


def _first_met(texts: Sequence[str], frames: Sequence[FrameReading]) -> NDArray[np.int64]:
    """Return texts by number, in the order of the frames."""
    number_of: dict[str, int] = {}
    for which in _in_order(frames):
        number_of.setdefault(texts[which], len(number_of))
    return np.array([number_of[text] for text in texts], np.int64)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else "\\".join(map(str, value))


_PRIVATE_DIFFUSION = (
    ("SIEMENS MR HEADER", 0x0019, 0x0C, (0x0E,)),
    ("Philips Imaging DD 001", 0x2001, 0x03, ()),
    ("Image Private Header", 0x0065, 0x09, (0x37,)),
)
"""Creator, group, and the elements of b-value and direction in its block."""


def _dimension_index(frame: FrameReading, which: int) -> float:
    values = frame.get("DimensionIndexValues")
    if isinstance(values, int):
        values = [values]
    return number(values[which]) if values is not None and which < len(values) else math.nan


def _diffusion(frame: FrameReading) -> list[float]:
    """Return b-value and direction of a frame, those of private elements where they stand."""
    b_value = number(frame.get("DiffusionBValue"))
    direction = vector(frame.get("DiffusionGradientOrientation"), 3)
    for creator, group, b_element, elements in _PRIVATE_DIFFUSION:
        try:
            block = frame.dataset.private_block(group, creator)
        except KeyError:
            continue
        if math.isnan(b_value) and b_element in block:
            b_value = number(block[b_element].value)
        if bool(np.isnan(direction).any()) and elements and elements[0] in block:
            direction = vector(block[elements[0]].value, 3)
    return [b_value, *direction.tolist()]


def _by_clock(
    frames: Sequence[FrameReading], places: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Return how many frames at the same place came before each, by the first clock that tells."""
    for keywords in _CLOCKS:
        values = [frame.get(*keywords) for frame in frames]
        if any(value is None for value in values):
            continue
        times = [
            str(v).partition("+")[0].partition("-")[0].ljust(30, "0") if isinstance(v, str) else v
            for v in values
        ]
        numeric = [number(v) for v in values] if not isinstance(values[0], str) else None
        moments: Sequence[Any] = numeric if numeric is not None else times
        if len(set(zip(places.tolist(), moments, strict=True))) == len(frames):
            order = sorted(range(len(frames)), key=lambda n, m=moments: m[n])  # type: ignore[misc]
            return _counted(places, order)
    return None


def _counted(places: NDArray[np.int64], order: Sequence[int]) -> NDArray[np.int64]:
    """Return how many frames of an order stand before each one at the same place."""
    seen: dict[int, int] = {}
    ranks = np.empty(places.size, np.int64)
    for which in order:
        place = int(places[which])
        ranks[which] = seen.get(place, 0)
        seen[place] = ranks[which] + 1
    return ranks

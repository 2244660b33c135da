"""Frames of nuclear medicine: vectors number their energy windows, detectors, time slots, slices.

Implements Frame Increment Pointer and the vectors it names (PS3.3, C.8.4.8.1.1, Table C.8-10), and
Image Index of PET (C.8.9.4.1.9). A vector has a number for each frame, counted from 1; the
dimensions are nested in the order in which the pointer names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.dicom.dimensions import Column, FrameGrid
from refmaker.scanners.dicom.frame_attributes import ORIENTATION, POSITION
from refmaker.scanners.dicom.geometry import normal
from refmaker.scanners.dicom.tags import IMAGE_TYPE, SOP_CLASS_UID
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.frame_attributes import FrameAttributes
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.tags import Element

__all__ = [
    "VECTORS",
    "described_columns",
    "frame_numbers",
    "has_vectors",
    "image_index_columns",
    "reconstructed_places",
    "vector_grid",
]

FRAME_INCREMENT_POINTER = 0x00280009
_SLICE = 0x00540080
VECTORS: dict[int, str] = {
    0x00540010: "energy_window",
    0x00540020: "detector",
    0x00540030: "phase",
    0x00540050: "rotation",
    0x00540060: "rr_interval",
    0x00540070: "time_slot",
    _SLICE: "slice",
    0x00540090: "angular_view",
    0x00540100: "time_slice",
}
"""Vectors by tag, and the names of their dimensions."""
_NUCLEAR = ("1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.5")
_SPACING_BETWEEN_SLICES, _DETECTORS = 0x00180088, 0x00540022
_WINDOWS, _RANGES, _LOWER, _UPPER = 0x00540012, 0x00540013, 0x00540014, 0x00540015
_PHASES, _IN_PHASE, _DELAY, _PAUSE = 0x00540032, 0x00540033, 0x00540036, 0x00540038
_DURATION = 0x00181242
_SERIES_TYPE, _IMAGE_INDEX = 0x00541000, 0x00541330
_SLICES, _TIME_SLICES, _RR_INTERVALS, _TIME_SLOTS = 0x00540081, 0x00540101, 0x00540061, 0x00540071


def has_vectors(header: Header) -> bool:
    """Tell whether it is vectors that say what the frames of an instance are."""
    return header.text(SOP_CLASS_UID) in _NUCLEAR or any(
        tag in VECTORS for tag in _pointers(header)
    )


def _pointers(header: Header) -> list[int]:
    """Return the tags that Frame Increment Pointer names."""
    try:
        return [tag for tag in header.values(FRAME_INCREMENT_POINTER) if isinstance(tag, int)]
    except FormatError:
        return []


def frame_numbers(header: Header, frames: int) -> list[dict[int, Element]]:
    """Return the element of each vector for each frame, as if it were one of the frame's own.

    Vectors of another length are left out; `vector_grid` says so.
    """
    own: list[dict[int, Element]] = [{} for _ in range(frames)]
    for tag in VECTORS:
        raw = header.raw(tag) or b""
        if tag in header and len(raw) == 2 * frames:
            for frame, into in enumerate(own):
                into[tag] = b"US", raw[2 * frame : 2 * frame + 2]
    return own


def reconstructed_places(
    header: Header, records: FrameAttributes
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return position and orientation of reconstructed slices, None where they are not told.

    Slice i lies at the position of the first item of Detector Information Sequence, and i - 1
    times Spacing Between Slices along the normal, whose sign counts (C.8.4.15.1.1).

    Parameters
    ----------
    header : Header
        The instance.
    records : FrameAttributes
        Its frames, with their slice numbers.
    """
    if "RECON" not in header.text(IMAGE_TYPE).upper() or not records.present(_SLICE):
        return None
    try:
        first = next(header.iter_items(_DETECTORS), None)
        step = header.number(_SPACING_BETWEEN_SLICES)
        place = None if first is None else first.numbers(POSITION, 3)
        cosines = None if first is None else first.numbers(ORIENTATION, 6)
    except FormatError:
        return None
    number = records.number(_SLICE)
    if place is None or cosines is None or not step or not bool(np.isfinite(number).all()):
        return None
    across = normal(np.array(cosines))
    if across is None:
        return None
    position = np.array(place) + (number[:, None] - 1) * step * across
    return position, np.broadcast_to(np.array(cosines), (len(records), 6))


def vector_grid(
    header: Header, columns: Sequence[Column], frames: int, slot: NDArray[np.int64] | None
) -> tuple[FrameGrid | None, str]:
    """Return the grid that vectors make of the frames of one instance, or why there is none.

    Parameters
    ----------
    header : Header
        The instance.
    columns : sequence of Column
        What is known of each frame.
    frames : int
        Number of frames.
    slot : ndarray of int64, shape (n,), or None
        Place of each frame in a stack of slices; then these are the last dimension.

    Returns
    -------
    FrameGrid or None
        Dimensions in the order of the pointer; vectors of one value are none.
    str
        Why frames stay in a row, empty if they do not.
    """
    pointers = _pointers(header)
    if not pointers:
        return None, "the frames stay in a row: Frame Increment Pointer (0028,0009) is missing"
    known = {column.name: column.values for column in columns}
    names, shape = [], []
    cell = np.zeros(frames, np.int64)
    for tag in pointers:
        name = VECTORS.get(tag)
        if name is None:
            return (
                None,
                f"the frames stay in a row: {tag_text(tag)} is no vector that numbers frames",
            )
        values = known.get(name)
        if values is None or not bool(np.isfinite(values).all()):
            return None, f"the frames stay in a row: {tag_text(tag)} has no number for each of them"
        count = int(values.max())
        if not np.array_equal(np.unique(values), np.arange(1, count + 1)):
            return None, f"the frames stay in a row: {tag_text(tag)} does not count from 1"
        if count > 1 and not (tag == _SLICE and slot is not None):
            names.append(name)
            shape.append(count)
            cell = cell * count + values.astype(np.int64) - 1
    if slot is not None:
        places = int(slot.max()) + 1
        shape.append(places)
        cell = cell * places + slot
    if int(np.prod(shape, dtype=object)) != frames or np.unique(cell).size != frames:
        return None, "the frames stay in a row: their vectors do not fill a grid"
    return FrameGrid(tuple(names), tuple(shape), cell), ""


def described_columns(header: Header, columns: Sequence[Column]) -> list[Column]:
    """Return the limits of each frame's energy window, and when it begins in a dynamic study.

    Parameters
    ----------
    header : Header
        The instance.
    columns : sequence of Column
        The numbers of its frames.

    Returns
    -------
    list of Column
        ``energy_window_lower`` and ``energy_window_upper`` (keV; NaN for a window of several
        ranges), ``time`` (ms) of frames in phases; those that are known.
    """
    known = {column.name: column.values for column in columns}
    found: list[Column] = []
    try:
        if "energy_window" in known:
            found += _windows(header, known["energy_window"])
        if "phase" in known and "time_slice" in known:
            found += _phases(header, known["phase"], known["time_slice"])
    except FormatError:
        # What windows and phases are is no reason to lose frames.
        return []
    return found


def _windows(header: Header, numbers: NDArray[Any]) -> list[Column]:
    limits = []
    for window in header.items(_WINDOWS):
        ranges = window.items(_RANGES)
        one = ranges[0] if len(ranges) == 1 else None
        limits.append([one.number(tag) if one is not None else None for tag in (_LOWER, _UPPER)])
    table = np.array(limits, np.float64).reshape(-1, 2)
    return [
        Column(f"energy_window_{name}", values, "keV", separates=False)
        for name, values in zip(("lower", "upper"), _looked_up(table, numbers).T, strict=True)
    ]


def _looked_up(table: NDArray[np.float64], numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rows of a table that numbers from 1 name, NaN where there is none."""
    found = np.full((len(numbers), table.shape[1]), np.nan)
    whole = np.nan_to_num(numbers.astype(np.float64)).astype(np.int64)
    inside = (whole >= 1) & (whole <= len(table))
    found[inside] = table[whole[inside] - 1]
    return found


def _phases(header: Header, phase: NDArray[Any], number: NDArray[Any]) -> list[Column]:
    """Return when frames begin, in a phase of frames of equal length (C.8.4.14)."""
    start, table = 0.0, []
    for item in header.items(_PHASES):
        told = [item.number(tag) for tag in (_DELAY, _DURATION, _PAUSE, _IN_PHASE)]
        delay, duration, pause, frames = (np.nan if value is None else value for value in told)
        begin, step = start + delay, duration + pause
        table.append([begin, step])
        start = begin + frames * step
    at = _looked_up(np.array(table, np.float64).reshape(-1, 2), phase)
    return [Column("time", at[:, 0] + (number - 1) * at[:, 1], "ms", separates=False)]


def image_index_columns(records: FrameAttributes) -> list[Column]:
    """Return the time slice, or R-R interval and time slot, of slices of PET (C.8.9.4.1.9).

    None where Image Index is missing, or numbers what is not there.
    """
    if not records.present(_IMAGE_INDEX):
        return []
    kinds = {text.partition("\\")[0] for text in records.texts(_SERIES_TYPE).tolist()}
    index = records.number(_IMAGE_INDEX)
    extents = {
        tag: _common(records, tag) for tag in (_SLICES, _TIME_SLICES, _RR_INTERVALS, _TIME_SLOTS)
    }
    dimensions = {
        "DYNAMIC": (("time_slice", _TIME_SLICES),),
        "GATED": (("rr_interval", _RR_INTERVALS), ("time_slot", _TIME_SLOTS)),
    }.get(kinds.pop() if len(kinds) == 1 else "", ())
    used = [_SLICES, *(tag for _, tag in dimensions)]
    total = int(np.prod([extents[tag] for tag in used], dtype=object))
    whole = bool(np.isfinite(index).all() and (index == np.floor(index)).all())
    if not dimensions or not whole or not bool(((index >= 1) & (index <= total)).all()):
        return []
    number = (index.astype(np.int64) - 1) // extents[_SLICES]
    found = []
    for name, tag in reversed(dimensions):
        found.append(Column(name, number % extents[tag] + 1))
        number //= extents[tag]
    return found[::-1]


def _common(records: FrameAttributes, tag: int) -> int:
    """Return a count that all frames agree in, 0 if they do not."""
    values = np.unique(records.number(tag))
    return int(values[0]) if values.size == 1 and 1 <= values[0] < 1 << 16 else 0

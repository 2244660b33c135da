"""Attributes by which frames at one place may be told apart, as columns of all frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.scanners.dicom.diffusion import diffusion_column, diffusion_numbers
from refmaker.scanners.dicom.dimensions import Column
from refmaker.scanners.dicom.frame_vectors import VECTORS, image_index_columns
from refmaker.scanners.dicom.vendor_values import complex_component

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.frame_attributes import FrameAttributes

__all__ = ["separating"]

_NUMBERS: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("temporal_position", (0x00209128, 0x00200100), ""),
    ("echo_time", (0x00189082, 0x00180081), "ms"),
    ("echo_number", (0x00180086,), ""),
    ("inversion_time", (0x00189079, 0x00180082), "ms"),
    ("repetition_time", (0x00180080,), "ms"),
    ("flip_angle", (0x00181314,), "degree"),
    ("trigger_time", (0x00209153, 0x00181060), "ms"),
    ("cardiac_phase", (0x00209241,), "percent"),
    ("respiratory_trigger_time", (0x00209255,), "ms"),
    ("respiratory_phase", (0x00209245,), "percent"),
    ("frame_reference_time", (0x00541300,), "ms"),
    ("segment", (0x0062000B,), ""),
    ("energy", (0x00180060,), "kV"),
    ("acquisition_number", (0x00209156, 0x00200012), ""),
    *((name, (tag,), "") for tag, name in VECTORS.items()),
)
"""Attributes that may be dimensions: name, tags of which the first that is there counts."""
_COUNTS = frozenset(
    {"temporal_position", "echo_number", "segment", "acquisition_number", *VECTORS.values()}
)
_BIG = 2.0**53
_REFERENCE_COORDINATES = 0x00220032
"""Where a frame of a tomography of the eye begins and ends in its reference image (row, column)."""
_TEXTS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("complex_component", (0x00089208,)),
    ("image_type", (0x00089007, 0x00080008)),
    ("optical_path", (0x00480106,)),
)
_CLOCKS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("acquisition_time", (0x00189074, 0x00189151, 0x0008002A, 0x00080032)),
    ("content_time", (0x00080033,)),
)
_ORDER = ("segment", "temporal_position", "echo_time", "echo_number", "diffusion")


def separating(records: FrameAttributes) -> list[Column]:
    """Return the attributes by which frames at one place may be told apart.

    In the order in which they are tried as dimensions; see `dimensions.discover`. Times are
    seconds from the earliest frame's, never dates or times of day.
    """
    found: dict[str, Column] = {}
    for name, tags, units in _NUMBERS:
        tag = next((tag for tag in tags if records.present(tag)), None)
        if tag is not None:
            found[name] = Column(name, _whole(name, records.number(tag)), units, tag=tag)
    if records.present(_REFERENCE_COORDINATES):
        values = records.numbers(_REFERENCE_COORDINATES, 4)
        found["reference_coordinates"] = Column("reference_coordinates", values, separates=False)
    diffusion = diffusion_column(records)
    if diffusion is not None:
        found[diffusion.name] = diffusion
    found |= {column.name: column for column in diffusion_numbers(records)}
    found |= _texts(records)
    found |= {column.name: column for column in image_index_columns(records)}
    for name, tags in _CLOCKS:
        tag = next((tag for tag in tags if records.present(tag)), None)
        if tag is not None:
            found[name] = Column(name, records.clock(tag), "s", clock=True)
    for name in ("trigger_time", "frame_reference_time"):
        if name in found:
            clock = found[name]
            found[f"{name}_order"] = Column(name, clock.values, clock.units, clock=True)
    first = [found.pop(name) for name in _ORDER if name in found]
    return [*first, *found.values()]


def _texts(records: FrameAttributes) -> dict[str, Column]:
    """Return codes, by the names of their columns."""
    found: dict[str, Column] = {}
    for name, tags in _TEXTS:
        tag = next((tag for tag in tags if records.present(tag)), None)
        if tag is not None:
            found[name] = Column(name, records.texts(tag))
        elif name == "complex_component":
            component = complex_component(records)
            found |= {} if component is None else {name: component}
    return found


def _whole(name: str, values: NDArray[np.float64]) -> NDArray[Any]:
    """Return values that count something as integers, if every frame has one."""
    if name in _COUNTS and bool(np.isfinite(values).all() and np.abs(values).max(initial=0) < _BIG):
        return values.astype(np.int64)
    return values

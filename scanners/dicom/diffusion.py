"""Diffusion: b-value and gradient direction of every frame, in the patient's axes.

The standard's elements come first (PS3.3, C.8.13.5.9), frame by frame, because some writers have
them only where b is not 0; then those of GE, Philips, Siemens and United Imaging. Vendors give
directions in axes of their own. Frames are told apart by the numbers as they stand, which are
turned afterwards: orientations are printed slightly differently on every slice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.dicom.dimensions import Column
from refmaker.scanners.dicom.vendor_elements import (
    GE_B_VALUE,
    GE_DIRECTION,
    PHILIPS_B_NUMBER,
    PHILIPS_B_VALUE,
    PHILIPS_DIRECTION,
    PHILIPS_GRADIENT_NUMBER,
    SIEMENS_B_VALUE,
    SIEMENS_CSA,
    SIEMENS_DIRECTION,
    UIH_B_VALUE,
    UIH_DIRECTION,
)
from refmaker.scanners.dicom.vendor_values import csa_numbers, vendor_elements, vendor_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.frame_attributes import FrameAttributes
    from refmaker.scanners.dicom.vendor_elements import VendorElement

__all__ = ["diffusion_column", "diffusion_coordinates", "diffusion_numbers", "diffusion_oddities"]

_B_VALUE, _GRADIENT = 0x00189087, 0x00189089
_PHASE_DIRECTION = 0x00181312
_PATIENT, _IMAGE, _GE_COLUMNS, _GE_OTHER = range(4)
"""Axes of directions: LPS; row, column, normal; GE's with phase encoding along columns, or not."""
_GE_MODULUS = 1e9
_SHORT = 0.97
"""Length below which a direction of GE scales its b-value."""


class _Vendor(NamedTuple):
    """Where a vendor keeps b-value and direction."""

    b_value: VendorElement
    direction: tuple[VendorElement, ...]
    axes: int


_VENDORS = (
    _Vendor(SIEMENS_B_VALUE, (SIEMENS_DIRECTION,), _PATIENT),
    _Vendor(PHILIPS_B_VALUE, PHILIPS_DIRECTION, _PATIENT),
    _Vendor(GE_B_VALUE, GE_DIRECTION, _GE_COLUMNS),
    _Vendor(UIH_B_VALUE, (UIH_DIRECTION,), _IMAGE),
)
_CSA_TAGS = {"B_value": 1, "DiffusionGradientDirection": 3}


class _Frames:
    """What is known so far of the diffusion of frames."""

    def __init__(self, records: FrameAttributes) -> None:
        count = len(records)
        self.records = records
        self.refused: dict[int, NDArray[np.bool_]] = {}
        self.b_value = np.full(count, np.nan)
        self.vector = np.full((count, 3), np.nan)
        self.axes = np.full(count, _PATIENT)
        # A value that is refused is a value: no other takes its place.
        self.has_b = np.zeros(count, bool)
        self.has_vector = np.zeros(count, bool)

    def take_standard(self) -> None:
        """Take the elements of the standard."""
        records = self.records
        if records.present(_B_VALUE):
            self.b_value = records.number(_B_VALUE)
            self._refuse(_B_VALUE, records.refused(_B_VALUE, self.b_value))
            self.has_b |= np.isfinite(self.b_value) | self.refused.get(_B_VALUE, False)
        if records.present(_GRADIENT):
            self.vector = records.numbers(_GRADIENT, 3)
            self._refuse(_GRADIENT, records.refused(_GRADIENT, self.vector))
            known = np.isfinite(self.vector).all(axis=1)
            self.has_vector |= known | self.refused.get(_GRADIENT, False)

    def take(self, vendor: _Vendor) -> None:
        """Take what a vendor says of frames of which nothing is known yet."""
        ge = vendor.axes == _GE_COLUMNS
        found = vendor_numbers(self.records, vendor.b_value, first=ge)
        if found is None:
            return
        values = found.values[:, 0]
        negative = values < 0
        if ge:
            values = np.mod(values, _GE_MODULUS)
        rows = found.told & ~self.has_b
        self.b_value = np.where(rows & ~negative, values, self.b_value)
        self.has_b |= found.told
        self._refuse(vendor.b_value.tag(0x10), negative & rows)
        for tag, frames in found.refused.items():
            self._refuse(tag, frames & rows)
        # Directions without the vendor's b-value are no gradients.
        self._take_direction(vendor, found.told)

    def _take_direction(self, vendor: _Vendor, owned: NDArray[np.bool_]) -> None:
        width = 3 if len(vendor.direction) == 1 else 1
        parts = [vendor_numbers(self.records, part, width) for part in vendor.direction]
        sound = [part for part in parts if part is not None]
        if len(sound) != len(parts):
            return
        values = np.concatenate([part.values for part in sound], axis=1)
        told = np.logical_and.reduce([part.told for part in sound])
        rows = owned & told & ~self.has_vector
        for part in sound:
            for tag, frames in part.refused.items():
                self._refuse(tag, frames & rows)
        self.vector = np.where(rows[:, None], values, self.vector)
        self.vector[np.isnan(self.vector).any(axis=1)] = np.nan
        axes = np.full(rows.size, vendor.axes)
        if vendor.axes == _GE_COLUMNS:
            along = self.records.texts(_PHASE_DIRECTION)
            axes[along != "COL"] = _GE_OTHER
        self.axes = np.where(rows, axes, self.axes)
        self.has_vector |= rows

    def take_csa(self) -> None:
        """Take what CSA headers say of frames without a b-value."""
        if bool(self.has_b.all()):
            return
        rows = vendor_elements(self.records, SIEMENS_CSA) or ()
        for row, found in enumerate(rows):
            if found is None or self.has_b[row]:
                continue
            try:
                numbers = csa_numbers(found[1], _CSA_TAGS)
            except FormatError:
                # Whoever asks for more of the header tells that it is damaged.
                continue
            for name, into in zip(_CSA_TAGS, (self.b_value, self.vector), strict=True):
                values = numbers.get(name)
                if values is None or (into is self.vector and self.has_vector[row]):
                    continue
                if not values or (into is self.b_value and values[0] < 0):
                    self._refuse(found[0], np.arange(len(rows)) == row)
                else:
                    into[row] = values if into is self.vector else values[0]

    def _refuse(self, tag: int, frames: NDArray[np.bool_]) -> None:
        if bool(frames.any()):
            before = self.refused.get(tag, np.zeros(frames.shape, bool))
            self.refused[tag] = before | frames


def diffusion_column(records: FrameAttributes) -> Column | None:
    """Return b-value and gradient direction as one column, shape (n, 4), None if there is none.

    Directions are as they stand in the files; `diffusion_coordinates` turns them.
    """
    frames = _Frames(records)
    frames.take_standard()
    standard = bool(np.isfinite(frames.b_value).any())
    for vendor in _VENDORS:
        frames.take(vendor)
    frames.take_csa()
    # Vendors write 0 into images that have nothing to do with diffusion.
    if not standard and not frames.refused and not bool((frames.b_value > 0).any()):
        return None
    values = np.concatenate([frames.b_value[:, None], frames.vector], axis=1)
    attributes = {"refused": frames.refused, "frame_axes": frames.axes}
    return Column("diffusion", values, attributes=attributes)


def diffusion_numbers(records: FrameAttributes) -> list[Column]:
    """Return the numbers that Philips gives to b-values and directions, none if there are none."""
    found = []
    for name, wanted in (
        ("diffusion_b_value_number", PHILIPS_B_NUMBER),
        ("diffusion_gradient_number", PHILIPS_GRADIENT_NUMBER),
    ):
        numbers = vendor_numbers(records, wanted)
        if numbers is not None:
            values: NDArray[Any] = numbers.values[:, 0]
            if bool(np.isfinite(values).all()):
                values = values.astype(np.int64)
            found.append(Column(name, values, attributes={"refused": numbers.refused}))
    return found


def diffusion_coordinates(column: Column, orientation: NDArray[np.float64]) -> list[Column]:
    """Return b-value and direction apart, directions in the patient's axes.

    Parameters
    ----------
    column : Column
        What `diffusion_column` returned.
    orientation : ndarray of float64, shape (6,)
        Of all frames.

    Returns
    -------
    list of Column
        ``b_value`` and ``b_vector`` (LPS, NaN where its axes are not known); in that case
        ``b_vector_stored`` as well, the numbers of the file.
    """
    axes: NDArray[np.int64] = column.attributes["frame_axes"]
    stored = column.values[:, 1:]
    row, down = orientation[:3], orientation[3:]
    turn = np.stack([row, down, np.cross(row, down)])
    vectors = np.where((axes == _PATIENT)[:, None], stored, np.nan)
    for kind, signs in ((_IMAGE, (1.0, 1.0, 1.0)), (_GE_COLUMNS, (-1.0, -1.0, 1.0))):
        rows = axes == kind
        if bool(rows.any()):
            vectors[rows] = (stored[rows] * signs) @ turn + 0.0
    found = [
        Column("b_value", column.values[:, 0], "s/mm2"),
        Column("b_vector", vectors, attributes={"axes": "LPS"}),
    ]
    unknown = np.asarray(np.isnan(vectors).any(axis=1), bool)
    told = np.where(unknown[:, None], stored, np.nan)
    if bool(np.isfinite(told).any()):
        image = bool((axes == _IMAGE).any())
        names = "row, column, normal" if image else "frequency, phase, slice"
        found.append(Column("b_vector_stored", told, attributes={"axes": names}))
    return found


def diffusion_oddities(
    columns: Sequence[Column], orientation: NDArray[np.float64]
) -> Iterator[tuple[str, int]]:
    """Yield what is odd about directions, and the first frame of which it is true."""
    for column in columns:
        if column.name != "diffusion":
            continue
        axes: NDArray[np.int64] = column.attributes["frame_axes"]
        b_value, stored = column.values[:, 0], column.values[:, 1:]
        length = np.sqrt((stored**2).sum(axis=1))
        unplaced = axes != _PATIENT if bool(np.isnan(orientation).any()) else axes == _GE_OTHER
        unknown: NDArray[np.bool_] = unplaced & (length > 0)
        if bool(unknown.any()):
            text = (
                f"the axes of the diffusion directions of {int(unknown.sum())} frames are not "
                "known (no phase encoding along columns, or no orientation): b_vector_stored has "
                "them as they stand, b_vector has none"
            )
            yield text, int(np.argmax(unknown))
        ge = (axes == _GE_COLUMNS) | (axes == _GE_OTHER)
        short = ge & (b_value > 0) & (length > 0) & (length < _SHORT)
        if bool(short.any()):
            text = (
                f"diffusion directions of {int(short.sum())} frames are shorter than 1, by which "
                "GE means a b-value times their squared length: both are as they stand"
            )
            yield text, int(np.argmax(short))

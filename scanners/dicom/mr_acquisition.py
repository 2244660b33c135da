"""How MR images were acquired, as vendors tell it: slice times, phase encoding, echo spacing.

From private elements and the CSA header of Siemens. Times of slices are milliseconds from the
first slice of a volume, never times of day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.notes import Note, refused_number
from refmaker.scanners.dicom.tags import COLUMNS, ROWS
from refmaker.scanners.dicom.values import tag_text
from refmaker.scanners.dicom.vendor_elements import (
    GE_ECHO_SPACING,
    SIEMENS_CSA,
    SIEMENS_PHASE_BANDWIDTH,
    SIEMENS_SLICE_TIMES,
    SIEMENS_XA_PHASE_BANDWIDTH,
    SIEMENS_XA_PHASE_POSITIVE,
)
from refmaker.scanners.dicom.vendor_values import csa_numbers, vendor_elements, vendor_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.series import Image

__all__ = ["mr_acquisition"]

_PHASE_DIRECTION = 0x00181312
_POSITIVE, _BANDWIDTH, _TIMES = (
    "PhaseEncodingDirectionPositive",
    "BandwidthPerPixelPhaseEncode",
    "MosaicRefAcqTimes",
)
_SAME = 1.0
"""Milliseconds by which times of a slice differ that are the same."""


def mr_acquisition(image: Image) -> tuple[dict[str, Array], dict[str, Any], list[Note]]:
    """Return what is known of how an image was acquired.

    Parameters
    ----------
    image : Image
        The frames, mosaics with their tiles.

    Returns
    -------
    dict of str to Array
        ``slice_time`` over z, and over what else it depends on; of the others those in which
        frames differ.
    dict of str to object
        ``phase_encoding_direction_positive`` (0 or 1), ``bandwidth_per_pixel_phase_encode``
        (Hz), ``effective_echo_spacing`` (s), ``echo_spacing`` (s, as GE stores it).
    list of Note
        What could not be read.
    """
    notes: list[Note] = []
    columns: dict[str, NDArray[np.float64]] = {}
    csa = _csa(image, notes)
    spacing = vendor_numbers(image.records, GE_ECHO_SPACING)
    bandwidth = vendor_numbers(image.records, SIEMENS_PHASE_BANDWIDTH)
    xa_bandwidth = vendor_numbers(image.records, SIEMENS_XA_PHASE_BANDWIDTH)
    xa_positive = vendor_numbers(image.records, SIEMENS_XA_PHASE_POSITIVE)
    for found in (spacing, bandwidth, xa_bandwidth, xa_positive):
        for tag, frames in found.refused.items() if found is not None else ():
            notes.append(refused_number(image, tag, frames))
    # 0 stands where there is no such thing.
    if spacing is not None:
        columns["echo_spacing"] = _positive(spacing.values[:, 0]) / 1e6
    hertz = csa[_BANDWIDTH][:, 0]
    for own in (bandwidth, xa_bandwidth):
        if own is not None:
            hertz = np.where(own.told, own.values[:, 0], hertz)
    hertz = _positive(hertz)
    columns["bandwidth_per_pixel_phase_encode"] = hertz
    columns["effective_echo_spacing"] = 1 / (hertz * _lines(image))
    positive = csa[_POSITIVE][:, 0]
    if xa_positive is not None:
        positive = np.where(xa_positive.told, xa_positive.values[:, 0], positive)
    columns["phase_encoding_direction_positive"] = np.where(
        np.isin(positive, (0, 1)), positive, np.nan
    )
    members, attributes = _placed(image, columns)
    return members | _slice_times(image, csa[_TIMES], notes), attributes, notes


_UNITS = {
    "echo_spacing": "s",
    "effective_echo_spacing": "s",
    "bandwidth_per_pixel_phase_encode": "Hz",
}


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > 0, values, np.nan)


def _placed(
    image: Image, columns: dict[str, NDArray[np.float64]]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return numbers that frames agree in as attributes, others as arrays."""
    members: dict[str, Array] = {}
    attributes: dict[str, Any] = {}
    for name, values in columns.items():
        found = coordinates(Column(name, values), image.grid.cell, image.names, image.grid.shape)
        if found is None:
            continue
        names, placed = found
        if names:
            units = {"units": _UNITS[name]} if name in _UNITS else {}
            members[name] = inline_array(placed, names, units)
        else:
            number = float(placed)
            attributes[name] = number if name in _UNITS else int(number)
    return members, attributes


def _csa(image: Image, notes: list[Note]) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of CSA headers by their names, NaN where there are none."""
    tiles = image.tiles.count if image.tiles is not None else 0
    wanted = {_POSITIVE: 1, _BANDWIDTH: 1} | ({_TIMES: tiles} if tiles else {})
    count = len(image.records)
    found = {name: np.full((count, width), np.nan) for name, width in wanted.items()}
    found.setdefault(_TIMES, np.empty((count, 0)))
    refused: dict[tuple[int, str], int] = {}
    for row, item in enumerate(vendor_elements(image.records, SIEMENS_CSA) or ()):
        if item is None:
            continue
        tag, element = item
        try:
            numbers = csa_numbers(element, wanted)
        except FormatError:
            refused.setdefault((tag, "the CSA header"), row)
            continue
        for name, values in numbers.items():
            if values:
                found[name][row] = values
            else:
                refused.setdefault((tag, f"{name} of the CSA header"), row)
    for (tag, what), row in refused.items():
        notes.append(Note(f"{what} {tag_text(tag)} has no reading: it is left out", image, row))
    return found


def _lines(image: Image) -> float:
    """Return the extent of slices along the phase encoding, NaN if that is not known."""
    across = 1 if image.tiles is None else image.tiles.across
    rows, columns = image.header.integer(ROWS) or 0, image.header.integer(COLUMNS) or 0
    along = set(image.records.texts(_PHASE_DIRECTION).tolist())
    if along in ({"COL"}, {"COLUMN"}) or (rows == columns and rows):
        return rows / across
    return columns / across if along == {"ROW"} else np.nan


def _slice_times(
    image: Image, from_csa: NDArray[np.float64], notes: list[Note]
) -> dict[str, Array]:
    """Return the times of the slices of mosaics."""
    if image.tiles is None:
        return {}
    times = from_csa
    own = vendor_numbers(image.records, SIEMENS_SLICE_TIMES, image.tiles.count)
    if own is not None:
        times = np.where(own.told[:, None], own.values, times)
        for tag, frames in own.refused.items():
            notes.append(refused_number(image, tag, frames))
    times = times - times.min(axis=1, keepdims=True)
    if not bool(np.isfinite(times).any()):
        return {}
    if bool(np.isfinite(times).all()) and float(np.ptp(times, axis=0).max()) <= _SAME:
        times = np.broadcast_to(times[:1], times.shape)
    column = Column("slice_time", times)
    found = coordinates(column, image.grid.cell, image.names, image.grid.shape)
    if found is None:
        return {}
    return {"slice_time": inline_array(found[1], (*found[0], "z"), {"units": "ms"})}

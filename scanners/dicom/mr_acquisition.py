"""How MR images were acquired, as vendors tell it: slice times, phase encoding, echo spacing.

From private elements, the CSA header of Siemens, and the order in which GE fills k-space. Philips
does not say which way phase encoding runs, and older GE and United Imaging do not either: then
nothing is said. Times of slices are milliseconds from the
first slice of a volume, never times of day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.frame_attributes import clock_seconds
from refmaker.scanners.dicom.mosaic_layout import tile_items
from refmaker.scanners.dicom.notes import Note, refused_number
from refmaker.scanners.dicom.tags import COLUMNS, ROWS, SCANNING_SEQUENCE
from refmaker.scanners.dicom.values import tag_text
from refmaker.scanners.dicom.vendor_elements import (
    GE_B_VALUE,
    GE_COMPONENT,
    GE_ECHO_SPACING,
    GE_SEQUENCE,
    SIEMENS_CSA,
    SIEMENS_PHASE_BANDWIDTH,
    SIEMENS_SLICE_TIMES,
    SIEMENS_XA_PHASE_BANDWIDTH,
    SIEMENS_XA_PHASE_POSITIVE,
    UIH_PHASE_NEGATIVE,
)
from refmaker.scanners.dicom.vendor_values import csa_numbers, vendor_elements, vendor_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.series import Image

__all__ = ["mr_acquisition"]

_PHASE_DIRECTION = 0x00181312
_REORDERING, _ACQUISITION_TIME, _ACQUISITION_DATE_TIME = 0x00189034, 0x00080032, 0x0008002A
_REPETITION_TIME, _TRIGGER_TIME = 0x00180080, 0x00181060
_ACQUISITION_TYPE, _FRAME_ACQUISITION = 0x00180023, 0x00189074
_ORDERS = {"LINEAR": 0.0, "REVERSE_LINEAR": 1.0}
"""How GE orders the steps of phase encoding, and whether their direction is positive."""
_POSITIVE, _BANDWIDTH, _TIMES = (
    "PhaseEncodingDirectionPositive",
    "BandwidthPerPixelPhaseEncode",
    "MosaicRefAcqTimes",
)
_DAY = 86_400_000.0
"""Milliseconds of a day, by which times around midnight are off."""
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
    for found in (spacing, bandwidth, xa_bandwidth):
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
    columns["phase_encoding_direction_positive"] = _polarity(image, csa[_POSITIVE][:, 0], notes)
    members, attributes = _placed(image, columns)
    return members | _slice_times(image, csa[_TIMES], notes), attributes, notes


def _polarity(
    image: Image, from_csa: NDArray[np.float64], notes: list[Note]
) -> NDArray[np.float64]:
    """Return whether phase encoding runs along increasing rows or columns: 1, 0, or NaN."""
    positive = from_csa
    for element, opposite in ((SIEMENS_XA_PHASE_POSITIVE, False), (UIH_PHASE_NEGATIVE, True)):
        own = vendor_numbers(image.records, element)
        if own is not None:
            values = own.values[:, 0]
            positive = np.where(own.told, 1 - values if opposite else values, positive)
            notes += [refused_number(image, tag, frames) for tag, frames in own.refused.items()]
    positive = np.where(np.isnan(positive), _ge_polarity(image), positive)
    return np.where(np.isin(positive, (0, 1)), positive, np.nan)


def _ge_polarity(image: Image) -> NDArray[np.float64]:
    """Return the same of GE's echo planar images, by the order of their phase encoding steps."""
    records = image.records
    found = np.full(len(records), np.nan)
    if not records.present(_REORDERING):
        return found
    planar = _ge_planar(image)
    orders = records.texts(_REORDERING).tolist()
    names = vendor_elements(records, GE_SEQUENCE) or [None] * len(records)
    for row, (order, name) in enumerate(zip(orders, names, strict=True)):
        # Sequences that turn the direction around from volume to volume do not say so here.
        turning = name is not None and b"PEPOLAR" in name[1][1].upper()
        if planar[row] and not turning:
            found[row] = _ORDERS.get(order, np.nan)
    return found


def _ge_planar(image: Image) -> NDArray[np.bool_]:
    """Tell which frames are echo planar images of GE."""
    records = image.records
    owned = (GE_COMPONENT, GE_ECHO_SPACING, GE_B_VALUE, GE_SEQUENCE)
    if all(vendor_elements(records, one) is None for one in owned):
        return np.zeros(len(records), bool)
    kinds = records.texts(SCANNING_SEQUENCE).tolist()
    return np.array(["EP" in kind.split("\\") for kind in kinds], bool)


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
        return _frame_times(image)
    times = _tile_times(image, from_csa)
    own = vendor_numbers(image.records, SIEMENS_SLICE_TIMES, image.tiles.count)
    if own is not None:
        times = np.where(own.told[:, None], own.values, times)
        for tag, frames in own.refused.items():
            notes.append(refused_number(image, tag, frames))
    times = _possible(image, times - times.min(axis=1, keepdims=True), notes)
    if not bool(np.isfinite(times).any()):
        return {}
    if bool(np.isfinite(times).all()) and float(np.ptp(times, axis=0).max()) <= _SAME:
        times = np.broadcast_to(times[:1], times.shape)
    column = Column("slice_time", times)
    found = coordinates(column, image.grid.cell, image.names, image.grid.shape)
    if found is None:
        return {}
    return {"slice_time": inline_array(found[1], (*found[0], "z"), {"units": "ms"})}


def _frame_times(image: Image) -> dict[str, Array]:
    """Return the times of slices that are frames: of 2D acquisitions, where frames have a time."""
    records, stack = image.records, image.stack
    if stack is None or stack.size < 2 or set(records.texts(_ACQUISITION_TYPE).tolist()) != {"2D"}:
        return {}
    if records.present(_FRAME_ACQUISITION):
        clock = next(one for one in image.columns if one.name == "acquisition_time")
        values = clock.values * 1000
    elif "trigger_time" not in image.grid.names and bool(_ge_planar(image).all()):
        values = records.number(_TRIGGER_TIME)
    else:
        return {}
    shape = image.grid.shape
    cells = np.full(int(np.prod(shape)), np.nan)
    cells[image.grid.cell] = values
    times: NDArray[np.float64] = np.asarray(cells.reshape(-1, shape[-1]), np.float64)
    known = np.isfinite(times)
    first = np.where(known, times, np.inf).min(axis=1, keepdims=True)
    times = np.where(known, times - np.where(np.isfinite(first), first, 0), np.nan)
    if not bool((times > 0).any()) or bool((times >= _DAY / 2).any()):
        return {}
    if bool(known.all()) and float(np.ptp(times, axis=0).max()) <= _SAME:
        times = np.broadcast_to(times[:1], times.shape)
    column = Column("slice_time", times.reshape(-1)[image.grid.cell])
    found = coordinates(column, image.grid.cell, image.names, shape)
    if found is None:
        return {}
    return {"slice_time": inline_array(found[1], found[0], {"units": "ms"})}


def _tile_times(image: Image, known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the times of slices, where tiles have a time of acquisition each (milliseconds)."""
    found = known.copy()
    for row, instance in enumerate(image.source[:, 0].tolist()):
        header = image.headers[instance]
        try:
            items = tile_items(header)
        except FormatError:
            # That the sequence is damaged is told with the places of its tiles.
            continue
        for tag in (_ACQUISITION_DATE_TIME, _ACQUISITION_TIME):
            texts = [item.text(tag) for item in items]
            if len(texts) == found.shape[1] and all(texts):
                found[row] = clock_seconds(texts) * 1000
                break
    return found


def _possible(image: Image, times: NDArray[np.float64], notes: list[Note]) -> NDArray[np.float64]:
    """Leave out times of volumes that took longer than the others by more than a repetition."""
    repetition = image.records.number(_REPETITION_TIME)
    spans = np.ptp(times, axis=1)
    late: NDArray[np.bool_] = np.asarray(spans > repetition + _SAME, bool)
    known = int(np.isfinite(spans).sum())
    # Where all take longer, slices are acquired in several repetitions.
    wrong = late if 0 < int(late.sum()) < known else np.asarray(spans >= _DAY / 2, bool)
    if bool(wrong.any()):
        text = f"slice times of {int(wrong.sum())} volumes are longer than a repetition"
        notes.append(Note(f"{text}: they are left out", image, int(np.argmax(wrong))))
        times = np.where(wrong[:, None], np.nan, times)
    return times

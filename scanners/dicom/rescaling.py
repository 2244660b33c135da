"""The linear transformation of pixel values: one for an image, one for each frame, or none.

Implements Rescale Slope and Rescale Intercept (PS3.3, C.11.1.1.2) and Dose Grid Scaling
(C.8.8.3). Where a frame tells none, or none that has one reading, it has none: there is no
default, because values of 1 and 0 would be as wrong as any others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.frame_attributes import INTERCEPT, SLOPE
from refmaker.scanners.dicom.notes import Note, refused_number
from refmaker.scanners.dicom.values import tag_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.series import Image

__all__ = ["rescaling"]

DOSE_SCALING, DOSE_UNITS = 0x3004000E, 0x30040002
RESCALE_TYPE, PET_UNITS, MODALITY = 0x00281054, 0x00541001, 0x00080060
_UNITS = {"HU": "HU", "GY": "Gy", "BQML": "Bq/ml", "CNTS": "counts", "PROPCPS": "counts/s"}
"""Units as attributes: those of DICOM whose meaning is plain."""


def rescaling(image: Image) -> tuple[dict[str, Any], dict[str, Array], list[Note]]:
    """Return how pixel values become quantities.

    Parameters
    ----------
    image : Image
        The frames.

    Returns
    -------
    dict
        ``scale_factor`` and ``add_offset`` if all frames agree; else ``rescale``, which says
        that arrays hold them, with ``rescale_incomplete``, the cells of frames without one.
    dict of str to Array
        ``rescale_slope`` and ``rescale_intercept`` over the dimensions on which they depend;
        NaN for frames without one.
    list of Note
        What is odd.
    """
    records = image.records
    dose = DOSE_SCALING in image.header
    tag = DOSE_SCALING if dose else SLOPE
    slope = records.number(tag)
    intercept = np.zeros(len(records)) if dose else records.number(INTERCEPT)
    refused = [(tag, records.refused(tag, slope))]
    if not dose:
        refused.append((INTERCEPT, records.refused(INTERCEPT, intercept)))
    known = np.isfinite(slope) & np.isfinite(intercept) & (slope != 0)
    damaged = refused[0][1] | refused[-1][1]
    told = np.isfinite(slope) | (np.isfinite(intercept) & (not dose)) | damaged
    if not bool(told.any()):
        return {}, {}, []
    if bool(known.all()):
        return (*_complete(image, slope, intercept), [])
    notes = [refused_number(image, part, rows) for part, rows in refused if bool(rows.any())]
    zero = np.flatnonzero(slope == 0)
    if zero.size:
        text = f"{tag_text(tag)} of {zero.size} frames is 0, which is no scale"
        notes.append(Note(text, image, int(zero[0])))
    silent = np.flatnonzero(~known & ~damaged & (slope != 0))
    if silent.size:
        text = f"{silent.size} of {len(records)} frames tell no rescaling, or half of one"
        notes.append(Note(text, image, int(silent[0])))
    attributes: dict[str, Any] = {"rescale_incomplete": _cells(image, ~known)}
    if not bool(known.any()):
        return attributes, {}, notes
    arrays = _arrays(image, np.where(known, slope, np.nan), np.where(known, intercept, np.nan))
    return attributes | {"rescale": _TEXT}, arrays, notes


_TEXT = "values are image * rescale_slope + rescale_intercept, which differ between frames"


def _complete(
    image: Image, slope: NDArray[np.float64], intercept: NDArray[np.float64]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the rescaling of an image all of whose frames tell one."""
    units = _units(image.header)
    if bool(np.all(slope == slope[0])) and bool(np.all(intercept == intercept[0])):
        if slope[0] == 1 and intercept[0] == 0:
            return units, {}
        return {"scale_factor": float(slope[0]), "add_offset": float(intercept[0]), **units}, {}
    told = {"rescaled_units": units["units"]} if units else {}
    return {"rescale": _TEXT, **told}, _arrays(image, slope, intercept)


def _arrays(
    image: Image, slope: NDArray[np.float64], intercept: NDArray[np.float64]
) -> dict[str, Array]:
    arrays = {}
    for name, values in (("rescale_slope", slope), ("rescale_intercept", intercept)):
        found = coordinates(Column(name, values), image.grid.cell, image.names, image.grid.shape)
        if found is not None:
            arrays[name] = inline_array(found[1], found[0])
    return arrays


def _cells(image: Image, frames: NDArray[np.bool_]) -> list[Any]:
    """Return the places of some frames in the array: numbers, or a list for each frame."""
    cells = np.sort(image.grid.cell[frames])
    if len(image.grid.shape) < 2:
        return [int(cell) for cell in cells]
    return list(np.stack(np.unravel_index(cells, image.grid.shape), axis=1).tolist())


def _units(header: Header) -> dict[str, str]:
    for tag in (DOSE_UNITS, RESCALE_TYPE, PET_UNITS):
        unit = _UNITS.get(header.text(tag).upper())
        if unit is not None:
            return {"units": unit}
    if header.text(MODALITY) == "CT" and SLOPE in header and RESCALE_TYPE not in header:
        # C.8.2.1.1: of original CT images the values are Hounsfield units by definition.
        return {"units": "HU"} if "ORIGINAL" in header.text(0x00080008) else {}
    return {}

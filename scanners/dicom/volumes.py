"""Images as arrays with coordinates: frames moved to their cells, millimetres, rescaling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanners.dicom import geometry
from refmaker.scanners.dicom.agreement import differing
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.frame_attributes import INTERCEPT, SLOPE
from refmaker.scanners.dicom.frame_metadata import described
from refmaker.scanners.dicom.lookup_tables import lookup_tables
from refmaker.scanners.dicom.placing import frames_of, moved

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.options import DICOMOptions
    from refmaker.scanners.dicom.series import Image

__all__ = ["Volume", "volume"]

DOSE_SCALING, DOSE_UNITS = 0x3004000E, 0x30040002
RESCALE_TYPE, PET_UNITS, MODALITY = 0x00281054, 0x00541001, 0x00080060
_UNITS = {"HU": "HU", "GY": "Gy", "BQML": "Bq/ml", "CNTS": "counts", "PROPCPS": "counts/s"}
"""Units as attributes: those of DICOM whose meaning is plain."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One image, ready to be a part of a group.

    Parameters
    ----------
    image : Image
        Which frames it is made of, and where they went.
    members : dict of str to Array
        The array ``image`` and its coordinates.
    warnings : tuple of str
        What is odd.
    """

    image: Image
    members: dict[str, Array]
    warnings: tuple[str, ...]


def volume(image: Image, choices: DICOMOptions, suffix: str = "") -> Volume:
    """Return an image as an array with its coordinates.

    Parameters
    ----------
    image : Image
        Its frames and their cells.
    choices : DICOMOptions
        What users chose.
    suffix : str
        Ending of all names, so that several images fit into one group.

    Raises
    ------
    RefmakerError
        If an instance cannot be referenced; names the file.
    """
    frames = frames_of(image, choices)
    array = frames.array
    shared = array.chunk_shape[0] != 1
    if shared and not image.one_run:
        image = image.flat()
        # The order in which bytes lie is the only one that their chunks can have.
    if image.one_run:
        tail = ("y", "x", "c")[: len(array.shape) - 1]
        array = replace(array, dimension_names=(*image.names, *tail))
    else:
        array = moved(array, image.grid.cell, image.grid.shape, image.names)
    members, attributes = described(image, choices)
    members |= _axes(image, array)
    attributes |= _plane(image) | {"photometric": frames.photometric}
    tables, notes = lookup_tables(image.headers, differing(image.headers))
    odd = (*image.warnings, *frames.warnings, *notes)
    attributes |= {"oddities": list(odd)} if odd else {}
    scaling, arrays = _rescaling(image)
    fill = 0 if "segment" in image.grid.names else array.fill_value
    array = replace(
        array,
        attributes={**dict(array.attributes), **attributes, **scaling},
        fill_value=fill,
    )
    members = {"image": array, **members, **arrays, **tables}
    return Volume(image, _suffixed(members, suffix), odd)


def _suffixed(members: dict[str, Array], suffix: str) -> dict[str, Array]:
    if not suffix:
        return members
    renamed = {}
    for name, array in members.items():
        names = tuple(f"{dimension}{suffix}" for dimension in array.dimension_names or ())
        renamed[f"{name}{suffix}"] = replace(array, dimension_names=names)
    return renamed


def _axes(image: Image, array: Array) -> dict[str, Array]:
    """Return the coordinates along frames, rows and columns, in millimetres."""
    found: dict[str, Array] = {}
    if image.stack is not None:
        attributes = {"units": "mm", "long_name": "distance from the first frame"}
        found["z"] = inline_array(image.stack.offset, ("z",), attributes)
        for name, extent, step in zip(
            "yx", array.shape[len(image.names) :], image.spacing, strict=False
        ):
            if np.isfinite(step):
                along = np.arange(extent) * float(step)
                found[name] = inline_array(along, (name,), {"units": "mm"})
    return found


def _plane(image: Image) -> dict[str, Any]:
    """Return what is known of the geometry as attributes."""
    if image.stack is not None:
        return geometry.attributes(image.stack, image.orientation, image.spacing)
    if bool(np.isfinite(image.spacing).all()):
        return {"affine": None, "spacing": [None, *map(float, image.spacing)]}
    return {}


def _rescaling(image: Image) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the linear transformation of values: attributes, or arrays where it varies."""
    header = image.header
    slope, intercept = image.records.number(SLOPE), image.records.number(INTERCEPT)
    if DOSE_SCALING in header:
        slope, intercept = image.records.number(DOSE_SCALING), np.zeros(len(image.records))
    known = np.isfinite(slope) | np.isfinite(intercept)
    if not bool(known.any()):
        return {}, {}
    slope = np.where(known, np.where(np.isfinite(slope), slope, 1.0), 1.0)
    intercept = np.where(np.isfinite(intercept), intercept, 0.0)
    units = _units(header)
    if bool(np.all(slope == slope[0])) and bool(np.all(intercept == intercept[0])):
        if slope[0] == 1 and intercept[0] == 0:
            return units, {}
        return {"scale_factor": float(slope[0]), "add_offset": float(intercept[0]), **units}, {}
    arrays = {}
    for name, values in (("rescale_slope", slope), ("rescale_intercept", intercept)):
        found = coordinates(Column(name, values), image.grid.cell, image.names, image.grid.shape)
        if found is not None:
            arrays[name] = inline_array(found[1], found[0])
    text = "values are image * rescale_slope + rescale_intercept, which differ between frames"
    return {"rescale": text, **({"rescaled_units": units["units"]} if units else {})}, arrays


def _units(header: Header) -> dict[str, str]:
    for tag in (DOSE_UNITS, RESCALE_TYPE, PET_UNITS):
        unit = _UNITS.get(header.text(tag).upper())
        if unit is not None:
            return {"units": unit}
    if header.text(MODALITY) == "CT" and SLOPE in header and RESCALE_TYPE not in header:
        # C.8.2.1.1: of original CT images the values are Hounsfield units by definition.
        return {"units": "HU"} if "ORIGINAL" in header.text(0x00080008) else {}
    return {}

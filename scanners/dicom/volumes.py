"""Images as arrays with coordinates: frames moved to their cells, millimetres, rescaling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.model.inline import inline_array
from refmaker.scanners.dicom import geometry
from refmaker.scanners.dicom.agreement import differing
from refmaker.scanners.dicom.frame_metadata import described
from refmaker.scanners.dicom.lookup_tables import lookup_tables
from refmaker.scanners.dicom.mosaics import common_mosaic, untiled
from refmaker.scanners.dicom.mr_acquisition import mr_acquisition
from refmaker.scanners.dicom.notes import Note, damaged_numbers
from refmaker.scanners.dicom.optical_paths import colour_profile
from refmaker.scanners.dicom.placing import frames_of, moved
from refmaker.scanners.dicom.probe import probe
from refmaker.scanners.dicom.real_world import real_world_values
from refmaker.scanners.dicom.rescaling import rescaling
from refmaker.scanners.dicom.segments import is_label_map, label_flags, segment_coordinates

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.dicom.options import DICOMOptions
    from refmaker.scanners.dicom.series import Image

__all__ = ["Volume", "volume"]


class Volume(NamedTuple):
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
    tiles, unclear_tiles = common_mosaic(image)
    if tiles is not None or is_label_map(image.header):
        # Slices are taken from whole pictures, or put beside those of another series.
        choices = choices._replace(options=replace(choices.options, chunk_bytes=None))
    frames = frames_of(image, choices)
    array = frames.array
    shared = array.chunk_shape[0] != 1
    if shared and not image.one_run:
        # The order in which bytes lie is the only one that their chunks can have.
        image = image.flat("frames that share bytes cannot be moved: they stay in a row")
    if image.one_run:
        tail = ("y", "x", "c")[: len(array.shape) - 1]
        array = replace(array, dimension_names=(*image.names, *tail))
    else:
        array = moved(array, image.grid.cell, image.grid.shape, image.names)
    members, attributes, refused = described(image, choices)
    if tiles is not None:
        array, image = untiled(array, image, tiles)
        members |= _slice_positions(members.pop("position", None), image)
    timing: list[Note] = []
    if choices.selection.mode != "none":
        extra, told, timing = mr_acquisition(image)
        members, attributes = extra | members, told | attributes
    members |= _axes(image, array)
    if choices.selection.mode != "none":
        members |= segment_coordinates(image, choices.uid if choices.uids != "none" else None)
        attributes |= label_flags(image.header) | colour_profile(image.header)
    attributes |= _plane(image) | {"photometric": frames.photometric}
    tables, unclear = lookup_tables(image.headers, differing(image.headers))
    scaling, arrays, unscaled = rescaling(image)
    quantities, mapped, unmapped = real_world_values(image)
    plain = (*image.warnings, *frames.warnings, *unclear, *filter(None, (unclear_tiles,)))
    notes = [*damaged_numbers(image), *unscaled, *unmapped, *refused, *timing]
    odd = [*plain, *(note.text for note in notes)]
    attributes |= {"oddities": odd} if odd else {}
    fill = 0 if "segment" in image.grid.names else array.fill_value
    array = replace(
        array,
        attributes={**dict(array.attributes), **attributes, **quantities, **scaling},
        fill_value=fill,
    )
    probe(array, choices.probe, choices.storage_options)
    members = {"image": array, **members, **arrays, **mapped, **tables}
    return Volume(image, _suffixed(members, suffix), (*plain, *(note.located for note in notes)))


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


def _slice_positions(pictures: Array | None, image: Image) -> dict[str, Array]:
    """Return where the slices of mosaics lie, in place of where the pictures do."""
    found = image.stack
    if pictures is None or found is None or found.step is None:
        return {}
    places = found.first + np.arange(found.size)[:, None] * found.step
    attributes = dict(pictures.attributes)
    return {"position": inline_array(places, ("z", "patient_axis"), attributes)}


def _plane(image: Image) -> dict[str, Any]:
    """Return what is known of the geometry as attributes."""
    if image.stack is not None:
        found = geometry.attributes(image.stack, image.orientation, image.spacing)
        if image.records.in_volume:
            # Where the patient is relative to the transducer nobody knows.
            found |= {"affine_volume": found["affine"], "affine": None, "affine_ras": None}
        return found
    if bool(np.isfinite(image.spacing).all()):
        return {"affine": None, "spacing": [None, *map(float, image.spacing)]}
    return {}

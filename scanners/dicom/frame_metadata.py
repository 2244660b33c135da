"""What headers tell of an image, as coordinates where frames differ, as attributes else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.agreement import differing
from refmaker.scanners.dicom.cine import cine_columns
from refmaker.scanners.dicom.decimals import one_decimal
from refmaker.scanners.dicom.diffusion import diffusion_coordinates, diffusion_oddities
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.frame_attributes import ORIENTATION
from refmaker.scanners.dicom.metadata import SHOWN_OTHERWISE, attribute_values, presentable
from refmaker.scanners.dicom.notes import Note
from refmaker.scanners.dicom.privacy import UIDS
from refmaker.scanners.dicom.values import tag_text
from refmaker.scanners.dicom.vendor_elements import is_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.options import DICOMOptions
    from refmaker.scanners.dicom.series import Image

__all__ = ["described"]

_EXACT = 2.0**53
"""Below it floats hold every whole number."""


def described(
    image: Image, choices: DICOMOptions
) -> tuple[dict[str, Array], dict[str, Any], list[Note]]:
    """Return what is known of an image: arrays of what varies, attributes of what does not.

    The third is what is odd: numbers that cannot be read.

    Parameters
    ----------
    image : Image
        Its frames and their cells.
    choices : DICOMOptions
        What users chose to have written.
    """
    members: dict[str, Array] = {}
    told_of: set[str] = set()
    varying = differing(image.headers)
    refused: dict[int, int] = {}
    attributes = _constant(image, choices, varying, refused)
    columns = [*image.columns, *_selected(image, choices, attributes, varying, refused)]
    for column in _split(columns, image):
        text = column.values.dtype.kind in "US"
        if text and not column.attributes.get("asked") and not presentable(column.values.tolist()):
            continue
        # What frames say of themselves counts, not what their instances say under the same name.
        if column.name in told_of:
            continue
        found = coordinates(column, image.grid.cell, image.names, image.grid.shape)
        if found is None:
            continue
        told_of.add(column.name)
        names, values = found
        name = column.name
        if not names:
            _keep_constant(name, values, column, attributes)
            continue
        if name in image.names and names != (name,):
            name = f"{name}_of_frame"
        if name in members:
            continue
        if values.ndim > len(names):
            names = (*names, f"{column.name}_component")
        told = {"units": column.units} if column.units else {}
        told |= {key: column.attributes[key] for key in ("axes",) if key in column.attributes}
        members[name] = inline_array(values, names, told)
    for name, dimension in (("position", "patient_axis"), ("orientation", "cosine")):
        members |= _vectors(image, name, dimension)
    odd = [
        Note(text, image, frame)
        for text, frame in diffusion_oddities(image.columns, image.orientation)
    ]
    return members, attributes, [*_notes(image, refused), *odd]


def _keep_constant(
    name: str, values: NDArray[Any], column: Column, attributes: dict[str, Any]
) -> None:
    if column.clock or name in attributes or name in ("acquisition_time", "content_time"):
        return
    flat = values.tolist()
    if isinstance(flat, list):
        flat = [None if isinstance(v, float) and not np.isfinite(v) else v for v in flat]
    attributes[name] = flat


def _vectors(image: Image, name: str, dimension: str) -> dict[str, Array]:
    """Return position or orientation of the frames, where they have one."""
    if not image.names or not bool(np.isfinite(image.position).any()):
        return {}
    if name == "orientation":
        if image.stack is not None:
            return {}
        values = image.records.numbers(ORIENTATION, 6)
        if not bool(np.isfinite(values).any()):
            return {}
        units = {}
    else:
        axes = "volume" if image.records.in_volume else "LPS"
        values, units = image.position, {"units": "mm", "axes": axes}
    column = Column(name, values)
    names, shape = image.names, image.grid.shape
    found = coordinates(column, image.grid.cell, names, shape)
    if found is None:
        return {}
    return {name: inline_array(found[1], (*found[0], dimension), units)}


def _split(columns: Sequence[Column], image: Image) -> list[Column]:
    """Return the columns, b-value and direction of diffusion apart."""
    found = []
    for column in columns:
        if column.name != "diffusion":
            found.append(column)
            continue
        found += diffusion_coordinates(column, image.orientation)
    return found


def _constant(
    image: Image, choices: DICOMOptions, varying: frozenset[int], refused: dict[int, int]
) -> dict[str, Any]:
    """Return the chosen attributes that all instances agree on."""
    headers = image.headers
    same = [tag for tag in _tags(headers, choices) if tag not in varying]
    unread: set[int] = set()
    values = attribute_values(headers[0], same, unread)
    refused |= dict.fromkeys(unread, 0)
    named = {choices.selection.name(tag): value for tag, value in values.items()}
    if choices.uids != "none":
        for tag, name in UIDS.items():
            uid = headers[0].text(tag)
            if uid and tag not in varying:
                named[name] = choices.uid(uid)
    return named


def _notes(image: Image, refused: Mapping[int, int]) -> list[Note]:
    """Return notes on attributes without a reading, by tag and the first instance that has one."""
    notes = []
    for tag, instance in refused.items():
        frames = np.flatnonzero(image.source[:, 0] == instance)
        if frames.size:
            text = f"{tag_text(tag)} has no reading, or more than one: it is left out"
            notes.append(Note(text, image, int(frames[0])))
    return notes


def _tags(headers: Sequence[Header], choices: DICOMOptions) -> list[int]:
    chosen = choices.selection
    if chosen.mode == "none":
        return []
    if chosen.mode == "all":
        found = dict.fromkeys(tag for header in headers for tag in header)
        kept = SHOWN_OTHERWISE | UIDS.keys()
        # What vendors write in elements of their own nobody can tell.
        return [t for t in found if t >> 16 > 2 and t not in kept and not is_private(t)]
    return [tag for tag in chosen.tags if tag not in SHOWN_OTHERWISE]


def _selected(
    image: Image,
    choices: DICOMOptions,
    attributes: Mapping[str, Any],
    varying: frozenset[int],
    refused: dict[int, int],
) -> list[Column]:
    """Return the chosen attributes in which instances differ, as columns of frames."""
    headers = image.headers
    columns = []
    if len(headers) > 1:
        for tag in _tags(headers, choices):
            name = choices.selection.name(tag)
            if name not in attributes and tag in varying:
                columns.append(_column(image, tag, name, refused))
    if choices.uids != "none":
        for tag, name in UIDS.items():
            if name not in attributes and tag in headers[0]:
                texts = [choices.uid(header.text(tag)) for header in headers]
                values = np.array(texts)[image.source[:, 0]]
                columns.append(Column(name, values, attributes={"asked": True}))
    columns += cine_columns(image, refused)
    return columns


def _column(image: Image, tag: int, name: str, refused: dict[int, int]) -> Column:
    """Return one attribute of all instances: numbers where it is a single number."""
    elements = [header.elements.get(tag) for header in image.headers]
    # One value each time is all there is to understand.
    first: dict[tuple[bytes, bytes] | None, int] = {}
    for number, element in enumerate(elements):
        first.setdefault(element, number)
    known = {}
    for element, number in first.items():
        try:
            known[element] = _value(image.headers[number], tag, element)
        except FormatError:
            known[element] = None
            refused.setdefault(tag, number)
    values = [known[element] for element in elements]
    rows = image.source[:, 0]
    if all(value is None or isinstance(value, int | float) for value in values):
        whole = all(isinstance(value, int) for value in values)
        numbers = [np.nan if value is None else value for value in values]
        return Column(name, np.array(numbers, np.int64 if whole else np.float64)[rows])
    texts = [
        ""
        if value is None
        else "\\".join(map(str, value))
        if isinstance(value, list)
        else str(value)
        for value in values
    ]
    return Column(name, np.array(texts)[rows], attributes={"asked": True})


def _value(header: Header, tag: int, element: tuple[bytes, bytes] | None) -> Any:
    """Return the value of an attribute; single numbers without ado."""
    if element is None:
        return None
    if element[0] in (b"IS", b"DS"):
        try:
            number = one_decimal(element[1])
        except FormatError:
            number = None
        if number is not None:
            whole = element[0] == b"IS" and number == number // 1 and abs(number) < _EXACT
            if whole or element[0] == b"DS":
                return int(number) if whole else number
    unread: set[int] = set()
    found = attribute_values(header, [tag], unread).get(tag)
    if unread:
        raise FormatError("the value cannot be read", path=tag_text(tag))
    return found

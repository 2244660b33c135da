"""Real world values: how stored values become quantities, where a mapping says so.

Implements the Real World Value Mapping Macro (PS3.3, C.7.6.16.2.11), of an instance, of all frames
or of each. Unlike rescaling it is no part of the pixel pipeline, and there may be several of them
for one image: it is described, never applied. Units and quantities are codes of public schemes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from refmaker.errors import FormatError
from refmaker.model.inline import inline_array
from refmaker.scanners.dicom.codes import code_text, meaning
from refmaker.scanners.dicom.dimensions import Column, coordinates
from refmaker.scanners.dicom.notes import Note
from refmaker.scanners.dicom.tags import PIXEL_REPRESENTATION
from refmaker.scanners.dicom.values import Dataset
from refmaker.scanners.dicom.walk import iter_items

if TYPE_CHECKING:
    from refmaker.model import Array
    from refmaker.scanners.dicom.series import Image

__all__ = ["MAPPINGS", "real_world_values"]

MAPPINGS = 0x00409096
_SLOPE, _INTERCEPT, _TABLE = 0x00409225, 0x00409224, 0x00409212
_UNITS, _QUANTITY, _CONCEPT = 0x004008EA, 0x00409220, 0x0040A168
_FIRST, _LAST = (0x00409216, 0x00409214), (0x00409211, 0x00409213)
_TEXT = "real world values are image * real_world_scale + real_world_offset, which is not applied"


def real_world_values(image: Image) -> tuple[dict[str, Any], dict[str, Array], list[Note]]:
    """Return how pixel values become quantities by real world value mappings.

    Parameters
    ----------
    image : Image
        The frames.

    Returns
    -------
    dict
        ``real_world_scale``, ``real_world_offset``, ``real_world_units`` and
        ``real_world_quantity`` with its meaning where all frames have one and the same mapping;
        ``real_world_mappings``, a list of these, where they have the same several. In
        ``range`` the stored values for which a mapping holds.
    dict of str to Array
        ``real_world_scale`` and ``real_world_offset`` over the dimensions on which they depend,
        where frames have one mapping each that differ.
    list of Note
        What cannot be read.
    """
    elements = image.records.raw(MAPPINGS)
    if not any(element is not None for element in elements):
        return {}, {}, []
    known: dict[Any, list[dict[str, Any]] | None] = {}
    for element in elements:
        if element not in known:
            known[element] = _mappings(image, element)
    each = [known[element] for element in elements]
    sound = [found for found in each if found is not None]
    if len(sound) < len(each):
        text = "a real world value mapping (0040,9096) has no reading: none is written"
        return {}, {}, [Note(text, image, each.index(None))]
    notes = []
    if any("entries" in one for found in sound for one in found):
        notes.append(Note("a real world value mapping is a table, which is not written", image, 0))
    if all(found == sound[0] for found in sound):
        first = sound[0]
        several = {"real_world_mappings": first} if len(first) > 1 else {}
        return several or _named(first[0]), {}, notes
    if any(len(found) != 1 or "scale" not in found[0] for found in sound):
        text = "frames have different numbers of real world value mappings: none is written"
        return {}, {}, [*notes, Note(text, image, 0)]
    return (*_for_each(image, [found[0] for found in sound]), notes)


def _for_each(
    image: Image, mappings: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return mappings of which every frame has one of its own."""
    arrays = {}
    for name in ("scale", "offset"):
        column = Column(f"real_world_{name}", np.array([one[name] for one in mappings]))
        found = coordinates(column, image.grid.cell, image.names, image.grid.shape)
        if found is not None:
            arrays[column.name] = inline_array(found[1], found[0])
    same = {
        key: value
        for key, value in mappings[0].items()
        if key not in ("scale", "offset") and all(one.get(key) == value for one in mappings)
    }
    return {"real_world": _TEXT, **_named(same)}, arrays


def _named(mapping: dict[str, Any]) -> dict[str, Any]:
    return {f"real_world_{key}": value for key, value in mapping.items()}


def _mappings(image: Image, element: Any) -> list[dict[str, Any]] | None:
    """Return the mappings of a frame, None if one of them has no reading."""
    if element is None:
        return []
    vr, raw = element
    header = image.header
    signed = header.integer(PIXEL_REPRESENTATION) == 1
    implicit = header.implicit or vr == b"UN"
    try:
        return [
            _mapping(Dataset(item, implicit=implicit, big=header.big), signed=signed)
            for item in iter_items(raw, implicit=implicit, big=header.big)
        ]
    except FormatError:
        return None


def _mapping(item: Dataset, *, signed: bool) -> dict[str, Any]:
    """Return one mapping."""
    found: dict[str, Any] = {}
    slope, intercept = item.number(_SLOPE), item.number(_INTERCEPT)
    if slope is not None and intercept is not None:
        found |= {"scale": slope, "offset": intercept}
    elif _TABLE in item:
        found["entries"] = len(item.raw(_TABLE) or b"") // 8
    else:
        raise FormatError("a mapping without slope and intercept")
    limits = [_limit(item, tags, signed=signed) for tags in (_FIRST, _LAST)]
    if None not in limits:
        found["range"] = limits
    for units in item.items(_UNITS)[:1]:
        text = code_text(units)
        found |= {"units": text.removeprefix("UCUM:")} if text else {}
    for concept in item.items(_QUANTITY):
        for code in concept.items(_CONCEPT)[:1]:
            text = code_text(code)
            if text and "quantity" not in found:
                found["quantity"] = text
                found |= {"quantity_meaning": meaning(code)} if meaning(code) else {}
    return found


def _limit(item: Dataset, tags: tuple[int, int], *, signed: bool) -> float | int | None:
    """Return the first or last stored value of a mapping; a whole number where it is one."""
    for tag in tags:
        raw, vr = item.raw(tag), item.vr(tag) if tag in item else ""
        if not raw:
            continue
        if len(raw) == 2 and vr in ("US", "SS", "XS", ""):
            order: Literal["big", "little"] = "big" if item.big else "little"
            return int.from_bytes(raw, order, signed=vr == "SS" or (vr != "US" and signed))
        return item.number(tag)
    return None

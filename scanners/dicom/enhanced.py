"""Functional groups of multi-frame instances: what is true of all frames, and of each.

Implements PS3.3, C.7.6.16 (Multi-frame Functional Groups), with the dimension organization of
C.7.6.17. A functional group is a sequence of one item in the item of its frame; the attributes
inside are brought onto one level, so that a frame looks like the header of an ordinary instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import FormatError
from refmaker.scanners.dicom.tags import (
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
)
from refmaker.scanners.dicom.vendor_elements import in_private_group, is_private_group
from refmaker.scanners.dicom.walk import iter_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.scanners.dicom.tags import Element
    from refmaker.scanners.dicom.values import Dataset

__all__ = ["DIMENSION_INDEX_VALUES", "GROUPS", "frame_elements", "index_pointers"]

DIMENSION_INDEX_VALUES = 0x00209157
_DIMENSION_INDEX_SEQUENCE = 0x00209222
_DIMENSION_INDEX_POINTER = 0x00209165
_GRADIENT_DIRECTION_SEQUENCE = 0x00189076
_REAL_WORLD_VALUE_MAPPINGS = 0x00409096

GROUPS = frozenset(
    {
        0x00209113,  # Plane Position
        0x00209116,  # Plane Orientation
        0x0020930E,  # Plane Position (Volume)
        0x0020930F,  # Plane Orientation (Volume)
        0x00220031,  # Ophthalmic Frame Location
        0x00289110,  # Pixel Measures
        0x00289145,  # Pixel Value Transformation
        0x00209111,  # Frame Content
        0x00209253,  # Respiratory Synchronization
        0x00189114,  # MR Echo
        0x00189112,  # MR Timing and Related Parameters
        0x00189117,  # MR Diffusion
        0x00189118,  # Cardiac Synchronization
        0x00189226,  # MR Image Frame Type
        0x00189329,  # CT Image Frame Type
        0x00189751,  # PET Frame Type
        0x00409092,  # Parametric Map Frame Type
        0x0062000A,  # Segment Identification
        0x0048021A,  # Plane Position (Slide)
        0x00480207,  # Optical Path Identification
        _GRADIENT_DIRECTION_SEQUENCE,
    }
)
"""Functional groups, by the tag of their sequence, whose attributes are looked at."""


def frame_elements(
    header: Dataset, frames: int
) -> tuple[dict[int, Element], list[dict[int, Element]]]:
    """Return the attributes that all frames share, and those of each frame.

    Parameters
    ----------
    header : Dataset
        Header of a multi-frame instance.
    frames : int
        Number of its frames.

    Returns
    -------
    dict
        Elements of the shared functional groups, by tag.
    list of dict
        Elements of each frame's own groups; `frames` of them, or none where the instance has
        no functional groups of its own for each frame.

    Raises
    ------
    FormatError
        If there are groups for another number of frames, or a sequence is damaged.
    """
    shared: dict[int, Element] = {}
    for item in _items(header, SHARED_FUNCTIONAL_GROUPS_SEQUENCE):
        _flatten(item, shared, header)
    own: list[dict[int, Element]] = []
    for item in _items(header, PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE):
        flat: dict[int, Element] = {}
        _flatten(item, flat, header)
        own.append(flat)
        if len(own) > frames:
            break
    if own and len(own) != frames:
        raise FormatError(f"functional groups for {len(own)} or more of {frames} frames")
    return shared, own


def _items(header: Dataset, tag: int) -> Iterator[dict[int, Element]]:
    element = header.elements.get(tag)
    if element is not None and element[1]:
        implicit = header.implicit or element[0] == b"UN"
        yield from iter_items(element[1], implicit=implicit, big=header.big)


def _flatten(item: dict[int, Element], into: dict[int, Element], header: Dataset) -> None:
    """Bring the attributes of an item's functional groups onto one level."""
    for tag, (vr, raw) in item.items():
        private = is_private_group(tag)
        if tag == _REAL_WORLD_VALUE_MAPPINGS:
            # There may be several mappings: the sequence is kept as it is.
            into[tag] = vr, raw
        if not (private or tag in GROUPS) or not raw:
            continue
        implicit = header.implicit or vr == b"UN"
        inner = next(iter_items(raw, implicit=implicit, big=header.big), None)
        if inner and private:
            into.update(in_private_group(tag, inner))
        elif inner:
            into.update(inner)
            direction = inner.get(_GRADIENT_DIRECTION_SEQUENCE)
            if direction is not None and tag != _GRADIENT_DIRECTION_SEQUENCE:
                _flatten({_GRADIENT_DIRECTION_SEQUENCE: direction}, into, header)


def index_pointers(header: Dataset) -> list[int]:
    """Return the tags that the dimension indices of an instance stand for, in their order."""
    pointers = []
    for item in header.iter_items(_DIMENSION_INDEX_SEQUENCE):
        value = item.get(_DIMENSION_INDEX_POINTER)
        pointers.append(value if isinstance(value, int) else 0)
    return pointers

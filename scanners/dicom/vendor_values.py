"""The numbers of vendors' private elements, for every frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.dicom.csa import read_csa
from refmaker.scanners.dicom.decimals import one_decimal
from refmaker.scanners.dicom.dimensions import Column
from refmaker.scanners.dicom.values import Dataset
from refmaker.scanners.dicom.vendor_elements import GE_COMPONENT, creators

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.dicom.frame_attributes import FrameAttributes
    from refmaker.scanners.dicom.tags import Element
    from refmaker.scanners.dicom.vendor_elements import VendorElement

__all__ = ["VendorNumbers", "complex_component", "csa_numbers", "vendor_elements", "vendor_numbers"]

_UNTOLD = (b"", b"UN", b"OB")
_COMPONENTS = ("MAGNITUDE", "PHASE", "REAL", "IMAGINARY")


@dataclass(frozen=True, slots=True, eq=False)
class VendorNumbers:
    """What a private element says of frames.

    Parameters
    ----------
    values : ndarray of float64, shape (n, width)
        NaN where it says nothing, or nothing that has one reading.
    told : ndarray of bool, shape (n,)
        Which frames have a value.
    refused : dict of int to ndarray of bool, shape (n,)
        By tag, which frames have a value that is no number; tags without any are left out.
    """

    values: NDArray[np.float64]
    told: NDArray[np.bool_]
    refused: dict[int, NDArray[np.bool_]] = field(default_factory=dict)


def vendor_numbers(
    records: FrameAttributes, wanted: VendorElement, width: int = 1, *, first: bool = False
) -> VendorNumbers | None:
    """Return the numbers of a private element, None if no frame has it.

    Parameters
    ----------
    records : FrameAttributes
        The frames.
    wanted : VendorElement
        The element; frames of other creators have none.
    width : int
        Count of numbers; any other count is refused.
    first : bool
        Whether there may be more of them, and the first ones count.
    """
    rows = vendor_elements(records, wanted)
    if rows is None:
        return None
    known: dict[Element, Any] = {}
    values = np.full((len(rows), width), np.nan)
    told = np.zeros(len(rows), bool)
    refused: dict[int, NDArray[np.bool_]] = {}
    for row, found in enumerate(rows):
        if found is None:
            continue
        tag, element = found
        if element not in known:
            known[element] = _numbers(wanted, element, width, first, records.big)
        numbers = known[element]
        if numbers is None:
            continue
        told[row] = True
        if numbers:
            values[row] = numbers
        else:
            refused.setdefault(tag, np.zeros(len(rows), bool))[row] = True
    return VendorNumbers(values, told, refused)


def vendor_elements(
    records: FrameAttributes, wanted: VendorElement
) -> list[tuple[int, Element] | None] | None:
    """Return the tag and element of each frame; None if there are none."""
    owners = [(tag, None) for tag in records.shared.keys() | records.tags]
    tags = sorted(tag for tag, _ in creators(owners, wanted) if records.present(tag))
    found: list[tuple[int, Element] | None] = [None] * len(records)
    for tag in tags:
        creator = records.raw(wanted.group << 16 | tag >> 8 & 0xFF)
        for row, (owner, element) in enumerate(zip(creator, records.raw(tag), strict=True)):
            if element is None or owner is None or found[row] is not None:
                continue
            if owner[1].strip(b" \0").upper() == wanted.creator:
                found[row] = tag, element
    return found if any(found) else None


def _numbers(
    wanted: VendorElement, element: Element, width: int, first: bool, big: bool
) -> list[float] | None:
    """Return the numbers of one element, none if they are refused, None if it is blank."""
    vr, raw = element
    # What is of unknown representation is little endian (PS3.5, 6.2.2).
    big = big and vr != b"UN"
    vr = wanted.vr if vr in _UNTOLD else vr
    tag = wanted.tag(0x10)
    try:
        numbers = Dataset({tag: (vr, raw)}, implicit=False, big=big).numbers(tag)
    except FormatError:
        return []
    if numbers is None:
        return None
    numbers = numbers[:width] if first else numbers
    sound = len(numbers) == width and all(value - value == 0 for value in numbers)
    return numbers if sound else []


def csa_numbers(element: Element, wanted: dict[str, int]) -> dict[str, list[float]]:
    """Return the numbers of some tags of a CSA header; none of those that are refused.

    Parameters
    ----------
    element : Element
        The CSA header.
    wanted : dict of str to int
        Names of tags, and how many numbers each has; 0 for any count.

    Returns
    -------
    dict of str to list of float
        Tags without a value are not in it.

    Raises
    ------
    FormatError
        If the header is damaged.
    """
    found: dict[str, list[float]] = {}
    for name, texts in read_csa(element[1], wanted).items():
        try:
            numbers = [one_decimal(text.encode("latin-1")) for text in texts]
        except FormatError:
            numbers = [None]
        if texts:
            sound = [number for number in numbers if number is not None]
            right = len(sound) == len(texts) == (wanted[name] or len(texts))
            found[name] = sound if right else []
    return found


def complex_component(records: FrameAttributes) -> Column | None:
    """Return which part of complex numbers frames are, as GE tells it; None if nothing does."""
    found = vendor_numbers(records, GE_COMPONENT)
    if found is None:
        return None
    known = np.isin(found.values[:, 0], range(len(_COMPONENTS)))
    refused = dict(found.refused)
    unknown = found.told & ~known & ~_any(found.refused, len(records))
    if bool(unknown.any()):
        refused[GE_COMPONENT.tag(0x10)] = unknown
    codes = np.where(known, found.values[:, 0], -1).astype(np.int64)
    names = np.array([*_COMPONENTS, ""])
    return Column("complex_component", names[codes], attributes={"refused": refused})


def _any(masks: dict[int, NDArray[np.bool_]], frames: int) -> NDArray[np.bool_]:
    out = np.zeros(frames, bool)
    for mask in masks.values():
        out |= mask
    return out

"""Which instances of a series may make one image: what has to be equal before places are looked at.

Single frames that look alike (frame size, encoding, kind) go together; the parts of a
concatenation (PS3.3, C.7.6.16.2.2.4) are one instance; multi-frame instances of classes whose
frames are planes of a volume may be the volumes of one array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, RefmakerError
from refmaker.scanners.dicom.decimals import one_decimal
from refmaker.scanners.dicom.frames import layout_key
from refmaker.scanners.dicom.pixels import frame_count
from refmaker.scanners.dicom.tags import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    FRAME_OF_REFERENCE_UID,
    HIGH_BIT,
    NUMBER_OF_FRAMES,
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    PHOTOMETRIC_INTERPRETATION,
    PIXEL_DATA_PROVIDER_URL,
    PIXEL_REPRESENTATION,
    PLANAR_CONFIGURATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    SOP_CLASS_UID,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.header_templates import HeaderTemplate

__all__ = ["instance_order", "may_join", "missing_parts", "parts_of_concatenation", "sorted_out"]

INSTANCE_NUMBER = 0x00200013
CONCATENATION_UID, CONCATENATION_OFFSET = 0x00209161, 0x00209228
CONCATENATION_TOTAL = 0x00209163
_LAYOUT = (
    NUMBER_OF_FRAMES,
    SAMPLES_PER_PIXEL,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    ROWS,
    COLUMNS,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PIXEL_REPRESENTATION,
    PIXEL_DATA_PROVIDER_URL,
)
"""All that decides how pixels are laid out."""
_DECIDING = frozenset(
    {
        *_LAYOUT,
        SOP_CLASS_UID,
        SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
        PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    }
)
"""What has to be equal in the slices of one image."""
_VOLUMES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{rest}" for rest in ("2.1", "2.2", "4.1", "4.4", "130", "128.1")
)
"""Enhanced and legacy converted CT, MR and PET: frames are planes, instances may be volumes."""


def instance_order(headers: Sequence[Header]) -> list[Header]:
    """Return instances by their number, those without one last, else in the order given."""

    def number(header: Header) -> float:
        element = header.elements.get(INSTANCE_NUMBER)
        try:
            found = None if element is None else one_decimal(element[1])
        except FormatError:
            found = None
        return np.inf if found is None else found

    return sorted(headers, key=number)


def _is_multiframe(header: Header) -> bool:
    """Tell whether an instance describes its frames by functional groups, or has several."""
    if PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE in header:
        return True
    return SHARED_FUNCTIONAL_GROUPS_SEQUENCE in header or frame_count(header) > 1


def sorted_out(
    headers: Sequence[Header], refuse: Callable[[Header, RefmakerError], None]
) -> tuple[list[list[Header]], list[Header]]:
    """Return groups of single frames that look alike, and the multi-frame instances.

    Parameters
    ----------
    headers : sequence of Header
        Instances of one series.
    refuse : callable
        Called with each instance that cannot be referenced, and why.
    """
    alike: dict[Any, list[Header]] = {}
    multi: list[Header] = []
    layouts: dict[Any, Any] = {}
    together: dict[HeaderTemplate, list[Header]] = {}
    for header in headers:
        # Thousands of slices say the same in the same bytes: these are understood once.
        form = header.form
        if form is not None and form in together:
            together[form].append(header)
            continue
        pixels = header.pixels
        raw = (
            *map(header.elements.get, _LAYOUT),
            header.transfer_syntax,
            pixels and (pixels.tag, pixels.vr, pixels.length),
        )
        try:
            if raw not in layouts:
                layouts[raw] = layout_key(header)
            several = _is_multiframe(header)
        except RefmakerError as error:
            refuse(header, error.located(url=header.url))
            continue
        if several:
            multi.append(header)
            continue
        # Writers pad identifiers with a zero, a blank, or nothing.
        key = layouts[raw], (header.raw(SOP_CLASS_UID) or b"").strip(b" \0")
        group = alike.setdefault(key, [])
        group.append(header)
        if form is not None and _DECIDING.isdisjoint(form.blanks):
            together[form] = group
    return list(alike.values()), multi


def parts_of_concatenation(headers: Sequence[Header]) -> list[list[Header]]:
    """Return multi-frame instances, those of one concatenation together and in order."""
    groups: dict[Any, list[Header]] = {}
    for number, header in enumerate(headers):
        uid = header.text(CONCATENATION_UID)
        groups.setdefault((uid, layout_key(header)) if uid else number, []).append(header)
    return [
        sorted(group, key=lambda part: part.number(CONCATENATION_OFFSET) or 0.0)
        for group in groups.values()
    ]


def missing_parts(parts: Sequence[Header]) -> str:
    """Return a warning if some parts of a concatenation are known not to be there, else nothing.

    Parameters
    ----------
    parts : sequence of Header
        Those that are there, in order; a whole instance is the only one.
    """
    if not parts[0].text(CONCATENATION_UID):
        return ""
    total = parts[0].number(CONCATENATION_TOTAL)
    if total is not None and total > len(parts):
        return (
            f"{len(parts)} of {total:.0f} parts of the concatenation are there: frames are missing"
        )
    end = 0
    for part in parts:
        start = part.number(CONCATENATION_OFFSET)
        if start is None:
            return ""
        if start > end:
            return "frames are missing between the parts of the concatenation"
        end = int(start) + frame_count(part)
    return ""


def may_join(instances: Sequence[list[Header]]) -> list[list[list[Header]]]:
    """Return multi-frame instances, together those that may be the volumes of one array.

    Parameters
    ----------
    instances : sequence of list of Header
        Each instance, or the parts of its concatenation.
    """
    groups: dict[Any, list[list[Header]]] = {}
    for number, parts in enumerate(instances):
        first = parts[0]
        uid = first.text(SOP_CLASS_UID)
        key: Any = number
        if uid in _VOLUMES:
            key = uid, layout_key(first), first.text(FRAME_OF_REFERENCE_UID)
        groups.setdefault(key, []).append(parts)
    return list(groups.values())

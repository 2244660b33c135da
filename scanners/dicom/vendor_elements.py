"""Private elements that are read for what they mean, by creator, group, element and type.

A private element ``(gggg,xxee)`` belongs to whoever reserved its block in ``(gggg,00xx)`` (PS3.5,
section 7.8.1), so the same number is another element in another file. Those of this table are
read for the numbers and codes that they hold, and are never written as they stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from refmaker.scanners.dicom.tags import IMAGE_TYPE, SCANNING_SEQUENCE, is_mosaic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from refmaker.scanners.dicom.tags import Element

__all__ = [
    "GE_B_VALUE",
    "GE_COMPONENT",
    "GE_DIRECTION",
    "GE_ECHO_SPACING",
    "GE_SEQUENCE",
    "PHILIPS_B_NUMBER",
    "PHILIPS_B_VALUE",
    "PHILIPS_DIRECTION",
    "PHILIPS_GRADIENT_NUMBER",
    "SIEMENS_B_VALUE",
    "SIEMENS_CSA",
    "SIEMENS_DIRECTION",
    "SIEMENS_PHASE_BANDWIDTH",
    "SIEMENS_SLICE_TIMES",
    "SIEMENS_TILES",
    "SIEMENS_XA_PHASE_BANDWIDTH",
    "SIEMENS_XA_PHASE_POSITIVE",
    "UIH_B_VALUE",
    "UIH_DIRECTION",
    "UIH_PHASE_NEGATIVE",
    "UIH_TILES",
    "UIH_TILE_SEQUENCE",
    "VENDOR_TAGS",
    "VendorElement",
    "creators",
    "find",
    "in_private_group",
    "is_creator",
    "is_private",
    "is_private_group",
    "unused",
]


class VendorElement(NamedTuple):
    """One private element, wherever its block is.

    Parameters
    ----------
    creator : bytes
        Its creator in upper case.
    group, element : int
        Its number; only the last two digits of the element are its own.
    vr : bytes
        Its representation, for files that do not tell.
    """

    creator: bytes
    group: int
    element: int
    vr: bytes

    def tag(self, block: int) -> int:
        """Return its tag in a block."""
        return self.group << 16 | block << 8 | self.element


_SIEMENS, _CSA = b"SIEMENS MR HEADER", b"SIEMENS CSA HEADER"
_SIEMENS_XA = b"SIEMENS MR SDI 02"
_PHILIPS, _PHILIPS_MR = b"PHILIPS IMAGING DD 001", b"PHILIPS MR IMAGING DD 001"
_PHILIPS_NUMBERS = b"PHILIPS MR IMAGING DD 005"
_GE_PARAMETERS, _GE_ACQUISITION = b"GEMS_PARM_01", b"GEMS_ACQU_01"
_UIH = b"IMAGE PRIVATE HEADER"

SIEMENS_CSA = VendorElement(_CSA, 0x0029, 0x10, b"OB")
SIEMENS_TILES = VendorElement(_SIEMENS, 0x0019, 0x0A, b"US")
SIEMENS_B_VALUE = VendorElement(_SIEMENS, 0x0019, 0x0C, b"IS")
SIEMENS_DIRECTION = VendorElement(_SIEMENS, 0x0019, 0x0E, b"FD")
SIEMENS_PHASE_BANDWIDTH = VendorElement(_SIEMENS, 0x0019, 0x28, b"FD")
SIEMENS_SLICE_TIMES = VendorElement(_SIEMENS, 0x0019, 0x29, b"FD")
SIEMENS_XA_PHASE_POSITIVE = VendorElement(_SIEMENS_XA, 0x0021, 0x1C, b"IS")
SIEMENS_XA_PHASE_BANDWIDTH = VendorElement(_SIEMENS_XA, 0x0021, 0x53, b"FD")
PHILIPS_B_VALUE = VendorElement(_PHILIPS, 0x2001, 0x03, b"FL")
PHILIPS_DIRECTION = tuple(VendorElement(_PHILIPS_MR, 0x2005, e, b"FL") for e in (0xB0, 0xB1, 0xB2))
PHILIPS_B_NUMBER = VendorElement(_PHILIPS_NUMBERS, 0x2005, 0x12, b"IS")
PHILIPS_GRADIENT_NUMBER = VendorElement(_PHILIPS_NUMBERS, 0x2005, 0x13, b"IS")
GE_B_VALUE = VendorElement(_GE_PARAMETERS, 0x0043, 0x39, b"IS")
GE_DIRECTION = tuple(
    VendorElement(_GE_ACQUISITION, 0x0019, e, b"DS") for e in (0xBB, 0xBC, 0xBD)
)  # fmt: skip
GE_COMPONENT = VendorElement(_GE_PARAMETERS, 0x0043, 0x2F, b"SS")
GE_ECHO_SPACING = VendorElement(_GE_PARAMETERS, 0x0043, 0x2C, b"SS")
GE_SEQUENCE = VendorElement(_GE_ACQUISITION, 0x0019, 0x9C, b"LO")
UIH_B_VALUE = VendorElement(_UIH, 0x0065, 0x09, b"FD")
UIH_DIRECTION = VendorElement(_UIH, 0x0065, 0x37, b"FD")
UIH_TILES = VendorElement(_UIH, 0x0065, 0x50, b"DS")
UIH_TILE_SEQUENCE = VendorElement(_UIH, 0x0065, 0x51, b"SQ")
UIH_PHASE_NEGATIVE = VendorElement(_UIH, 0x0065, 0x58, b"IS")

_TABLE = (
    SIEMENS_CSA,
    SIEMENS_TILES,
    SIEMENS_B_VALUE,
    SIEMENS_DIRECTION,
    SIEMENS_PHASE_BANDWIDTH,
    SIEMENS_SLICE_TIMES,
    PHILIPS_B_VALUE,
    *PHILIPS_DIRECTION,
    PHILIPS_B_NUMBER,
    PHILIPS_GRADIENT_NUMBER,
    GE_B_VALUE,
    *GE_DIRECTION,
    GE_COMPONENT,
    GE_ECHO_SPACING,
    GE_SEQUENCE,
    UIH_B_VALUE,
    UIH_DIRECTION,
    UIH_TILES,
    UIH_TILE_SEQUENCE,
    UIH_PHASE_NEGATIVE,
)
_LAST = 0xFF
"""The last block; blocks begin at 0x10."""
_OWNED = {one.group << 16 for one in _TABLE}
VENDOR_TAGS: frozenset[int] = frozenset().union(
    *(range(group | 0x10, (group | _LAST) + 1) for group in _OWNED),
    *(range(one.tag(0x10), one.tag(_LAST) + 1, 0x100) for one in _TABLE),
)
"""Tags that these elements and their creators may have."""


def is_private(tag: int) -> bool:
    """Tell whether a tag belongs to a vendor."""
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Tell whether an element reserves a block of private elements."""
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _name(element: Element | None) -> bytes:
    return b"" if element is None else element[1].strip(b" \0").upper()


def creators(
    owners: Iterable[tuple[int, Element | None]], wanted: VendorElement
) -> Iterator[tuple[int, bool]]:
    """Yield the tags that an element has by some creator elements, and whether it is theirs."""
    for tag, element in owners:
        if tag >> 16 == wanted.group and is_creator(tag):
            yield wanted.tag(tag & 0xFF), _name(element) == wanted.creator


def find(elements: Mapping[int, Element], wanted: VendorElement) -> tuple[int, Element] | None:
    """Return a private element and its tag, wherever its block is."""
    for tag, owned in creators(elements.items(), wanted):
        if owned and tag in elements:
            return tag, elements[tag]
    return None


def in_private_group(tag: int, inner: Mapping[int, Element]) -> dict[int, Element]:
    """Return what is read of an item of Siemens XA's functional group, with its creators.

    Parameters
    ----------
    tag : int
        The sequence, ``(0021,xxFE)``; others hold nothing that is read.
    inner : mapping
        Elements of its item.
    """
    kept: dict[int, Element] = {}
    if is_private_group(tag):
        for wanted in (SIEMENS_XA_PHASE_POSITIVE, SIEMENS_XA_PHASE_BANDWIDTH):
            found = find(inner, wanted)
            if found is not None:
                creator = wanted.group << 16 | found[0] >> 8 & 0xFF
                kept |= {creator: inner[creator], found[0]: found[1]}
    return kept


def is_private_group(tag: int) -> bool:
    """Tell whether a sequence may be the functional group of Siemens XA."""
    return tag >> 16 == 0x0021 and tag & 0xFF == 0xFE and tag & 0xFFFF > 0xFF


def unused(elements: Mapping[int, Element]) -> list[int]:
    """Return the tags of what may be CSA headers, which are large, and are not read after all.

    They are read of mosaics and of echo planar imaging alone.
    """
    found = [
        t for t in elements if t >> 16 == SIEMENS_CSA.group and t & 0xFF == SIEMENS_CSA.element
    ]
    kept = find(elements, SIEMENS_CSA) if _may_use_csa(elements) else None
    return [tag for tag in found if not is_creator(tag) and (kept is None or tag != kept[0])]


def _may_use_csa(elements: Mapping[int, Element]) -> bool:
    sequence = elements.get(SCANNING_SEQUENCE, (b"", b""))[1].upper()
    return is_mosaic(elements.get(IMAGE_TYPE, (b"", b""))[1]) or b"EP" in sequence

"""The attributes that a scan looks at; the rest of a header is passed over."""

from __future__ import annotations

from refmaker.scanners.dicom.deidentification import IDENTITY_REMOVED, METHOD_CODES
from refmaker.scanners.dicom.frame_vectors import VECTORS
from refmaker.scanners.dicom.metadata import SAFE
from refmaker.scanners.dicom.privacy import IDENTIFYING, UIDS
from refmaker.scanners.dicom.tags import (
    DIRECTORY_RECORD_SEQUENCE,
    NUMBER_OF_FRAMES,
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    SERIES_INSTANCE_UID,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    SOP_CLASS_UID,
    STUDY_INSTANCE_UID,
)
from refmaker.scanners.dicom.vendor_elements import VENDOR_TAGS

__all__ = ["PARSED_TAGS"]

_TIMES = {0x00080031, 0x00080032, 0x00080033, 0x0008002A, 0x00189074, 0x00189151}
_PLANE = {0x00200032, 0x00200037, 0x00280030}
_ENHANCED = {0x00209161, 0x00209162, 0x00209163, 0x00209228, 0x00209222, 0x00209221}
_DIFFUSION = {0x00189087, 0x00189089}
_NUCLEAR = {
    0x00280009,
    0x00540012,
    0x00540022,
    0x00540032,
    0x00540061,
    0x00540071,
    0x00541330,
    *VECTORS,
}
_REAL_WORLD = {0x00409096}
_COLOUR = {0x00282000, 0x00282002}
_CINE = {0x00181065}
_PHASE_ENCODING = {0x00189034}
_PALETTE = {0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203, 0x00283000}
_REFERENCED_SERIES = {0x00081115}
_SLIDE = {0x00480008, 0x00480105, 0x00480006, 0x00480007, 0x00480302, 0x00480303, 0x00620002}
_STRUCTURE = {
    DIRECTORY_RECORD_SEQUENCE,
    NUMBER_OF_FRAMES,
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    SERIES_INSTANCE_UID,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    SOP_CLASS_UID,
    STUDY_INSTANCE_UID,
}

PARSED_TAGS: frozenset[int] = frozenset(
    _STRUCTURE
    | {IDENTITY_REMOVED, METHOD_CODES}
    | _TIMES
    | _PLANE
    | _ENHANCED
    | _DIFFUSION
    | _PHASE_ENCODING
    | _NUCLEAR
    | _CINE
    | _COLOUR
    | _REAL_WORLD
    | VENDOR_TAGS
    | _PALETTE
    | _REFERENCED_SERIES
    | _SLIDE
    | SAFE.keys()
    | IDENTIFYING.keys()
    | UIDS.keys()
)
"""Tags of all that becomes geometry, dimensions, attributes, or an identifier to look for."""

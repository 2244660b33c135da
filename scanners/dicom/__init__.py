"""DICOM files: headers, frames, series as volumes, slides.

``declared``, ``scanner``
    The scanner: sniffs, scans one file or many, opens natively.
``header``, ``opening``, ``stream``, ``walk``, ``values``, ``charset``, ``tags``, ``dicomdir``
    What stands in front of the pixel data: how it is encoded, its elements, their values.
``forms``, ``agreement``
    What the headers of a series have in common, which is read and understood once.
``transfer``, ``pixels``, ``streams``, ``codec``
    What the pixels are, and the codec that decodes them.
``frames``, ``native_frames``, ``items``, ``dual``, ``pixel_bytes``
    Where each frame lies, in one file or in many.
``native``, ``oracle``
    pydicom, as the oracle of ``verify``.

The other modules give frames their meaning: series, dimensions, geometry, slides, privacy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.dicom.scanner import DICOMScanner as DICOMScanner

__all__ = ["DICOMScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "DICOMScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.dicom.scanner import DICOMScanner

    return DICOMScanner

"""DICOM files: headers, frames, series as volumes, slides.

``scanner``
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

from refmaker.scanners.dicom.scanner import DICOMScanner

__all__ = ["DICOMScanner"]

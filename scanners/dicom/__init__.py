"""DICOM files: headers, frames, series as volumes, slides."""

from __future__ import annotations

from typing import Any

__all__ = ["DICOMScanner"]


def __getattr__(name: str) -> Any:
    if name == "DICOMScanner":
        from refmaker.scanners.dicom.scanner import DICOMScanner

        return DICOMScanner
    raise AttributeError(name)

"""NIfTI-1 and NIfTI-2: volumes of neuroimaging, in one file or two, plain or compressed.

``header``
    The header: element type, shape, place of the data, orientation.
``declared``, ``scanner``
    The scanner, and nibabel as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.nifti.scanner import NIfTIScanner as NIfTIScanner

__all__ = ["NIfTIScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "NIfTIScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.nifti.scanner import NIfTIScanner

    return NIfTIScanner

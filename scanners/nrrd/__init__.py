"""NRRD: arrays of any rank, with their header or beside it, raw or compressed.

``header``
    The header: element type, shape, axes.
``data_files``, ``text_values``
    Where the data lie, and those that are written as text.
``declared``, ``scanner``
    The scanner.
``library_readers``
    pynrrd and SimpleITK as readers to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.nrrd.scanner import NRRDScanner as NRRDScanner

__all__ = ["NRRDScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "NRRDScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.nrrd.scanner import NRRDScanner

    return NRRDScanner

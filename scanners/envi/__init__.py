"""ENVI: images with a text header beside them, in any interleave.

``header``
    The header: element type, shape, place of the data.
``georeference``, ``coordinates``
    Where the image is, and what is said of every band.
``declared``, ``scanner``
    The scanner.
``spectral_reader``
    spectral as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.envi.scanner import ENVIScanner as ENVIScanner

__all__ = ["ENVIScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "ENVIScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.envi.scanner import ENVIScanner

    return ENVIScanner

"""FITS, the Flexible Image Transport System.

``cards``, ``header``, ``hdus``
    Header cards, one header, and the header and data units of a file with their names.
``attributes``
    Header keywords as attributes.
``images``
    Images and cubes as arrays.
``tiles``, ``tile_codec``
    Tile-compressed images.
``columns``, ``tables``
    Binary tables.
``declared``, ``scanner``, ``astropy_reader``
    The scanner, and astropy as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.fits.scanner import FITSScanner as FITSScanner

__all__ = ["FITSScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "FITSScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.fits.scanner import FITSScanner

    return FITSScanner

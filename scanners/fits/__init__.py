"""FITS, the Flexible Image Transport System.

``cards``, ``header``, ``hdus``
    Header cards, one header, and the header and data units of a file with their names.
``attributes``
    Header keywords as attributes.
``packed``
    Files in gzip, and where contiguous data lie.
``images``, ``coordinates``, ``sky``
    Images and cubes as arrays, and their world coordinates.
``tiles``, ``single_tiles``, ``tile_codec``
    Tile-compressed images.
``columns``, ``tables``, ``heap``, ``ascii_tables``
    Tables.
``declared``, ``scanner``, ``summary``
    The scanner, and its table of images.
``astropy_reader``, ``astropy_tables``, ``checksums``
    Astropy as a reader to verify with.
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

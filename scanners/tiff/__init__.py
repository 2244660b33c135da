"""TIFF and BigTIFF.

``declared``, ``scanner``, ``tifffile_reader``
    The scanner: sniffs, scans, opens natively.
``directory``, ``entries``, ``chain``, ``stride``
    What the bytes say: directories, tags and their values, for all pages at once.
``pages``, ``kinds``, ``facts``, ``tags``
    Pages as columns, and which of them are stored alike.
``codecs``
    How strips and tiles are decoded.
``image``, ``placement``, ``segments``, ``pieces``, ``strips``
    Arrays from pages: where segments lie, and where they come to lie.
``series``, ``hierarchy``, ``meaning``
    What pages mean together, and the groups and arrays that this becomes.
``ome``, ``imagej``, ``shaped``, ``slides``, ``vendors``, ``generic``
    Who says so, and in which way.
``geo``, ``crs``, ``gdal``, ``geozarr``, ``ngff``, ``coordinates``, ``tag_groups``
    What is said of places, bands, channels, and the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.tiff.scanner import TIFFScanner as TIFFScanner

__all__ = ["TIFFScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "TIFFScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.tiff.scanner import TIFFScanner

    return TIFFScanner

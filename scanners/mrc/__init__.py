"""MRC2014: maps, image stacks and tomograms of electron microscopy, plain or in gzip.

``header``
    The header: element type, shape, place of the data, axes, cell.
``extended_header``
    What FEI's microscopes say of every section.
``declared``, ``scanner``
    The scanner, and mrcfile as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.mrc.scanner import MRCScanner as MRCScanner

__all__ = ["MRCScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "MRCScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.mrc.scanner import MRCScanner

    return MRCScanner

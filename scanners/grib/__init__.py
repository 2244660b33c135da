"""GRIB editions 1 and 2: every field of every message, found by headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.grib.scanner import GRIBScanner as GRIBScanner

__all__ = ["GRIBScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "GRIBScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.grib.scanner import GRIBScanner

    return GRIBScanner

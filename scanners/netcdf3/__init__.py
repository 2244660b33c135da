"""netCDF classic: CDF-1, CDF-2 and CDF-5.

``header``
    The file header, parsed.
``storage``
    Where the bytes of each variable lie.
``declared``, ``scanner``
    The scanner, and the netCDF4 library as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.netcdf3.scanner import NetCDF3Scanner as NetCDF3Scanner

__all__ = ["NetCDF3Scanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "NetCDF3Scanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.netcdf3.scanner import NetCDF3Scanner

    return NetCDF3Scanner

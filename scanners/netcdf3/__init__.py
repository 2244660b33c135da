"""netCDF classic: CDF-1, CDF-2 and CDF-5.

``header``
    The file header, parsed.
``storage``
    Where the bytes of each variable lie.
``scanner``
    The scanner, and the netCDF4 library as a reader to verify with.
"""

from refmaker.scanners.netcdf3.scanner import NetCDF3Scanner

__all__ = ["NetCDF3Scanner"]

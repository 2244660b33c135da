"""What is known of netCDF classic before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if a file starts with the signature of CDF-1, CDF-2 or CDF-5, else 0.0."""
    return 1.0 if head[:4] in (b"CDF\1", b"CDF\2", b"CDF\5") else 0.0


FORMAT = FormatDeclaration("netcdf3", (".nc", ".cdf", ".nc3"), _sniff)

"""What is known of HDF4 before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration

__all__ = ["FORMAT", "MAGIC"]

MAGIC = b"\x0e\x03\x13\x01"
"""First bytes of every file (HDF Specification 4.2, section 2.2)."""


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if a file starts with the magic number, else 0.0."""
    return 1.0 if head.startswith(MAGIC) else 0.0


FORMAT = FormatDeclaration("hdf4", (".hdf", ".hdf4", ".h4"), _sniff)

"""What is known of FITS before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if a file starts with the keyword SIMPLE and its value indicator, else 0.0."""
    return 1.0 if head[:9] == b"SIMPLE  =" else 0.0


FORMAT = FormatDeclaration("fits", (".fits", ".fit", ".fts"), _sniff)

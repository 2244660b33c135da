"""What is known of NRRD before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import NGFF, FormatDeclaration

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if a file starts with the signature of NRRD, else 0.0."""
    return 1.0 if head[:6] == b"NRRD00" and head[8:9] in (b"\n", b"\r") else 0.0


FORMAT = FormatDeclaration("nrrd", (".nrrd", ".nhdr"), _sniff, (NGFF,))

"""What is known of ENVI before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if the first line of a file says ENVI and nothing else, else 0.0."""
    line, mark, _ = head[:64].partition(b"\n")
    return 1.0 if mark and line.rstrip() == b"ENVI" else 0.0


FORMAT = FormatDeclaration("envi", (".hdr",), _sniff)

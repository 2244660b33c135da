"""What is known of MRC before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import NGFF, FormatDeclaration, unpacked

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 for the identifier ``MAP`` and a known machine stamp, 0.5 for another stamp."""
    start = unpacked(head, 216)
    if start[208:211] != b"MAP":
        return 0.0
    return 1.0 if start[212:214] in (b"\x44\x44", b"\x44\x41", b"\x11\x11") else 0.5


FORMAT = FormatDeclaration(
    "mrc", (".mrc", ".mrcs", ".map", ".ccp4", ".st", ".rec", ".mrc.gz", ".map.gz"), _sniff, (NGFF,)
)

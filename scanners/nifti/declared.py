"""What is known of NIfTI before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import NGFF, FormatDeclaration, unpacked

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return 1.0 if size and signature of a header are those of NIfTI-1 or NIfTI-2, else 0.0."""
    start = unpacked(head, 348)
    sizes = {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")}
    if 348 in sizes and start[344:348] in (b"n+1\0", b"ni1\0"):
        return 1.0
    signature = start[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")
    return 1.0 if 540 in sizes and signature else 0.0


FORMAT = FormatDeclaration("nifti", (".nii", ".nii.gz", ".hdr", ".hdr.gz"), _sniff, (NGFF,))

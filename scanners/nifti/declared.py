"""What is known of NIfTI before its scanner is loaded."""

from __future__ import annotations

from typing import Final, Literal

from refmaker.scanning.declaration import NGFF, FormatDeclaration, unpacked

__all__ = ["FORMAT", "is_analyze"]

_ORDERS: Final[tuple[Literal["little", "big"], ...]] = ("little", "big")
_SIGNATURES = (b"n+1\0", b"ni1\0")


def is_analyze(start: bytes, url: str) -> bool:
    """Whether a file is a header of Analyze 7.5, which has no signature of its own.

    Parameters
    ----------
    start : bytes
        Its first 348 bytes, unpacked.
    url : str
        Its name, which ends as headers' names do.
    """
    named = url.partition("?")[0].lower().endswith((".hdr", ".hdr.gz"))
    if not named or len(start) < 348 or start[344:348] in _SIGNATURES:
        return False
    return any(
        int.from_bytes(start[:4], order) == 348 and 1 <= int.from_bytes(start[40:42], order) <= 7
        for order in _ORDERS
    )


def _sniff(head: bytes, url: str) -> float:
    """Return 1.0 if size and signature are those of NIfTI, 0.8 for Analyze 7.5, else 0.0."""
    start = unpacked(head, 348)
    if is_analyze(start, url):
        return 0.8
    sizes = {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")}
    if 348 in sizes and start[344:348] in _SIGNATURES:
        return 1.0
    signature = start[4:12] in (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")
    return 1.0 if 540 in sizes and signature else 0.0


FORMAT = FormatDeclaration("nifti", (".nii", ".nii.gz", ".hdr", ".hdr.gz"), _sniff, (NGFF,))

"""What is known of GRIB before its scanner is loaded."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration, Setting

__all__ = ["BZIP2", "FORMAT", "GZIP"]

GZIP, BZIP2 = b"\x1f\x8b", b"BZh"
_MARK = b"GRIB"
_INSIDE = 4096
"""Bytes of what is compressed that are looked at."""


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return how sure it is that a file is GRIB.

    1.0 where a message begins, less where one begins after a bulletin header, or inside gzip or
    bzip2.
    """
    if _is_message(head):
        return 1.0
    if _holds_message(head):
        return 0.6
    return 0.9 if _holds_message(_inside(head)) else 0.0


def _holds_message(head: bytes) -> bool:
    """Whether a message begins anywhere in the first bytes."""
    at = head.find(_MARK)
    while at >= 0 and not _is_message(head[at:]):
        at = head.find(_MARK, at + 1)
    return at >= 0


def _is_message(head: bytes) -> bool:
    """Whether a message of edition 1 or 2 begins here, as far as the first bytes tell."""
    if head[:4] != _MARK or len(head) < 8:
        return False
    if head[7] == 1:
        # Section 1 of 28 bytes or more; a bare beginning is taken at its word.
        return len(head) < 11 or int.from_bytes(head[8:11], "big") >= 28
    return head[7] == 2


def _inside(head: bytes) -> bytes:
    """Return the first bytes of what gzip or bzip2 holds."""
    if head[:2] == GZIP:
        import zlib

        try:
            return zlib.decompressobj(31).decompress(head, _INSIDE)
        except zlib.error:
            return b""
    if head[:3] == BZIP2:
        import bz2

        try:
            return bz2.BZ2Decompressor().decompress(head, _INSIDE)
        except (OSError, ValueError):
            return b""
    return b""


FORMAT = FormatDeclaration(
    "grib",
    (".grib", ".grib2", ".grib1", ".grb", ".grb2", ".grb1", ".gb2", ".gb1"),
    _sniff,
    (
        Setting(
            "grib-grouping",
            "tree",
            "how fields are arranged in groups",
            ("tree", "cfgrib", "kerchunk", "flat"),
            former=("layout",),
        ),
        Setting(
            "index-files",
            "verify",
            "use of .idx and .index files beside the file",
            ("trust", "verify", "ignore", "map"),
            former=("sidecar",),
        ),
        Setting(
            "probes",
            "1",
            "messages of each file that the map of index files compares, with the last",
        ),
        Setting("precision", "64", "bits of values as they are read", ("64", "32")),
    ),
)

"""What refmaker knows of the format before the scanner is loaded; imports nothing heavy."""

from __future__ import annotations

from refmaker.scanning.declaration import FormatDeclaration, Setting

__all__ = ["FORMAT", "MAGIC"]

MAGIC = b"STRIPES1"


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    return 1.0 if head.startswith(MAGIC) else 0.0


FORMAT = FormatDeclaration(
    "stripes",
    (".stripes",),
    _sniff,
    (Setting("stripe-axes", "yx", "names of the dimensions of stripe files", ("yx", "lat-lon")),),
)

"""What is known of N5 before its scanner is loaded."""

from __future__ import annotations

from refmaker.io.stores import is_n5_document
from refmaker.scanning.declaration import FormatDeclaration

__all__ = ["FORMAT"]


def _sniff(head: bytes, url: str) -> float:  # noqa: ARG001 - the content decides alone
    """Return how sure it is that a file is the document of a container or a dataset."""
    return 0.9 if is_n5_document(head) else 0.0


FORMAT = FormatDeclaration("n5", (".n5",), _sniff)

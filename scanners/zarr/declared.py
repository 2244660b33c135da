"""What is known of Zarr stores before their scanner is loaded."""

from __future__ import annotations

from refmaker.io.stores import STORE_DOCUMENTS, is_store_document
from refmaker.scanning.declaration import FormatDeclaration, Setting

__all__ = ["CHUNKS", "FORMAT", "METADATA", "zip_names"]

CHUNKS = Setting(
    "zarr-chunks",
    "listed",
    "Chunks of a Zarr store: those that its store lists, or all of the grid where it lists nothing",
    ("listed", "assume"),
)
METADATA = Setting(
    "zarr-metadata",
    "consolidated",
    "Metadata of a Zarr store: consolidated if they are there, or each member's own",
    ("consolidated", "members"),
)
_LOCAL_HEADER = b"PK\x03\x04"


def zip_names(head: bytes) -> list[str]:
    """Return the names of the members at the beginning of a zip archive, as far as they show."""
    names = []
    at = 0
    while head[at : at + 4] == _LOCAL_HEADER and at + 30 <= len(head):
        packed = int.from_bytes(head[at + 18 : at + 22], "little")
        name = int.from_bytes(head[at + 26 : at + 28], "little")
        extra = int.from_bytes(head[at + 28 : at + 30], "little")
        names.append(head[at + 30 : at + 30 + name].decode("utf-8", "replace"))
        at += 30 + name + extra + packed
    return names


def _sniff(head: bytes, url: str) -> float:
    """Return how sure it is that a file is a document of a store, or a store in a zip archive."""
    if head[:4] == _LOCAL_HEADER:
        names = zip_names(head)
        if any(name.rpartition("/")[2] in (*STORE_DOCUMENTS, ".zattrs") for name in names):
            return 0.9
        # A large chunk may stand first.
        named = url.lower().endswith(FORMAT.suffixes)
        return 0.5 if named and any(name[-1:].isdigit() for name in names) else 0.0
    return 0.9 if is_store_document(head, url) else 0.0


FORMAT = FormatDeclaration("zarr", (".zarr", ".zarr.zip"), _sniff, (CHUNKS, METADATA))

"""Zarr stores of version 2 and 3: folders, zip archives, shards.

``zip_archive``
    What a store in a zip archive holds by its keys.
``hierarchy``
    Groups and arrays of a store, by their metadata documents.
``chunk_keys``
    How the chunks of arrays are called.
``shards``
    Inner chunks of shards, by the index of each.
``declared``, ``scanner``, ``zarr_reader``
    The scanner, and zarr as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.zarr.scanner import ZarrScanner as ZarrScanner

__all__ = ["ZarrScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "ZarrScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.zarr.scanner import ZarrScanner

    return ZarrScanner

"""N5 containers: folders of blocks, the fastest axis first.

``datasets``
    What the documents of a container say of its groups and datasets.
``declared``, ``scanner``
    The scanner.
``tensorstore_reader``
    TensorStore as a reader to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.n5.scanner import N5Scanner as N5Scanner

__all__ = ["N5Scanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "N5Scanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.n5.scanner import N5Scanner

    return N5Scanner

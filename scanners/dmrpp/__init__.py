"""DMR++: documents of OPeNDAP that tell where the data of a granule lie.

``document``
    The XML document, parsed without entities.
``dataset``
    Groups, variables, dimensions and attributes of it (DAP4).
``chunks``
    Where the data of a variable lie, by column, and how they are encoded.
``values``
    Values that stand in the document itself.
``arrays``
    Variables as arrays.
``declared``, ``scanner``, ``granule_reader``
    The scanner, and the granule in the hands of its own library to verify with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refmaker.scanners.dmrpp.scanner import DMRPPScanner as DMRPPScanner

__all__ = ["DMRPPScanner"]


def __getattr__(name: str) -> Any:
    """Import the scanner when it is asked for: declarations lie in this package, too."""
    if name != "DMRPPScanner":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refmaker.scanners.dmrpp.scanner import DMRPPScanner

    return DMRPPScanner

"""Header keywords as the attributes of a group."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from refmaker.model.attribute_types import TYPES
from refmaker.model.zarr_v2 import DIMENSIONS, UNLIMITED

if TYPE_CHECKING:
    from refmaker.model.report import ScanReport
    from refmaker.scanners.fits.cards import Value
    from refmaker.scanners.fits.hdus import HDU

__all__ = ["header_attributes"]

_STRUCTURE: Final = re.compile(r"SIMPLE|BITPIX|NAXIS[0-9]*|PCOUNT|GCOUNT|EXTEND|GROUPS")
"""What the arrays say themselves."""
_RESERVED: Final = frozenset((TYPES, DIMENSIONS, UNLIMITED))
_NAMED: Final = 10
"""Keywords that one warning lists at most."""


def header_attributes(hdu: HDU, report: ScanReport) -> dict[str, Any]:
    """Return the keywords of a header as JSON values, in file order.

    Parameters
    ----------
    hdu : HDU
        The unit.
    report : ScanReport
        Told of keywords that are not kept as they stand.
    """
    header = hdu.header
    values = {
        name: _json(value)
        for name, value in header.keywords.items()
        if name and not _STRUCTURE.fullmatch(name) and name not in _RESERVED
    }
    for name, text in header.comments.items():
        if text and name not in _RESERVED:
            key = name or "COMMENT"
            values[key] = f"{values[key]}\n{text}" if key in values else text
    where = f"{hdu.path} (header at byte {header.start})"
    if header.repeated:
        report.warn(f"{where}: only the first value is kept of {_listed(header.repeated)}")
    if header.unclear:
        report.warn(f"{where}: no valid values, kept as text: {_listed(header.unclear)}")
    return values


def _listed(names: Any) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _json(value: Value) -> Any:
    """Return a keyword's value as JSON holds it; integers beyond 64 bits as text."""
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value

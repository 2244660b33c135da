"""What fields of edition 1 are called, told from the table of definitions as ecCodes would.

Answered are messages without a local section, and those of ECMWF with its first local definition;
time range indicators of which ecCodes alone tells the step are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.scanners.grib.concepts import Concepts, UnsureError, entry_of
from refmaker.scanners.grib.names import named, numeric

if TYPE_CHECKING:
    from refmaker.scanners.grib.names import Names, Sections

__all__ = ["names1"]

_ECMWF = 98
_PLAIN, _MARS = 28, 52
"""Octets of section 1 without a local part, and with ECMWF's local definition 1."""
_RANGES = frozenset({0, 1, 2, 3, 4, 5, 10})
_LAYERS = frozenset({101, 104, 106, 108, 110, 112, 114, 116, 120, 121, 128, 141})
"""Types of levels (table 3) that are layers: an octet for either end."""
_SIGMA = 107
_UNITS = frozenset({0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 254})
_UNSUPPORTED = frozenset({"localElementNumber"})


def names1(sections: Sections) -> Names | None:
    """Return what ecCodes calls fields of a template; None where the table does not say.

    Raises
    ------
    UnsureError
        If a condition asks for what is not known here.
    """
    product = sections.product
    local = product[40:]
    mars = product[4] == _ECMWF and len(product) == _MARS and local[:1] == b"\1"
    if not (mars or len(product) == _PLAIN):
        return None
    if product[20] not in _RANGES or product[17] not in _UNITS:
        return None
    if product[4] != _ECMWF and product[25] == _ECMWF:
        return None
    code = entry_of("centres1", str(product[4]))
    if code is None:
        return None
    kind = product[9]
    keys: dict[str, Any] = {
        "indicatorOfTypeOfLevel": kind, "timeRangeIndicator": product[20], "centre": product[4],
        "table2Version": product[3], "indicatorOfParameter": product[8],
    }  # fmt: skip
    ends = product[10], product[11]
    if kind in _LAYERS:
        keys |= {"topLevel": ends[0], "bottomLevel": ends[1], "level": ends[0]}
        levels: tuple[float, float | None] = float(ends[0]), float(ends[1])
    else:
        value = ends[0] << 8 | ends[1]
        keys |= dict.fromkeys(("level", "topLevel", "bottomLevel"), value)
        levels = float(value), None
    if levels[0] == levels[1]:
        levels = levels[0], None
    concepts = Concepts(1, code[0], keys, _UNSUPPORTED)
    parameter = f"{product[3]}.{product[8]}"
    found = concepts.names(parameter)
    found |= {
        "typeOfLevel": concepts.level("typeOfLevel", "ecmf"),
        "stepType": concepts.level("stepType"), "dataType": _data_type(local) if mars else None,
    }  # fmt: skip
    if found["stepType"] is None:
        return None
    origin = {
        "GRIB_edition": 1, "GRIB_centre": code[0], "GRIB_centreDescription": code[1],
        "GRIB_subCentre": product[25],
    }  # fmt: skip
    return named(found, numeric(sections), levels, origin)


def _data_type(local: bytes) -> str:
    known = entry_of("marsTypes", str(local[2]))
    if known is None:
        raise UnsureError
    return str(known[0])

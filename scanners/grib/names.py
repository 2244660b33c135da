"""What fields of a template are called: ecCodes is asked, numbers stand in where it is not there.

ecCodes is given the field's own sections with a constant field of no bits in place of the data,
so that nothing of the file is read for it, and the names are those it would give the message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Names", "Sections", "message", "named", "names_of", "numeric"]

_UNKNOWN = frozenset({"unknown", "undef", "", "~", None})
_TEXT = ("shortName", "cfVarName", "cfName", "name", "units", "typeOfLevel", "stepType", "dataType")
_NUMBERS = ("paramId", "number")
_ENDS = ("topLevel", "bottomLevel")
_WAVES = ("directionNumber", "frequencyNumber")
_STATISTICS = {0: "avg", 1: "accum", 2: "max", 3: "min", 4: "diff", 5: "rms", 6: "sd", 7: "cov"}
_SURFACES = {
    1: "surface", 100: "isobaricInPa", 101: "meanSea", 102: "heightAboveSea",
    103: "heightAboveGround", 104: "sigma", 105: "hybrid", 107: "theta",
}  # fmt: skip
_STEP_UNITS = {
    0: 60, 1: 3600, 2: 86400, 10: 10800, 11: 21600, 12: 43200, 13: 1, 14: 900, 15: 1800,
}  # fmt: skip
"""ecCodes' table of its key ``stepUnits``, which is that of no edition."""
_SPECTRAL = (50, 60, 70, 80)
"""Data representation types of edition 1 (table 6): spherical harmonics."""


class Sections(NamedTuple):
    """The sections of a field that decide how it is called, as in the file.

    Parameters
    ----------
    edition, discipline : int
        Of section 0.
    product : bytes
        Section 1.
    local : bytes
        Section 2 of edition 2; empty where there is none.
    grid : bytes
        Section 3 of edition 2, section 2 of edition 1; empty where there is none.
    what : bytes
        Section 4 of edition 2 without vertical coordinates; empty in edition 1.
    """

    edition: int
    discipline: int
    product: bytes
    local: bytes
    grid: bytes
    what: bytes


class Names(NamedTuple):
    """What ecCodes, or this module in its place, says of fields of one template.

    Parameters
    ----------
    name : str
        Name of the variable: ecCodes' ``cfVarName``, else its ``shortName``, else numbers such
        as ``d0c1n8`` (discipline, category, parameter number) or ``t2p11`` (table, parameter).
    type_of_level, step_type : str
        As ecCodes calls them.
    level, bottom : float or None
        Level of the field, and the second level of a layer.
    member : int or None
        Member of an ensemble.
    step : tuple of int or None
        Start and end of the forecast step in seconds.
    direction, frequency : int or None
        Numbers of a wave spectrum.
    attributes : dict
        ``GRIB_`` attributes, with ``long_name``, ``units`` and ``standard_name``.
    origin : dict
        ``GRIB_`` attributes of the file as a whole: edition and centre.
    """

    name: str
    type_of_level: str
    step_type: str
    level: float | None = None
    bottom: float | None = None
    member: int | None = None
    step: tuple[int, int] | None = None
    direction: int | None = None
    frequency: int | None = None
    attributes: Mapping[str, Any] = {}
    origin: Mapping[str, Any] = {}


def names_of(sections: Sections) -> Names:
    """Return what fields of a template are called, asking ecCodes in this process."""
    try:
        import eccodes
    except (ImportError, RuntimeError):
        # The package raises RuntimeError where it finds no library.
        return numeric(sections)
    try:
        handle = eccodes.codes_new_from_message(message(sections))
    except eccodes.CodesInternalError:
        return numeric(sections)
    try:
        return _names(eccodes, handle, sections)
    finally:
        eccodes.codes_release(handle)


def message(sections: Sections) -> bytes:
    """Return a message of these sections whose data are one constant."""
    if sections.edition == 1:
        product = bytearray(sections.product)
        product[7] &= 0x80 if len(sections.grid) > 2 else 0
        # Spectral fields are known by a flag in section 4, and have their mean there.
        spectral = len(sections.grid) > 5 and sections.grid[5] in _SPECTRAL
        data = bytes((0, 0, 26, 0xC0, *bytes(22)) if spectral else (0, 0, 12, 8, *bytes(8)))
        body = bytes(product) + (sections.grid if len(sections.grid) > 2 else b"") + data + b"7777"
        return b"GRIB" + (len(body) + 8).to_bytes(3, "big") + b"\1" + body
    points = sections.grid[6:10]
    data = b"\0\0\0\x15\5" + points + bytes(12) + b"\0\0\0\6\6\xff" + b"\0\0\0\5\7" + b"7777"
    body = sections.product + sections.local + sections.grid + sections.what + data
    head = b"GRIB\0\0" + bytes((sections.discipline, 2))
    return head + (len(body) + 16).to_bytes(8, "big") + body


def _get(eccodes: Any, handle: int, key: str, kind: type | None = None) -> Any:
    try:
        return eccodes.codes_get(handle, key, kind)
    except (eccodes.CodesInternalError, ValueError, UnicodeDecodeError):
        return None


def _names(eccodes: Any, handle: int, sections: Sections) -> Names:
    found = {key: _get(eccodes, handle, key, str) for key in _TEXT}
    found |= {key: _get(eccodes, handle, key) for key in _NUMBERS}
    waves = [_get(eccodes, handle, key, int) for key in _WAVES]
    levels = (
        _get(eccodes, handle, "level", float),
        _bottom(*(_get(eccodes, handle, key, float) for key in _ENDS)),
    )
    names = named(found, numeric(sections), levels, _origin(eccodes, handle))
    return names._replace(
        member=found["number"] if isinstance(found["number"], int) else None,
        step=_step(eccodes, handle), direction=waves[0], frequency=waves[1],
    )  # fmt: skip


def named(
    found: Mapping[str, Any],
    fallback: Names,
    levels: tuple[float | None, float | None],
    origin: Mapping[str, Any],
) -> Names:
    """Return names made of what ecCodes' keys say.

    Parameters
    ----------
    found : mapping
        Values of ``shortName``, ``cfVarName``, ``cfName``, ``name``, ``units``, ``typeOfLevel``,
        ``stepType``, ``dataType`` and ``paramId``; None for what is not known.
    levels : tuple of float or None
        Level, and the second level of a layer.
    origin : mapping
        Attributes of the file as a whole.
    """
    name = next(
        (found[key] for key in ("cfVarName", "shortName") if found[key] not in _UNKNOWN), None
    )
    attributes = dict(fallback.attributes)
    for key in ("paramId", "shortName", "name", "units", "cfName", "dataType"):
        if name is not None and found[key] not in _UNKNOWN:
            attributes[f"GRIB_{key}"] = found[key]
    if name is not None and found["name"] not in _UNKNOWN:
        attributes |= {"long_name": found["name"], "units": found["units"] or "1"}
        if found["cfName"] not in _UNKNOWN:
            attributes["standard_name"] = found["cfName"]
    kind, step = found["typeOfLevel"], found["stepType"]
    return Names(
        fallback.name if name is None else _tidy(name),
        fallback.type_of_level if kind in _UNKNOWN else kind,
        fallback.step_type if step in _UNKNOWN else step,
        levels[0], levels[1], attributes=attributes, origin=origin,
    )  # fmt: skip


def _origin(eccodes: Any, handle: int) -> dict[str, Any]:
    keys = ("edition", "centre", "centreDescription", "subCentre")
    found = {f"GRIB_{key}": _get(eccodes, handle, key) for key in keys}
    return {key: value for key, value in found.items() if value not in _UNKNOWN}


def _bottom(top: float | None, bottom: float | None) -> float | None:
    """Return the second level where there is a layer."""
    return None if top is None or top == bottom else bottom


def _step(eccodes: Any, handle: int) -> tuple[int, int] | None:
    """Return both ends of the forecast step in seconds, if ecCodes can tell them."""
    ends = [_get(eccodes, handle, key, int) for key in ("startStep", "endStep")]
    unit = _STEP_UNITS.get(_get(eccodes, handle, "stepUnits", int))
    if unit is None or None in ends:
        return None
    return ends[0] * unit, ends[1] * unit


def _tidy(name: str) -> str:
    return re.sub(r"[^\w.+-]", "_", name).strip(".") or "unnamed"


def numeric(sections: Sections) -> Names:
    """Return names made of the numbers in the sections, without ecCodes.

    Parameters
    ----------
    sections : Sections
        Of one field of the template.
    """
    product, what = sections.product, sections.what
    if sections.edition == 1:
        table, parameter, level, indicator = product[3], product[8], product[9], product[20]
        statistic = {2: "max", 3: "avg", 4: "accum", 5: "diff"}.get(indicator, "instant")
        attributes = {
            "GRIB_centreNumber": product[4],
            "GRIB_table2Version": table,
            "GRIB_indicatorOfParameter": parameter,
        }
        return Names(
            f"t{table}p{parameter}", f"level_{level}", statistic,
            float(product[10] << 8 | product[11]), attributes=attributes,
        )  # fmt: skip
    template = int.from_bytes(what[7:9], "big")
    category, number = (what[9], what[10]) if len(what) > 10 else (255, 255)
    name = f"d{sections.discipline}c{category}n{number}"
    attributes = {
        "GRIB_centreNumber": int.from_bytes(product[5:7], "big"),
        "GRIB_discipline": sections.discipline,
        "GRIB_parameterCategory": category,
        "GRIB_parameterNumber": number,
        "GRIB_productDefinitionTemplateNumber": template,
    }
    return Names(name, *_numeric_place(what), attributes=attributes)


def _numeric_place(what: bytes) -> tuple[str, str, float | None]:
    """Return type of level, kind of step and level from code tables alone."""
    from refmaker.scanners.grib.templates import template_octets

    octets = template_octets(what)
    if octets is None:
        return "unknown", "instant", None
    step = "instant"
    if octets.interval:
        code = what[octets.interval + 11]
        step = _STATISTICS.get(code, f"statistic_{code}")
    if not octets.surfaces:
        return "none", step, None
    at = octets.surfaces - 1
    first, second = what[at], what[at + 6]
    kind = _SURFACES.get(first, f"level_{first}")
    if second != 255:
        kind = f"{kind}Layer" if first == second else f"{kind}_{second}"
    scale, value = what[at + 1], int.from_bytes(what[at + 2 : at + 6], "big")
    level = None
    if scale != 255 and value != 2**32 - 1:
        power = -(scale & 0x7F) if scale & 0x80 else scale
        level = value / 10**power if power > 0 else float(value * 10**-power)
    return kind, step, level

"""Where things stand in product definition templates (section 4, edition 2).

A template 4.N is a sequence of components: parameter, generating process, forecast time,
surfaces, and so on; some hold counts, and have as many entries. From the numbers of octets of
each follows where the octets stand that tell one field of a series from the next.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMPOSITION", "TIMELESS", "TemplateOctets", "template_octets"]


class TemplateOctets(NamedTuple):
    """Octet numbers in section 4, counted from 1 as in the Manual on Codes; 0 where absent.

    Parameters
    ----------
    unit : int
        Unit of the forecast time, which follows.
    width : int
        Octets of the forecast time.
    surfaces : int
        Type of the first surface: scale factor and value follow, then the second surface.
    member : int
        Number of the perturbation; the kind of ensemble forecast stands before it.
    member_width : int
        Octets of that number, and of the number of forecasts in the ensemble after it.
    percentile : int
        Percentile.
    limits : int
        Type of probability: scale factor and value of the lower limit follow, then the upper.
    interval : int
        End of the overall interval, 7 octets of date and time. The number of time ranges
        follows after it, missing values in 4 octets, and per range 12: kind of processing,
        kind of increment, unit, length, unit and length of the increment.
    ranges : int
        Number of time ranges.
    derived : int
        How a derived forecast is derived (table 4.7).
    counts : tuple of int
        Octets of counts that all this depends on.
    components : mapping
        By name of the component: its first octet, and how many there are.
    """

    unit: int = 0
    width: int = 4
    surfaces: int = 0
    member: int = 0
    member_width: int = 1
    percentile: int = 0
    limits: int = 0
    interval: int = 0
    ranges: int = 0
    derived: int = 0
    counts: tuple[int, ...] = ()
    components: Mapping[str, tuple[int, int]] = {}


_SIZES = {
    "parameter": 2, "process": 3, "time": 8, "surfaces": 12, "member": 3, "large_member": 9,
    "derived": 2, "large_derived": 5, "percentile": 1, "quantile": 4, "probability": 13,
    "constituent": 2, "aerosol": 2, "size": 11, "wavelength": 11, "source": 1, "tile": 6,
    "version": 7, "input": 5, "wave": 8, "period": 11, "rectangle": 32, "circle": 28,
    "radionuclide": 22, "observation": 2, "quality": 1,
}  # fmt: skip
"""Octets of components that hold no count."""
_COUNTED = {
    # First octet of the count and its width, octets besides the entries, octets an entry.
    "statistical": (7, 1, 12, 12), "bands": (0, 1, 1, 11), "bands30": (0, 1, 1, 10),
    "categories": (0, 1, 1, 12), "partition": (1, 1, 4, 2), "distribution": (6, 1, 7, 5),
}  # fmt: skip
_PLAIN, _OVER = "parameter process time surfaces", "statistical"
COMPOSITION: dict[int, str] = {
    0: _PLAIN,
    1: f"{_PLAIN} member",
    2: f"{_PLAIN} derived",
    3: f"{_PLAIN} derived rectangle cluster",
    4: f"{_PLAIN} derived circle cluster",
    5: f"{_PLAIN} probability",
    6: f"{_PLAIN} percentile",
    7: _PLAIN,
    8: f"{_PLAIN} {_OVER}",
    9: f"{_PLAIN} probability {_OVER}",
    10: f"{_PLAIN} percentile {_OVER}",
    11: f"{_PLAIN} member {_OVER}",
    12: f"{_PLAIN} derived {_OVER}",
    13: f"{_PLAIN} derived rectangle {_OVER} cluster",
    14: f"{_PLAIN} derived circle {_OVER} cluster",
    15: f"{_PLAIN} spatial",
    30: "parameter observation bands30",
    31: "parameter observation bands",
    32: "parameter process time bands",
    33: "parameter process time bands member",
    34: f"parameter process time bands member {_OVER}",
    35: "parameter observation quality bands",
    51: f"{_PLAIN} categories",
    91: f"{_PLAIN} categories {_OVER}",
    60: f"{_PLAIN} member version",
    61: f"{_PLAIN} member version {_OVER}",
    86: f"{_PLAIN} quantile",
    87: f"{_PLAIN} quantile {_OVER}",
    99: "parameter wave process time spectrum",
    100: "parameter wave process time member spectrum",
    117: f"{_PLAIN} large_member",
    118: f"{_PLAIN} large_member {_OVER}",
    137: f"{_PLAIN} large_derived version",
    138: f"{_PLAIN} large_derived version {_OVER}",
    154: f"{_PLAIN} large_member version",
    155: f"{_PLAIN} large_member version {_OVER}",
    105: f"{_PLAIN} {_OVER} reference",
    106: f"{_PLAIN} {_OVER} member reference",
    107: f"{_PLAIN} {_OVER} derived reference",
    112: f"{_PLAIN} {_OVER} probability reference",
    128: f"{_PLAIN} reference",
    129: f"{_PLAIN} member reference",
    130: f"{_PLAIN} derived reference",
    131: f"{_PLAIN} probability reference",
    132: f"{_PLAIN} quantile reference",
    134: f"{_PLAIN} quantile {_OVER} reference",
    1000: "parameter process time",
    1001: f"parameter process time {_OVER}",
    1100: _PLAIN,
}
"""By number of the template: its components."""


def _compose() -> None:
    """Add the families that differ from one another in what comes first and last."""
    rest = "process time surfaces"
    ends = ("", " member", f" {_OVER}", f" member {_OVER}")
    families = {
        "constituent": (40, 41, 42, 43), "aerosol size": (50, 45, 46, 47),
        "aerosol size wavelength": (48, 49, 156, 0), "constituent distribution": (57, 58, 67, 68),
        "tile": (55, 59, 62, 63), "input": (70, 71, 72, 73),
        "constituent source": (76, 77, 78, 79), "aerosol source size wavelength": (80, 81, 158, 0),
        "aerosol source size": (0, 0, 82, 83), "wavelength": (108, 109, 110, 111),
        "constituent source radionuclide": (124, 125, 126, 127),
        "period": (103, 104, 144, 0), "partition": (53, 54, 0, 0),
    }  # fmt: skip
    for first, numbers in families.items():
        for number, end in zip(numbers, ends, strict=True):
            if number:
                COMPOSITION[number] = f"parameter {first} {rest}{end}"
    COMPOSITION[44] = "parameter aerosol size process short_time surfaces"
    COMPOSITION[84] = COMPOSITION[83]
    COMPOSITION[85] = COMPOSITION[47]
    more = {
        89: ("input", "quantile"), 90: ("input", f"quantile {_OVER}"),
        140: ("period", "large_member version"), 145: ("period", f"large_member {_OVER}"),
        139: ("period", "version"), 160: ("period", "large_derived"),
        161: ("period", f"large_derived {_OVER}"), 166: ("constituent", "large_derived"),
        167: ("constituent", f"large_derived {_OVER}"),
        152: ("constituent", "large_member version"),
        153: ("constituent", f"large_member version {_OVER}"),
        157: ("aerosol size wavelength", f"large_member {_OVER}"),
        159: ("aerosol source size wavelength", f"large_member {_OVER}"),
    }  # fmt: skip
    for number, (first, last) in more.items():
        COMPOSITION[number] = f"parameter {first} {rest} {last}"


_compose()
TIMELESS = frozenset({20, 30, 31, 35, 254})
"""Templates of observations, which have no forecast time: radar, satellites, text."""


def template_octets(section: bytes) -> TemplateOctets | None:
    """Return where things stand in a section 4.

    Parameters
    ----------
    section : bytes
        Section 4; the list of vertical coordinate values is not looked at.

    Returns
    -------
    TemplateOctets or None
        None for templates that are not known here, and where the section is not as long as its
        template and the counts in it say.
    """
    number = int.from_bytes(section[7:9], "big")
    if number not in COMPOSITION:
        return None
    length = int.from_bytes(section[:4], "big") - 4 * int.from_bytes(section[5:7], "big")
    parts: dict[str, tuple[int, int]] = {}
    counts: list[int] = []
    at = 10
    for name in COMPOSITION[number].split():
        size = _size(name, section, at, parts, counts)
        if at + size - 1 > len(section):
            return None
        parts[name] = at, size
        at += size
    return _named(tuple(parts.items()), tuple(counts)) if at - 1 == length else None


def _size(
    name: str, section: bytes, at: int, parts: Mapping[str, tuple[int, int]], counts: list[int]
) -> int:
    """Return the octets of a component, and note the counts that it depends on."""
    if name in _SIZES:
        return _SIZES[name]
    if name in _COUNTED:
        first, width, fixed, each = _COUNTED[name]
        counts += range(at + first, at + first + width)
        return fixed + each * int.from_bytes(
            section[at + first - 1 : at + first - 1 + width], "big"
        )
    if name == "short_time":
        # ecCodes: two octets of forecast time, four where the section is longer.
        vertical = 4 * int.from_bytes(section[5:7], "big")
        return 6 if int.from_bytes(section[:4], "big") - vertical == 45 else 8
    if name == "cluster":
        where = next(parts[kind] for kind in ("rectangle", "circle") if kind in parts)
        octet = where[0] + (21 if "rectangle" in parts else 17)
        counts.append(octet)
        return _octet(section, octet)
    if name == "spatial":
        return 3
    if name == "reference":
        # Kind, relation, additional parameters; start of the period, sample size, time ranges.
        ranges = at + 14 + 5 * _octet(section, at + 2)
        counts += [at + 2, ranges]
        return ranges + 1 - at + 6 * _octet(section, ranges)
    # The spectrum: a scale factor and the directions, the same of frequencies.
    first = parts["wave"][0]
    counts += [first + 2, first + 3, first + 6, first + 7]
    total = sum(int.from_bytes(section[k : k + 2], "big") for k in (first + 1, first + 5))
    return 2 + 4 * total


def _octet(section: bytes, octet: int) -> int:
    return section[octet - 1] if octet <= len(section) else 0


@lru_cache(1024)
def _named(
    parts: tuple[tuple[str, tuple[int, int]], ...], counts: tuple[int, ...]
) -> TemplateOctets:
    found = dict(parts)

    def first(name: str, after: int = 0) -> int:
        return found[name][0] + after if name in found else 0

    time = "short_time" if "short_time" in found else "time"
    large = "large_member" in found
    ranges = (found[_OVER][1] - 12) // 12 if _OVER in found else 0
    return TemplateOctets(
        unit=first(time, 3),
        width=found[time][1] - 4 if time in found else 4,
        surfaces=first("surfaces"),
        member=first("large_member" if large else "member", 1),
        member_width=4 if large else 1,
        percentile=first("percentile"),
        limits=first("probability", 2),
        interval=first(_OVER),
        ranges=ranges,
        derived=first("large_derived" if "large_derived" in found else "derived"),
        counts=counts,
        components=found,
    )

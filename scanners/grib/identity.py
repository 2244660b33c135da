"""What keeps fields apart besides their place: what a field is, and who made it.

Fields of different products never share a variable, whatever their order and places. Octets that
place a field (times, levels, members, percentiles, limits) are no part of a product. Each other
octet of sections 1, 2 and 4 belongs to an `Aspect`: *what* a field is, which is always told in
its name (wavelengths, satellites, tiles); *who* made it (centre, process, local section), told in
names where fields of one path and name differ in it; and the rest, in which fields of one series
may differ (the size of an ensemble), told where two fields would lie at one place otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from refmaker.scanners.grib.aspects import READERS, Aspect, hashed, numbered, secondary
from refmaker.scanners.grib.local_section import local_aspects
from refmaker.scanners.grib.products import section4
from refmaker.scanners.grib.templates import template_octets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refmaker.scanners.grib.aspects import Found
    from refmaker.scanners.grib.fields import ProductTemplate
    from refmaker.scanners.grib.names import Names

__all__ = ["Identity", "differences", "identity_of", "label_of"]

_VERIFYING = 2
_SIGNIFICANCE = {0: "forecast", _VERIFYING: "verifying", 3: "observed"}
"""Of the reference time (table 1.2)."""
_CONTROL, _PERTURBED = (3, 5), 4
"""Types of data (table 1.4): control, control and perturbed; perturbed forecasts."""
_PRESENT_TIMES = (0, 1, 10)
"""Time range indicators of edition 1 (table 5) that differ in how the time is written alone."""


class Identity(NamedTuple):
    """What a field is, and who made it.

    Parameters
    ----------
    aspects : tuple of Aspect
        Fields that differ in one of them never share a variable.
    rest : tuple of Aspect
        Fields that differ in these alone share one unless they lie at one place.
    """

    aspects: tuple[Aspect, ...]
    rest: tuple[Aspect, ...]

    @property
    def key(self) -> tuple[tuple[str, bytes], ...]:
        """Equal for fields that may share a variable."""
        return tuple((aspect.name, aspect.value) for aspect in self.aspects)

    @property
    def label(self) -> str:
        """What names always tell."""
        return label_of([aspect for aspect in self.aspects if aspect.always])


def identity_of(kind: ProductTemplate, row: bytes, local: bytes, names: Names) -> Identity:
    """Return the identity of the fields of a template.

    Parameters
    ----------
    row : bytes
        Section 1 and, in edition 2, section 4 from its tenth octet on; what places a field may
        be blanked.
    local : bytes
        Section 2 of edition 2.
    """
    found = _edition1(row, names) if kind.edition == 1 else _edition2(kind, row, local, names)
    aspects = list(found)
    return Identity(
        tuple(aspect for aspect, apart in aspects if apart),
        tuple(aspect for aspect, apart in aspects if not apart),
    )


def label_of(aspects: Sequence[Aspect]) -> str:
    """Return how names of variables tell these aspects."""
    return "_".join(filter(None, (aspect.label for aspect in aspects)))


def differences(found: Sequence[Sequence[Aspect]]) -> list[list[Aspect]]:
    """Return of each product the aspects in which it differs from others, its labels unique."""
    by_name = [{aspect.name: aspect for aspect in aspects} for aspects in found]
    told: list[list[Aspect]] = [[] for _ in found]
    for name in sorted({name for aspects in by_name for name in aspects}):
        mine = [aspects.get(name, Aspect(name, b"", "")) for aspects in by_name]
        if len({aspect.value for aspect in mine}) > 1 and not all(a.always for a in mine):
            for aspects, aspect in zip(told, mine, strict=True):
                aspects.append(aspect)
    labels = [label_of(aspects) for aspects in told]
    if len(set(labels)) < len(labels):
        for aspects, all_of in zip(told, found, strict=True):
            value = b"".join(aspect.value for aspect in all_of)
            aspects.append(Aspect("octets", value, hashed("octets", value)))
    return told


def _edition1(row: bytes, names: Names) -> Iterator[Found]:
    yield Aspect("parameter", bytes((row[3], row[8])), f"t{row[3]}p{row[8]}"), True
    yield _centre(row[4:5], row[25:26], names)
    yield numbered("subcentre", row[25:26], GRIB_subCentre=row[25])
    yield numbered("process", row[5:6], GRIB_generatingProcessIdentifier=row[5])
    yield numbered("level", row[9:10])
    range_kind = row[20] if row[20] not in _PRESENT_TIMES else 0
    yield numbered("range", bytes((range_kind,)))
    yield secondary("count", row[21:23])
    yield from local_aspects(row[4], row[40:], 1)


def _centre(value: bytes, _sub: bytes, names: Names) -> Found:
    told = names.origin.get("GRIB_centre")
    label = told if isinstance(told, str) else f"centre{int.from_bytes(value, 'big')}"
    return Aspect("centre", value, label, {"GRIB_centre": told or label}), True


def _edition2(
    kind: ProductTemplate, row: bytes, local: bytes, names: Names
) -> Iterator[Found]:  # fmt: skip
    what = section4(kind, row)
    octets = template_octets(what)
    member = octets is not None and bool(octets.member)
    yield from _identification(kind, row, names, member=member)
    yield numbered("template", what[7:9])
    parameter = bytes((kind.discipline,)) + what[9:11]
    yield Aspect("parameter", parameter, "d{}c{}n{}".format(*parameter.ljust(3, b"\xff"))), True
    yield from local_aspects(int.from_bytes(row[5:7], "big"), local, 2, member=member)
    if octets is None:
        # Which of its octets place a field cannot be told.
        yield secondary("octets", what[11:])
        return
    for name, (octet, size) in octets.components.items():
        yield from READERS[name](what[octet - 1 : octet - 1 + size])
    if octets.surfaces:
        first, second = what[octets.surfaces - 1], what[octets.surfaces + 5]
        yield Aspect("surfaces", bytes((first, second)), f"level{first}_{second}"), True


def _identification(
    kind: ProductTemplate, row: bytes, names: Names, *, member: bool
) -> Iterator[Found]:
    if kind.identification < 21:
        yield secondary("identification", row[: kind.identification])
        return
    yield _centre(row[5:7], row[7:9], names)
    sub = int.from_bytes(row[7:9], "big")
    yield numbered("subcentre", row[7:9], GRIB_subCentre=sub)
    yield secondary("tables", row[9:11])
    # Analysis and start of forecast are one: the time that a forecast counts from.
    significance = row[11] if row[11] > 1 else 0
    label = _SIGNIFICANCE.get(significance, f"reference{significance}")
    told = {"GRIB_significanceOfReferenceTime": significance} if significance else {}
    value = bytes((significance,))
    # Whole archives of radars and satellites are of times of observation.
    yield Aspect("significance", value, label, told, always=significance == _VERIFYING), True
    yield numbered("status", row[19:20], GRIB_productionStatusOfProcessedData=row[19])
    data = _PERTURBED if member and row[20] in _CONTROL else row[20]
    label = str(names.attributes.get("GRIB_dataType", f"data{data}"))
    yield Aspect("data", bytes((data,)), label, {"GRIB_typeOfData": data}), True
    yield secondary("identification", row[21 : kind.identification])

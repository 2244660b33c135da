"""What local sections say of who made a field: section 2 of edition 2, octets from 41 of edition 1.

Known are the sections that ECMWF labels for its archive (MARS), which others use as well, and
those of DWD and the COSMO consortium, which hold the time at which they were written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.grib.aspects import Aspect, hashed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["local_aspects", "without_clock", "without_noise"]

_ECMWF = 98
_COSMO = frozenset({78, 80, 215, 250})
"""Centres whose local definitions 253 and 254 hold a clock: DWD, Rome, Zurich, COSMO."""
_CLOCK = slice(8, 15)
"""Octets 9 to 15 of section 2: when it was written."""
_MANY, _FEW = 64, 8
"""Local sections that fields of one kind may have, and values of an octet that tells them apart."""
_CONTROL, _PERTURBED = 10, 11
"""Types of MARS: control and perturbed forecasts, which differ as members do."""
_ITERATED = (20, 38, 39)
"""Local definitions that begin with the number of an iteration."""
_STREAMS = {1025: "oper", 1035: "enfo", 1045: "wave", 1081: "waef", 1026: "scda", 1027: "scwv"}


def without_clock(centre: int, local: bytes) -> bytes:
    """Return a section 2 without the time at which it was written.

    Parameters
    ----------
    local : bytes
        Section 2.
    """
    if centre not in _COSMO or len(local) < 15 or local[5:7] not in (b"\0\xfd", b"\0\xfe"):
        return local
    return local[: _CLOCK.start] + bytes(7) + local[_CLOCK.stop :]


def without_noise(sections: Sequence[bytes]) -> list[bytes]:
    """Return sections 2 without the octets that nearly every message has of its own.

    Parameters
    ----------
    sections : sequence of bytes
        Distinct sections of fields that are alike in everything else.

    Returns
    -------
    list of bytes
        The same ones where there are no more than a product or a season can have.
    """
    if len(sections) <= _MANY:
        return list(sections)
    blanked: dict[bytes, bytes] = {}
    for length in {len(section) for section in sections}:
        those = [section for section in sections if len(section) == length]
        octets = np.frombuffer(b"".join(those), np.uint8).reshape(-1, length)
        ordered = np.sort(octets, axis=0)
        values = 1 + (ordered[1:] != ordered[:-1]).sum(axis=0)
        bare = np.where(values > _FEW, 0, octets).astype(np.uint8)
        blanked |= dict(zip(those, map(bytes, bare), strict=True))
    return [blanked[section] for section in sections]


def local_aspects(
    centre: int, local: bytes, edition: int, *, member: bool = True
) -> Iterator[tuple[Aspect, bool]]:
    """Yield what a local section says, and whether fields that differ in it are kept apart.

    Parameters
    ----------
    local : bytes
        Section 2 of edition 2; octets from 41 of section 1 of edition 1.
    edition : {1, 2}
        Which.
    member : bool
        Whether the field is one of an ensemble.
    """
    labels = 1 if edition == 1 else 7
    if centre != _ECMWF or len(local) < labels + 9 + (edition == 2):
        if local:
            # In edition 1 members, and what else places a field, stand here.
            yield Aspect("local", local, hashed("local", local)), edition == 2
        return
    number = local[:1] if edition == 1 else local[5:7]
    yield Aspect("definition", number, f"local{int.from_bytes(number, 'big')}"), True
    wide = edition == 2
    at, width = labels, 1 + wide
    of_class, kind = local[at : at + width], local[at + width : at + 2 * width]
    stream = local[at + 2 * width : at + 2 * width + 2]
    version = local[at + 2 * width + 2 : at + 2 * width + 6]
    value = int.from_bytes(kind, "big")
    if member and value == _CONTROL:
        kind = _PERTURBED.to_bytes(width, "big")
    yield Aspect("class", of_class, f"class{int.from_bytes(of_class, 'big')}"), True
    yield Aspect("type", kind, f"type{int.from_bytes(kind, 'big')}"), True
    code = int.from_bytes(stream, "big")
    yield Aspect("stream", stream, _STREAMS.get(code, f"stream{code}")), True
    text = "".join(map(chr, version)) if version.isalnum() else version.hex()
    yield Aspect("version", version, f"expver{text}", {"GRIB_experimentVersionNumber": text}), True
    rest = local[at + 2 * width + 6 :]
    if edition == 1:
        yield Aspect("local", rest, hashed("local", rest)), False
        return
    if int.from_bytes(number, "big") in _ITERATED:
        rest = rest[1:]
    if rest:
        yield Aspect("local", rest, hashed("local", rest)), True

"""Directions and frequencies of wave spectra, whose fields bear the numbers of one of each.

Implements product definition templates 4.99 and 4.100 of edition 2, and ECMWF's local definition
13 of edition 1 (octets 54 to 63, and the lists from octet 101 on).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.grib.templates import template_octets
from refmaker.scanners.grib.times import big_endian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.grib.names import Sections

__all__ = ["spectrum"]

_ECMWF, _SPECTRA = 98, 13
_LISTS = 100
"""Bytes of section 1 before the lists (edition 1)."""


def spectrum(sections: Sections) -> dict[str, NDArray[np.float64]]:
    """Return the directions in degrees and the frequencies in hertz that a field's numbers count.

    Returns
    -------
    dict
        ``direction`` and ``frequency``, those of them that the sections hold: numbers in them
        count from 1.
    """
    found = _edition1(sections) if sections.edition == 1 else _edition2(sections)
    return {name: values for name, values in found.items() if len(values)}


def _edition1(sections: Sections) -> dict[str, NDArray[np.float64]]:
    product = sections.product
    if len(product) <= _LISTS or product[4] != _ECMWF or product[40] != _SPECTRA:
        return {}
    found, at = {}, _LISTS
    for name, count, scale in (("direction", product[53], 55), ("frequency", product[54], 59)):
        factor = int.from_bytes(product[scale : scale + 4], "big")
        octets = product[at : at + 4 * count]
        at += 4 * count
        if factor and len(octets) == 4 * count:
            found[name] = np.frombuffer(octets, ">u4") / factor
    return found


def _edition2(sections: Sections) -> dict[str, NDArray[np.float64]]:
    what = sections.what
    octets = template_octets(what)
    if octets is None or "spectrum" not in octets.components:
        return {}
    wave, at = octets.components["wave"][0], octets.components["spectrum"][0] - 1
    found = {}
    for name, octet in (("direction", wave + 2), ("frequency", wave + 6)):
        count = int.from_bytes(what[octet - 1 : octet + 1], "big")
        factor = what[at]
        values = np.frombuffer(what, np.uint8, 4 * count, at + 1).reshape(-1, 4)
        at += 1 + 4 * count
        if factor == 255 or bool((values == 255).all(axis=1).any()):
            continue  # missing, as in all of GRIB
        power = 10.0 ** (factor & 127)
        scaled = big_endian(values, signed=True).astype(np.float64)
        found[name] = scaled * power if factor & 128 else scaled / power
    return found

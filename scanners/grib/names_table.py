"""What fields of edition 2 are called, told from the table of definitions as ecCodes would.

Only what the rules of `refmaker.scanners.grib.concepts` cover is answered: known templates, a
single time range, no local section but those of ECMWF's operations and of DWD.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from refmaker.scanners.grib.concepts import (
    Concepts,
    UnsureError,
    entry_of,
)
from refmaker.scanners.grib.names import Names, named, numeric
from refmaker.scanners.grib.names_table1 import names1
from refmaker.scanners.grib.templates import TIMELESS, template_octets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.grib.names import Sections
    from refmaker.scanners.grib.templates import TemplateOctets

__all__ = ["table_names"]

_STEP_TYPES = {0: "avg", 1: "accum", 2: "max", 3: "min", 4: "diff", 5: "rms", 6: "sd", 7: "cov"}
_STATUS = frozenset({0, 1, 2, 3, 255})
"""Production status (table 1.3) of data that belong to no project with names of its own."""
_ECMWF, _DWD = 98, 78
_OPERATIONS = (1, 2)
"""Classes of MARS that have no names of their own: operations and research."""
_OLDER = 33
"""Version of WMO's tables up to which ECMWF names parameters as before."""
_LOCAL = {_DWD: (253, 254), 215: (253, 254), 250: (253, 254)}
_UNSUPPORTED = frozenset({"NV", "stepType"})
_FEW_UNITS = frozenset({0, 1, 2, 3, 4, 10, 11, 12, 13})
_GENERALISED = 150
_POTENTIAL_VORTICITY, _ISOBARIC = 109, 100
_BY_BOTTOM = (114, 151, 152, 168)
"""Types of surfaces whose layers ecCodes calls by the second one."""
_NOT_HERE = frozenset({
    "spectrum", "wave", "categories", "partition", "cluster", "rectangle", "circle",
    "radionuclide", "quality", "bands30", "observation",
})  # fmt: skip
"""Components of templates about which the library is asked."""


def table_names(sections: Sections) -> Names | None:
    """Return what ecCodes calls fields of a template; None where the table does not say."""
    if "ECCODES_DEFINITION_PATH" in os.environ or "GRIB_DEFINITION_PATH" in os.environ:
        return None
    try:
        return names1(sections) if sections.edition == 1 else _names2(sections)
    except UnsureError:
        return None


def _names2(sections: Sections) -> Names | None:
    product, what = sections.product, sections.what
    octets = template_octets(what)
    number = int.from_bytes(what[7:9], "big")
    if octets is None or len(product) != 21 or octets.ranges > 1 or number in TIMELESS:
        return None
    if _NOT_HERE & set(octets.components):
        return None
    centre = int.from_bytes(product[5:7], "big")
    code = entry_of("centres", str(centre))
    suffix = _suffix(centre, product, sections.local)
    unit = what[octets.unit - 1] if octets.unit else 1
    if code is None or suffix is None or unit not in _FEW_UNITS:
        return None
    step_type = "instant"
    if octets.interval:
        step_type = _STEP_TYPES.get(what[octets.interval + 11], "")
    keys = _keys(sections, octets)
    if not step_type or keys is None:
        return None
    concepts = Concepts(2, code[0], keys, _UNSUPPORTED, suffix)
    parameter = ".".join(map(str, (sections.discipline, what[9], what[10])))
    found = concepts.names(parameter)
    level, bottom = _levels(what, octets)
    found |= {
        "typeOfLevel": concepts.level("typeOfLevelConcept") if octets.surfaces else None,
        "stepType": step_type, "dataType": _data_type(product, sections.local),
    }  # fmt: skip
    origin = {"GRIB_edition": 2, "GRIB_centre": code[0], "GRIB_centreDescription": code[1]}
    sub = int.from_bytes(product[7:9], "big")
    origin["GRIB_subCentre"] = sub
    return named(found, numeric(sections), (level, bottom), origin)


def _suffix(centre: int, product: bytes, local: bytes) -> str | None:
    """Return which lists of names hold; None where that is the library's to say."""
    if product[19] not in _STATUS:
        return None
    if centre == _ECMWF:
        if local and (
            len(local) != 17 or local[5:7] != b"\0\1"
            or int.from_bytes(local[7:9], "big") not in _OPERATIONS
        ):  # fmt: skip
            return None
        return ".lte33" if product[9] <= _OLDER else None
    if local and int.from_bytes(local[5:7], "big") not in _LOCAL.get(centre, ()):
        return None
    # Whose sub-centre is ECMWF follow its rules.
    return None if int.from_bytes(product[7:9], "big") == _ECMWF else ""


def _data_type(product: bytes, local: bytes) -> str | None:
    if local[5:7] == b"\0\1" and len(local) == 17:
        known = entry_of("marsTypes", str(int.from_bytes(local[9:11], "big")))
    else:
        known = entry_of("dataTypes", str(product[20]))
    if known is None:
        raise UnsureError
    return None if product[20] == 255 and not local else str(known[0])


def _scaled(octets: bytes) -> tuple[int | None, int | None]:
    """Return a scale factor and a value; None where one is missing."""
    factor: int | None = octets[0] & 127 if not octets[0] & 128 else -(octets[0] & 127)
    value: int | None = int.from_bytes(octets[1:5], "big")
    return (
        None if octets[0] == 255 else factor,
        None if octets[1:5] == b"\xff\xff\xff\xff" else value,
    )


def _keys(sections: Sections, octets: TemplateOctets) -> Mapping[str, Any] | None:
    """Return what conditions can ask about; None for what is left to the library."""
    what = sections.what
    keys: dict[str, Any] = {
        "localTablesVersion": sections.product[10], "dummyc": 0, "genVertHeightCoords": 0,
    }  # fmt: skip
    number = int.from_bytes(what[7:9], "big")
    for name, (octet, size) in octets.components.items():
        data = what[octet - 1 : octet - 1 + size]
        if name == "surfaces":
            if _GENERALISED in (data[0], data[6]):
                return None
            keys |= _surface_keys(data)
        elif name == "statistical":
            keys |= {
                "typeOfStatisticalProcessing": data[12],
                "indicatorOfUnitForTimeRange": data[14],
                "lengthOfTimeRange": int.from_bytes(data[15:19], "big"),
            }
        elif name in _READ:
            keys |= _READ[name](data)
        elif name == "bands":
            if data[0] != 1:
                return None
            keys |= _band_keys(data[1:])
    keys |= {
        key: int(number in numbers) for key, numbers in _SUBSTANCES.items() if number in numbers
    }
    grid = sections.grid
    if len(grid) > 14:
        keys["gridDefinitionTemplateNumber"] = int.from_bytes(grid[12:14], "big")
        if keys["gridDefinitionTemplateNumber"] == 101 and len(grid) > 18:
            keys["numberOfGridInReference"] = grid[18]
    return keys


_SUBSTANCES = {
    "is_chemical": (40, 41, 42, 43), "is_chemical_distfn": (57, 58, 67, 68),
    "is_chemical_srcsink": (76, 77, 78, 79), "is_aerosol": (44, 45, 46, 47, 50, 85),
    "is_aerosol_optical": (48, 49),
}  # fmt: skip


def _surface_keys(data: bytes) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "typeOfFirstFixedSurface": data[0], "typeOfSecondFixedSurface": data[6],
    }  # fmt: skip
    for name, at in (("First", 1), ("Second", 7)):
        factor, value = _scaled(data[at : at + 5])
        keys[f"scaleFactorOf{name}FixedSurface"] = factor
        keys[f"scaledValueOf{name}FixedSurface"] = value
    if data[0] == _ISOBARIC:
        level = _level(data[:6])
        keys["pressureUnits"] = "Pa" if _in_pascal(data[:6]) and level is not None else "hPa"
    return keys


def _pair(first: str, second: str, data: bytes, prefix: str) -> dict[str, Any]:
    keys = {}
    for name, at in ((first, 0), (second, 5)):
        factor, value = _scaled(data[at : at + 5])
        keys[f"scaleFactorOf{name}{prefix}"], keys[f"scaledValueOf{name}{prefix}"] = factor, value
    return keys


def _band_keys(data: bytes) -> dict[str, Any]:
    factor, value = _scaled(data[6:11])
    numbers = [int.from_bytes(data[at : at + 2], "big") for at in (0, 2, 4)]
    names = ("satelliteSeries", "satelliteNumber", "instrumentType")
    return {
        **dict(zip(names, numbers, strict=True)), "scaleFactorOfCentralWaveNumber": factor,
        "scaledValueOfCentralWaveNumber": value,
    }  # fmt: skip


_READ: Mapping[str, Any] = {
    "process": lambda data: {"typeOfGeneratingProcess": data[0]},
    "constituent": lambda data: {"constituentType": int.from_bytes(data, "big")},
    "aerosol": lambda data: dict.fromkeys(
        ("aerosolType", "constituentType"), int.from_bytes(data, "big")
    ),
    "source": lambda data: {"sourceSinkChemicalPhysicalProcess": data[0]},
    "size": lambda data: {
        "typeOfSizeInterval": data[0], **_pair("First", "Second", data[1:], "Size"),
    },
    "wavelength": lambda data: {
        "typeOfWavelengthInterval": data[0], **_pair("First", "Second", data[1:], "Wavelength"),
    },
    "period": lambda data: {
        "typeOfWavePeriodInterval": data[0],
        **_pair("Lower", "Upper", data[1:], "WavePeriodLimit"),
    },
    "probability": lambda data: {
        "probabilityType": data[2], **_pair("Lower", "Upper", data[3:], "Limit"),
    },
    "distribution": lambda data: {
        "typeOfDistributionFunction": int.from_bytes(data[4:6], "big"),
        "modeNumber": int.from_bytes(data[2:4], "big"),
    },
    "reference": lambda data: {
        "typeOfRelationToReferenceDataset": data[1],
        "numberOfAdditionalParametersForReferencePeriod": data[2],
    },
}  # fmt: skip
"""By component: the keys that its octets are."""


def _levels(what: bytes, octets: TemplateOctets) -> tuple[float | None, float | None]:
    """Return the level, and the second level of a layer, in ecCodes' units."""
    if not octets.surfaces:
        return None, None
    data = what[octets.surfaces - 1 : octets.surfaces + 11]
    top = _level(data[:6])
    if data[6] == 255:
        return top, None
    # Below one hectopascal both ends are in pascals.
    pascal = data[0] == _ISOBARIC and _in_pascal(data[:6])
    bottom = _plain(data[6:]) if pascal else _level(data[6:])
    level = bottom if data[0] == data[6] and data[0] in _BY_BOTTOM else top
    return level, None if bottom == top else bottom


def _in_pascal(surface: bytes) -> bool:
    factor, value = _scaled(surface[1:])
    if value is None or (value == 0 and factor):
        return False  # so ecCodes takes a pressure of 0 that is scaled
    return int(_plain(surface) / 100.0) == 0


def _plain(surface: bytes) -> float:
    factor, value = _scaled(surface[1:])
    found = float(value or 0)
    factor = 0 if factor is None else factor
    if surface[0] == _POTENTIAL_VORTICITY:
        factor -= 9
    while factor < 0 and found:
        found, factor = found * 10.0, factor + 1
    while factor > 0 and found:
        found, factor = found / 10.0, factor - 1
    return found


def _level(surface: bytes) -> float:
    """Return the level of a surface as ecCodes counts it: step by step, hectopascals whole."""
    found = _plain(surface)
    if surface[0] == _ISOBARIC and not _in_pascal(surface):
        return float(int(found / 100.0))
    return found

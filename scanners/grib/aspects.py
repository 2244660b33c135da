"""Things in which products can differ, and the readers of the octets that tell them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["READERS", "Aspect", "Found", "hashed", "numbered", "secondary"]

_STATISTICS = {0: "mean", 1: "sum", 2: "max", 3: "min", 255: "nearest"}
_KINDS = {0: "hires", 1: "lowres", 4: "multimodel"}
_UNITS = {0: "min", 1: "h", 2: "d", 3: "mon", 4: "y", 13: "s"}
_HASHED = (
    "categories",
    "partition",
    "distribution",
    "radionuclide",
    "spectrum",
    "reference",
    "size",
)
"""Components that keep fields apart, and have no short label."""


class Aspect(NamedTuple):
    """One thing in which products can differ.

    Parameters
    ----------
    name : str
        What it is.
    value : bytes
        Its octets.
    label : str
        How names of variables tell it.
    attributes : mapping
        How their attributes do.
    always : bool
        Whether names always tell it.
    """

    name: str
    value: bytes
    label: str
    attributes: Mapping[str, Any] = {}
    always: bool = False


Found = tuple[Aspect, bool]
"""An aspect, and whether fields that differ in it are kept apart in any case."""


def hashed(name: str, value: bytes) -> str:
    """Return a label of octets that have no short one: equal for equal octets."""
    return f"{name}{zlib.crc32(value):08x}" if any(value) else f"{name}0"


def numbered(name: str, value: bytes, **attributes: Any) -> Found:
    """Return an aspect whose label is its number, and that keeps fields apart."""
    return Aspect(name, value, f"{name}{int.from_bytes(value, 'big')}", attributes), True


def secondary(name: str, value: bytes) -> Found:
    """Return an aspect that is told where two fields would lie at one place otherwise."""
    return Aspect(name, value, hashed(name, value)), False


def _number(data: bytes) -> float | None:
    """Return the number of a scale factor and a value; None where it is missing."""
    if data[0] == 255 or data[1:5] == b"\xff\xff\xff\xff":
        return None
    factor = data[0] & 127 if not data[0] & 128 else -(data[0] & 127)
    value = int.from_bytes(data[1:5], "big")
    return value / 10.0**factor if factor >= 0 else float(value * 10**-factor)


def _words(value: float | None) -> str:
    """Return a number that can stand in a name."""
    return "any" if value is None else f"{value:.6g}".replace(".", "p").replace("+", "")


def _process(data: bytes) -> Iterator[Found]:
    yield numbered("generation", data[:1], GRIB_typeOfGeneratingProcess=data[0])
    yield numbered("background", data[1:2], GRIB_backgroundProcess=data[1])
    yield numbered("process", data[2:3], GRIB_generatingProcessIdentifier=data[2])


def _time(data: bytes) -> Iterator[Found]:
    hours, minutes = int.from_bytes(data[:2], "big"), data[2]
    yield Aspect("cutoff", data[:3], f"cutoff{hours}h{minutes}min"), True


def _member(data: bytes) -> Iterator[Found]:
    label = _KINDS.get(data[0], f"kind{data[0]}")
    yield Aspect("kind", data[:1], label, {"GRIB_typeOfEnsembleForecast": data[0]}), False
    total = data[1 + (len(data) - 1) // 2 :]
    yield Aspect("ensemble", total, f"of{int.from_bytes(total, 'big')}"), False


def _derived(data: bytes) -> Iterator[Found]:
    yield numbered("derived", data[:1])
    yield Aspect("ensemble", data[1:], f"of{int.from_bytes(data[1:], 'big')}"), False


def _quantile(data: bytes) -> Iterator[Found]:
    total, value = (int.from_bytes(data[at : at + 2], "big") for at in (0, 2))
    told = {"GRIB_quantileValue": value, "GRIB_totalNumberOfQuantiles": total}
    yield Aspect("quantile", data, f"quantile{value}of{total}", told, always=True), True


def _probability(data: bytes) -> Iterator[Found]:
    yield numbered("probability", data[2:3])
    yield secondary("number", data[:2])


def _constituent(data: bytes) -> Iterator[Found]:
    kind = int.from_bytes(data, "big")
    yield Aspect("constituent", data, f"chem{kind}", {"GRIB_constituentType": kind}), True


def _aerosol(data: bytes) -> Iterator[Found]:
    kind = int.from_bytes(data, "big")
    yield Aspect("aerosol", data, f"aerosol{kind}", {"GRIB_aerosolType": kind}), True


def _wavelength(data: bytes) -> Iterator[Found]:
    ends = [_number(data[1:6]), _number(data[6:11])]
    told = [end for end in ends if end is not None]
    labels = [f"{_words(round(end * 1e9, 6))}nm" for end in told] or ["anywavelength"]
    attributes = {"GRIB_wavelength": told[0] if len(told) == 1 else told} if told else {}
    yield Aspect("wavelength", data, "_".join(labels), attributes, always=True), True


def _tile(data: bytes) -> Iterator[Found]:
    told = {"GRIB_tileIndex": data[3], "GRIB_attributeOfTile": data[5]}
    yield Aspect("tile", data[3:4] + data[5:6], f"tile{data[3]}_{data[5]}", told, always=True), True
    others = data[:3] + data[4:5]
    yield Aspect("tiles", others, hashed("tiles", others)), True


def _version(data: bytes) -> Iterator[Found]:
    year = int.from_bytes(data[:2], "big")
    label = f"version{year:04}{data[2]:02}{data[3]:02}"
    label += "".join(f"{part:02}" for part in data[4:]) if any(data[4:]) else ""
    yield Aspect("version", data, label, {"GRIB_modelVersionDate": label[7:]}), True


def _wave(data: bytes) -> Iterator[Found]:
    yield secondary("spectrum_size", data[2:4] + data[6:8])


def _period(data: bytes) -> Iterator[Found]:
    ends = _number(data[1:6]), _number(data[6:11])
    label = "period_{}_{}".format(*map(_words, ends))
    told = {"GRIB_wavePeriodRange": [end for end in ends if end is not None]}
    yield Aspect("period", data, label, told, always=True), True


def _cluster(data: bytes) -> Iterator[Found]:
    told = {"GRIB_clusterIdentifier": data[0]}
    yield Aspect("cluster", data[:1], f"cluster{data[0]}", told, always=True), True
    yield secondary("domain", data[1:])


def _bands(width: int) -> Any:
    """Return what reads spectral bands whose kind of instrument takes so many octets."""

    def read(data: bytes) -> Iterator[Found]:
        labels, numbers = [], []
        size = 9 + width
        for at in range(1, len(data), size):
            band = data[at : at + size]
            number = _number(band[4 + width :])
            instrument = int.from_bytes(band[4 : 4 + width], "big")
            satellite = int.from_bytes(band[2:4], "big")
            labels.append(f"sat{satellite}_{instrument}_{_words(number)}")
            numbers.append(number)
        told = {"GRIB_centralWaveNumber": numbers[0] if len(numbers) == 1 else numbers}
        yield Aspect("bands", data, "_".join(labels) or "noband", told, always=True), True

    return read


def _hashed(name: str) -> Any:
    """Return what reads a component that has no short label."""
    return lambda data: iter([(Aspect(name, data, hashed(name, data)), True)])


def _spatial(data: bytes) -> Iterator[Found]:
    label = f"spatial_{_STATISTICS.get(data[0], f'statistic{data[0]}')}"
    label += f"_{data[1]}" if data[1] else ""
    label += f"_{data[2]}points" if data[2] else ""
    told = {"GRIB_spatialProcessing": data[1], "GRIB_numberOfPointsUsed": data[2]}
    yield Aspect("spatial", data, label, told, always=True), True


def _statistical(data: bytes) -> Iterator[Found]:
    """Read what is done over time; how long it takes places a field."""
    ranges = [data[at : at + 12] for at in range(12, len(data), 12)]
    kinds = bytes(octet for each in ranges for octet in each[:2])
    yield Aspect("statistic", kinds, hashed("statistic", kinds)), True
    yield secondary("increment", b"".join(each[7:12] for each in ranges))
    if len(ranges) > 1:
        lengths = [(each[2], int.from_bytes(each[3:7], "big")) for each in ranges]
        label = "_".join(f"{length}{_UNITS.get(unit, f'u{unit}')}" for unit, length in lengths)
        yield Aspect("lengths", b"".join(each[2:7] for each in ranges), label), False


READERS: Mapping[str, Any] = {
    "process": _process, "time": _time, "short_time": _time, "member": _member,
    "large_member": _member, "derived": _derived, "large_derived": _derived,
    "quantile": _quantile, "probability": _probability, "constituent": _constituent,
    "aerosol": _aerosol, "wavelength": _wavelength, "tile": _tile, "version": _version,
    "wave": _wave, "period": _period, "rectangle": _cluster, "circle": _cluster,
    "bands": _bands(2), "bands30": _bands(1), "spatial": _spatial, "statistical": _statistical,
    "source": lambda data: iter([numbered("source", data)]),
    "input": lambda data: iter([numbered("input", data)]),
    "observation": lambda data: iter([numbered("observation", data)]),
    "quality": lambda data: iter([numbered("quality", data)]),
    "surfaces": lambda _data: iter(()),
    "cluster": lambda data: iter([secondary("members", data)]),
    "parameter": lambda _data: iter(()),
    "percentile": lambda _data: iter(()),
    **{name: _hashed(name) for name in _HASHED},
}  # fmt: skip
"""By name of a component: what reads its octets."""

"""Archives of forecasts: one file for each run and hour, with the fields of a global model."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import eccodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["write_archive"]

LEVELS = (
    1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550,
    600, 650, 700, 750, 800, 850, 900, 925, 950, 975, 1000,
)  # fmt: skip
ON_LEVELS = ((3, 5), (0, 0), (1, 1), (1, 0), (2, 8), (2, 2), (2, 3), (2, 10))
SINGLE = (
    (3, 1, 101, None), (0, 0, 103, 2), (1, 0, 103, 2), (0, 6, 103, 2), (1, 1, 103, 2),
    (2, 2, 103, 10), (2, 3, 103, 10), (2, 2, 103, 100), (3, 0, 1, None), (3, 5, 1, None),
    (0, 0, 1, None),
)  # fmt: skip
INTERVALS = (
    (0, 4, 103, 2, 2), (0, 5, 103, 2, 3), (4, 192, 1, None, 0), (1, 8, 1, None, 1),
    (1, 10, 1, None, 1),
)  # fmt: skip
GRID = {
    "Ni": 8, "Nj": 6, "latitudeOfFirstGridPointInDegrees": 60,
    "longitudeOfFirstGridPointInDegrees": 0, "latitudeOfLastGridPointInDegrees": 10,
    "longitudeOfLastGridPointInDegrees": 70, "iDirectionIncrementInDegrees": 10,
    "jDirectionIncrementInDegrees": 10,
}  # fmt: skip


class Parameter(NamedTuple):
    category: int
    number: int
    surface: int
    level: int | None
    statistic: int | None = None


@cache
def template(parameter: Parameter, analysis: bool) -> tuple[bytes, int, int, int]:
    """Return a message, and where its sections 1, 4 and 5 begin."""
    handle = eccodes.codes_grib_new_from_samples("GRIB2")
    process = 81 if analysis else 96
    keys = {
        "centre": 7, "tablesVersion": 2, "typeOfProcessedData": 1,
        "productDefinitionTemplateNumber": 0 if parameter.statistic is None else 8, **GRID,
        "generatingProcessIdentifier": process, "typeOfGeneratingProcess": 2,
        "parameterCategory": parameter.category, "parameterNumber": parameter.number,
        "typeOfFirstFixedSurface": parameter.surface,
    }  # fmt: skip
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    for key, value in (("scaleFactor", 0), ("scaledValue", parameter.level)):
        if parameter.level is None:
            eccodes.codes_set_missing(handle, f"{key}OfFirstFixedSurface")
        else:
            eccodes.codes_set(handle, f"{key}OfFirstFixedSurface", value)
    if parameter.statistic is not None:
        eccodes.codes_set(handle, "typeOfStatisticalProcessing", parameter.statistic)
        eccodes.codes_set(handle, "typeOfTimeIncrement", 2)
    eccodes.codes_set(handle, "bitsPerValue", 12)
    eccodes.codes_set_values(handle, [float(value) for value in range(48)])
    message = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    places, at = {}, 16
    while at < len(message) - 4:
        places[message[at + 4]] = at
        at += int.from_bytes(message[at : at + 4], "big")
    return message, places[1], places[4], places[5]


def fields(hour: int) -> Iterator[tuple[Parameter, int]]:
    """Yield the fields of a file, and the hour from which each holds."""
    for level in LEVELS:
        for category, number in ON_LEVELS:
            yield Parameter(category, number, 100, 100 * level), hour
    for category, number, surface, height in SINGLE:
        yield Parameter(category, number, surface, height), hour
    if hour:
        bucket = hour - (hour % 6 or 6)
        for category, number, surface, height, statistic in INTERVALS:
            parameter = Parameter(category, number, surface, height, statistic)
            for begin in (bucket, 0) if statistic == 1 else (bucket,):
                yield parameter, begin


def write_archive(folder: Path, runs: int, hours: range) -> list[Path]:
    """Write the files of six-hourly runs, unless they are there.

    Returns
    -------
    list of Path
        Files named as NCEP does, in the order of runs and hours.
    """
    paths = []
    for number in range(runs):
        run = datetime(2024, 1, 15, tzinfo=UTC) + timedelta(hours=6 * number)
        for step in hours:
            name = f"gfs.{run:%Y%m%d.t%Hz}.pgrb2.0p25.f{step:03}.grib2"
            paths.append(folder / name)
            if not paths[-1].exists():
                paths[-1].write_bytes(b"".join(messages(run, step)))
    return paths


def date(time: datetime) -> bytes:
    """Return the octets of a time, without seconds."""
    return time.year.to_bytes(2, "big") + bytes((time.month, time.day, time.hour, time.minute, 0))


def messages(run: datetime, step: int) -> Iterator[bytes]:
    """Yield the messages of a file; each has a reference value of its own."""
    until = run + timedelta(hours=step)
    for number, (parameter, begin) in enumerate(fields(step)):
        source, section1, section4, section5 = template(parameter, step == 0)
        message = bytearray(source)
        message[section1 + 12 : section1 + 19] = date(run)
        message[section4 + 18 : section4 + 22] = begin.to_bytes(4, "big")
        if parameter.statistic is not None:
            message[section4 + 34 : section4 + 41] = date(until)
            message[section4 + 49 : section4 + 53] = (step - begin).to_bytes(4, "big")
        value = float(until.timestamp() // 3600 % 8192) * 512 + number
        message[section5 + 11 : section5 + 15] = struct.pack(">f", value)
        yield bytes(message)

"""Three runs of a global forecast, a GRIB file for each hour ahead: ``python gfs.py FOLDER``."""

import sys
from pathlib import Path

import eccodes
import numpy as np

RUNS, STEPS = (0, 6, 12), (0, 3, 6, 9, 12)
SIZE = (37, 72)
"""Latitudes and longitudes, of five degrees."""
GRID = {
    "Ni": SIZE[1], "Nj": SIZE[0],
    "iDirectionIncrementInDegrees": 5, "jDirectionIncrementInDegrees": 5,
    "latitudeOfFirstGridPointInDegrees": 90, "latitudeOfLastGridPointInDegrees": -90,
    "longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 355,
    "jScansPositively": 0,
}  # fmt: skip
TWO_METRES = {
    "typeOfFirstFixedSurface": 103, "scaleFactorOfFirstFixedSurface": 0,
    "scaledValueOfFirstFixedSurface": 2,
}  # fmt: skip
SURFACE = {"typeOfFirstFixedSurface": 1}


def temperature(hour: int) -> np.ndarray:
    """Return kelvin at an hour of the day: the sun goes round."""
    lat, lon = np.radians(np.linspace(90, -90, SIZE[0]))[:, None], np.arange(0, 360, 5)
    noon = np.cos(np.radians(lon + 15 * (hour - 12)))
    return 250 + 48 * np.cos(lat) + 5 * noon * np.cos(lat) + 3 * np.sin(np.radians(3 * lon - hour))


def rain(first: int, last: int) -> np.ndarray:
    """Return millimetres that fell between two hours of the day: a band that moves east."""
    lat, lon = np.linspace(90, -90, SIZE[0])[:, None], np.arange(0, 360, 5)
    far = (lon - 3 * (first + last) / 2) % 360 - 180
    return (last - first) * np.exp(-((lat / 15) ** 2) - (far / 40) ** 2)


def message(values: np.ndarray, run: int, step: int | tuple[int, int], **keys: int) -> bytes:
    """Return a field at a step, or a sum over an interval."""
    made = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    try:
        keys = {"centre": 7, "dataDate": 20240115, "dataTime": 100 * run, **GRID, **keys}
        for key, value in keys.items():
            eccodes.codes_set(made, key, value)
        if isinstance(step, tuple):
            eccodes.codes_set(made, "productDefinitionTemplateNumber", 8)
            eccodes.codes_set(made, "stepType", "accum")
            eccodes.codes_set(made, "stepRange", f"{step[0]}-{step[1]}")
        else:
            eccodes.codes_set(made, "forecastTime", step)
        eccodes.codes_set_values(made, values.ravel())
        return eccodes.codes_get_message(made)
    finally:
        eccodes.codes_release(made)


def write(folder: Path) -> None:
    """Write the files as NCEP names them, below folder/gfs.20240115/."""
    for run in RUNS:
        home = folder / "gfs.20240115" / f"{run:02}" / "atmos"
        home.mkdir(parents=True, exist_ok=True)
        for step in STEPS:
            parts = [message(temperature(run + step), run, step, **TWO_METRES)]
            if step:
                # Since the start of the run, and since the last multiple of six hours.
                for begin in sorted({0, step - (step % 6 or 6)}):
                    total = rain(run + begin, run + step)
                    keys = {"parameterCategory": 1, "parameterNumber": 8, **SURFACE}
                    parts.append(message(total, run, (begin, step), **keys))
            path = home / f"gfs.t{run:02}z.pgrb2.0p25.f{step:03}"
            path.write_bytes(b"".join(parts))


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""A wind forecast, as GRIB 1: 27 steps of two components, missing outside of its area."""

from pathlib import Path

import eccodes
import numpy as np

HOURS = range(6, 168, 6)
LATITUDES, LONGITUDES = np.arange(60.0, 74), np.arange(180.0, 200.1, 1.25)
MISSING = 9999.0
PARAMETERS = {"u": 33, "v": 34}


def values(hour: int) -> dict[str, np.ndarray]:
    """Return both components in metres a second, of shape (latitude, longitude): a passing low."""
    lat, lon = LATITUDES[:, None], LONGITUDES
    # The low moves to the east and north; winds turn about it against the clock.
    east = (lon - 183 - 0.09 * hour) * np.cos(np.radians(lat))
    north = lat - 63 - 0.035 * hour
    distance = np.hypot(east, north)
    speed = 24 * (distance / 3) * np.exp(0.5 - (distance / 3) ** 2 / 2) + 0.02 * hour
    found = {
        "u": -speed * north / np.maximum(distance, 0.1),
        "v": speed * east / np.maximum(distance, 0.1),
    }
    outside = (lat - 66.5) ** 2 / 36 + (lon - 190) ** 2 / 81 > 1
    return {name: np.where(outside, MISSING, numbers) for name, numbers in found.items()}


def write(path: Path) -> None:
    """Write the file."""
    with open(path, "wb") as file:
        for hour in HOURS:
            for name, numbers in values(hour).items():
                message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
                for key, value in _keys(hour, name).items():
                    eccodes.codes_set(message, key, value)
                eccodes.codes_set_values(message, numbers.ravel())
                eccodes.codes_write(message, file)
                eccodes.codes_release(message)


def _keys(hour: int, name: str) -> dict[str, float]:
    grid = {
        "Ni": LONGITUDES.size, "Nj": LATITUDES.size, "jScansPositively": 1,
        "latitudeOfFirstGridPointInDegrees": LATITUDES[0],
        "latitudeOfLastGridPointInDegrees": LATITUDES[-1],
        "longitudeOfFirstGridPointInDegrees": LONGITUDES[0],
        "longitudeOfLastGridPointInDegrees": LONGITUDES[-1],
        "iDirectionIncrementInDegrees": 1.25, "jDirectionIncrementInDegrees": 1.0,
    }  # fmt: skip
    time = {"dataDate": 20260301, "dataTime": 0, "stepUnits": 1, "P1": hour}
    kind = {"centre": 7, "table2Version": 2, "indicatorOfParameter": PARAMETERS[name],
            "indicatorOfTypeOfLevel": 105, "level": 10}  # fmt: skip
    packing = {"bitmapPresent": 1, "missingValue": MISSING, "bitsPerValue": 12}
    return {**grid, **kind, **time, **packing}

"""A month of air temperature on a map, as netCDF4: packed into integers, with CF attributes."""

from pathlib import Path

import netCDF4
import numpy as np

STEPS, LATITUDES, LONGITUDES = 124, np.arange(75.0, 49.9, -2.5), np.arange(250.0, 300.1, 2.5)
"""Six-hourly for 31 days, over the north of America."""


def values() -> np.ndarray:
    """Return temperatures in kelvin, of shape (time, latitude, longitude)."""
    days = np.arange(STEPS)[:, None, None] / 4
    lat, lon = LATITUDES[:, None], LONGITUDES
    # Colder to the north and as autumn goes on; warm at noon; waves that travel eastward.
    zonal = 283 - 0.75 * (lat - 50) - 0.25 * days
    noon = 3 * np.cos(2 * np.pi * (days - 0.75 + (lon - 270) / 360)) * np.cos(np.radians(lat))
    waves = 5 * np.sin(np.radians(4 * lon - 60 * days))
    waves += 2 * np.sin(np.radians(7 * lon - 95 * days))
    weather = np.random.default_rng(1).normal(0, 0.7, (STEPS, lat.size, lon.size))
    return zonal + noon + waves * np.sin(np.radians(2 * (lat - 30))) + weather


def write(path: Path) -> None:
    """Write the file."""
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(
            {
                "Conventions": "CF-1.11",
                "title": "Air temperature of a month that never was",
                "source": "examples/make_data/air.py",
            }
        )
        axes = {
            "time": (np.arange(STEPS) * 6.0, "hours since 2014-10-01", "T"),
            "lat": (LATITUDES, "degrees_north", "Y"),
            "lon": (LONGITUDES, "degrees_east", "X"),
        }
        names = {"time": "time", "lat": "latitude", "lon": "longitude"}
        for name, (numbers, units, axis) in axes.items():
            file.createDimension(name, numbers.size)
            variable = file.createVariable(name, "f4", (name,))
            variable.setncatts({"standard_name": names[name], "units": units, "axis": axis})
            variable[:] = numbers
        air = file.createVariable("air", "i2", ("time", "lat", "lon"), contiguous=True)
        air.setncatts(
            {
                "standard_name": "air_temperature",
                "long_name": "Air temperature near the surface",
                "units": "K",
                "scale_factor": 0.01,
                "add_offset": 273.15,
            }
        )
        air[:] = values()  # packed by netCDF4, as scale and offset say

"""Three years of air temperature, a netCDF4 file for each month: ``python months.py FOLDER``."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

LATITUDES, LONGITUDES = np.arange(75.0, 24.9, -2.5), np.arange(230.0, 300.1, 2.5)
YEARS = range(2012, 2015)


def month(start: pd.Timestamp) -> xr.Dataset:
    """Return the days of a month; the July of the last year is too warm in the west."""
    time = pd.date_range(start, start + pd.offsets.MonthEnd(), freq="D")
    season = -np.cos(2 * np.pi * (time.day_of_year.to_numpy()[:, None, None] - 15) / 365.25)
    lat, lon = LATITUDES[:, None], LONGITUDES
    air = 296 - 0.6 * (lat - 25) + 0.28 * (lat - 15) * season
    waves = np.radians(4 * lon - 50 * np.arange(time.size)[:, None, None])
    air = air + 3 * np.sin(waves) * np.sin(np.radians(2 * (lat - 20)))
    if (start.year, start.month) == (2014, 7):
        air += 4 * np.exp(-(((lat - 50) / 12) ** 2) - ((lon - 250) / 15) ** 2)
        air -= 2 * np.exp(-(((lat - 40) / 10) ** 2) - ((lon - 285) / 12) ** 2)
    air += np.random.default_rng(start.year * 12 + start.month).normal(0, 0.5, air.shape)
    told = {"standard_name": "air_temperature", "long_name": "Air temperature", "units": "K"}
    return xr.Dataset(
        {"air": (("time", "lat", "lon"), air, told)},
        {
            "time": ("time", time, {"standard_name": "time"}),
            "lat": ("lat", LATITUDES, {"standard_name": "latitude", "units": "degrees_north"}),
            "lon": ("lon", LONGITUDES, {"standard_name": "longitude", "units": "degrees_east"}),
        },
        {"Conventions": "CF-1.11", "source": "examples/make_data/months.py"},
    )


def write(folder: Path) -> list[Path]:
    """Write the files, air_2012-01.nc to air_2014-12.nc, with a chunk for each day."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = {
        "dtype": "i2", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768,
        "zlib": True, "chunksizes": (1, LATITUDES.size, LONGITUDES.size),
    }  # fmt: skip
    encoding = {"air": packed, "time": {"units": "days since 2012-01-01", "dtype": "f8"}}
    paths = []
    for start in pd.date_range(f"{YEARS[0]}-01-01", f"{YEARS[-1]}-12-01", freq="MS"):
        paths.append(folder / f"air_{start:%Y-%m}.nc")
        month(start).to_netcdf(paths[-1], engine="h5netcdf", encoding=encoding)
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""Files of a day each, and how they are joined."""

from __future__ import annotations

import numpy as np
import xarray as xr

JOIN = {
    "combine": "nested", "concat_dim": "time",
    "data_vars": "minimal", "coords": "minimal", "compat": "override",
}  # fmt: skip


def day(number):
    """Return a dataset of four times; its encoding says how it is written."""
    values = np.random.default_rng(number).normal(280, 9, (4, 6, 8)).round(1)
    values[0, 0, :3] = np.nan
    hours = np.arange(4 * number, 4 * number + 4) * np.timedelta64(6, "h")
    made = xr.Dataset(
        {"tas": (("time", "lat", "lon"), values, {"units": "K"}), "count": ((), np.int32(3))},
        coords={
            "time": np.datetime64("2000-01-01", "ns") + hours,
            "lat": np.linspace(-50, 50, 6),
            "lon": np.arange(8.0),
        },
        attrs={"title": "made"},
    )
    made["tas"].encoding = {
        "dtype": "i2",
        "scale_factor": 0.1,
        "add_offset": 250.0,
        "_FillValue": -9,
    }
    made["time"].encoding = {"units": "hours since 2000-01-01", "dtype": "i4"}
    return made

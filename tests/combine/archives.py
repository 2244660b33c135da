"""Small archives in the shapes that public ones have, and what xarray makes of them.

Each function writes its files below a folder and returns the cube that they are together, decoded.
"""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["ARCHIVES"]


def _write(folder, name, data, encoding=None, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {k: {"_FillValue": None} for k in data.variables}
    for key, entry in (encoding or {}).items():
        given[key] = {**given[key], **entry}
    data.to_netcdf(path, engine="h5netcdf", encoding=given, **options)
    return path


def _field(*shape, seed):
    return np.random.default_rng(seed).normal(280, 10, shape).round(2)


PACKED = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32767}


def water_model(folder):
    """Hourly files of many variables by river reach, none of which has the times of the file."""
    hours = pd.date_range("2020-01-01", periods=4, freq="h")
    packed = {"dtype": "i4", "scale_factor": 0.01, "_FillValue": -999900, "zlib": True}
    parts = []
    for k, hour in enumerate(hours):
        reaches = {"feature_id": ("feature_id", np.arange(600, dtype="i8") * 7 + 101)}
        flows = {
            name: ("feature_id", np.abs(_field(600, seed=10 * n + k)), {"units": unit})
            for n, (name, unit) in enumerate(
                [("streamflow", "m3 s-1"), ("velocity", "m s-1"), ("nudge", "m3 s-1"),
                 ("qSfcLatRunoff", "m3 s-1"), ("qBucket", "m3 s-1")]
            )
        }  # fmt: skip
        times = {
            "time": ("time", [hour], {"standard_name": "time"}),
            "reference_time": ("reference_time", [hours[0] - pd.Timedelta(hours=k % 2)]),
        }
        data = xr.Dataset(
            flows | {"crs": ((), np.bytes_(b"x"), {"esri_pe_string": "GEOGCS"})}, reaches | times,
            {"model_output_valid_time": str(hour)},
        )  # fmt: skip
        _write(
            folder, f"{hour:%Y}/{hour:%Y%m%d%H%M}.CHRTOUT_DOMAIN1.comp", data,
            dict.fromkeys(flows, packed)
            | {t: {"units": "minutes since 1970-01-01", "dtype": "i4"} for t in times},
        )  # fmt: skip
        parts.append(data)
    lean = [part.isel(time=0, reference_time=0).drop_vars("crs") for part in parts]
    return xr.concat(
        lean, "time", data_vars="all", coords="different", compat="equals", join="exact"
    )


def forecasts(folder):
    """A file for each hour ahead of each run: both stand in its name only."""
    rows = []
    for run in pd.date_range("2024-01-01", periods=2, freq="D"):
        row = []
        for step in (1, 2, 3):
            data = xr.Dataset(
                {"streamflow": ("feature_id", np.abs(_field(600, seed=step + run.day)))},
                {
                    "feature_id": ("feature_id", np.arange(600, dtype="i8")),
                    "time": ("time", [run + pd.Timedelta(hours=step)]),
                    "reference_time": ("reference_time", [run]),
                },
            )
            name = (
                f"nwm.{run:%Y%m%d}/short_range/nwm.t00z.short_range.channel_rt.f{step:03d}.conus.nc"
            )
            _write(folder, name, data, {
                "streamflow": {"dtype": "i4", "scale_factor": 0.01, "_FillValue": -99,
                               "zlib": True},
                **{t: {"units": "minutes since 1970-01-01", "dtype": "i4"}
                   for t in ("time", "reference_time")},
            })  # fmt: skip
            row.append(data.isel(time=0, reference_time=0).assign_coords(step=step))
        rows.append(xr.concat(row, "step", data_vars="all", coords="different", compat="equals"))
    return xr.concat(rows, "reference_time", data_vars="all", coords="different", compat="equals")


def satellite(folder):
    """Packed images of two bands, with the time as a scalar and many numbers that change."""
    bands = []
    for band in (7, 13):
        images = []
        for k in range(3):
            start = pd.Timestamp("2024-01-01 00:00:20") + k * pd.Timedelta(minutes=5)
            stamp = f"s{start:%Y%j%H%M%S}5_e{start:%Y%j%H%M%S}9_c{start:%Y%j%H%M%S}9"
            values = _field(40, 50, seed=100 * band + k)
            data = xr.Dataset(
                {
                    "CMI": (("y", "x"), values, {"units": "K", "grid_mapping": "projection",
                                                "ancillary_variables": "DQF"}),
                    "DQF": (("y", "x"), (values > 290).astype("i1"), {"flag_values": [0, 1]}),
                    "projection": ((), np.int32(-2147483647),
                                   {"grid_mapping_name": "geostationary",
                                    "perspective_point_height": 35786023.0}),
                    "time_bounds": (
                        "number_of_time_bounds", [start, start + pd.Timedelta(minutes=3)]
                    ),
                    "min_temperature": ((), np.float32(values.min())),
                    "esun": ((), np.float32(0.5)),
                },
                {
                    "t": ((), start + pd.Timedelta(seconds=90),
                          {"standard_name": "time", "bounds": "time_bounds"}),
                    "y": ("y", 0.1 - 0.000056 * np.arange(40)),
                    "x": ("x", -0.1 + 0.000056 * np.arange(50)),
                    "band_id": ("band", np.array([band], "i1")),
                    "band_wavelength": ("band", np.array([band / 2], "f4")),
                },
                {"date_created": str(start), "id": f"{band}-{k}"},
            )  # fmt: skip
            seconds = {"units": "seconds since 2000-01-01 12:00:00", "dtype": "f8"}
            angle = {"dtype": "i2", "scale_factor": 5.6e-05, "add_offset": -0.1}
            _write(folder, f"OR_ABI-L2-CMIPC-M6C{band:02d}_G16_{stamp}.nc", data, {
                "CMI": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 180.0, "_FillValue": -1,
                        "_Unsigned": "true", "zlib": True, "chunksizes": (20, 25)},
                "DQF": {"zlib": True, "chunksizes": (20, 25)},
                "t": seconds, "time_bounds": seconds, "x": angle,
                "y": {"dtype": "i2", "scale_factor": -5.6e-05, "add_offset": 0.1},
            })  # fmt: skip
            images.append(data)
        bands.append(images)
    return bands


def weather_model(folder):
    """Times as characters, a dimension ``Time`` without coordinate, staggered grids."""
    parts = []
    for k in range(3):
        start = pd.Timestamp("2024-01-01") + k * pd.Timedelta(hours=2)
        times = [start, start + pd.Timedelta(hours=1)]
        texts = [f"{time:%Y-%m-%d_%H:%M:%S}" for time in times]
        grid = np.repeat(np.linspace(40, 50, 20, dtype="f4")[None], 2, 0)
        data = xr.Dataset(
            {
                "Times": ("Time", np.array(texts, "S19")),
                "XTIME": ("Time", np.array([120 * k, 120 * k + 60], "f4"),
                          {"units": "minutes since 2024-01-01 00:00:00",
                           "description": "minutes since 2024-01-01 00:00:00"}),
                "XLAT": (("Time", "south_north"), grid, {"units": "degree_north"}),
                "T2": (("Time", "south_north", "west_east"), _field(2, 20, 30, seed=k).astype("f4"),
                       {"stagger": "", "coordinates": "XLAT XTIME"}),
                "U": (("Time", "bottom_top", "south_north", "west_east_stag"),
                      _field(2, 3, 20, 31, seed=9 + k).astype("f4"), {"stagger": "X"}),
                "PHB": (("Time", "bottom_top_stag", "south_north", "west_east"),
                        _field(2, 4, 20, 30, seed=19 + k).astype("f4"), {"stagger": "Z"}),
            },
            attrs={"START_DATE": texts[0], "DX": 3000.0},
        )  # fmt: skip
        _write(folder, f"wrfout_d01_{start:%Y-%m-%d_%H:%M:%S}", data, {
            "Times": {"char_dim_name": "DateStrLen"},
            **{name: {"zlib": True, "chunksizes": (1, *data[name].shape[1:])}
               for name in ("T2", "U", "PHB")},
        }, unlimited_dims=["Time"])  # fmt: skip
        parts.append(data)
    return xr.concat(parts, "Time", data_vars="minimal", coords="minimal", compat="override")


def ocean_model(folder):
    """History files with static grids, of which each begins with the last time of the former."""
    parts = []
    rng = np.random.default_rng(5)
    depth = rng.uniform(10, 4000, (20, 30))
    for k in range(3):
        seconds = np.arange(4 * k, 4 * k + 5) * 3600.0
        fields = np.stack([_field(20, 30, seed=int(s) % 99991) for s in seconds])
        data = xr.Dataset(
            {
                "zeta": (("ocean_time", "eta_rho", "xi_rho"), fields.astype("f4"),
                         {"coordinates": "lon_rho lat_rho ocean_time", "time": "ocean_time"}),
                "temp": (("ocean_time", "s_rho", "eta_rho", "xi_rho"),
                         np.stack([fields, fields + 1], 1).astype("f4")),
                "h": (("eta_rho", "xi_rho"), depth),
                "Vtransform": ((), np.int32(2)),
                "Cs_r": ("s_rho", np.array([-0.75, -0.25])),
            },
            {
                "ocean_time": ("ocean_time", seconds, {"units": "seconds since 2000-01-01 00:00:00",
                                                       "calendar": "proleptic_gregorian"}),
                "s_rho": ("s_rho", np.array([-0.75, -0.25]),
                          {"formula_terms": "s: s_rho C: Cs_r eta: zeta depth: h depth_c: hc"}),
                "lon_rho": (("eta_rho", "xi_rho"), np.repeat(np.linspace(0, 3, 30)[None], 20, 0)),
                "lat_rho": (("eta_rho", "xi_rho"),
                            np.repeat(np.linspace(5, 7, 20)[:, None], 30, 1)),
            },
            {"his_file": f"ocean_his_{k:04d}.nc", "history": f"run {k}"},
        )  # fmt: skip
        _write(folder, f"ocean_his_{k + 1:04d}.nc", data, {
            "zeta": {"zlib": True, "chunksizes": (1, 20, 30)},
            "temp": {"zlib": True, "chunksizes": (1, 2, 20, 30)},
        }, unlimited_dims=["ocean_time"])  # fmt: skip
        parts.append(data if k == 0 else data.isel(ocean_time=slice(1, None)))
    return xr.decode_cf(
        xr.concat(parts, "ocean_time", data_vars="minimal", coords="minimal", compat="override",
                  combine_attrs="override")
    )  # fmt: skip


def tiles(folder):
    """Months of tiles: three dimensions to join along."""
    whole = xr.Dataset(
        {"ndvi": (("time", "lat", "lon"), _field(3, 40, 60, seed=1).astype("f4"))},
        {
            "time": pd.date_range("2024-01-01", periods=3, freq="MS"),
            "lat": np.linspace(60, 40, 40), "lon": np.linspace(0, 30, 60),
        },
    )  # fmt: skip
    for t in range(3):
        for h in range(3):
            for v in range(2):
                part = whole.isel(
                    time=[t], lat=slice(20 * v, 20 * v + 20), lon=slice(20 * h, 20 * h + 20)
                )
                _write(folder, f"h{h:02d}v{v:02d}/2024-{t + 1:02d}.nc", part, {
                    "ndvi": {"zlib": True, "chunksizes": (1, 10, 10)},
                    "time": {"units": f"days since 2024-{t + 1:02d}-01"},
                })  # fmt: skip
    return whole


def scenes(folder):
    """GeoTIFFs of two bands by dates, which stand in their names."""
    import tifffile

    values = np.random.default_rng(3).integers(1, 4000, (3, 2, 64, 96)).astype("u2")
    dates = pd.to_datetime(["2024-01-03", "2024-01-08", "2024-01-13"])
    geo = [
        (33550, "d", 3, (10.0, 10.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 5200000.0, 0.0), True),
        (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True),
        (42113, "s", 0, "0", True),
    ]
    os.makedirs(folder / "scenes", exist_ok=True)
    for t, date in enumerate(dates):
        for b, band in enumerate(("B04", "B08")):
            tifffile.imwrite(
                folder / "scenes" / f"S2_{date:%Y%m%d}_{band}.tif", values[t, b], tile=(32, 32),
                compression="deflate", extratags=geo,
            )  # fmt: skip
    return xr.Dataset(
        {"image": (("time", "band", "y", "x"), values)},
        {"time": dates, "band": ["B04", "B08"]},
    )


def years(folder):
    """A folder for each year, in which the files have the same name and no time."""
    parts = []
    for year in (2019, 2020, 2021):
        cover = np.random.default_rng(year).integers(0, 9, (20, 30)).astype("u1")
        data = xr.Dataset(
            {"cover": (("lat", "lon"), cover)},
            {"lat": np.linspace(60, 50, 20), "lon": np.linspace(0, 10, 30)},
        )  # fmt: skip
        _write(folder, f"{year}/landcover.nc", data, {"cover": {"zlib": True}})
        parts.append(data.assign_coords(year=year))
    return xr.concat(
        parts, "year", data_vars="all", coords="minimal", compat="equals", join="exact"
    )


ARCHIVES = {
    "water_model": water_model,
    "forecasts": forecasts,
    "satellite": satellite,
    "weather_model": weather_model,
    "ocean_model": ocean_model,
    "tiles": tiles,
    "scenes": scenes,
    "years": years,
}

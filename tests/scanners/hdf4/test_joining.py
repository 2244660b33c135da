"""HDF4 files joined with each other, and with files of other formats."""

import h5py
import numpy as np
import xarray as xr

import refmaker
from tests.scanners.hdf4 import eos_files, files

LATITUDE, LONGITUDE = np.linspace(50, 40, 6), np.linspace(0, 14, 8)


def write_hdf4(path, day, values):
    """Write a variable of one day with its coordinates."""
    with files.file(path) as made:
        one = made.create("temperature", files.CODES["f4"], (1, 6, 8))
        for axis, (name, scale) in enumerate(
            (("time", [float(day)]), ("lat", LATITUDE), ("lon", LONGITUDE))
        ):
            one.dim(axis).setname(name)
            numbers = [float(value) for value in scale]
            one.dim(axis).setscale(files.CODES["f8"], numbers if numbers[1:] else numbers[0])
        one.dim(0).units = "days since 2024-01-01"
        one.units = "K"
        one.setcompress(files.DEFLATE, 6)
        one[:] = values[None]
        one.endaccess()
    return path


def write_hdf5(path, day, values):
    with h5py.File(path, "w") as made:
        one = made.create_dataset("temperature", data=values[None].astype(">f4"), compression=6)
        one.attrs["units"] = "K"
        for axis, (name, scale) in enumerate(
            (("time", [float(day)]), ("lat", LATITUDE), ("lon", LONGITUDE))
        ):
            made[name] = np.array(scale, ">f8")
            made[name].make_scale(name)
            one.dims[axis].attach_scale(made[name])
        made["time"].attrs["units"] = "days since 2024-01-01"
    return path


def test_two_files_along_time(tmp_path):
    days = [files.values("f4", (6, 8), seed) + np.float32(seed) for seed in range(2)]
    sets = [
        refmaker.scan(write_hdf4(tmp_path / f"{day}.hdf", day, values))
        for day, values in enumerate(days)
    ]
    out = tmp_path / "cube.json"
    refmaker.combine(sets, concat="time").write(out)
    with xr.open_dataset(out, engine="refmaker") as cube:
        assert np.array_equal(cube.temperature.values, np.stack(days))
        assert cube.lat.values.tolist() == LATITUDE.tolist()
        assert cube.time.values.tolist() == [
            np.datetime64("2024-01-01").astype("datetime64[ns]").item(),
            np.datetime64("2024-01-02").astype("datetime64[ns]").item(),
        ]
    checks = refmaker.verify(out, sample=None, isolate="never")
    assert all(check.ok for check in checks)


def test_with_an_hdf5_file_of_the_same_variable(tmp_path):
    days = [files.values("f4", (6, 8), seed) + np.float32(seed) for seed in range(2)]
    sets = [
        refmaker.scan(write_hdf4(tmp_path / "first.hdf", 0, days[0])),
        refmaker.scan(write_hdf5(tmp_path / "second.h5", 1, days[1])),
    ]
    out = tmp_path / "cube.json"
    refmaker.combine(sets, concat="time").write(out)
    with xr.open_dataset(out, engine="refmaker") as cube:
        assert np.array_equal(cube.temperature.values, np.stack(days))
    checks = refmaker.verify(out, sample=None, isolate="never")
    assert all(check.ok for check in checks)


def test_grids_along_a_new_dimension(tmp_path):
    sets, layers = [], []
    for seed in range(3):
        layers.append(files.values("f4", (4, 6), seed) + np.float32(seed))
        said = eos_files.grid("G", (6, 4), ((0, 4000000), (6000000, 0)), "GCTP_GEO")
        field = eos_files.Field("v", ("YDim", "XDim"), layers[-1])
        path = eos_files.write(tmp_path / f"{seed}.hdf", [("GRID", said, [field], ())])
        sets.append(refmaker.scan(path))
    out = tmp_path / "cube.json"
    refmaker.combine(sets, concat="day", coords={"day": [1, 2, 3]}).write(out)
    with xr.open_dataset(out, engine="refmaker", group="G") as cube:
        assert np.array_equal(cube.v.values, np.stack(layers))
        assert cube.v.dims == ("day", "y", "x")

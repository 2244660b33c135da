"""Files of one series, each written by another hand: one cube, or a refusal by name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.errors import MetadataError
from refmaker.testing import decode_array

BIG = (40, 60)
SMALL = (2, 3)
START = np.datetime64("2000-01-01")
_SECONDS = {"hours": 3600, "minutes": 60, "seconds": 1}


def of_hours(hours, shape=SMALL):
    """Return the values of some hours, and their boundaries in hours."""
    fields = [np.random.default_rng(hour).normal(size=shape) for hour in hours]
    values = np.array(fields, "f4").reshape(len(hours), *shape)
    return values, np.array([[hour - 0.5, hour + 0.5] for hour in hours]).reshape(-1, 2)


def file_of(path, hours, *, shape=SMALL, unit="hours", since="2000-01-01", dtype="i4", **how):
    """Write the file of some hours.

    `how`: scalar (of a single hour), bounds ("plain" or "units"), mark (of times), fill (of v),
    calendar, unlimited, turned (the order of variables).
    """
    values, bounds = of_hours(hours, shape)
    away = (np.datetime64(since) - START) // np.timedelta64(1, "h")
    scale = 3600 / _SECONDS[unit]
    units = {"units": f"{unit} since {since}", "calendar": how.get("calendar", "standard")}
    numbers = (np.array(hours, "f8") - away) * scale
    attrs = {**units, "bounds": "time_bnds"} if how.get("bounds") else units
    own = units if how.get("bounds") == "units" else {}
    data = xr.Dataset(
        {"v": (("time", "y", "x"), values, {"units": "K"}), "z": ((), 2.0),
         "time_bnds": (("time", "nv"), (bounds - away) * scale, own)},
        {"time": ("time", numbers.astype(dtype), attrs), "y": np.arange(shape[0]) * 1.0},
    )  # fmt: skip
    if not how.get("bounds"):
        data = data.drop_vars("time_bnds")
    if how.get("scalar"):
        data = data.isel(time=0)
    if how.get("turned"):
        data = data[list(data.data_vars)[::-1]]
    encoding = {name: {"_FillValue": None} for name in data.variables}
    encoding["v"]["_FillValue"] = how.get("fill")
    encoding["v"]["zlib"] = how.get("zlib", False)
    if data["v"].size:
        encoding["v"]["chunksizes"] = tuple(
            1 if d == "time" else n for d, n in data["v"].sizes.items()
        )
    encoding["time"]["_FillValue"] = how.get("mark")
    unlimited = ["time"] if how.get("unlimited") and not how.get("scalar") else []
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding, unlimited_dims=unlimited)
    return str(path)


def holds(cube, hours, shape=SMALL, *, bounds=False):
    """Compare what xarray reads from a cube with what the hours are made of."""
    found = refmaker.open_dataset(cube, decode_timedelta=False).load()
    values, edges = of_hours(hours, shape)
    assert found["v"].dims == ("time", "y", "x")
    assert found["v"].dtype == values.dtype
    np.testing.assert_array_equal(found["v"], values)
    when = (found["time"].values - START) / np.timedelta64(1, "h")
    np.testing.assert_array_equal(when, hours)
    assert (found["z"] == 2.0).all()
    if bounds:
        assert found["time_bnds"].dims == ("time", "nv")
        told = found["time_bnds"].values
        told = (told - START) / np.timedelta64(1, "h") if told.dtype.kind == "M" else told
        np.testing.assert_array_equal(told, edges)


@pytest.mark.parametrize("shape", [SMALL, BIG])
@pytest.mark.parametrize("bounds", [None, "plain", "units"])
@pytest.mark.parametrize("scalars", [(1,), (0,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("named", [True, False])
def test_a_scalar_time_is_one_time(tmp_path, shape, bounds, scalars, named):
    hours = [[0] if 0 in scalars else [0, 1], [2], [3] if 2 in scalars else [3, 4]]
    paths = [
        file_of(tmp_path / f"{k}.nc", own, shape=shape, scalar=k in scalars, bounds=bounds)
        for k, own in enumerate(hours)
    ]
    if not named and len(scalars) == len(paths):
        named = True  # nothing says that the scalar is to be a dimension
    cube = refmaker.combine(map(refmaker.scan, paths), concat="time" if named else None)
    holds(cube, [hour for own in hours for hour in own], shape, bounds=bounds)


def test_what_was_a_scalar_is_told_and_appended(tmp_path):
    paths = [file_of(tmp_path / f"{k}.nc", [k], scalar=k, bounds="plain") for k in range(2)]
    cube = refmaker.combine(map(refmaker.scan, paths), concat="time")
    assert any("is a scalar in" in warning for warning in cube.report.warnings)
    refmaker.combine([refmaker.scan(paths[0])], concat="time").write(tmp_path / "cube.json")
    refmaker.append(tmp_path / "cube.json", [refmaker.scan(paths[1])], concat="time")
    holds(tmp_path / "cube.json", [0, 1], bounds=True)


def test_a_file_without_the_dimension_is_never_left_out(tmp_path):
    file_of(tmp_path / "0.nc", [0, 1])
    with xr.open_dataset(file_of(tmp_path / "x.nc", [2, 3]), decode_cf=False) as other:
        other.load().swap_dims(time="step").to_netcdf(tmp_path / "1.nc", engine="h5netcdf")
    sets = [refmaker.scan(tmp_path / f"{k}.nc") for k in range(2)]
    with pytest.raises(MetadataError) as error:
        refmaker.combine(sets, concat="time")
    assert "1.nc has it with the dimensions ('step',)" in str(error.value)


def test_an_empty_file_of_another_geometry_says_nothing(tmp_path):
    paths = [file_of(tmp_path / f"{k}.nc", [k], shape=BIG) for k in range(2)]
    empty = xr.Dataset({"v": (("time", "level", "y", "x"), np.empty((0, 2, *BIG), "f4"))})
    empty = empty.assign_coords(time=np.empty(0, "i4"))
    empty["time"].attrs = {"units": "hours since 2000-01-01", "calendar": "standard"}
    empty.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", unlimited_dims=["time"])
    sets = [refmaker.scan(path) for path in (tmp_path / "a.nc", *paths)]
    holds(refmaker.combine(sets, concat="time"), [0, 1], BIG)


@pytest.mark.parametrize("mark", [-999, -1])
def test_marks_of_missing_times_that_no_time_has(tmp_path, mark):
    marks = (None, mark)
    paths = [file_of(tmp_path / f"{k}.nc", [k], mark=m) for k, m in enumerate(marks)]
    holds(refmaker.combine(map(refmaker.scan, paths), concat="time"), [0, 1])


def test_a_time_that_is_missing_is_no_time(tmp_path):
    paths = [file_of(tmp_path / f"{k}.nc", [k], mark=m) for k, m in enumerate((None, 1))]
    with pytest.raises(MetadataError, match="missing times"):
        refmaker.combine(map(refmaker.scan, paths), concat="time")


@pytest.mark.parametrize("shape", [SMALL, BIG])
def test_nan_as_the_missing_value_of_floats_is_no_difference(tmp_path, shape):
    paths = [
        file_of(tmp_path / f"{k}.nc", [k], shape=shape, fill=fill)
        for k, fill in enumerate((np.nan, None, np.nan))
    ]
    holds(refmaker.combine(map(refmaker.scan, paths), concat="time"), [0, 1, 2], shape)
    paths[1] = file_of(tmp_path / "other.nc", [1], shape=shape, fill=-9.0)
    with pytest.raises(MetadataError, match="fill value"):
        refmaker.combine(map(refmaker.scan, paths), concat="time")


def test_chunks_that_were_never_written_are_no_nan(tmp_path):
    paths = [
        file_of(tmp_path / f"{k}.nc", [k], shape=BIG, fill=np.nan if k else None) for k in range(2)
    ]
    with h5py.File(paths[0], "a") as file:
        del file["v"]
        made = file.create_dataset("v", (1, *BIG), "f4", chunks=(1, 20, 60))
        made[0, :20] = 5
        for axis, name in enumerate(("time", "y", "x")):
            made.dims[axis].attach_scale(file[name])
        made.attrs["units"] = "K"
    with pytest.raises(MetadataError, match="fill value"):
        refmaker.combine(map(refmaker.scan, paths), concat="time")


@pytest.mark.parametrize(
    ("one", "other"), [("noleap", "365_day"), ("all_leap", "366_day"), ("standard", "gregorian")]
)
@pytest.mark.parametrize("since", ["2000-01-01", "2000-01-02"])
def test_a_calendar_of_two_names(tmp_path, one, other, since):
    paths = [
        file_of(tmp_path / "0.nc", [0], calendar=one),
        file_of(tmp_path / "1.nc", [30], calendar=other, since=since),
    ]
    cube = refmaker.combine(map(refmaker.scan, paths), concat="time")
    found = refmaker.open_dataset(cube, decode_times=False)["time"]
    assert found.values.tolist() == [0, 30]
    assert found.attrs["calendar"] == one


@st.composite
def habits(draw):
    """Return how one file of a series is written."""
    return {
        "count": draw(st.integers(0, 3)),
        "scalar": draw(st.booleans()),
        "unit": draw(st.sampled_from(["hours", "minutes", "seconds"])),
        "since": draw(st.sampled_from(["2000-01-01", "1999-12-25", "2000-01-03"])),
        "dtype": draw(st.sampled_from(["i4", "i8", "f8"])),
        "mark": draw(st.sampled_from([None, -999_999_999])),
        "fill": draw(st.sampled_from([None, np.nan])),
        "calendar": draw(st.sampled_from(["standard", "gregorian", "proleptic_gregorian"])),
        "unlimited": draw(st.booleans()),
        "turned": draw(st.booleans()),
    }


@given(
    st.lists(habits(), min_size=2, max_size=4),
    st.sampled_from([None, "plain", "units"]),
    st.randoms(use_true_random=False),
)
def test_habits_that_change_nothing_never_keep_files_apart(series, bounds, random):
    with tempfile.TemporaryDirectory() as folder:
        paths, hours = [], [0]
        for k, how in enumerate(series):
            count = how.pop("count")
            how["scalar"] = how["scalar"] and count == 1
            own = list(range(hours[-1] + 1, hours[-1] + 1 + count))
            hours += own
            paths.append(file_of(Path(folder) / f"{k}.nc", own, bounds=bounds, **how))
        if len(hours) == 1:
            return
        random.shuffle(paths)
        cube = refmaker.combine(map(refmaker.scan, paths), concat="time")
        holds(cube, hours[1:], bounds=bounds)


@pytest.mark.parametrize("first", [24, 1])
@pytest.mark.parametrize("store", ["json", "parquet"])
def test_a_small_file_is_inlined_and_goes_with_larger_ones(tmp_path, first, store):
    counts = (first, 25 - first, 1, 30)
    ends = np.cumsum(counts)
    paths = []
    for k, (count, end) in enumerate(zip(counts, ends, strict=True)):
        hours = list(range(end - count, end))
        paths.append(file_of(tmp_path / f"{k}.nc", hours, shape=(3, 5), zlib=True))
    sets = [refmaker.scan(path) for path in paths]
    assert len({bool(one["v"].codecs) for one in sets}) == 2
    holds(refmaker.combine(sets, concat="time"), range(ends[-1]), (3, 5))
    target = tmp_path / f"cube.{store}"
    refmaker.combine(sets[:1], concat="time").write(target)
    for one in sets[1:]:
        refmaker.append(target, [one], concat="time")
    holds(target, range(ends[-1]), (3, 5))


def test_a_small_file_goes_with_chunks_of_different_lengths(tmp_path):
    paths = []
    for k, (start, count) in enumerate([(0, 31), (31, 28), (59, 31), (90, 2)]):
        data = xr.Dataset({"v": ("time", np.arange(start, start + count) * np.ones(count))})
        data = data.isel(time=np.arange(count)).expand_dims(x=20, axis=1)
        data = data.assign_coords(time=("time", np.arange(start, start + count)))
        encoding = {"v": {"chunksizes": (count, 20), "zlib": True, "_FillValue": None}}
        paths.append(tmp_path / f"{k}.nc")
        data.to_netcdf(paths[-1], engine="h5netcdf", encoding=encoding)
    sets = [refmaker.scan(path) for path in paths]
    base = refmaker.combine(sets[:3], concat="time")
    assert base["v"].edges is not None
    assert not sets[3]["v"].chunks.referenced
    cube = refmaker.combine([base, sets[3]], concat="time")
    np.testing.assert_array_equal(decode_array(cube["v"])[:, 7], np.arange(92.0))

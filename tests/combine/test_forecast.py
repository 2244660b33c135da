"""The best estimate: of each valid time the latest run, chosen among chunks that are there."""

from __future__ import annotations

import dataclasses
import itertools

import netCDF4
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError
from tests.scanners.grib.messages import message

RUNS, HOURS = (0, 6, 12), (0, 3, 6, 9, 12)


def interval(begin, end, **keys):
    return message(
        **keys, productDefinitionTemplateNumber=8, parameterCategory=1, parameterNumber=8,
        typeOfFirstFixedSurface=1, stepType="accum", stepRange=f"{begin}-{end}",
    )  # fmt: skip


def forecast(run, hour):
    """Return a file as HRRR writes them: hour 0 has totals of no length."""
    keys = {"dataDate": 20240115, "dataTime": run * 100, "centre": 7}
    parts = [
        message(shortName="t", level=level, forecastTime=hour, seed=run + hour + level, **keys)
        for level in (850, 500)
    ]
    parts.append(message(shortName="2t", forecastTime=hour, seed=100 * run + hour, **keys))
    parts.append(interval(0, hour, seed=7 + 100 * run + hour, **keys))
    return b"".join(parts)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    for run, hour in itertools.product(RUNS, HOURS):
        if (run, hour) != (12, 6):  # not there yet
            (folder / f"model.t{run:02}z.f{hour:02}.grib2").write_bytes(forecast(run, hour))
    return refmaker.scan(sorted(folder.glob("*.grib2")))


def chosen(cube, name, *, least=0, lasting=False):
    """Return what a user of the cube picks himself: indices along time and step."""
    present = ~np.isnan(cube[name].isel(latitude=0, longitude=0)).values
    while present.ndim > 2:
        present = present.any(axis=-1)
    valid = cube.valid_time.values
    best = {}
    for i, j in zip(*np.nonzero(present), strict=True):
        step = cube.step.values[j]
        if step >= np.timedelta64(least, "h") and not (lasting and not step):
            best[valid[i, j]] = i, j
    return [best[when] for when in sorted(best)]


@pytest.mark.parametrize(
    ("group", "name"),
    [("isobaricInhPa/instant", "t"), ("heightAboveGround/instant", "t2m"), ("surface/accum", "tp")],
)
@pytest.mark.parametrize("least", [0, 3, 9])
def test_equals_what_a_user_picks(archive, group, name, least):
    cube = refmaker.open_dataset(archive, group=group).load()
    view = refmaker.best_estimate(archive, min_step=f"{least}h")
    best = refmaker.open_dataset(view, group=group).load()
    cells = chosen(cube, name, least=least, lasting=name == "tp")
    i, j = (xr.DataArray([cell[k] for cell in cells], dims="valid_time") for k in (0, 1))
    expected = cube[name].isel(time=i, step=j)
    assert best[name].dims == ("valid_time", *cube[name].dims[2:])
    np.testing.assert_array_equal(best[name].values, expected.values)
    np.testing.assert_array_equal(best.time.values, expected.time.values)
    np.testing.assert_array_equal(best.step.values, expected.step.values)
    np.testing.assert_array_equal(best.valid_time.values, best.time.values + best.step.values)
    assert not np.isnan(best[name].values).any()


def test_a_missing_file_falls_back_to_the_run_before(archive):
    best = refmaker.open_dataset(refmaker.best_estimate(archive), group="heightAboveGround/instant")
    run = best.time.sel(valid_time="2024-01-15T18").values
    assert run == np.datetime64("2024-01-15T06")


def test_runs_that_were_not_known_yet_do_not_count(archive):
    view = refmaker.best_estimate(archive, as_of="2024-01-15T06")
    best = refmaker.open_dataset(view, group="isobaricInhPa/instant")
    assert best.time.max() == np.datetime64("2024-01-15T06")
    assert len(best.valid_time) == 7


def test_intervals_have_bounds_and_a_comment(archive):
    view = refmaker.best_estimate(archive)
    best = refmaker.open_dataset(view, group="surface/accum")
    np.testing.assert_array_equal(best.step_bounds[:, 1], best.step)
    assert "begin anew" in best.tp.attrs["comment"]
    assert "comment" not in dict(view.group.arrays())["isobaricInhPa/instant/t"].attributes


def test_the_oracle_agrees(archive, tmp_path):
    out = tmp_path / "best.json"
    refmaker.best_estimate(archive).write(out)
    checks = refmaker.verify(str(out), sample=None, isolate="never")
    assert [check.reason for check in checks if not check.ok] == []


def test_variables_that_choose_otherwise_have_times_of_their_own(archive):
    # Without the last chunk of t2m in the latest run.
    group = archive.group.members["heightAboveGround"].members["instant"]
    array = group.members["t2m"]
    table = array.chunks
    fewer = dataclasses.replace(
        array,
        chunks=type(table).from_columns(
            table.grid, table.urls, offset=table.offset[:-1], length=table.length[:-1],
            index=table.numbers()[:-1], url=table.url[:-1],
        ),
    )  # fmt: skip
    both = dataclasses.replace(group, members={"other": fewer, **group.members})
    refs = refmaker.ReferenceSet(refmaker.ReferenceSet(both).group, archive.report)
    best = refmaker.open_dataset(refmaker.best_estimate(refs))
    assert best.t2m.dims[0] == "valid_time"
    assert best.other.dims[0] == "valid_time_2"
    assert "time_2" in best.other.coords
    turned = dataclasses.replace(both, members=dict(reversed(both.members.items())))
    again = refmaker.open_dataset(refmaker.best_estimate(refmaker.ReferenceSet(turned)))
    assert again.other.dims == best.other.dims


def test_one_field(tmp_path):
    path = tmp_path / "one.grib2"
    path.write_bytes(message(shortName="2t", forecastTime=6, seed=3))
    refs = refmaker.scan(path)
    before = refmaker.open_dataset(refs, group="heightAboveGround/instant")
    best = refmaker.open_dataset(refmaker.best_estimate(refs), group="heightAboveGround/instant")
    assert best.t2m.dims == ("valid_time", "latitude", "longitude")
    np.testing.assert_array_equal(best.t2m[0], before.t2m)
    assert best.valid_time.values[0] == before.valid_time.values


def runs_of_netcdf(folder, chunk=1):
    """Write forecasts as a model's post-processing does, a file for each run."""
    paths = []
    for run in range(4):
        paths.append(folder / f"run{run}.nc")
        with netCDF4.Dataset(paths[-1], "w") as file:
            file.createDimension("forecast_reference_time", 1)
            file.createDimension("forecast_period", 5)
            file.createDimension("y", 300)
            for name, units, values in (
                ("forecast_reference_time", "hours since 2024-01-01", [6 * run]),
                ("forecast_period", "hours", np.arange(5) * 3),
            ):
                variable = file.createVariable(name, "f8", (name,))
                variable.setncatts({"standard_name": name, "units": units})
                variable[:] = values
            variable = file.createVariable(
                "t", "f4", ("forecast_reference_time", "forecast_period", "y"),
                chunksizes=(1, chunk, 300), zlib=True,
            )  # fmt: skip
            variable[:] = 1000 * run + np.arange(5)[None, :, None] + np.zeros((1, 5, 300))
    sets = [refmaker.scan(path) for path in paths]
    return refmaker.combine(sets, concat="forecast_reference_time")


def test_netcdf_by_run_and_period(tmp_path):
    best = refmaker.open_dataset(refmaker.best_estimate(runs_of_netcdf(tmp_path)))
    assert best.t.dims == ("valid_time", "y")
    expected = [0, 1, 1000, 1001, 2000, 2001, 3000, 3001, 3002, 3003, 3004]
    assert best.t[:, 0].values.tolist() == expected
    hours = (best.valid_time.values - np.datetime64("2024-01-01")) / np.timedelta64(1, "h")
    assert hours.tolist() == list(range(0, 33, 3))


def test_netcdf_along_valid_time(tmp_path):
    # The reference time is a scalar, and the period is nowhere.
    sets = []
    for run in range(3):
        path = tmp_path / f"r{run}.nc"
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("time", 4)
            reference = file.createVariable("forecast_reference_time", "f8", ())
            reference.setncatts(
                {"standard_name": "forecast_reference_time", "units": "days since 2024-01-01"}
            )
            reference[...] = 0.25 * run
            time = file.createVariable("time", "f8", ("time",))
            time.setncatts({"standard_name": "time", "units": "minutes since 2023-12-31"})
            time[:] = 1440 + 60 * (6 * run + 3 * np.arange(4))
            variable = file.createVariable("t", "f4", ("time",), chunksizes=(1,), zlib=True)
            variable.coordinates = "forecast_reference_time"
            variable[:] = 10 * run + np.arange(4)
        sets.append(refmaker.scan(path))
    runs = refmaker.combine(
        sets, concat="run", coords={"run": "data:forecast_reference_time"},
        concat_variables=["time", "forecast_reference_time"],
    )  # fmt: skip
    best = refmaker.open_dataset(refmaker.best_estimate(runs))
    assert best.t.values.tolist() == [0, 1, 10, 11, 20, 21, 22, 23]
    assert (best.step.values / 3600).tolist() == [0, 3, 0, 3, 0, 3, 6, 9]


def test_chunks_of_several_periods_are_refused(tmp_path):
    refs = runs_of_netcdf(tmp_path, chunk=5)
    with pytest.raises(MetadataError, match="several places along forecast_period"):
        refmaker.best_estimate(refs)


def test_what_is_no_forecast_is_refused(tmp_path):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("time", 4)
        file.createVariable("t", "f4", ("time",))[:] = 1
    with pytest.raises(MetadataError, match="forecast_reference_time"):
        refmaker.best_estimate(refmaker.scan(tmp_path / "a.nc"))


@pytest.mark.parametrize("value", ["3", "h", "three hours", ""])
def test_periods_that_are_none(archive, value):
    with pytest.raises(ValueError, match="no period"):
        refmaker.best_estimate(archive, min_step=value)


def test_the_command(archive, tmp_path):
    archive.write(tmp_path / "cube.json")
    names = [str(tmp_path / name) for name in ("cube.json", "best.json")]
    result = CliRunner().invoke(main, ["convert", *names, "--view", "best", "--min-step", "3h"])
    assert result.exit_code == 0, result.output
    written = refmaker.read(names[1])
    expected = refmaker.best_estimate(archive, min_step="3h")
    assert dict(written.group.arrays()).keys() == dict(expected.group.arrays()).keys()
    result = CliRunner().invoke(main, ["append", names[1], names[0]])
    assert result.exit_code == 1
    assert "it is a view of another set" in result.output
    for wrong in (["--as-of", "2024-01-15"], ["--view", "best", "--as-of", "noon"]):
        assert CliRunner().invoke(main, ["convert", *names, "--overwrite", *wrong]).exit_code == 2

"""``refmaker edit``."""

from __future__ import annotations

import os

import numpy as np
import pytest

import refmaker
from tests.combine.files import dataset, write


@pytest.fixture
def cube(run, tmp_path):
    write(tmp_path / "a.nc", dataset(0, 12), (3, 2, 6))
    run("scan", "a.nc", "-o", "a.json", "--chunk-bytes", "none")
    return "a.json"


def test_all_at_once(run, cube):
    ran = run(
        *("edit", cube, "b.parquet", "--select", "v", "--isel", "time=3:12", "--rename", "v=tas"),
        *("--rename", "time=t", "--set", "tas:units=K", "--set", ':title="x"'),
        *("--unset", "t:units"),
        *("--expand-dims", "run=2020-01-01T06:00", "--assign-coords", "lat=1,2,3,4.5"),
    )
    assert ran.out == "a.json: 5 arrays, 10 chunks -> b.parquet (parquet)\n"
    found = refmaker.open_dataset("b.parquet", decode_times=False)
    assert dict(found.sizes) == {"run": 1, "t": 9, "lat": 4, "lon": 6}
    assert found["tas"].attrs["units"] == "K"
    assert found.attrs["title"] == "x"
    assert "units" not in found["t"].attrs
    assert found["lat"].values.tolist() == [1, 2, 3, 4.5]
    decoded = refmaker.open_dataset("b.parquet")
    assert decoded["run"].values[0] == np.datetime64("2020-01-01T06")
    np.testing.assert_array_equal(found["tas"].values[0], dataset(0, 12)["v"].values[3:])
    ran = run("verify", "b.parquet", "--all")
    checked = ran.out + ran.err
    assert "set by editing: units" in checked
    assert "given         run  0 of 1 chunk compared, 1 given by editing" in checked
    assert "5 arrays: 3 equal, 2 given\n" in checked


def test_lists_merge_and_load(run, cube):
    run("edit", cube, "lat.json", "--select", "lat", "-q")
    run("edit", cube, "rest.json", "--drop", "lat,time")
    run("edit", "rest.json", "both.json", "--merge", "lat.json", "--load", "v", "--isel", "time=5")
    found = refmaker.open_dataset("both.json")
    np.testing.assert_array_equal(found["v"], dataset(0, 12)["v"].values[5])
    run(
        "edit", cube, "one.json", "--isel", "time=0:1", "--load", "v", "--squeeze", "time", "--json"
    )
    assert refmaker.open_dataset("one.json")["v"].dims == ("lat", "lon")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--isel", "time=2:5"], 1, "v: time=2:5 goes through chunks of 3 (the nearest bounds of"),
        (["--isel", "time=2:5"], 1, "time=0:6; or keep the array in the set itself first"),
        (["--isel", "time=2:5"], 1, "if it is small: --load v"),
        (["--isel", "time=a"], 2, "'a' is neither a position nor START:STOP"),
        (["--isel", "time=::2"], 1, "steps of 2"),
        (["--rename", "v=lat"], 1, "there is a variable or group 'lat' already"),
        (["--select", "w"], 1, "a.nc"),
        (["--set", "units=K"], 2, "'units' is not of the form PATH:NAME; of the root, :NAME"),
        (["--unset", "v"], 2, "'v' is not of the form PATH:NAME"),
        (["--expand-dims", "run="], 2, "not of the form NAME or NAME=VALUE"),
        (["--expand-dims", "run=2020-01-01T00:00Z"], 2, "has a time zone"),
        (["--json", "--out-format", "json"], 2, "cannot both go to standard output"),
    ],
)
def test_what_is_refused(run, cube, arguments, code, message):
    out = "-" if "--json" in arguments else "b.json"
    ran = run("edit", cube, out, *arguments, code=code)
    if message == "a.nc":
        assert "no array or group 'w'" in ran.err
        message = cube
    assert message in ran.err
    assert not os.path.exists("b.json")


def test_the_remedy_works_as_typed(run, cube):
    run("edit", cube, "b.json", "--isel", "time=2:5", "--load", "v")
    expected = dataset(0, 12)["v"].values[2:5]
    np.testing.assert_array_equal(refmaker.open_dataset("b.json")["v"], expected)


def test_what_is_there_stays(run, cube):
    run("edit", cube, "b.json", "--drop", "lat")
    assert "exists already" in run("edit", cube, "b.json", "--drop", "lon", code=1).err
    run("edit", cube, "b.json", "--drop", "lon", "--overwrite")
    assert "lat" in refmaker.read("b.json").group.members
    assert run("edit", cube, "-", "--drop", "lon").out.startswith('{"version"')

"""``refmaker combine`` and ``refmaker append``."""

from __future__ import annotations

import json

import numpy as np
import pytest

import refmaker
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.storage.reference_set import ReferenceSet


def made(number, times=1, **attributes):
    """Return a set of one variable and its coordinate, all inlined."""
    labels = np.arange(number * times, (number + 1) * times, dtype="<i4")
    members = {}
    for name, values in (("t", labels), ("v", labels * 1.5)):
        table = ChunkTable.inline((1,), {0: values.tobytes()})
        given = {"units": "days since 2000-01-01"} if name == "t" else attributes
        members[name] = Array((times,), (times,), values.dtype, table, dimension_names=("t",),
                              attributes=given)  # fmt: skip
    url = f"/made-up/day_2000010{number + 1}.nc"
    return ReferenceSet(Group(members), ScanReport(url, "toy", sources={url: Fingerprint(7)}))


@pytest.fixture
def sets(tmp_path):
    names = []
    for k in range(3):
        names.append(tmp_path / f"{k}.json")
        made(k).write(names[-1])
    return names


def test_sets_to_one(run, sets):
    ran = run("combine", *sets[::-1], "-o", "cube.json", "--concat", "t")
    assert ran.out == "3 sets: 2 arrays, 2 chunks -> cube.json (json)\n"
    assert refmaker.open_group("cube.json")["v"][...].tolist() == [0, 1.5, 3]
    assert run("combine", *sets, "-o", "cube.json", "--concat", "t", code=1).err.startswith(
        "error: cube.json: exists already"
    )
    run("combine", *sets, "-o", "cube.json", "--concat", "t", "--overwrite", "-q")
    ran = run("combine", "*.json", "-o", "p.parquet", "--json", "--duplicates", "first")
    assert ran.records[0]["inputs"] == 4
    assert ran.records[0]["format"] == "parquet"


def test_standard_output_and_standard_input(run, sets):
    names = "\n".join(map(str, sets))
    ran = run("combine", "-", "-o", "-", "--concat", "t", "--batch", "2", input=names)
    assert json.loads(ran.out)["version"] == 1
    assert "3 sets" in ran.err
    assert run("combine", *sets, "-o", "-", "--json", code=2).err


def test_differences_are_told_and_nothing_is_written(run, sets, tmp_path):
    made(3, units="K").write("odd.json")
    made(4, units="K", long_name="x").write("more.json")
    ran = run("combine", *sets, "odd.json", "more.json", "-o", "cube.json", "--concat", "t", code=1)
    assert "attribute units is None in /made-up/day_20000101.nc, but 'K' in" in ran.err
    assert not (tmp_path / "cube.json").exists()
    ran = run("combine", "odd.json", "more.json", "-o", "cube.json", "--concat", "t")
    assert "warning: v: attributes that differ were left out: long_name" in ran.err


def test_a_new_dimension_from_names(run, sets):
    run("combine", *sets, "-o", "cube.json", "--drop", "t", "--coord",
        "day=day_{day:%Y%m%d}.nc")  # fmt: skip
    days = refmaker.open_dataset("cube.json")["day"].values.astype("M8[D]").astype(str)
    assert days.tolist() == ["2000-01-01", "2000-01-02", "2000-01-03"]
    run("combine", *sets, "-o", "list.json", "--coord", "n=[5, 3, 4]", "--drop", "t")
    assert refmaker.open_group("list.json")["v"][...].tolist() == [[1.5], [3], [0]]


@pytest.mark.parametrize(
    "wrong",
    [["--coord", "n"], ["--coord", "n=[1,"], ["--chunks", "t=0"], ["--chunks", "common,t=1"],
     ["--batch", "0"], ["--order", "any"], ["--inline-budget", "none"]],
)  # fmt: skip
def test_options_that_make_no_sense(run, sets, wrong):
    assert "Error" in run("combine", *sets, "-o", "cube.json", *wrong, code=2).err


def test_appending(run, sets):
    run("combine", *sets[:2], "-o", "cube.json", "--concat", "t")
    ran = run("append", "cube.json", sets[1], sets[2], "--concat", "t")
    assert ran.out == "2 inputs: 1 file added, 1 was there already -> cube.json\n"
    assert refmaker.open_group("cube.json")["t"][...].tolist() == [0, 1, 2]
    ran = run("append", "cube.json", sets[2], "--json")
    assert (ran.records[0]["added"], ran.records[0]["known"]) == (0, 1)
    made(2, 2).write("overlap.json")
    ran = run("append", "cube.json", "nothing.json", code=1)
    assert "nothing.json" in ran.err


def test_appending_scans_what_is_no_set(run, files):
    run("scan", files["a"], "-o", "a.json")
    ran = run("append", "a.json", files["a"])
    assert ran.out == "1 input: 0 files added, 1 was there already -> a.json\n"

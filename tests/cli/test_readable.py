"""--plain, --for, and the line that says who reads what was written."""

import json

import numpy as np
import pytest

import refmaker
from tests.combine.files import dataset, write


@pytest.fixture
def cube(tmp_path, run):
    """Return a netCDF file of a cube, and another that follows it."""
    shuffled = {"v": {"shuffle": True}}
    one, other = (
        write(
            tmp_path / f"{name}.nc",
            dataset(start, 2, shape=(40, 60)),
            (1, 40, 60),
            encoding=shuffled,
        )
        for name, start in (("a", 0), ("b", 2))
    )
    return one, other


def members(path):
    with open(path) as file:
        return list(json.load(file))


def test_each_command_writes_plain_sets(cube, run, tmp_path):
    one, other = cube
    run("scan", one, "-o", "a.json", "--plain")
    run("scan", other, "-o", "b.json")
    assert members("a.json") == ["version", "refs", "refmaker"]
    assert members("b.json") == ["version", "templates", "refs", "refmaker"]
    run("combine", "a.json", "b.json", "-o", "c.json", "--plain")
    run("convert", "b.json", "d.json", "--plain")
    run("pattern", "{n:d}.nc", "--scanned-file", one, "--values", "n=1,2",
        "--check-files", "0", "-o", "e.json", "--plain")  # fmt: skip
    for name in ("c.json", "d.json", "e.json"):
        assert members(name) == ["version", "refs", "refmaker"], name


def test_appending_leaves_a_plain_set_plain(cube, run):
    one, other = cube
    for how, found in ((["--plain"], []), ([], ["templates"])):
        run("scan", one, "-o", "a.json", "--overwrite", *how)
        run("append", "a.json", other, "--concat", "time")
        assert members("a.json") == ["version", *found, "refs", "refmaker"]
    run("scan", one, "-o", "a.json", "--overwrite")
    run("append", "a.json", other, "--concat", "time", "--plain")
    assert members("a.json") == ["version", "refs", "refmaker"]


def test_a_scan_says_who_reads_it(cube, run):
    one, other = cube
    line = run("scan", one, "-o", "a.json").out.splitlines()[-1]
    assert line.startswith("read by: fsspec with zarr and xarray")
    assert "not by: GDAL (templates), VirtualiZarr (templates), zarrita (paths" in line
    assert line in run("info", "a.json").out
    # Of many sets once.
    found = run("scan", one, other, "-o", "sets/", "--plain").out.splitlines()
    assert [line.startswith("read by: ") for line in found] == [False, False, True]
    assert "read by:" not in run("scan", one, "-o", "q.json", "-q").out
    told = run("scan", one, "-o", "j.json", "--json").records[0]["readers"]
    assert told["gdal"] == {"title": "GDAL", "reads": "none", "not": ["templates"]}
    assert json.loads(run("info", "j.json", "--json").out)["readers"] == told
    assert run("scan", one, "-o", "-").err.splitlines()[-1].startswith("read by: ")


def test_for_a_reader_it_is_written_or_refused(cube, run):
    one, _ = cube
    run("scan", one, "-o", "a.json", "--for", "gdal")
    assert members("a.json") == ["version", "refs", "refmaker"]
    error = run("scan", one, "-o", "t.json", "--for", "tensorstore", code=1).err
    assert "v: TensorStore through serve does not read the codec shuffle" in error
    assert "(leave out what it does not read (--drop ...), or serve its chunks raw (" in error
    assert "--plain" in run("scan", one, "-o", "c.json", "--compact", "--plain", code=2).err


def test_what_it_does_not_read_can_be_left_out(cube, run, tmp_path):
    one, _ = cube
    run("scan", one, "-o", "t.json", "--for", "tensorstore", "--drop", "v")
    assert set(refmaker.read("t.json").group.members) == {"time", "lat", "lon"}
    run("scan", one, "-o", "all.json")
    error = run("convert", "all.json", "t2.json", "--for", "tensorstore", code=1).err
    assert "--drop ... of 'refmaker combine'" in error
    run("combine", "all.json", "-o", "t2.json", "--for", "tensorstore", "--drop", "v")


def test_sets_of_the_old_spelling_are_appended_to(tmp_path, run):
    """Missing values in two spellings are no conflict, nor is where a codec stands."""
    parts = [
        dataset(0, 2, shape=(40, 60)),
        dataset(2, 2, shape=(40, 60)),
        dataset(4, 2, shape=(40, 60)),
    ]
    for data in parts:
        data["v"][:, 0, 0] = np.nan
        data["w"] = data["v"] * 1
    paths = [
        write(tmp_path / f"f{k}.nc", data, (1, 40, 60),
              encoding={"v": {"_FillValue": -9999.0}, "w": {"_FillValue": np.nan}})
        for k, data in enumerate(parts)
    ]  # fmt: skip
    run("scan", paths[0], "-o", "cube.json")
    with open("cube.json") as file:
        document = json.load(file)
    refs = document["refs"]
    del refs[".zmetadata"]
    for name, missing in (("v", -9999.0), ("w", "NaN")):
        zarray, zattrs = (json.loads(refs[f"{name}/{key}"]) for key in (".zarray", ".zattrs"))
        assert zarray["compressor"]["id"] == "zlib"
        zarray["filters"] = [*(zarray["filters"] or []), zarray["compressor"]]
        zarray["compressor"] = None
        zarray["fill_value"] = missing if name == "w" else None
        zattrs["_FillValue"] = missing
        refs[f"{name}/.zarray"], refs[f"{name}/.zattrs"] = json.dumps(zarray), json.dumps(zattrs)
    with open("cube.json", "w") as file:
        json.dump({"version": 1, "templates": document["templates"], "refmaker":
                   document["refmaker"], "refs": refs}, file)  # fmt: skip
    run("append", "cube.json", *paths[1:], "--concat", "time")
    found = refmaker.open_dataset("cube.json").load()
    for name in ("v", "w"):
        expected = np.concatenate([data[name].values for data in parts])
        np.testing.assert_array_equal(found[name].values, expected)
    with open("cube.json") as file:
        new = json.loads(json.load(file)["refs"]["v/.zarray"])
    assert new["compressor"]["id"] == "zlib"
    assert new["fill_value"] == -9999.0

"""Catalog entries are opened by intake itself, and give what the files say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError, SourceError
from refmaker.publish import catalog
from refmaker.testing.http import RangeServer

# What intake warns of at every text parameter of its first format, and pandas of the reader that
# fsspec takes for references in Parquet.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Shell command not executed:UserWarning", "ignore:.*fastparquet.*"
)


def open_catalog(path):
    import intake

    return intake.open_catalog(str(path))


def opened(entry):
    return (entry.to_dask() if hasattr(type(entry), "to_dask") else entry.read()).load()


@pytest.fixture
def air(tmp_path):
    """Write two days of data and their reference sets; return the first day's."""
    days = {}
    for number, day in enumerate(("20240101", "20240102")):
        data = xr.Dataset(
            {"t": (("time", "lat", "lon"), np.random.default_rng(number).normal(size=(24, 4, 5)))},
            {
                "time": np.datetime64("2024-01-01")
                + np.timedelta64(24 * number, "D")
                + np.arange(24).astype("m8[h]"),
                "lat": ("lat", [10.0, 20.0, 30.0, 40.0], {"units": "degrees_north"}),
                "lon": ("lon", [0.0, 90.0, 180.0, 200.0, 300.0], {"units": "degrees_east"}),
            },
        )
        path = tmp_path / "data" / f"{day}.nc"
        path.parent.mkdir(exist_ok=True)
        data.to_netcdf(path, engine="h5netcdf", encoding={"t": {"zlib": True}})
        refs = tmp_path / "cat" / "refs" / f"{day}.json"
        refs.parent.mkdir(exist_ok=True, parents=True)
        refmaker.scan(path).write(refs)
        days[day] = data
    return days


@pytest.mark.parametrize("intake", [1, 2])
@pytest.mark.parametrize("driver", ["stock", "refmaker"])
@pytest.mark.parametrize("form", ["json", "parquet"])
def test_entries_open_in_intake(air, tmp_path, intake, driver, form):
    refs = tmp_path / "cat" / "refs" / "20240101.json"
    if form == "parquet":
        refmaker.read(refs).write(tmp_path / "cat" / "refs" / "air.parquet")
        refs = tmp_path / "cat" / "refs" / "air.parquet"
    path = tmp_path / "cat" / "catalog.yaml"
    entry = catalog.add(path, refs, name="air", intake=intake, driver=driver, description="x")
    assert entry.metadata["variables"] == ["lat", "lon", "t", "time"]
    xr.testing.assert_identical(opened(open_catalog(path)["air"]), air["20240101"])
    assert list(open_catalog(path)) == ["air"]
    assert [found.ok for found in catalog.check(path)] == [True]


@pytest.mark.parametrize("intake", [1, 2])
@pytest.mark.parametrize("driver", ["stock", "refmaker"])
def test_catalog_and_sets_move_together(air, tmp_path, intake, driver):
    path = tmp_path / "cat" / "catalog.yaml"
    catalog.add(path, tmp_path / "cat/refs/20240101.json", name="a", intake=intake, driver=driver)
    assert str(tmp_path) not in path.read_text()
    shutil.move(tmp_path / "cat", tmp_path / "elsewhere")
    found = opened(open_catalog(tmp_path / "elsewhere" / "catalog.yaml")["a"])
    xr.testing.assert_identical(found, air["20240101"])


def test_stock_entries_need_no_refmaker(air, tmp_path):
    path = tmp_path / "cat" / "catalog.yaml"
    catalog.add(path, tmp_path / "cat/refs/20240101.json", name="air")
    assert "refmaker" not in path.read_text()
    program = (
        "import sys, intake\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'refmaker': raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "found = intake.open_catalog(sys.argv[1])['air'].read()\n"
        "print(float(found.t.sum()))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert float(ran.stdout) == pytest.approx(float(air["20240101"].t.sum()))


def test_parameters_of_the_second_format(air, tmp_path):
    path = tmp_path / "cat" / "catalog.yaml"
    pattern = str(tmp_path / "cat/refs/{date:%Y%m%d}.json")
    entry = catalog.add(path, pattern, name="air", parameters={"date": "20240101"})
    assert entry.stock
    found = open_catalog(path)
    xr.testing.assert_identical(opened(found["air"]), air["20240101"])
    xr.testing.assert_identical(opened(found(date="20240102")["air"]), air["20240102"])


def test_parameters_of_the_first_format(air, tmp_path):
    path = tmp_path / "cat" / "catalog.yaml"
    pattern = str(tmp_path / "cat/refs/{date:%Y%m%d}.json")
    # intake-xarray's sources would give the default, whatever is asked for.
    with pytest.raises(MetadataError, match="passes over parameters"):
        catalog.add(path, pattern, intake=1, driver="stock", parameters={"date": "20240101"})
    assert not path.exists()
    catalog.add(
        path, pattern, name="air", intake=1, driver="refmaker", parameters={"date": "20240101"}
    )
    found = open_catalog(path)["air"]
    xr.testing.assert_identical(opened(found), air["20240101"])
    xr.testing.assert_identical(opened(found(date="20240102")), air["20240102"])


def test_what_does_not_fit_is_refused(air, tmp_path):
    path, refs = tmp_path / "cat" / "catalog.yaml", str(tmp_path / "cat/refs/20240101.json")
    catalog.add(path, refs, name="air")
    before = path.read_bytes()
    for match, change in (
        ("already", {"name": "air"}),
        ("not the name", {"name": "a b"}),
        ("no arrays", {"name": "b", "group": "nothing"}),
        ("looks like a secret", {"name": "b", "storage_options": {"key": "AKIA", "secret": "x"}}),
        ("looks like a secret", {"name": "b", "storage_options": {"c": {"access_token": "x"}}}),
        ("no field", {"name": "b", "parameters": {"date": "1"}}),
    ):
        with pytest.raises(MetadataError, match=match):
            catalog.add(path, refs, **change)
    with pytest.raises(MetadataError, match="differ: date"):
        catalog.add(path, str(tmp_path / "cat/refs/{date}.json"))
    with pytest.raises(SourceError):
        catalog.add(path, tmp_path / "missing.json")
    with pytest.raises(ValueError, match="driver"):
        catalog.add(path, refs, driver="other")
    with pytest.raises(ValueError, match="intake"):
        catalog.add(path, refs, intake=3)
    assert path.read_bytes() == before
    catalog.add(path, refs, name="air", description="new", overwrite=True)
    assert [entry.description for entry in catalog.entries(path)] == ["new"]


def test_sets_that_stock_readers_misread_get_our_driver(tmp_path):
    data = xr.Dataset({"v": (("x", "y"), np.arange(6000.0).reshape(60, 100))})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    refs = refmaker.scan(tmp_path / "a.nc", chunk_bytes=800)
    path = tmp_path / "catalog.yaml"
    for name, form in (("compact.json", {"format": "compact"}), ("rel.json", {"relative": True})):
        refs.write(tmp_path / name, **form)
        with pytest.raises(MetadataError, match="stock readers cannot"):
            catalog.add(path, tmp_path / name, driver="stock")
        entry = catalog.add(path, tmp_path / name)
        assert not entry.stock
        xr.testing.assert_identical(opened(open_catalog(path)[entry.name]), data)


def test_what_others_wrote_stays(air, tmp_path):
    path = tmp_path / "cat" / "catalog.yaml"
    path.write_text(
        "# ours since 2019\nmetadata: {version: 1}\nsources:\n"
        "  table:  # the good one\n    driver: csv\n    args: {urlpath: 'a.csv'}\n"
    )
    catalog.add(path, tmp_path / "cat/refs/20240101.json", name="air")
    text = path.read_text()
    assert "# ours since 2019" in text
    assert "# the good one" in text
    assert [entry.name for entry in catalog.entries(path)] == ["table", "air"]
    assert [entry.driver for entry in catalog.entries(path)] == ["csv", "zarr"]
    xr.testing.assert_identical(opened(open_catalog(path)["air"]), air["20240101"])


def test_a_catalog_that_intake_wrote(air, tmp_path):
    import intake

    theirs = intake.entry.Catalog()
    theirs["text"] = intake.readers.readers.FileByteReader(intake.readers.datatypes.JSONFile("x"))
    path = tmp_path / "cat" / "catalog.yaml"
    theirs.to_yaml_file(str(path))
    catalog.add(path, tmp_path / "cat/refs/20240101.json", name="air")
    found = open_catalog(path)
    assert set(found.entries) == {"text", "air"}
    xr.testing.assert_identical(opened(found["air"]), air["20240101"])


@pytest.mark.parametrize("text", ["- 1\n", "a: 1\n", "{", "sources: 3\n", "", "\x00"])
def test_what_is_no_catalog(air, tmp_path, text):
    path = tmp_path / "cat" / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(MetadataError):
        catalog.add(path, tmp_path / "cat/refs/20240101.json")
    assert path.read_text() == text


def test_groups(tmp_path):
    tree = xr.DataTree.from_dict({"/a/b": xr.Dataset({"v": ("x", np.arange(9.0))})})
    tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    refmaker.scan(tmp_path / "tree.nc").write(tmp_path / "tree.json")
    with pytest.raises(MetadataError, match="/a/b"):
        catalog.add(tmp_path / "c.yaml", tmp_path / "tree.json")
    for intake in (1, 2):
        for driver in ("stock", "refmaker"):
            path = tmp_path / f"{intake}{driver}.yaml"
            catalog.add(path, tmp_path / "tree.json", group="/a/b", intake=intake, driver=driver)
            found = opened(open_catalog(path)["tree"])
            assert np.array_equal(found.v, np.arange(9.0))


def test_data_and_catalog_behind_http(air, tmp_path):
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan(server.url("data/20240101.nc"))
        refs.write(tmp_path / "cat" / "refs" / "far.json")
        for intake in (1, 2):
            for driver in ("stock", "refmaker"):
                path = tmp_path / "cat" / f"{intake}{driver}.yaml"
                catalog.add(path, tmp_path / "cat/refs/far.json", intake=intake, driver=driver)
                found = open_catalog(server.url(f"cat/{intake}{driver}.yaml"))
                xr.testing.assert_identical(opened(found["far"]), air["20240101"])


def test_check_names_what_fails(air, tmp_path):
    path = tmp_path / "cat" / "catalog.yaml"
    for day in air:
        catalog.add(path, tmp_path / f"cat/refs/{day}.json", name=f"d{day}")
    (tmp_path / "data" / "20240102.nc").unlink()
    found = catalog.check(path)
    assert [(entry.name, entry.ok) for entry in found] == [
        ("d20240101", True),
        ("d20240102", False),
    ]
    assert "20240102.nc" in found[1].reason


def test_recommended_by_intake(air, tmp_path):
    import intake

    from refmaker.publish.catalog.drivers import ReferenceSetData, ReferenceSetToXarray

    refs = tmp_path / "cat" / "air.refs.json"
    shutil.copy(tmp_path / "cat/refs/20240101.json", refs)
    assert ReferenceSetData in intake.readers.datatypes.recommend(str(refs))
    found = ReferenceSetToXarray(ReferenceSetData(str(refs))).read()
    xr.testing.assert_identical(found.load(), air["20240101"])


def run(*words):
    try:
        main(list(words))
    except SystemExit as end:
        return end.code or 0
    return 0


def test_commands(air, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path / "cat")
    assert run("catalog", "add", "c.yaml", "refs/20240101.json", "--description", "one day") == 0
    assert "stock" in capsys.readouterr().out
    assert run("catalog", "add", "c.yaml", "refs/{d}.json", "--param", "d=20240102") == 0
    capsys.readouterr()
    assert run("catalog", "list", "c.yaml", "--json") == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["name"] for entry in listed] == ["_20240101", "data"]
    assert run("catalog", "list", "c.yaml") == 0
    assert "one day" in capsys.readouterr().out
    assert run("catalog", "show", "c.yaml", "data") == 0
    assert json.loads(capsys.readouterr().out)["output_instance"] == "xarray:Dataset"
    assert run("catalog", "show", "c.yaml", "nothing") == 2
    assert "_20240101" in capsys.readouterr().err
    assert run("catalog", "check", "c.yaml") == 0
    capsys.readouterr()
    Path("refs/20240102.json").unlink()
    assert run("catalog", "check", "c.yaml") == 1
    assert "data" in capsys.readouterr().err
    assert run("catalog", "stac", "refs/20240101.json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == "_20240101"
    words = ("--bbox", "-10", "-5", "10.5", "5", "--times", "2024-01-01/2024-01-02T12:00+02:00")
    assert run("catalog", "stac", "refs/20240101.json", "--group", "/", *words) == 0
    item = json.loads(capsys.readouterr().out)
    assert item["bbox"] == [-10, -5, 10.5, 5]
    assert item["properties"]["start_datetime"] == "2024-01-01T00:00:00Z"
    assert item["properties"]["end_datetime"] == "2024-01-02T10:00:00Z"
    assert run("catalog", "stac", "refs/20240101.json", "--times", "2024-01-02/2024-01-01") == 1
    assert "end before" in capsys.readouterr().err
    assert run("catalog", "stac", "refs/20240101.json", "--times", "yesterday") == 2
    assert "is not a time" in capsys.readouterr().err
    assert run("catalog", "stac", "refs/20240101.json", "--bbox", "0", "9", "1", "8") == 1
    assert "south before north" in capsys.readouterr().err

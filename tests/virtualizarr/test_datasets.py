"""Virtual datasets, after what xarray did to them, as reference sets."""

from __future__ import annotations

import json

import numpy as np
import pytest
import virtualizarr
import xarray as xr
from virtualizarr.parsers import HDFParser

import refmaker
from refmaker.errors import LimitError, MetadataError
from refmaker.model.report import Outcome
from refmaker.virtualizarr import Parser, from_dataset
from tests.virtualizarr.files import JOIN, day

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")


@pytest.fixture
def days(tmp_path):
    names = [tmp_path / f"d{number}.nc" for number in range(5)]
    for number, name in enumerate(names):
        # One chunk a time, so that times can be cut.
        made = day(number)
        made["tas"].encoding |= {"chunksizes": (1, 6, 8), "zlib": True}
        made.to_netcdf(name, engine="h5netcdf")
    return names


def virtual(days, registry, parser, **how):
    urls = [f"file://{name}" for name in days]
    return virtualizarr.open_virtual_mfdataset(
        urls, registry=registry, parser=parser, **JOIN, **how
    )


def changed(dataset):
    """Do what users of virtual datasets do."""
    return (
        dataset.rename(tas="temperature")
        .isel(time=slice(4, 16))
        .assign_attrs(title="changed")
        .expand_dims(run=np.array(["2020-01-01"], "M8[ns]"))
        .assign_coords(member=3)
    )


@pytest.mark.parametrize(
    "parser", [Parser(inline_threshold=0), HDFParser()], ids=["refmaker", "HDFParser"]
)
def test_after_what_xarray_did(days, registry, parser, tmp_path):
    refs = from_dataset(changed(virtual(days, registry, parser)))
    refs.write(tmp_path / "cube.json")
    with xr.open_mfdataset(days, engine="h5netcdf", **JOIN) as native:
        expected = changed(native).load()
    for source in (refs, tmp_path / "cube.json"):
        opened = refmaker.open_dataset(source).load()
        xr.testing.assert_equal(opened, expected)
        assert opened.attrs == expected.attrs
        assert opened["temperature"].attrs == expected["temperature"].attrs
    assert refs.group["temperature"].chunks.referenced == 12
    assert not refs.group["temperature"].chunks.inlined


@pytest.mark.parametrize("loaded", [[], ["scale"]], ids=["virtual", "loaded"])
def test_scalars_in_what_virtualizarr_writes(registry, tmp_path, loaded):
    """It names the chunk of a scalar ``scale/``, which stock readers take for absent."""
    made = xr.Dataset({"scale": ((), np.float64(2.5)), "x": ("x", np.arange(3.0))})
    made.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    url = f"file://{tmp_path}/a.nc"
    opened = virtualizarr.open_virtual_dataset(
        url, registry=registry, parser=HDFParser(), loadable_variables=loaded
    )
    opened.vz.to_kerchunk(str(tmp_path / "theirs.json"), format="json")
    xr.testing.assert_equal(refmaker.open_dataset(tmp_path / "theirs.json").load(), made)
    refmaker.read(tmp_path / "theirs.json").write(tmp_path / "ours.json")
    again = xr.open_dataset(str(tmp_path / "ours.json"), engine="kerchunk")
    xr.testing.assert_equal(again.load(), made)


@pytest.mark.parametrize(
    "loaded", [[], None, ["tas"], ["tas", "time", "lat", "lon", "count"]], ids=str
)
def test_what_was_loaded_is_kept(days, registry, loaded):
    url = f"file://{days[0]}"
    opened = virtualizarr.open_virtual_dataset(
        url, registry=registry, parser=Parser(), loadable_variables=loaded
    )
    refs = from_dataset(opened)
    rows = {row.path.strip("/"): row.outcome for row in refs.report.rows}
    if loaded:
        assert {name for name, outcome in rows.items() if outcome is Outcome.INLINED} == set(loaded)
    xr.testing.assert_equal(
        refmaker.open_dataset(refs).load(), xr.open_dataset(days[0], engine="h5netcdf").load()
    )


def test_texts_times_and_nothing():
    made = xr.Dataset(
        {
            "name": ("x", np.array(["a", "日本", ""], object)),
            "fixed": ("x", np.array([b"ab", b"c", b"def"])),
            "flag": ("x", [True, False, True]),
            "big": ("x", np.array([1, 2, 3], ">i4")),
            "part": ("x", [1.5, np.nan, 2.5]),
            "z": ("x", np.array([1 + 2j, 3, 4])),
            "none": ("y", np.zeros(0)),
            "scalar": ((), 4.25),
        },
        coords={"x": np.array(["2000-01-01", "2000-01-02", "2001-01-01"], "M8[ns]")},
        attrs={"values": np.float32([1, np.nan]), "count": np.int64(4)},
    )
    refs = from_dataset(made)
    opened = refmaker.open_dataset(refs).load()
    xr.testing.assert_equal(opened, made)
    assert opened.attrs["count"] == 4
    json.dumps(refs.group.attributes, allow_nan=False)


def test_the_budget_and_attributes_without_a_word():
    made = xr.Dataset({"x": ("i", np.arange(1000.0))})
    with pytest.raises(LimitError, match="loadable_variables"):
        from_dataset(made, inline_budget=999)
    assert from_dataset(made, inline_budget=8000).group["x"].shape == (1000,)
    made["x"].attrs["odd"] = object()
    with pytest.raises((MetadataError, TypeError), match=r"odd|JSON"):
        from_dataset(made)

"""Variables that are shorter than an unlimited dimension, as the netCDF library reads them."""

from __future__ import annotations

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet

OPTIONS = (
    ScanOptions(),
    ScanOptions(inline_threshold=0),
    ScanOptions(inline_threshold=2**20, chunk_bytes=None),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.nc"


def same(path, engine="netcdf4"):
    """Hold a file against an engine of xarray, with every way to scan.

    The netCDF library leaves what it likes behind the ends of variables of two unlimited
    dimensions, h5netcdf pads no strings.
    """
    for options in OPTIONS:
        group, report = scan(path, options=options)
        with xr.open_datatree(path, engine=engine) as native:
            xr.testing.assert_identical(refmaker.open_datatree(group), native)
        assert not report.skipped
        checks = refmaker.verify(ReferenceSet(group, report), isolate="never")
        assert all(check.equal == check.compared > 0 for check in checks), checks


def test_each_has_its_own_extent(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("time", None)
        f.createDimension("x", 3)
        f.createVariable("long", "f4", ("time", "x"), chunksizes=(2, 3))[:5] = np.ones((5, 3))
        short = f.createVariable("short", "f4", ("time", "x"), fill_value=-5, zlib=True)
        short[:2] = 2
        f.createVariable("nofv", "i2", ("time",), chunksizes=(4,))[:3] = 2
        f.createVariable("nothing", "u1", ("time",))
        f.createVariable("text", str, ("time",))[:2] = np.array(["a", "bc"], object)
    same(path)


def test_across_groups(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("t", None)
        f.createVariable("a", "i4", ("t",))[:3] = 1
        g = f.createGroup("g")
        g.createDimension("u", None)
        g.createVariable("b", "f8", ("t", "u"), chunksizes=(3, 2))[:7, :1] = 2
        h = g.createGroup("h")
        h.createVariable("c", "f8", ("u",), chunksizes=(4,))[:9] = np.arange(9)
        h.createVariable("d", "i8", ("t", "u"), zlib=True, chunksizes=(2, 5))[:2, :4] = 4
    same(path, "h5netcdf")


@pytest.mark.parametrize("code", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_type_has_its_fill_value(path, code):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("t", None)
        f.createVariable("long", code, ("t",))[:11] = 1
        f.createVariable("own", code, ("t",), fill_value=9, chunksizes=(4,))[:5] = 2
        f.createVariable("default", code, ("t",), chunksizes=(4,), zlib=True)[:5] = 3
    same(path)


def test_without_fill_values_of_hdf5(path):
    # The netCDF library takes its own; h5netcdf takes zeros.
    with h5py.File(path, "w") as f:
        t = f.create_dataset("t", data=np.arange(5.0), maxshape=(None,), chunks=(4,))
        t.make_scale("t")
        for name, extent in (("short", 3), ("longest", 7)):
            v = f.create_dataset(name, data=np.arange(extent), maxshape=(None,), chunks=(2,))
            v.dims[0].attach_scale(t)
        v = f.create_dataset("fixed", data=np.arange(3, dtype="f4"))
        v.dims[0].attach_scale(t)
    same(path)


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}, {"scaleoffset": 0}],
)
def test_what_lies_behind_the_end_does_not_show(path, options):
    # Writers of whole chunks may leave anything there; HDF5 itself leaves fill values.
    with h5py.File(path, "w") as f:
        t = f.create_dataset("t", data=np.arange(9), maxshape=(None,), chunks=(4,))
        t.make_scale("t")
        known = {"maxshape": (None,), "chunks": (4,), "fillvalue": -1}
        v = f.create_dataset("v", (6,), "i4", **known, **options)
        v[:] = np.arange(6)
        v.dims[0].attach_scale(t)
        whole = f.create_dataset("w", (8,), "i4", chunks=(4,), **options)
        whole[:] = 100 + np.arange(8)
        mask, raw = whole.id.read_direct_chunk((4,))
        v.id.write_direct_chunk((4,), raw, mask)
        del f["w"]
    group, report = scan(path, options=ScanOptions(inline_threshold=0))
    if "scaleoffset" in options:
        # What is only decoded here cannot be written anew.
        assert [(row.path, row.code) for row in report.skipped] == [("/v", "padding")]
        return
    found = refmaker.open_dataset(group, mask_and_scale=False)["v"].values
    assert found.tolist() == [0, 1, 2, 3, 104, 105, -1, -1, -1]


def test_more_than_the_budget_is_refused(path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("t", None)
        f.createVariable("long", "i1", ("t",))[:3000] = 1
        f.createVariable("short", "f8", ("t",), chunksizes=(2000,), zlib=True)[:1999] = 2
    _, report = scan(path, options=ScanOptions(inline_budget=15_999))
    assert [(row.path, row.code) for row in report.skipped] == [("/short", "budget")]
    same(path)


def test_types_without_fill_value_are_refused(path):
    with h5py.File(path, "w") as f:
        t = f.create_dataset("t", data=np.arange(9), maxshape=(None,), chunks=(4,))
        t.make_scale("t")
        v = f.create_dataset("v", (6,), [("a", "i4")], maxshape=(None,), chunks=(4,))
        v.dims[0].attach_scale(t)
    _, report = scan(path)
    assert [(row.path, row.code) for row in report.skipped] == [("/v", "padding")]


def test_scales_of_another_extent_name_nothing(path):
    with h5py.File(path, "w") as f:
        f["x"] = np.arange(5.0)
        f["x"].make_scale("x")
        f["v"] = np.arange(3.0)
        f["v"].dims[0].attach_scale(f["x"])
    group, report = scan(path)
    assert refmaker.open_dataset(group)["v"].values.tolist() == [0, 1, 2]
    assert any("does not name it" in text for text in report.warnings)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_extents_and_chunks(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("padding") / "file.nc"
    extents = st.integers(0, 9)
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("t", None)
        f.createDimension("u", None)
        for name in "abc":
            t, u = data.draw(extents), data.draw(extents)
            v = f.createVariable(
                name, data.draw(st.sampled_from(["i2", "f4"])), ("t", "u"),
                chunksizes=(data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))),
                zlib=data.draw(st.booleans()),
                fill_value=data.draw(st.sampled_from([None, 7])),
            )  # fmt: skip
            if t and u:
                v[:t, :u] = np.arange(t * u).reshape(t, u)
    group, report = scan(path, options=data.draw(st.sampled_from(OPTIONS)))
    assert not report.skipped
    with xr.open_dataset(path, engine="h5netcdf") as native:
        xr.testing.assert_identical(refmaker.open_dataset(group), native)

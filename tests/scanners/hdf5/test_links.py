"""Links of every kind, aliases, cycles, and names that are hard to keep."""

from __future__ import annotations

import ctypes
import time

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_hard_links(check, path, libver):
    with h5py.File(path, "w", libver=libver) as f:
        f["a"] = np.arange(1000)
        f["g/b"] = f["a"]
        f["g/h/c"] = np.arange(5)
        f["alias"] = f["g"]
        f["g/h/again"] = f["a"]
    found = check(path)
    for name in ("a", "g/b", "g/h/again", "alias/b", "alias/h/c"):
        assert name in dict(found.group.arrays())
    assert found.outcomes["/alias"] == Outcome.DUPLICATED or found.outcomes["/g"] == (
        Outcome.DUPLICATED
    )


def test_soft_links(check, path):
    with h5py.File(path, "w") as f:
        f["g/data"] = np.arange(1000)
        f["to_data"] = h5py.SoftLink("/g/data")
        f["g/relative"] = h5py.SoftLink("data")
        f["g/sub/deep"] = h5py.SoftLink("/to_group/data")
        f["to_group"] = h5py.SoftLink("/g")
        f["chain"] = h5py.SoftLink("/to_data")
        f["dangling"] = h5py.SoftLink("/not/there")
        f["early"] = h5py.SoftLink("/z/late")
        f["z/late"] = np.arange(7)
    found = check(path)
    for name in ("to_data", "g/relative", "g/sub/deep", "to_group/data", "chain", "early"):
        assert name in dict(found.group.arrays())
    assert found.outcomes["/dangling"] == Outcome.METADATA


def test_cycles(check, path):
    with h5py.File(path, "w") as f:
        f["a/b/data"] = np.arange(10)
        f["a/b/up"] = f["a"]
        f["a/root"] = f["/"]
        f["a/self"] = h5py.SoftLink("/a")
        f["one"] = h5py.SoftLink("/two")
        f["two"] = h5py.SoftLink("/one")
        f["me"] = h5py.SoftLink("/me")
    found = check(path)
    assert found.outcomes["/a/b/up"] == Outcome.DUPLICATED
    assert found.outcomes["/one"] == Outcome.METADATA


def test_links_that_multiply_are_bounded(path):
    with h5py.File(path, "w") as f:
        group = f
        for i in range(40):
            group = group.create_group("left")
            group.parent["right"] = group
            group["n"] = i
    group, report = scan(path)
    assert sum(1 for _ in group.walk()) < 100_000
    assert any("too many" in row.reason for row in report.rows)


def test_external_links(check, path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["g/x"] = np.arange(1000)
        f["back"] = h5py.ExternalLink("file.h5", "/here")
    with h5py.File(path, "w") as f:
        f["here"] = np.arange(2000)
        f["link"] = h5py.ExternalLink("other.h5", "/g/x")
        f["group"] = h5py.ExternalLink("other.h5", "/g")
        f["lost"] = h5py.ExternalLink("other.h5", "/nothing")
        f["gone"] = h5py.ExternalLink("missing.h5", "/x")
    found = check(path, dict.fromkeys(("/link", "/group", "/lost", "/gone"), "external-link"))
    assert any("follow" in row.reason for row in found.report.skipped)
    group, report = scan(path, options=ScanOptions(follow_external=True))
    assert set(dict(group.arrays())) == {"here", "link", "group/x"}
    assert {row.path for row in report.skipped} == {"/lost", "/gone"}
    assert str(tmp_path / "other.h5") in report.sources
    table = dict(group.arrays())["link"].chunks
    assert table.urls == (str(tmp_path / "other.h5"),)


def test_external_links_in_a_ring(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = np.arange(10)
        f["back"] = h5py.ExternalLink("file.h5", "/")
    with h5py.File(path, "w") as f:
        f["link"] = h5py.ExternalLink("other.h5", "/")
        f["self"] = h5py.ExternalLink("file.h5", "/")
    group, report = scan(path, options=ScanOptions(follow_external=True))
    assert "link/x" in dict(group.arrays())
    rows = [row.path for row in report.rows]
    assert {"/link", "/self", "/link/back"} <= set(rows)
    assert len(rows) == len(set(rows))


def test_user_defined_links(hdf5, path):
    with h5py.File(path, "w") as f:
        f["data"] = np.arange(10)
        register_user_class(hdf5)
        done = hdf5.H5Lcreate_ud(
            ctypes.c_int64(f.id.id), b"odd", 100, b"abc", ctypes.c_size_t(3),
            ctypes.c_int64(0), ctypes.c_int64(0),
        )  # fmt: skip
        assert done >= 0
    group, report = scan(path)
    assert set(dict(group.arrays())) == {"data"}
    [row] = report.skipped
    assert (row.path, row.code) == ("/odd", "user-link")
    assert "user-defined" in row.reason


def register_user_class(library):
    traverse = ctypes.CFUNCTYPE(ctypes.c_int64)

    class LinkClass(ctypes.Structure):
        _fields_ = (
            ("version", ctypes.c_int), ("id", ctypes.c_int), ("comment", ctypes.c_char_p),
            ("create", ctypes.c_void_p), ("move", ctypes.c_void_p), ("copy", ctypes.c_void_p),
            ("traverse", traverse), ("delete", ctypes.c_void_p), ("query", ctypes.c_void_p),
        )  # fmt: skip

    register_user_class.kept = traverse(lambda: -1)
    described = LinkClass(1, 100, b"odd", None, None, None, register_user_class.kept, None, None)
    assert library.H5Lregister(ctypes.byref(described)) >= 0


def test_named_datatypes_have_a_row(check, path):
    with h5py.File(path, "w") as f:
        f["type"] = np.dtype("f4")
        f["g/compound"] = np.dtype([("a", "i4"), ("b", "f8")])
        f.create_dataset("data", (3,), f["type"])
    found = check(path)
    assert found.outcomes["/type"] == Outcome.METADATA
    assert set(dict(found.group.arrays())) == {"data"}


def test_names(check, path):
    with h5py.File(path, "w") as f:
        for name in ("größe", "日本", "with space", "a.b", "0.0", "%41", "{{u}}", "'", "*[?]", "é"):
            f[f"g {name}/{name}"] = np.arange(1000)
    found = check(path)
    assert len(dict(found.group.arrays())) == 10


def test_names_that_zarr_cannot_have(path):
    with h5py.File(path, "w") as f:
        f[".zarray"] = np.arange(3)
        f["g/.zattrs"] = np.arange(3)
        f["g/back\\slash"] = np.arange(3)
        f["g/fine"] = np.arange(3)
    group, report = scan(path)
    assert set(dict(group.arrays())) == {"g/fine"}
    assert {row.path: row.code for row in report.skipped} == {
        "/.zarray": "name",
        "/g/.zattrs": "name",
        "/g/back\\slash": "name",
    }


def test_names_that_are_no_utf8(check, path):
    with h5py.File(path, "w") as f:
        f[b"temp\xe9rature"] = np.arange(1000)
    found = check(path)
    assert set(dict(found.group.arrays())) == {"température"}


@pytest.mark.parametrize("track", [False, True])
def test_order_of_members(path, track):
    with h5py.File(path, "w", track_order=track) as f:
        for name in "zebra", "ant", "mole":
            f[name] = 1
    group, _ = scan(path)
    assert list(group.members) == (["zebra", "ant", "mole"] if track else ["ant", "mole", "zebra"])


def test_many_links(check, path):
    with h5py.File(path, "w", libver="latest") as f:
        for i in range(500):
            f[f"v{i}"] = i
    assert len(dict(check(path).group.arrays())) == 500


def test_deep(check, path):
    with h5py.File(path, "w") as f:
        group = f
        for _ in range(50):
            group = group.create_group("d")
        group["leaf"] = 3
    check(path)


def test_references_to_what_has_no_name_in_zarr(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as f:
        f["g/back\\slash"] = 1
        f["g/fine"] = 2
        f["refs"] = np.array([f["g/back\\slash"].ref, f["g/fine"].ref], h5py.ref_dtype)
        f["gone"] = 3
        f["unnamed"] = np.array([f["gone"].ref], h5py.ref_dtype)
        f["keeper"] = h5py.SoftLink("/gone")
        held = f["gone"]
        f["elsewhere/gone"] = held
        del f["gone"]
    group, _ = scan(path)
    stock = open_stock(group)
    assert stock["refs"][...].tolist() == ["/g/back\\slash", "/g/fine"]
    assert stock["unnamed"][...].tolist() == ["/elsewhere/gone"]


def test_many_empty_groups_cost_little_more_than_a_walk(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", libver="latest") as f:
        for i in range(4000):
            f.create_group(f"{i % 20}/{i}")

    def walk():
        with h5py.File(path) as f:
            f.visititems(lambda name, item: None)

    def cost(what):
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            what()
            best = min(best, time.process_time() - start)
        return best

    assert cost(lambda: scan(path)) <= 3 * cost(walk)


def opened(path, **options):
    return refmaker.open_datatree(scan(path, options=ScanOptions(inline_threshold=0, **options))[0])


@pytest.mark.parametrize("soft", [False, True])
def test_dimensions_are_named_where_a_link_stands(tmp_path, soft):
    path = tmp_path / "file.nc"
    with netCDF4.Dataset(path, "w") as f:
        for name, extent in (("a", 5), ("b", 7)):
            group = f.createGroup(name)
            group.createDimension("x", extent)
            for variable in ("x", "own"):
                group.createVariable(variable, "f8", ("x",))[:] = np.arange(extent)
    with h5py.File(path, "r+") as f:
        f["b/from_a"] = h5py.SoftLink("/a/own") if soft else f["a/own"]
        f["a/under"] = h5py.SoftLink("/a/own") if soft else f["a/own"]
    tree = opened(path)
    assert tree["b/from_a"].shape == (5,)
    assert "x" not in tree["b/from_a"].dims
    assert tree["b/own"].dims == tree["a/own"].dims == tree["a/under"].dims == ("x",)


def test_nameless_dimensions_are_numbered_where_a_link_stands(tmp_path):
    path = tmp_path / "file.h5"
    with h5py.File(path, "w", track_order=True) as f:
        for name, extent in (("z", 4), ("a", 5)):
            f.create_group(name, track_order=True)
            f[name].create_dataset("step", data=np.arange(extent), maxshape=(None,), chunks=(2,))
        f["a"].create_dataset("value", data=np.zeros((5, 3)), maxshape=(None, 3), chunks=(1, 3))
        f["m/value"] = np.zeros((4, 3))
        f["m/step"] = f["z/step"]
        f["m/other"] = f["a/step"]
        f["last"] = np.zeros((3, 3))
    with xr.open_datatree(path, engine="netcdf4") as native:
        xr.testing.assert_identical(opened(path), native)


@pytest.mark.parametrize("extents", [(10, 10, 5), (1, 2, 3)])
def test_arrays_of_other_files_stand_beside_one_another(tmp_path, extents):
    """As detectors write series of images: a file each, and one that links to them all."""
    for number, extent in enumerate(extents):
        with h5py.File(tmp_path / f"data_{number}.h5", "w") as f:
            f["entry/data/data"] = np.arange(extent * 6, dtype="u4").reshape(extent, 2, 3)
    with h5py.File(tmp_path / "master.h5", "w") as f:
        group = f.create_group("entry/data")
        for number in range(len(extents)):
            group[f"data_{number}"] = h5py.ExternalLink(f"data_{number}.h5", "/entry/data/data")
        group["mask"] = np.zeros((2, 3))
    with xr.open_datatree(tmp_path / "master.h5", engine="netcdf4") as native:
        ours = opened(tmp_path / "master.h5", follow_external=True)
        xr.testing.assert_identical(ours, native)


def test_dimensions_of_other_files_keep_their_names_apart(tmp_path):
    for number, extent in enumerate((5, 5, 6)):
        with netCDF4.Dataset(tmp_path / f"{number}.nc", "w") as f:
            f.createDimension("x", extent)
            f.createDimension("free", 4)
            f.createVariable("x", "f8", ("x",))[:] = np.arange(extent) + number
            f.createVariable("v", "f8", ("x", "free"))[:] = number
    with h5py.File(tmp_path / "0.nc", "r+") as f:
        f["one"] = h5py.ExternalLink("1.nc", "/v")
        f["two"] = h5py.ExternalLink("2.nc", "/v")
        f["sub/three"] = h5py.ExternalLink("1.nc", "/v")
    tree = opened(tmp_path / "0.nc", follow_external=True)
    # The coordinates x of this file are those of its own variables alone.
    assert tree["v"].dims == ("x", "free")
    for name, extent in (("one", 5), ("two", 6), ("sub/three", 5)):
        assert tree[name].shape == (extent, 4)
        assert "x" not in tree[name].coords
        assert (tree[name].values == {"two": 2}.get(name, 1)).all()


def test_dimensions_of_other_files_have_their_names(tmp_path):
    with netCDF4.Dataset(tmp_path / "other.nc", "w") as f:
        f.createDimension("t", None)
        f.createDimension("y", 4)
        f.createVariable("v", "f8", ("t", "y"))[:] = np.ones((3, 4))
    with h5py.File(tmp_path / "master.h5", "w") as f:
        f["v"] = h5py.ExternalLink("other.nc", "/v")
        f["w"] = np.zeros((3, 4))
    tree = opened(tmp_path / "master.h5", follow_external=True)
    assert tree["v"].dims == ("t", "y")
    assert tree.encoding["unlimited_dims"] == {"t"}

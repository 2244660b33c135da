"""Links of every kind, aliases, cycles, and names that are hard to keep."""

from __future__ import annotations

import ctypes
import time

import h5py
import numpy as np
import pytest

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

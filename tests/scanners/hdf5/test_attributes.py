"""Attributes of every kind survive as strict JSON, and a bad one loses only itself."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import refmaker
from refmaker.scanning.one_file import scan
from refmaker.testing.reading import document


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def attributes(path, name="d"):
    """Scan, and return the attributes as they stand in the JSON text."""
    group, report = scan(path)
    text = document(group)["refs"][f"{name}/.zattrs"]
    found = json.loads(text, parse_constant=pytest.fail)
    found.pop("_ARRAY_DIMENSIONS", None)
    found.pop("_nczarr_attr", None)
    return found, report


KINDS = {
    "int": (np.int16(-3), -3),
    "uint64": (np.uint64(2**64 - 1), 2**64 - 1),
    "float": (np.float64(0.1), 0.1),
    "float32": (np.float32(0.5), 0.5),
    "nan": (np.float32(np.nan), "NaN"),
    "inf": (np.float64(-np.inf), "-Infinity"),
    "bool": (True, True),
    "text": ("größe", "größe"),
    "bytes": (np.bytes_(b"abc"), "abc"),
    "empty text": ("", ""),
    "one": (np.array([7], "i4"), [7]),
    "list": (np.array([1.5, np.nan, np.inf]), [1.5, "NaN", "Infinity"]),
    "big endian": (np.array([1, 2], ">i4"), [1, 2]),
    "matrix": (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
    "none": (np.zeros(0, "f4"), []),
    "complex": (np.complex64(1 + 2j), [1.0, 2.0]),
    "complexes": (np.array([1j, 2]), [[0.0, 1.0], [2.0, 0.0]]),
    "texts": (np.array(["a", "bc"], object), ["a", "bc"]),
    "fixed texts": (np.array([b"a", b"bc"]), ["a", "bc"]),
    "bools": (np.array([True, False]), [True, False]),
    "void": (np.void(b"\x00\xff"), "base64:AP8="),
    "compound": (np.array((1, 2.5), [("a", "i4"), ("b", "f8")]), {"a": 1, "b": 2.5}),
    "compounds": (
        np.array([(1, b"x"), (2, b"yz")], [("a", "i4"), ("b", "S3")]),
        [{"a": 1, "b": "x"}, {"a": 2, "b": "yz"}],
    ),
    "half": (np.float16(0.25), 0.25),
    "null": (h5py.Empty("f4"), []),
    "null text": (h5py.Empty("S4"), ""),
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_kinds(path, libver):
    with h5py.File(path, "w", libver=libver) as f:
        d = f.create_dataset("d", (3000,), "f4")
        for name, (value, _) in KINDS.items():
            d.attrs[name] = value
    found, report = attributes(path)
    assert found == {name: expected for name, (_, expected) in KINDS.items()}
    assert all(type(found[n]) is type(e) for n, (_, e) in KINDS.items())
    assert not report.skipped


def test_other_kinds(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (3000,), "f4")
        f["g/other"] = 1
        d.attrs["reference"] = f["g/other"].ref
        d.attrs.create("references", [f["g"].ref, d.ref], dtype=h5py.ref_dtype)
        enum = h5py.enum_dtype({"RED": 0, "GREEN": 1})
        d.attrs.create("enum", 1, dtype=enum)
        d.attrs.create("ragged", np.array([np.arange(2), np.arange(1)], object), (2,),
                       h5py.vlen_dtype("i4"))  # fmt: skip
        kind = h5py.h5t.array_create(h5py.h5t.STD_I32LE, (3,))
        made = h5py.h5a.create(d.id, b"subarray", kind, h5py.h5s.create_simple((2,)))
        made.write(np.arange(6, dtype="i4").reshape(2, 3), kind)
        d.attrs.create("latin", np.bytes_(b"caf\xe9"))
        d.attrs.create("latin vlen", b"caf\xe9", dtype=h5py.string_dtype("ascii"))
        times = np.array(["2020-01-01", "NaT"], "M8[D]")
        d.attrs.create("times", times.astype(h5py.opaque_dtype(times.dtype)))
        d.attrs.create("long", np.longdouble(0.5))
    found, report = attributes(path)
    assert found["reference"] == "/g/other"
    assert found["references"] == ["/g", "/d"]
    assert found["enum"] == 1
    assert found["ragged"] == [[0, 1], [0]]
    assert found["subarray"] == [[0, 1, 2], [3, 4, 5]]
    assert found["latin"] == found["latin vlen"] == "café"
    assert found["times"] == ["2020-01-01", "NaT"]
    assert found["long"] == 0.5
    assert any("Latin-1" in text for text in report.warnings)
    assert not report.skipped


def test_a_bad_one_loses_only_itself(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", data=np.arange(3000))
        d.attrs["before"] = 1
        d.attrs["region"] = d.regionref[1:3]
        d.attrs["after"] = 2
        f.attrs["region"] = d.regionref[1:3]
        f.attrs["title"] = "t"
    found, report = attributes(path)
    assert found == {"before": 1, "after": 2}
    assert {row.path: row.code for row in report.skipped} == {
        "/d@region": "attribute",
        "/@region": "attribute",
    }
    group, _ = scan(path)
    assert group.attributes == {"title": "t"}
    assert dict(group.arrays())["d"].chunks.referenced


def test_dangling_references(path):
    with h5py.File(path, "w") as f:
        f["gone"] = 1
        d = f.create_dataset("d", (3000,), "f4")
        d.attrs["gone"] = f["gone"].ref
        h5py.h5a.create(d.id, b"null", h5py.h5t.STD_REF_OBJ, h5py.h5s.create_simple((2,)))
        d.attrs["fine"] = 1
        del f["gone"]
    found, _ = attributes(path)
    assert found["fine"] == 1
    assert found["null"] == [None, None]


@pytest.mark.parametrize("count", [8, 9, 300])
def test_dense_storage(path, count):
    with h5py.File(path, "w", libver="latest") as f:
        d = f.create_dataset("d", (3000,), "f4")
        for i in range(count):
            d.attrs[f"a{i}"] = i
    found, _ = attributes(path)
    assert found == {f"a{i}": i for i in range(count)}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_large(path, libver):
    values = np.arange(20_000.0)
    with h5py.File(path, "w", libver=libver) as f:
        d = f.create_dataset("d", (3000,), "f4")
        d.attrs["text"] = "x" * 60_000
        if libver == "latest":
            d.attrs["large"] = values
        d.attrs["last"] = 1
    found, _ = attributes(path)
    assert found["text"] == "x" * 60_000
    assert found["last"] == 1
    assert libver == "earliest" or found["large"] == values.tolist()


def test_too_large_loses_only_itself(path):
    with h5py.File(path, "w", libver="latest") as f:
        d = f.create_dataset("d", (3000,), "f4")
        d.attrs["huge"] = np.zeros(2**21)
        d.attrs["fine"] = 1
    found, report = attributes(path)
    assert found == {"fine": 1}
    assert [row.path for row in report.skipped] == ["/d@huge"]


def test_names(path):
    names = ["größe", "日本", "with space", "a/b", "", '"', "\\", "_FillValue ", "x" * 200]
    with h5py.File(path, "w", track_order=True) as f:
        d = f.create_dataset("d", (3000,), "f4", track_order=True)
        for name in names:
            if name:
                d.attrs[name] = name
    found, _ = attributes(path)
    assert found == {name: name for name in names if name}


@pytest.mark.parametrize("track", [False, True])
def test_order(path, track):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", (3000,), "f4", track_order=track)
        for name in "zebra", "ant", "mole":
            d.attrs[name] = 1
    found, _ = attributes(path)
    assert list(found) == ["zebra", "ant", "mole"] if track else sorted(found) == sorted(found)


def test_names_that_are_zarrs_own(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("d", data=np.zeros((300, 20)))
        d.attrs["_ARRAY_DIMENSIONS"] = ["no", "such", "thing"]
    group, _ = scan(path)
    text = document(group)["refs"]["d/.zattrs"]
    assert len(json.loads(text)["_ARRAY_DIMENSIONS"]) == 2


def test_groups_and_null_datasets(path):
    with h5py.File(path, "w") as f:
        f.attrs["title"] = "t"
        f.create_group("g").attrs["level"] = 1.5
        f["n"] = h5py.Empty("i4")
        f["n"].attrs["units"] = "K"
    assert attributes(path, "g")[0] == {"level": 1.5}
    assert attributes(path, "n")[0] == {"units": "K"}


def test_internal_ones_are_hidden(path):
    with h5py.File(path, "w") as f:
        f["x"] = np.arange(300)
        f["x"].make_scale("a name")
        f["x"].attrs["units"] = "m"
        f["y"] = np.arange(300)
        f["y"].attrs["NAME"] = "kept"
        f["y"].dims[0].attach_scale(f["x"])
        f["y"].dims[0].label = "label"
    assert attributes(path, "x")[0] == {"units": "m"}
    assert attributes(path, "y")[0] == {"NAME": "kept"}


@pytest.mark.parametrize("code", ["u1", "<i2", ">i4", "<i8"])
def test_enumerations_keep_their_type(path, code):
    with h5py.File(path, "w") as f:
        kind = h5py.enum_dtype({"RED": 0, "GREEN": 1}, basetype=code)
        f["d"] = np.arange(3)
        f["d"].attrs.create("one", 1, dtype=kind)
        f["d"].attrs.create("many", [1, 0], dtype=kind)
    found = refmaker.open_dataset(scan(path)[0])["d"].attrs
    wanted = np.dtype(code).newbyteorder("=")
    for name, values in (("one", 1), ("many", [1, 0])):
        assert np.asarray(found[name]).tolist() == values
        assert np.asarray(found[name]).dtype == wanted

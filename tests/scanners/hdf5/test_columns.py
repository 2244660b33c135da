"""Records with strings, references and sequences, and sequences alone, are columns of a group."""

from __future__ import annotations

import h5py
import netCDF4
import numpy as np
import pytest

import refmaker
from refmaker.model.report import Outcome
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock

TEXT = h5py.string_dtype()
EPOCHS = np.dtype([
    ("start", "f8"),
    ("label", TEXT),
    ("of", h5py.ref_dtype),
    ("inner", [("a", ">i4"), ("s", TEXT)]),
    ("pair", "i2", (2,)),
    ("samples", h5py.vlen_dtype("i4")),
])  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def same_bytes(one, other):
    """Whether records are the same, field by field."""
    if one.dtype.names is None:
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    return all(same_bytes(one[name], other[name]) for name in one.dtype.names)


def epochs(file, count):
    rows = np.zeros(count, EPOCHS)
    for i in range(count):
        rows[i] = (
            i / 2, f"ä{i}", file["x"].ref if i else None, (i, "q" * i), (i, i + 1), np.arange(i),
        )  # fmt: skip
    return rows


def test_records(check, path):
    with h5py.File(path, "w") as f:
        f["x"] = np.arange(3)
        f["epochs"] = epochs(f, 300)
        f["epochs"].attrs["colnames"] = ["start", "label"]
        f["one"] = epochs(f, 3)[2]
        f.create_dataset("none", (0,), EPOCHS)
        f.create_dataset("packed", data=epochs(f, 40), chunks=(7,), compression="gzip")
    result = check(path)
    assert result.outcomes["/epochs"] is Outcome.GROUP
    tree = refmaker.open_datatree(result.group)
    assert tree["epochs"].attrs == {"colnames": ["start", "label"]}
    assert tree["epochs"]["label"].values.tolist() == [f"ä{i}" for i in range(300)]
    assert tree["epochs"]["of"].values.tolist() == ["", *["/x"] * 299]
    assert tree["epochs/inner"]["a"].values.tolist() == list(range(300))
    assert tree["epochs"]["start"].dims == tree["epochs/inner"]["s"].dims
    checks = refmaker.verify(ReferenceSet(result.group, result.report), isolate="never")
    assert all(one.equal == one.compared for one in checks)


def test_sequences_are_contiguous_ragged_arrays(check, path):
    with netCDF4.Dataset(path, "w") as f:
        f.createDimension("t", None)
        v = f.createVariable("v", f.createVLType("f4", "ragged"), ("t",))
        for i in range(5):
            v[i] = np.arange(i)
        v.units = "m"
    found = refmaker.open_datatree(check(path).group)["v"]
    assert found["row_size"].values.tolist() == [0, 1, 2, 3, 4]
    assert found["row_size"].dims == ("t",)
    assert found["row_size"].attrs["sample_dimension"] == found["values"].dims[0]
    parts = np.split(found["values"].values, np.cumsum(found["row_size"].values)[:-1])
    assert [part.tolist() for part in parts] == [list(range(i)) for i in range(5)]
    assert found.attrs == {"units": "m"}


def test_sequences_of_all_kinds(check, path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("grid", (2, 3), h5py.vlen_dtype(">i2"))
        d[0, 1], d[1, 2] = [1, 2], [3]
        d = f.create_dataset("texts", (3,), h5py.vlen_dtype(TEXT))
        d[1] = np.array(["a", "bc"], object)
        d = f.create_dataset("records", (2,), h5py.vlen_dtype(np.dtype([("a", "i4"), ("b", "f4")])))
        d[1] = np.array([(1, 2.5), (3, 4.5)], [("a", "i4"), ("b", "f4")])
        f.create_dataset("scalar", (), h5py.vlen_dtype("f8"))[()] = [1.5, 2.5]
        f.create_dataset("empty", (4,), h5py.vlen_dtype("f8"))
    check(path)


@pytest.mark.parametrize("rows", [[[[1, 3, 5], [100, 200]], [[7]], []], [[[1], [2]], [[3], [4]]]])
def test_sequences_of_sequences(path, rows):
    """netCDF4 has them, and h5py reads them, but writes them at its lower level only."""
    inner = h5py.vlen_dtype(np.dtype("i4"))
    kind = h5py.h5t.vlen_create(h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32))
    values = np.empty(len(rows), h5py.vlen_dtype(inner))
    for i, row in enumerate(rows):
        values[i] = np.empty(len(row), inner)
        for j, part in enumerate(row):
            values[i][j] = np.array(part, "i4")
    with h5py.File(path, "w") as f:
        for name, one in (("all", values), ("alone", values[0])):
            space = h5py.h5s.create_simple((len(rows),)) if name == "all" else None
            scalar = h5py.h5s.create(h5py.h5s.SCALAR)
            made = h5py.h5d.create(f.id, name.encode(), kind, space or scalar)
            whole = np.empty(() if space is None else len(rows), h5py.vlen_dtype(inner))
            whole[()] = one
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, whole)
    group, report = scan(path)
    assert not report.skipped
    stock = open_stock(group)
    flat = [part for row in rows for part in row]
    assert stock["all/row_size"][...].tolist() == [len(row) for row in rows]
    assert stock["all/values/row_size"][...].tolist() == [len(part) for part in flat]
    assert stock["all/values/values"][...].tolist() == [n for part in flat for n in part]
    assert int(stock["alone/row_size"][()]) == len(rows[0])
    assert stock["alone/values/values"][...].tolist() == [n for part in rows[0] for n in part]


def test_the_budget_counts_what_lies_elsewhere(path):
    with h5py.File(path, "w") as f:
        d = f.create_dataset("long", (2,), h5py.vlen_dtype("f8"))
        d[0] = np.zeros(5000)
        f.create_dataset("texts", data=np.array([("x" * 30_000, 1)], [("a", TEXT), ("b", "i4")]))
        f["fine"] = 1
    _, report = scan(path, options=ScanOptions(inline_budget=20_000))
    assert {(row.path, row.code) for row in report.skipped} == {
        ("/long", "budget"),
        ("/texts", "budget"),
    }


def test_files_alike_keep_their_own_values(tmp_path):
    paths = [tmp_path / f"{i}.h5" for i in range(4)]
    for i, path in enumerate(paths):
        with h5py.File(path, "w") as f:
            f["x"] = np.arange(3)
            f.create_dataset("v", (3,), h5py.vlen_dtype("i4"))[1] = [i, i]
    for i, path in enumerate(paths):
        assert refmaker.open_datatree(scan(path)[0])["v"]["values"].values.tolist() == [i, i]


def test_records_have_the_dtype_of_h5py(path):
    nested = np.dtype(
        [("id", "i4"), ("at", [("x", "f8"), ("y", ">f8")]), ("v", "f4", (2, 3)), ("s", "S5")],
        align=True,
    )
    rows = np.zeros(1000, nested)
    rows["id"], rows["v"], rows["s"] = np.arange(1000), np.arange(6).reshape(2, 3), b"abc"
    rows["at"]["y"] = np.linspace(0, 1, 1000)
    with h5py.File(path, "w") as f:
        f.create_dataset("packed", data=rows, compression="gzip", chunks=(100,))
        f["plain"] = rows
        f["small"] = rows[:3]
        f["grid"] = rows.reshape(10, 100)
    found = refmaker.open_dataset(scan(path)[0])
    with h5py.File(path) as f:
        for name in f:
            true = f[name]
            native = true.dtype.newbyteorder("=")
            assert found[name].dtype == native
            assert same_bytes(found[name].values, true.astype(native)[()])
        first = found["packed"].dims[0]
        assert found["packed"].isel({first: [7, 3]}).values["id"].tolist() == [7, 3]
        assert found["packed"][5].values[()]["id"] == 5
        assert found["grid"][3, 5:7].values["at"]["y"].tolist() == rows["at"]["y"][305:307].tolist()


@pytest.mark.parametrize("padding", ["null", "space"])
@pytest.mark.parametrize("inner", [False, True])
def test_texts_in_records_end_where_h5py_ends_them(check, path, padding, inner):
    text = h5py.h5t.C_S1.copy()
    text.set_size(6)
    text.set_strpad(h5py.h5t.STR_NULLTERM if padding == "null" else h5py.h5t.STR_SPACEPAD)
    member = h5py.h5t.array_create(text, (2,)) if inner else text
    kind = h5py.h5t.create(h5py.h5t.COMPOUND, 4 + member.get_size())
    kind.insert(b"n", 0, h5py.h5t.STD_I32LE)
    kind.insert(b"s", 4, member)
    raw = np.zeros(2000, f"V{kind.get_size()}").view(np.uint8).reshape(2000, -1)
    raw[:, 4:10] = np.frombuffer(b"ab\0cd\0" if padding == "null" else b"ab    ", np.uint8)
    with h5py.File(path, "w") as f:
        space = h5py.h5s.create_simple((2000,))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((300,))
        plist.set_deflate(1)
        for name, options in ((b"plain", None), (b"packed", plist)):
            made = h5py.h5d.create(f.id, name, kind, space, options)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, raw, kind)
    group = check(path).group
    found = refmaker.open_dataset(group)
    with h5py.File(path) as f:
        for name in f:
            assert found[name].dtype == f[name].dtype
            assert same_bytes(found[name].values, f[name][()])
    assert b"cd" not in found["packed"].values.tobytes()

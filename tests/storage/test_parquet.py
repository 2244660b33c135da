"""References as Parquet: what stock fsspec reads, round trips, damaged and foreign folders."""

from __future__ import annotations

import json
import os
import sys

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr
from hypothesis import assume, given

from refmaker.errors import (
    LimitError,
    MetadataError,
    MissingDependencyError,
    SourceError,
    SourceNotFoundError,
)
from refmaker.io import folders
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.zarr_v2 import documents, dumps
from refmaker.storage import parquet, parquet_reader
from refmaker.testing.strategies import groups

stock = pytest.mark.filterwarnings("ignore:.*fastparquet.*", "ignore:.*consolidated.*")
HEADER = {"version": "0", "format": "toy", "sources": {}}


def same(one, other):
    """Compare two trees exactly: documents and chunks."""
    assert dumps(list(documents(one))) == dumps(list(documents(other)))
    tables = dict(other.arrays())
    return all(array.chunks.same(tables[path].chunks) for path, array in one.arrays())


def table(grid, urls, **columns):
    columns = {name: np.asarray(column) for name, column in columns.items()}
    return ChunkTable.from_columns(grid, urls, **columns)


@pytest.fixture
def data(tmp_path):
    """Give a group of all kinds of arrays, and their values."""
    values = np.arange(120, dtype="<i4").reshape(10, 12)
    one, two, whole = (tmp_path / name for name in ("one.bin", "two.bin", "whole.bin"))
    blocks = [values[i : i + 2, j : j + 4] for i in range(0, 10, 2) for j in range(0, 12, 4)]
    one.write_bytes(b"".join(block.tobytes() for block in blocks[:8]))
    two.write_bytes(b"".join(block.tobytes() for block in blocks[8:]))
    whole.write_bytes(np.arange(3.0).tobytes())
    number = np.delete(np.arange(15), [0, 4, 14])
    urls = (str(one), f"file://{two}")
    chunks = ChunkTable.from_columns(
        (5, 3),
        urls,
        index=number,
        url=(number >= 8).astype("i4"),
        offset=np.where(number < 8, number, number - 8) * 32,
        length=np.full(number.size, 32),
        inlined={4: blocks[4].tobytes()},
    )
    expected = values.copy()
    expected[0:2, 0:4] = expected[8:10, 8:12] = -9
    names = ("y", "x")
    group = Group(
        {
            "cube": Array((10, 12), (2, 4), np.dtype("<i4"), chunks, -9, dimension_names=names),
            "g": Group(
                {
                    "scalar": Array(
                        (), (), np.dtype("<f8"), ChunkTable.inline((), {0: np.float64(7).tobytes()})
                    ),
                    "deep": Group(
                        {
                            "whole": Array(
                                (3,), (3,), np.dtype("<f8"),
                                table((1,), (str(whole),), offset=[0], length=[0]),
                                dimension_names=("z",),
                            ),
                            "none": Array((5,), (2,), np.dtype("<i2"), ChunkTable.empty((3,)), 3),
                            "nothing": Array((0,), (2,), np.dtype("<i2"), ChunkTable.empty((0,))),
                            "tricky": Array(
                                (7,), (7,), np.dtype("S1"),
                                ChunkTable.inline((1,), {0: b"base64:"}),
                            ),
                        },
                        {"title": 'é / "x"'},
                    ),
                }
            ),
        },
        {"n": 1.5},
    )  # fmt: skip
    return group, expected


def open_stock(path, **kwargs):
    """Open as a user without this package does."""
    options = {"fo": str(path), "remote_protocol": "file", **kwargs}
    return zarr.open_group("reference://", mode="r", zarr_format=2, storage_options=options)


@stock
@pytest.mark.parametrize("record_size", [None, 1, 2, 4, 100])
def test_stock_readers_see_everything(data, tmp_path, record_size):
    group, expected = data
    out = tmp_path / "refs.parquet"
    parquet.write(group, out, HEADER, record_size=record_size)
    opened = open_stock(out)
    np.testing.assert_array_equal(opened["cube"][:], expected)
    assert opened["g/scalar"][()] == 7
    np.testing.assert_array_equal(opened["g/deep/whole"][:], np.arange(3.0))
    np.testing.assert_array_equal(opened["g/deep/none"][:], np.full(5, 3))
    assert opened["g/deep/nothing"].shape == (0,)
    assert opened["g/deep/tricky"][:].tobytes() == b"base64:"
    assert opened["g/deep"].attrs["title"] == 'é / "x"'
    assert sorted(opened["g"].group_keys()) == ["deep"]


@stock
def test_stock_xarray_and_mapper(data, tmp_path):
    group, expected = data
    parquet.write(group, tmp_path / "refs.parq", HEADER)
    fs = fsspec.filesystem("reference", fo=str(tmp_path / "refs.parq"), remote_protocol="file")
    with pytest.raises(FileNotFoundError):
        fs.cat_file("cube/0.0")
    with pytest.raises(FileNotFoundError):
        fs.cat_file("cube/4.2")
    assert len(fs.cat_file("cube/1.1")) == 32
    assert len(fs.cat_file("cube/0.1")) == 32
    ds = xr.open_dataset(
        "reference://",
        engine="zarr",
        zarr_format=2,
        consolidated=True,
        mask_and_scale=False,
        storage_options={"fo": str(tmp_path / "refs.parq"), "remote_protocol": "file"},
    )
    np.testing.assert_array_equal(ds["cube"], expected)


@stock
def test_flat_sets_need_no_protocol(tmp_path):
    """fsspec goes through all references for one, the records without any chunk included."""
    (tmp_path / "a.bin").write_bytes(bytes(range(8)))
    urls = (f"file://{tmp_path}/a.bin",)
    chunks = table((40,), urls, index=[37], offset=[2], length=[1])
    group = Group({"a": Array((40,), (1,), np.dtype("u1"), chunks, 9)})
    parquet.write(group, tmp_path / "refs.parquet", record_size=4)
    fs = fsspec.filesystem("reference", fo=str(tmp_path / "refs.parquet"))
    assert fs.cat_file("a/37") == b"\2"


def test_layout(data, tmp_path):
    group, _ = data
    parquet.write(group, tmp_path / "refs.parquet", HEADER, record_size=4)
    found = {
        os.path.relpath(os.path.join(folder, file), tmp_path / "refs.parquet")
        for folder, _, files in os.walk(tmp_path / "refs.parquet")
        for file in files
    }
    expected = {f"cube/refs.{i}.parq" for i in range(4)} | {"g/scalar/refs.0.parq"}
    expected |= {f"g/deep/{name}/refs.0.parq" for name in ("whole", "none", "tricky")}
    assert found == expected | {".zmetadata"}
    content = json.loads((tmp_path / "refs.parquet/.zmetadata").read_text())
    assert content["record_size"] == 4
    assert content["refmaker"] == HEADER
    for name in expected:
        file = pq.ParquetFile(tmp_path / "refs.parquet" / name)
        assert file.metadata.num_rows == 4
        assert file.metadata.num_row_groups == 1
        assert file.schema_arrow.metadata is None
        has_raw = name in ("cube/refs.1.parq", "g/scalar/refs.0.parq", "g/deep/tricky/refs.0.parq")
        names = ["path", "offset", "size"] + ["raw"] * has_raw
        assert file.schema_arrow.names == names


def test_round_trip(data, tmp_path):
    group, _ = data
    for record_size in (None, 1, 3, 1000):
        parquet.write(group, tmp_path / "refs.parquet", HEADER, record_size=record_size)
        again, header = parquet_reader.read(tmp_path / "refs.parquet")
        assert same(group, again)
        assert header == HEADER


@given(group=groups())
def test_round_trip_of_anything(tmp_path, group):
    paths = [path for path, _ in group.walk()]
    assume(all(len(part.encode()) < 200 for path in paths for part in path.split("/")))
    assume(len({path.casefold() for path in paths}) == len(paths))
    parquet.write(group, tmp_path / "any.parquet", HEADER, record_size=3)
    again, _ = parquet_reader.read(tmp_path / "any.parquet")
    assert same(group, again)


def test_vast_sparse_arrays_cost_what_they_hold(tmp_path):
    number = [5, 10**9, 2 * 10**12]
    chunks = table((10**7, 10**6), ("a",), index=number, offset=[1, 2, 3], length=[4, 5, 6])
    group = Group({"a": Array((10**7, 10**6), (1, 1), np.dtype("u1"), chunks)})
    parquet.write(group, tmp_path / "vast.parquet")
    assert len(list((tmp_path / "vast.parquet/a").iterdir())) == 3
    again, _ = parquet_reader.read(tmp_path / "vast.parquet")
    assert again["a"].chunks.same(chunks)


@pytest.mark.filterwarnings("ignore:.*fastparquet.*")
def test_what_fsspec_writes(tmp_path):
    from fsspec.implementations.reference import LazyReferenceMapper

    root = str(tmp_path / "theirs.parquet")
    mapper = LazyReferenceMapper.create(root, record_size=4)
    zarray = {"shape": [10], "chunks": [1], "dtype": "<i4", "compressor": None, "filters": None}
    zarray |= {"fill_value": None, "order": "C", "zarr_format": 2}
    mapper[".zgroup"] = json.dumps({"zarr_format": 2})
    mapper["a/.zarray"] = json.dumps(zarray)
    for i in (0, 1, 4, 6, 9):
        mapper[f"a/{i}"] = [f"s3://b/{i % 2}", 10 * i + 1, i + 4]
    mapper["a/7"] = b"\1\2\3\4"
    mapper["a/8"] = ["s3://b/whole"]
    mapper.flush()
    found, header = parquet_reader.read(root)
    chunks = found["a"].chunks
    assert header == {}
    assert dict(chunks.inlined) == {7: b"\1\2\3\4"}
    assert chunks.get(6) == ("s3://b/0", 61, 10)
    assert chunks.get(8) == ("s3://b/whole", 0, 0)
    assert [i for i in range(10) if chunks.get(i) is None] == [2, 3, 5]


def test_stores(data):
    group, _ = data
    out = "memory://bucket/refs.parquet"
    fs = fsspec.filesystem("memory")
    parquet.write(group, out, HEADER)
    try:
        again, header = parquet_reader.read(out)
        assert same(group, again)
        assert header == HEADER
        with pytest.raises(SourceError, match="exists already"):
            parquet.write(group, out, HEADER)
    finally:
        fs.rm("/bucket", recursive=True)


def test_uploads_end_with_the_metadata(data, monkeypatch):
    fs = fsspec.filesystem("memory")
    sent = []
    monkeypatch.setattr(type(fs), "pipe", lambda _, files: sent.append(list(files)))
    monkeypatch.setattr(folders, "_BATCH", 2)
    parquet.write(data[0], "memory://elsewhere/refs.parquet", record_size=4)
    assert sent[-1] == ["/elsewhere/refs.parquet/.zmetadata"]
    assert max(map(len, sent)) == 2


def test_whole_or_not_at_all(data, tmp_path, monkeypatch):
    group, _ = data
    out = tmp_path / "refs.parquet"
    bad = Group({**group.members, "broken": group["g/scalar"]}, {"x": float("nan")})
    before = set(os.listdir(tmp_path))
    with pytest.raises(MetadataError):
        parquet.write(bad, out)
    assert set(os.listdir(tmp_path)) == before
    parquet.write(group, out, HEADER)
    with pytest.raises(MetadataError):
        parquet.write(bad, out)
    assert same(parquet_reader.read(out)[0], group)
    rename = os.rename

    def failing(source, target):
        if source.endswith(".part"):
            raise OSError(5, "disk on fire")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(SourceError, match="disk on fire"):
        parquet.write(group, out, HEADER)
    monkeypatch.undo()
    assert set(os.listdir(tmp_path)) == before | {"refs.parquet"}
    assert same(parquet_reader.read(out)[0], group)


def test_what_is_not_ours_stays(data, tmp_path):
    group, _ = data
    (tmp_path / "file").write_text("precious")
    with pytest.raises(SourceError, match="not a folder"):
        parquet.write(group, tmp_path / "file")
    parquet.write(group, tmp_path / "refs")
    (tmp_path / "refs/cube/notes.txt").write_text("precious")
    with pytest.raises(SourceError, match=r"cube/notes\.txt"):
        parquet.write(group, tmp_path / "refs")
    assert (tmp_path / "refs/cube/notes.txt").read_text() == "precious"
    with pytest.raises(SourceError, match="no such folder"):
        parquet.write(group, tmp_path / "absent/refs")


@pytest.mark.parametrize("name", ["a{b}", "x.json", "y.json.parquet"])
def test_places_that_stock_readers_do_not_open(tmp_path, name):
    with pytest.raises(MetadataError, match="stock readers"):
        parquet.write(Group(), tmp_path / name)


def test_names_that_stock_readers_take_for_metadata(tmp_path):
    group = Group({"g": Group({".zebra": Array((), (), np.dtype("u1"), ChunkTable.empty(()))})})
    with pytest.raises(MetadataError, match=r"g/\.zebra"):
        parquet.write(group, tmp_path / "refs")


def test_pyarrow_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"refmaker\[parquet\]"):
        parquet.write(Group(), tmp_path / "refs")
    with pytest.raises(MissingDependencyError, match=r"refmaker\[parquet\]"):
        parquet_reader.read(tmp_path / "refs")


def record(folder, **columns):
    pq.write_table(pa.table(columns), folder / "a/refs.0.parq")


@pytest.fixture
def small(tmp_path):
    chunks = table((3,), ("u",), offset=[1, 2, 3], length=[4, 5, 6])
    group = Group({"a": Array((3,), (1,), np.dtype("u1"), chunks)})
    parquet.write(group, tmp_path / "refs", record_size=4)
    return tmp_path / "refs"


def test_columns_of_other_types(small):
    record(
        small,
        path=pa.array(["x", None, "y"], pa.large_string()),
        offset=pa.array([1, None, 0], pa.uint32()),
        size=pa.array([2.0, 0.0, 0.0]),
        index=[1, 2, 3],
    )
    chunks = parquet_reader.read(small)[0]["a"].chunks
    assert [chunks.get(i) for i in range(3)] == [("x", 1, 2), None, ("y", 0, 0)]
    record(small, raw=pa.array([b"a", None, b"base64:YmI="]))
    assert dict(parquet_reader.read(small)[0]["a"].chunks.inlined) == {0: b"a", 2: b"bb"}
    record(small, path=["x"], offset=[1], size=[1], raw=["text"])
    assert dict(parquet_reader.read(small)[0]["a"].chunks.inlined) == {0: b"text"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["x"] * 4, "offset": [1] * 4, "size": [1] * 4}, "index holds 3"),
        ({"path": ["x"] * 5, "offset": [1] * 5, "size": [1] * 5}, "5 rows in a record of 4"),
        ({"path": ["x"], "offset": [-1], "size": [1]}, "offset holds -1"),
        ({"path": ["x"], "offset": ["a"], "size": [1]}, "does not hold integers"),
        ({"path": [3], "offset": [1], "size": [1]}, "does not hold texts"),
        ({"raw": [3]}, "does not hold bytes"),
        ({"raw": [b"base64:*"]}, "base64"),
        ({"path": ["x"], "offset": [1.5], "size": [1]}, "does not hold integers"),
    ],
    ids=str,
)
def test_wrong_records(small, columns, message):
    record(small, **columns)
    with pytest.raises(MetadataError, match=message) as caught:
        parquet_reader.read(small)
    assert "a" in caught.value.path or "a" in str(caught.value)


def test_hostile_records(small):
    rows = parquet_reader.RECORD_LIMIT + 1
    column = pa.nulls(rows, pa.string())
    (small / ".zmetadata").write_text(
        (small / ".zmetadata").read_text().replace('"record_size":4', f'"record_size":{2**62}')
    )
    record(small, path=column)
    assert (small / "a/refs.0.parq").stat().st_size < 20_000
    with pytest.raises(LimitError, match="rows in a record"):
        parquet_reader.read(small)


def test_truncated_records(small):
    data = (small / "a/refs.0.parq").read_bytes()
    for stop in range(0, len(data), 7):
        (small / "a/refs.0.parq").write_bytes(data[:stop])
        with pytest.raises(MetadataError, match=r"refs\.0\.parq"):
            parquet_reader.read(small)


def test_flipped_bits(small):
    data = (small / "a/refs.0.parq").read_bytes()
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        (small / "a/refs.0.parq").write_bytes(damaged)
        try:
            parquet_reader.read(small)
        except (MetadataError, LimitError):
            continue


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"metadata": {}}', '{"metadata": {}, "record_size": 0}',
     '{"metadata": {}, "record_size": true}', '{"metadata": [], "record_size": 1}',
     '{"metadata": {"../.zgroup": {}}, "record_size": 1}',
     '{"metadata": {"a/0": {}}, "record_size": 1}',
     '{"metadata": {"a/.zarray": 3}, "record_size": 1}',
     '{"metadata": {}, "record_size": 1, "refmaker": 3}', "[" * 100_000],
)  # fmt: skip
def test_wrong_metadata(tmp_path, text):
    (tmp_path / ".zmetadata").write_text(text)
    with pytest.raises(MetadataError):
        parquet_reader.read(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(SourceNotFoundError, match="zmetadata"):
        parquet_reader.read(tmp_path)
    with pytest.raises(SourceError):
        parquet_reader.read("nonsense://x")

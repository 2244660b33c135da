"""JSON with documents of Zarr version 3: written, read, and opened by stock readers."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings

import refmaker
from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.attribute_types import TYPES, with_types
from refmaker.model.inline import inline_array
from refmaker.model.zarr_v3 import documents_v3
from refmaker.storage import hierarchy, json_writer
from refmaker.storage.json_parser import parse
from refmaker.storage.reference_index import ReferenceIndex
from refmaker.testing import strategies

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*[Nn]umcodecs.*", "ignore:.*[Cc]onsolidated.*", "ignore:.*data type.*"
)


@pytest.fixture
def made(tmp_path):
    """Return a tree with a scalar, texts, an absent chunk and a chunk of a file of each kind."""
    values = np.arange(24, dtype=">i4").reshape(4, 6)
    path = tmp_path / "data.bin"
    path.write_bytes(b"front" + values.tobytes() + np.float64(7).tobytes())
    url = str(path)
    rows = ChunkTable.from_columns(
        (2, 1), (url,), offset=np.array([5, 53]), length=np.array([48, 48])
    )
    one = ChunkTable.from_columns((), (url,), offset=np.array([101]), length=np.array([8]))
    hole = ChunkTable.from_columns(
        (3,), (url,), offset=np.array([5]), length=np.array([8]), index=np.array([1])
    )
    members = {
        "rows": Array((4, 6), (2, 6), values.dtype, rows, dimension_names=("y", "x")),
        "one": Array((), (), np.dtype("<f8"), one),
        "inner": Group(
            {
                "hole": Array((6,), (2,), np.dtype(">i4"), hole, fill_value=np.int32(-9),
                              dimension_names=("t",), attributes={"units": "K"}),
                "kept": inline_array(np.arange(3.0), ("t3",)),
                "0": inline_array(np.arange(2.0), ("t2",)),
            },
            {"title": "a"},
        ),
    }  # fmt: skip
    return Group(members, {"history": "made"}), values


def written(group, **more):
    buffer = io.BytesIO()
    json_writer.write(group, buffer, zarr_format=3, **more)
    return buffer.getvalue()


def test_stock_readers_open_it(made, tmp_path):
    group, values = made
    (tmp_path / "set.json").write_bytes(written(group))
    fs = fsspec.filesystem("reference", fo=str(tmp_path / "set.json"))
    assert fs.exists("rows/zarr.json")
    stock = zarr.open_group("reference://", storage_options={"fo": str(tmp_path / "set.json")},
                            mode="r")  # fmt: skip
    ours = refmaker.open_group(tmp_path / "set.json")
    for opened in (stock, ours, refmaker.open_group(group)):
        np.testing.assert_array_equal(opened["rows"][...], values)
        assert opened["inner/hole"][...].tolist() == [-9, -9, 0, 1, -9, -9]
        assert opened["one"][()] == 7
        assert opened["inner/kept"][...].tolist() == [0, 1, 2]
        assert opened["inner/0"][...].tolist() == [0, 1]
        assert opened.attrs["history"] == "made"
    assert stock.metadata.zarr_format == ours.metadata.zarr_format == 3
    inner = refmaker.open_dataset(tmp_path / "set.json", group="inner")
    assert inner["hole"].isnull().sum() == 4
    with xr.open_dataset(
        "reference://", engine="zarr", backend_kwargs={"group": "inner"},
        storage_options={"fo": str(tmp_path / "set.json")},
    ) as dataset:  # fmt: skip
        xr.testing.assert_equal(dataset.load(), inner.load())


def test_there_and_back(made):
    group, _ = made
    text = written(group, header={"version": "1"})
    again, header = hierarchy.read(text)
    assert header["version"] == "1"
    assert dict(documents_v3(again)) == dict(documents_v3(group))
    tables = dict(again.arrays())
    assert all(array.chunks.same(tables[path].chunks) for path, array in group.arrays())
    assert written(again, header=header) == text
    found, kept = parse(text), ReferenceIndex.of_group(group, {"version": "1"}, zarr_format=3)
    assert sorted(found.keys()) == sorted(kept.keys())
    for key in kept.keys():  # noqa: SIM118 - no mapping
        assert found.get(key)[:3] == kept.get(key)[:3], key
    assert [sorted(found.children(p)[0]) for p in ("", "inner", "rows")] == [
        sorted(kept.children(p)[0]) for p in ("", "inner", "rows")
    ]


@settings(max_examples=30)
@given(strategies.groups())
def test_any_set_that_version_3_can_say(group):
    try:
        text = written(group)
    except (UnsupportedError, MetadataError):
        return
    again, _ = hierarchy.read(text)
    tables = dict(again.arrays())
    for path, array in group.arrays():
        found = tables[path]
        assert (found.shape, found.chunk_shape, found.dtype, found.codecs) == (
            array.shape, array.chunk_shape, array.dtype, array.codecs,
        )  # fmt: skip
        # Absent chunks are written out where their value would be taken for missing.
        assert found.chunks.same(array.chunks) or array.chunks.absent


def refs(text):
    return json.loads(text)["refs"]


def test_the_root_alone_may_hold_all_documents(made):
    group, _ = made
    document = json.loads(written(group))
    for key in [key for key in document["refs"] if key.endswith("/zarr.json")]:
        del document["refs"][key]
    again, _ = hierarchy.read(json.dumps(document).encode())
    assert dict(documents_v3(again)) == dict(documents_v3(group))
    assert again["one"].chunks.get(0) == group["one"].chunks.get(0)


def test_keys_as_in_version_2(made):
    group, _ = made
    for separator in "./":
        document = json.loads(written(group))
        rows = json.loads(document["refs"]["rows/zarr.json"])
        encoding = {"name": "v2", "configuration": {"separator": separator}}
        document["refs"]["rows/zarr.json"] = json.dumps({**rows, "chunk_key_encoding": encoding})
        for i in range(2):
            document["refs"][f"rows/{i}{separator}0"] = document["refs"].pop(f"rows/c/{i}/0")
        again, _ = hierarchy.read(json.dumps(document).encode())
        assert again["rows"].chunks.same(group["rows"].chunks)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"rows/.zattrs": "{}"}, MetadataError, "both versions"),
        ({"rows/0.0": ["x", 0, 4]}, MetadataError, "no metadata|no chunk of a grid"),
        ({"stray/c/0": ["x", 0, 4]}, MetadataError, "no metadata"),
        ({"one/c/0": ["x", 0, 4]}, MetadataError, "no metadata|no chunk"),
        ({"rows/zarr.json": '{"zarr_format":3,"node_type":"array"}'}, MetadataError, "shape"),
        ({"rows/zarr.json": '{"zarr_format":3}'}, MetadataError, "no metadata|node of type"),
        ({"rows/zarr.json": "[]"}, MetadataError, "no JSON object"),
    ],
    ids=str,
)
def test_what_contradicts_itself(made, change, error, match):
    group, _ = made
    document = json.loads(written(group))
    document["refs"] |= change
    with pytest.raises(error, match=match):
        hierarchy.read(json.dumps(document).encode())


def test_absent_chunks_whose_value_is_not_missing(made):
    """Version 3 tells both apart; where chunks are absent both hold, or the set is refused."""
    group, _ = made
    document = json.loads(written(group))
    hole = json.loads(document["refs"]["inner/hole/zarr.json"])
    hole["attributes"]["_FillValue"] = -5
    document["refs"]["inner/hole/zarr.json"] = json.dumps(hole)
    array = hierarchy.read(json.dumps(document).encode())[0]["inner/hole"]
    assert array.fill_value == -5
    assert array.chunks.get(0) == np.full(2, -9, ">i4").tobytes()
    hole["shape"], hole["chunk_grid"]["configuration"]["chunk_shape"] = [10**9], [10**6]
    document["refs"]["inner/hole/zarr.json"] = json.dumps(hole)
    with pytest.raises(UnsupportedError, match="chunks are absent") as caught:
        hierarchy.read(json.dumps(document).encode())
    assert caught.value.code == "zarr3-fill"


def test_names_that_are_reserved():
    group = Group({"__a": inline_array(np.arange(3.0), ("x",))})
    with pytest.raises(UnsupportedError, match="reserves"):
        written(group)


@pytest.mark.parametrize(("zarr_format", "dtype"), [(2, "f4"), (3, "i2")])
def test_only_documents_of_version_3_leave_types_out(tmp_path, zarr_format, dtype):
    """In sets of version 2 the document alone tells, whatever a header says."""
    attributes = with_types({"limit": 2}, {"limit": "<f4"})
    array = replace(inline_array(np.arange(3.0), ("t",)), attributes=attributes)
    buffer = io.BytesIO()
    json_writer.write(Group({"a": array}), buffer, zarr_format=zarr_format)
    document = json.loads(buffer.getvalue())
    document.setdefault("refmaker", {})["hidden"] = {"a": {TYPES: {"types": {"limit": "<i2"}}}}
    (tmp_path / "set.json").write_text(json.dumps(document))
    assert refmaker.open_dataset(tmp_path / "set.json").a.attrs["limit"].dtype == dtype

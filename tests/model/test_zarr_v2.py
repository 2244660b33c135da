"""Zarr documents: back and forth, and as zarr itself reads them."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group, zarr_v2
from refmaker.model.missing_values import settled
from refmaker.model.zarr_v2 import DIMENSIONS
from refmaker.testing.strategies import arrays, dtypes, fill_values, groups, json_values

ZARRAY = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<f4"}


def bits(value, dtype):
    """Return the bytes of a scalar; of NaN, which has many, a word."""
    array = np.asarray(value, dtype)
    if dtype.kind in "fc":
        return [str(part) for part in (array.real, array.imag)]
    return array.tobytes()


def same_fill(a, b, dtype):
    return (a is None and b is None) or bits(a, dtype) == bits(b, dtype)


def open_with_zarr(document):
    store = zarr.storage.MemoryStore()
    raw = zarr.core.buffer.cpu.Buffer.from_bytes(zarr_v2.dumps(document).encode())
    store._store_dict[".zarray"] = raw
    return zarr.open_array(store, zarr_format=2, mode="r")


@given(dtypes())
def test_dtypes_come_back(dtype):
    document = json.loads(zarr_v2.dumps(zarr_v2.encode_dtype(dtype)))
    assert zarr_v2.dtype_from_document(document) == dtype


@given(st.data())
def test_fill_values_come_back(data):
    dtype = data.draw(dtypes())
    value = data.draw(fill_values(dtype))
    document = json.loads(zarr_v2.dumps(zarr_v2.encode_fill_value(value, dtype)))
    back = zarr_v2.fill_from_document(document, dtype)
    if dtype.names is None:
        assert same_fill(back, value, dtype)
    else:
        assert (back is None) == (value is None)
        assert value is None or back.tobytes() == np.asarray(value, dtype).tobytes()


@given(st.data())
def test_zarr_reads_the_same_type_and_fill_value(data):
    dtype = data.draw(dtypes().filter(lambda dtype: dtype.str[1:] not in ("M8", "m8")))
    value = data.draw(fill_values(dtype))
    array = Array((2,), (1,), dtype, ChunkTable.empty((2,)), fill_value=value)
    seen = open_with_zarr(zarr_v2.array_document(array))
    assert seen.dtype == dtype
    assert seen.shape == (2,)
    assert seen.chunks == (1,)
    assert (seen.fill_value is None) == (value is None)
    if value is not None and dtype.names is None:
        assert same_fill(seen.fill_value, value, dtype)
        assert bits(seen[0], dtype) == bits(value, dtype)


@pytest.mark.parametrize("value", [None, "", "héllo"])
def test_strings_of_any_length(value):
    array = Array(
        (2,),
        (1,),
        np.dtype(object),
        ChunkTable.empty((2,)),
        fill_value=value,
        filters=({"id": "vlen-utf8"},),
    )
    document = zarr_v2.array_document(array)
    assert document["dtype"] == "|O"
    assert open_with_zarr(document)[:].tolist() == [value or "", value or ""]
    assert zarr_v2.array_from_documents(document, {}).fill_value == value


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", "<i4"), ("b", "<f8", (2, 3))]),
        np.dtype([("a", [("x", "<i2"), ("y", "|S3")]), ("b", ">u2")]),
    ],
    ids=str,
)
def test_nested_records(dtype):
    document = json.loads(zarr_v2.dumps(zarr_v2.encode_dtype(dtype)))
    assert zarr_v2.dtype_from_document(document) == dtype
    value = np.zeros((), dtype)[()]
    fill = zarr_v2.encode_fill_value(value, dtype)
    assert zarr_v2.fill_from_document(fill, dtype).tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", "i1"), ("b", "i4")], align=True),
        np.dtype({"names": ["a"], "formats": ["i4"], "offsets": [4]}),
        np.dtype({"names": ["a"], "formats": ["i4"], "itemsize": 9}),
        np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]}),
        np.dtype(("i4", (2,))),
    ],
    ids=str,
)
def test_types_that_a_document_would_change(dtype):
    with pytest.raises(MetadataError):
        zarr_v2.encode_dtype(dtype)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (300, "u1"),
        (-1, "u4"),
        ("abcd", "S3"),
        ("abcd", "U3"),
        ("x", "f4"),
        (1e300, "f4"),
        (5, "O"),
        (b"bytes", "O"),
        (np.longdouble(1) / 3, np.longdouble),
    ],
    ids=str,
)
def test_fill_values_that_do_not_fit(value, dtype):
    with pytest.raises(MetadataError):
        zarr_v2.encode_fill_value(value, np.dtype(dtype))


@pytest.mark.parametrize(
    ("document", "dtype"),
    [
        (300, "u1"),
        (-1, "u1"),
        (1.5, "i4"),
        ("NaN", "i4"),
        ([1], "i4"),
        ([1, 2, 3], "c8"),
        (["x", 1], "c8"),
        ([[], 1], "c8"),
        ({}, "f4"),
        ([], "f4"),
        ("x", "f4"),
        (2, "b1"),
        ("!!", "S3"),
        ("YWJjZA==", "S3"),
        (7, "S3"),
        ("YWI=", "V3"),
        ("YWJjZA==", "V3"),
        ("abcd", "U3"),
        (5, "U3"),
        (2**63, "M8[s]"),
        ("soon", "M8[s]"),
        (1.5, "m8[s]"),
        ([], "O"),
        (True, "O"),
    ],
    ids=str,
)
def test_fill_documents_that_do_not_fit(document, dtype):
    with pytest.raises(MetadataError):
        zarr_v2.fill_from_document(document, np.dtype(dtype))


@pytest.mark.parametrize(
    ("document", "dtype", "value"),
    [
        (1.0, "i4", 1),
        ("7", "i4", 7),
        ("", "S3", b""),
        ("YWIAAA==", "S3", b"ab"),
        (0, "O", "0"),
        ("NaT", "M8[s]", np.datetime64("NaT", "s")),
        (5, ">M8[s]", np.datetime64(5, "s")),
        (1, "c8", 1 + 0j),
        (1, "b1", True),
        ("Infinity", ">f2", np.inf),
    ],
    ids=str,
)
def test_fill_documents_as_others_write_them(document, dtype, value):
    found = zarr_v2.fill_from_document(document, np.dtype(dtype))
    assert found == value or (np.isnat(found) and np.isnat(value))


@pytest.mark.parametrize(
    "document",
    [
        "f4,f4", "float", "f4", "<f3", "(2,3)<f4", "<i4,", "", "|S99999999999", "T", "<f4\0",
        "<M8[x]", 4, None, [], {}, [["a"]], [["a", "f4"]], ["a"], [[1, "<f4"]], [["a", "<f4", 3]],
        [["a", "<f4", [-1]]], [["a", "<f4", [10**9, 10**9, 10**9]]], [["a", "<f4"], ["a", "<f4"]],
    ],
    ids=repr,
)  # fmt: skip
def test_documents_that_name_no_dtype(document):
    with pytest.raises(MetadataError):
        zarr_v2.dtype_from_document(document)


def test_a_dtype_nested_without_end():
    document = "<f4"
    for _ in range(5000):
        document = [["a", document]]
    with pytest.raises(MetadataError):
        zarr_v2.dtype_from_document(document)


@given(arrays())
def test_arrays_come_back(array):
    zarray = json.loads(zarr_v2.dumps(zarr_v2.array_document(array)))
    zattrs = json.loads(zarr_v2.dumps(zarr_v2.attributes_document(array)))
    back = zarr_v2.array_from_documents(zarray, zattrs, array.chunks)
    # A general codec at the end moves to the compressor, and a fill value shows as missing value.
    for name in ("shape", "chunk_shape", "dtype", "order", "codecs", "dimension_names"):
        assert getattr(back, name) == getattr(array, name), name
    assert back.attributes == settled(array).attributes


@pytest.mark.parametrize(
    "changes",
    [
        {"zarr_format": 3},
        {"zarr_format": None},
        {"shape": 4},
        {"shape": "4"},
        {"shape": [4.5]},
        {"shape": ["4"]},
        {"shape": [True]},
        {"shape": [-4]},
        {"shape": [2**64]},
        {"shape": [1] * 33, "chunks": [1] * 33},
        {"chunks": [0]},
        {"chunks": [2, 2]},
        {"chunks": None},
        {"filters": {}, "compressor": 1},
        {"filters": [1]},
        {"filters": [{}]},
        {"filters": 5},
        {"compressor": "zlib"},
        {"compressor": {"id": 5}},
        {"order": "X"},
        {"order": []},
        {"shape": [2**62] * 3, "chunks": [1] * 3},
    ],
    ids=str,
)
def test_array_documents_that_are_wrong(changes):
    zarr_v2.array_from_documents(ZARRAY, {})
    with pytest.raises(MetadataError):
        zarr_v2.array_from_documents({**ZARRAY, **changes}, {})


@pytest.mark.parametrize("missing", list(ZARRAY))
def test_array_documents_that_lack_something(missing):
    document = {key: value for key, value in ZARRAY.items() if key != missing}
    with pytest.raises(MetadataError, match=missing):
        zarr_v2.array_from_documents(document, {})


@pytest.mark.parametrize("names", ["x", ["x", "y"], [1], {}, 5])
def test_dimension_names_that_are_wrong(names):
    with pytest.raises(MetadataError):
        zarr_v2.array_from_documents(ZARRAY, {DIMENSIONS: names})


@given(groups())
def test_every_node_has_its_documents(group):
    found = dict(zarr_v2.documents(group))
    assert ".zgroup" in found
    for path, node in group.walk():
        prefix = f"{path}/" if path else ""
        kind = ".zarray" if isinstance(node, Array) else ".zgroup"
        assert found[f"{prefix}{kind}"]["zarr_format"] == 2
        assert found[f"{prefix}.zattrs"] == zarr_v2.attributes_document(node)
    assert len(found) == 2 * sum(1 for _ in group.walk())
    assert json.loads(zarr_v2.dumps(found)) == json.loads(json.dumps(found))


def test_extents_of_numpy():
    array = Array(
        (np.int64(4),), (np.int32(2),), np.dtype("i1"), ChunkTable.empty((2,)), fill_value=None
    )
    assert zarr_v2.dumps(zarr_v2.array_document(array)).startswith(
        '{"zarr_format":2,"shape":[4],"chunks":[2]'
    )
    assert zarr_v2.array_document(array)["fill_value"] is None


@given(json_values())
def test_dumps_is_json(value):
    assert json.loads(zarr_v2.dumps(value)) == value


@pytest.mark.parametrize(
    "value", [float("nan"), [float("inf")], {1, 2}, b"x", np.float32(1), Ellipsis], ids=repr
)
def test_dumps_refuses(value):
    with pytest.raises(MetadataError):
        zarr_v2.dumps({"a": value})


def test_dumps_of_half_a_surrogate_pair():
    text = zarr_v2.dumps({"é": "\udc80"})
    assert text.encode()
    assert json.loads(text) == {"é": "\udc80"}


def test_group_attributes():
    document = zarr_v2.attributes_document(Group(attributes={"title": "x"}))
    assert document == {"title": "x"}

"""The way back from version 3 documents: version 2 reads the same bytes to the same values."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
import zarr
import zarr.codecs.numcodecs as wrapped
from hypothesis import given
from hypothesis import strategies as st
from zarr.buffer import cpu
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarr.storage import MemoryStore

from refmaker.codecs.fill_value import settle_fill
from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.zarr_v2 import array_document, attributes_document
from refmaker.model.zarr_v3 import BYTES_CODECS, array_document_v3, group_document_v3
from refmaker.model.zarr_v3_reader import (
    array_from_document_v3,
    group_from_document_v3,
    key_encoding_v3,
)

quiet = pytest.mark.filterwarnings(
    "ignore:.*data type.*Zarr V3 specification.*", "ignore:.*[Nn]umcodecs.*", "ignore:.*codec.*"
)
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def everything(store):
    """Return all keys of a store, with their bytes."""

    async def read():
        prototype = zarr.core.buffer.default_buffer_prototype()
        return {k: (await store.get(k, prototype)).to_bytes() async for k in store.list()}

    return asyncio.run(read())


def written(values, **more):
    """Return the document and the chunks, by position, that zarr writes of values."""
    store = MemoryStore()
    options = {"chunks": tuple(min(3, n) for n in values.shape), "compressors": None, **more}
    array = zarr.create_array(
        store, shape=values.shape, dtype=values.dtype, zarr_format=3, **options
    )
    array[...] = values
    found = everything(store)
    return json.loads(found.pop("zarr.json")), found


def as_version_2(document, chunks):
    """Open chunks by the version 2 document of what was read."""
    array = array_from_document_v3(document)
    keys = key_encoding_v3(document)
    store = MemoryStore()
    parts = {".zarray": json.dumps(array_document(array)).encode()}
    parts[".zattrs"] = json.dumps(attributes_document(array)).encode()
    for at in np.ndindex(*chunk_grid(array.shape, array.chunk_shape)):
        if keys.key(at) in chunks:
            parts[".".join(map(str, at)) or "0"] = chunks[keys.key(at)]
    for key, data in parts.items():
        asyncio.run(store.set(key, cpu.Buffer.from_bytes(data)))
    return zarr.open_array(store, mode="r", zarr_format=2)


DTYPES = [
    *("?", "|i1", "|u1", "<i2", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8", "<c16"),
    *("|S5", "<U3", "<M8[ns]", "<M8[D]", "<m8[25s]", "V7"),
]  # fmt: skip


@quiet
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_types(dtype, order, endian):
    raw = np.random.default_rng(0).integers(1, 100, (5, 4))
    values = (raw % 2 if dtype == "?" else raw.astype("S7") if dtype == "V7" else raw).astype(dtype)
    document, chunks = written(
        values, serializer=BytesCodec(endian=endian), filters=[TransposeCodec(order=order)]
    )
    read = as_version_2(document, chunks)
    np.testing.assert_array_equal(read[...], values)
    assert read.dtype.newbyteorder("=") == values.dtype.newbyteorder("=")


@quiet
@pytest.mark.parametrize(
    "dtype",
    [[("a", "<i2"), ("b", "<f8"), ("s", "S3"), ("t", "<M8[s]")],
     [("a", [("x", "<i2")]), ("b", "?")]],
    ids=str,
)  # fmt: skip
def test_records(dtype):
    dtype = np.dtype(dtype)
    values = np.zeros((5, 4), dtype)
    values["b"] = np.arange(20).reshape(5, 4) % 2
    document, chunks = written(values)
    assert array_from_document_v3(document).dtype == dtype
    assert chunks["c/0/0"] == values[:3, :3].tobytes()


CODECS = {
    "gzip": [GzipCodec(level=2)],
    "zstd": [ZstdCodec(level=3, checksum=True)],
    "blosc": [BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=4)],
    "crc": [GzipCodec(), Crc32cCodec()],
    "shuffle": [wrapped.Shuffle(elementsize=4), wrapped.Zlib(level=1), wrapped.Fletcher32()],
    **{
        name: [getattr(wrapped, kind)()]
        for name, kind in (("lz4", "LZ4"), ("bz2", "BZ2"), ("lzma", "LZMA"), ("adler32", "Adler32"))
    },
}


@quiet
@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("separator", "/.")
@pytest.mark.parametrize("encoding", ["default", "v2"])
def test_codecs(name, encoding, separator):
    values = np.arange(60, dtype="<i4").reshape(10, 6)
    document, chunks = written(
        values,
        compressors=CODECS[name],
        chunk_key_encoding={"name": encoding, "separator": separator},
    )
    np.testing.assert_array_equal(as_version_2(document, chunks)[...], values)


@quiet
@pytest.mark.parametrize(
    "codec",
    [
        wrapped.Delta(dtype="<i4"),
        wrapped.FixedScaleOffset(dtype="<i4", astype="<i2", scale=1, offset=5),
        wrapped.BitRound(keepbits=3),
        wrapped.Quantize(digits=2, dtype="<f8"),
    ],
    ids=lambda codec: codec.codec_name,
)
def test_filters_of_elements(codec):
    kind = {"numcodecs.bitround": "<f4", "numcodecs.quantize": "<f8"}.get(codec.codec_name, "<i4")
    values = np.arange(60).reshape(10, 6).astype(kind)
    document, chunks = written(values, filters=[codec], compressors=[wrapped.Zlib()])
    expected = zarr.open_array(stored(document, chunks), mode="r", zarr_format=3)[...]
    np.testing.assert_array_equal(as_version_2(document, chunks)[...], expected)


def stored(document, chunks):
    store = MemoryStore()
    for key, data in {"zarr.json": json.dumps(document).encode(), **chunks}.items():
        asyncio.run(store.set(key, cpu.Buffer.from_bytes(data)))
    return store


@quiet
def test_texts():
    values = np.array(["a", "", "日本", "x" * 50], object)
    document, chunks = written(values.astype(str).astype(np.dtypes.StringDType()))
    assert list(as_version_2(document, chunks)[:]) == list(values)


@quiet
def test_scalars():
    document, chunks = written(np.array(7, "<i2"), chunks=())
    assert as_version_2(document, chunks)[()] == 7


def table(array, *, absent):
    """Return a table of an array in memory, of which the last chunk may be absent."""
    data = {i: bytes(12) for i in range(array.chunks.size - absent)}
    return ChunkTable.inline(array.chunks.grid, data)


def plain(**more):
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [6],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3]}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0.0,
        "codecs": [LITTLE],
        "attributes": {},
        **more,
    }


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize(
    ("data_type", "fill", "mark", "missing"),
    [
        ("float32", 0.0, {}, None),
        ("float32", 0.0, {"_FillValue": "AAAAAAAAAAA="}, 0.0),
        ("float32", "NaN", {"_FillValue": "AAAAAAAA+H8="}, np.nan),
        ("float32", -5.0, {"_FillValue": "AAAAAAAAFMA="}, -5.0),
        ("float32", 0.0, {"_FillValue": "AAAAAAAAFMA="}, -5.0),
        ("float32", 3.0, {"_FillValue": "AAAAAAAAFMA="}, -5.0),
        ("float32", 3.0, {}, None),
        ("int32", 3, {}, None),
        ("int32", 0, {"_FillValue": 7}, 7),
        ("bool", False, {}, None),
        ("bool", True, {}, None),
    ],
)
def test_fill_values(data_type, fill, mark, missing, absent):
    """Absent chunks read what version 3 says, and only what is marked is missing."""
    document = plain(data_type=data_type, fill_value=fill, attributes=mark)
    array = array_from_document_v3(document)
    array = array_from_document_v3(document, table(array, absent=absent))
    told = []
    settled = settle_fill(array, 1000, told.append)
    assert told == []
    pair = np.array([settled.fill_value, missing], object).astype("f8")
    np.testing.assert_array_equal(pair[0], pair[1])
    if absent:
        data = settled.chunks.get(1)
        stored = np.asarray(array.fill_value or 0, settled.dtype)
        if data is None:
            shown = settled.dtype.type(0 if settled.fill_value is None else settled.fill_value)
            assert stored.tobytes() == shown.tobytes()
        else:
            np.testing.assert_array_equal(np.frombuffer(data, settled.dtype), np.full(3, stored))


def test_nan_marks_nothing():
    array = array_from_document_v3(plain(fill_value="NaN"))
    told = []
    assert np.isnan(settle_fill(array, 0, told.append).fill_value)
    assert told == []


@pytest.mark.parametrize(
    ("data_type", "fill", "expected"),
    [
        ("float32", "0x7fc00000", np.float32("nan")),
        ("float64", "0x3ff0000000000000", 1.0),
        ("float16", "-Infinity", -np.inf),
        ("complex64", ["NaN", "0x3f800000"], complex(float("nan"), 1)),
        ("r16", [1, 2], b"\1\2"),
        ({"name": "int16"}, 5, 5),
        ({"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}}, "NaT",
         None),
    ],
)  # fmt: skip
def test_spellings_of_fill_values(data_type, fill, expected):
    found = array_from_document_v3(plain(data_type=data_type, fill_value=fill)).fill_value
    if expected is None:
        assert found is None
    elif isinstance(expected, bytes):
        assert found.tobytes() == expected
    else:
        np.testing.assert_array_equal(found, expected)


def test_names_of_some_dimensions_only(caplog):
    """As Icechunk's own samples have them; neither version 2 nor xarray know such arrays."""
    grid = {"name": "regular", "configuration": {"chunk_shape": [2, 2]}}
    change = {"dimension_names": [None, "x"], "shape": [2, 2], "chunk_grid": grid}
    assert array_from_document_v3(plain(**change)).dimension_names is None
    assert "[None, 'x']" in caplog.text
    with pytest.raises(MetadataError, match="dimension_names"):
        array_from_document_v3(plain(**{**change, "dimension_names": [5, "x"]}))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"codecs": [{"name": "sharding_indexed", "configuration": {}}]}, "zarr3-sharding"),
        ({"codecs": [LITTLE, {"name": "gribberish"}]}, "zarr3-codec"),
        ({"codecs": [LITTLE, {"name": "numcodecs.pickle"}]}, "zarr3-codec"),
        ({"codecs": [LITTLE, {"name": "refmaker.numcodec", "configuration": {"id": "pickle"}}]},
         "zarr3-codec"),
        ({"codecs": [{"name": "numcodecs.packbits"}, "bytes"]}, "zarr3-codec"),
        ({"codecs": [{"name": "numcodecs.delta", "configuration": {"dtype": ">f4"}}, "bytes"]},
         "zarr3-codec"),
        ({"codecs": [{"name": "cast_value"}, "bytes"]}, "zarr3-codec"),
        ({"codecs": ["vlen-utf8"]}, "zarr3-codec"),
        ({"data_type": "string", "fill_value": ""}, "zarr3-codec"),
        ({"shape": [6, 2, 2], "chunk_grid": {"name": "regular", "configuration": {
            "chunk_shape": [3, 2, 2]}}, "codecs": [
            {"name": "transpose", "configuration": {"order": [0, 2, 1]}}, "bytes"]}, "zarr3-codec"),
        ({"data_type": "bfloat16"}, "zarr3-dtype"),
        ({"data_type": "r12"}, "zarr3-dtype"),
        ({"chunk_grid": {"name": "wavy"}}, "zarr3-grid"),
        ({"storage_transformers": [{"name": "x"}]}, "zarr3-extension"),
        ({"news": {"must_understand": True}}, "zarr3-extension"),
        ({"news": 1}, "zarr3-extension"),
    ],
)  # fmt: skip
def test_what_version_2_cannot_say(change, code):
    with pytest.raises(UnsupportedError) as caught:
        array_from_document_v3(plain(**change))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "change",
    [
        {"zarr_format": 2},
        {"node_type": "group"},
        {"shape": [-1]},
        {"shape": [True]},
        {"shape": 6},
        {"chunk_grid": None},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0]}}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 3]}}},
        {"codecs": []},
        {"codecs": [{"configuration": {}}]},
        {"codecs": [{"name": "transpose", "configuration": {"order": [0]}}]},
        {"codecs": [{"name": "bytes", "configuration": {"endian": "middle"}}]},
        {"fill_value": None},
        {"fill_value": "zero"},
        {"fill_value": "0xzz"},
        {"fill_value": "0x" + "f" * 40},
        {"fill_value": [1]},
        {"data_type": {"name": "raw_bytes", "configuration": {"length_bytes": -1}}},
        {"data_type": {"name": "fixed_length_utf32", "configuration": {"length_bytes": 3}}},
        {"data_type": {"name": "struct", "configuration": {"fields": []}}},
        {"data_type": {"name": "struct", "configuration": {"fields": [["a", "int8"]] * 2}}},
        {"dimension_names": ["x", "y"]},
        {"attributes": []},
        {"attributes": {"_FillValue": "AAAA"}},
        {"attributes": {"_FillValue": "%"}},
    ],
    ids=str,
)
def test_what_is_no_array(change):
    with pytest.raises(MetadataError):
        array_from_document_v3(plain(**change))


def test_extensions_that_may_be_passed_over():
    found = array_from_document_v3(plain(news={"must_understand": False}, dimension_names=[None]))
    assert found.dimension_names is None


def test_groups():
    group = Group(attributes={"a": [1, 2]})
    assert group_from_document_v3(group_document_v3(group)).attributes == {"a": [1, 2]}
    with pytest.raises(MetadataError, match="node of type"):
        group_from_document_v3({"zarr_format": 3, "node_type": "array"})


@given(
    dtype=st.sampled_from([*DTYPES, ">i4", ">f8", ">U2", ">M8[s]", "O"]),
    order=st.sampled_from("CF"),
    codecs=st.lists(st.sampled_from(sorted(BYTES_CODECS)), max_size=3),
    shape=st.lists(st.integers(0, 9), min_size=2, max_size=4),
    data=st.data(),
)
def test_there_and_back(dtype, order, codecs, shape, data):
    """What is written is read as it was, as far as decoding depends on it."""
    chunk = [data.draw(st.integers(1, 5)) for _ in shape]
    dtype = np.dtype(dtype)
    filters = tuple({"id": name} for name in codecs)
    array = Array(
        tuple(shape),
        tuple(chunk),
        dtype,
        ChunkTable.empty(chunk_grid(shape, chunk)),
        order=order,
        filters=({"id": "vlen-utf8"}, *filters) if dtype.kind == "O" else filters,
        dimension_names=tuple(f"d{i}" for i in range(len(shape))),
        attributes={"units": "K"},
    )
    document = array_document_v3(array)
    again = array_from_document_v3(json.loads(json.dumps(document)))
    assert (again.shape, again.chunk_shape, again.order) == (array.shape, array.chunk_shape, order)
    assert again.dtype == dtype
    assert again.codecs == array.codecs
    assert again.dimension_names == array.dimension_names
    assert again.attributes == array.attributes
    assert array_document_v3(again) == document

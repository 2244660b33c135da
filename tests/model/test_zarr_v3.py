"""Version 3 documents: zarr reads the same bytes to the same values as by version 2."""

from __future__ import annotations

import asyncio
import json

import imagecodecs
import imagecodecs.numcodecs
import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.buffer import cpu
from zarr.storage import MemoryStore

from refmaker.codecs import register
from refmaker.codecs.zarr3 import NAME, Numcodec, register_codec
from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group, chunk_grid
from refmaker.model.zarr_v2 import array_document, attributes_document
from refmaker.model.zarr_v3 import BYTES_CODECS, array_document_v3, group_document_v3

quiet = pytest.mark.filterwarnings(
    "ignore:.*data type.*Zarr V3 specification.*", "ignore:.*numcodecs.*", "ignore:.*codec.*"
)


def store(documents):
    found = MemoryStore()
    for key, value in documents.items():
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        asyncio.run(found.set(key, cpu.Buffer.from_bytes(data)))
    return found


def both(array, chunks):
    """Open an array with some encoded chunks as version 2 and as version 3."""
    two = {".zgroup": {"zarr_format": 2}, "a/.zarray": array_document(array)}
    two |= {"a/.zattrs": attributes_document(array)}
    three = {"zarr.json": group_document_v3(Group()), "a/zarr.json": array_document_v3(array)}
    for at, data in chunks.items():
        two["a/" + (".".join(map(str, at)) or "0")] = data
        three["/".join(["a/c", *map(str, at)])] = data
    return store(two), store(three)


def make(values, chunk_shape, *, order="C", filters=(), compressor=None, **more):
    """Return an array, and the chunks of its values as version 2 encodes them."""
    chunks = {}
    grid = chunk_grid(values.shape, chunk_shape)
    for at in np.ndindex(*grid):
        block = np.zeros(chunk_shape, values.dtype)
        start = [i * n for i, n in zip(at, chunk_shape, strict=True)]
        part = values[tuple(slice(i, i + n) for i, n in zip(start, chunk_shape, strict=True))]
        block[tuple(slice(0, n) for n in part.shape)] = part
        data = block.tobytes(order)
        for codec in (*filters, *([compressor] if compressor else [])):
            data = bytes(numcodecs.get_codec(dict(codec)).encode(data))
        chunks[at] = data
    table = ChunkTable.empty(grid)
    array = Array(
        values.shape,
        chunk_shape,
        values.dtype,
        table,
        order=order,
        filters=tuple(filters),
        compressor=compressor,
        **more,
    )
    return array, chunks


DTYPES = [
    "?",
    "|i1",
    "|u1",
    "<i2",
    ">i2",
    "<u4",
    ">u4",
    "<i8",
    ">u8",
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "<c8",
    ">c16",
    "|S5",
    "<U3",
    ">U3",
    "<M8[ns]",
    ">M8[D]",
    "<m8[25s]",
]


@quiet
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES)
def test_types(dtype, order):
    raw = np.random.default_rng(0).integers(1, 100, (5, 4))
    values = (raw % 2 if dtype == "?" else raw).astype(dtype)
    array, chunks = make(values, (2, 3), order=order)
    two, three = (zarr.open_group(s, mode="r")["a"] for s in both(array, chunks))
    for opened in (two, three):
        np.testing.assert_array_equal(opened[:], values)
        assert opened.dtype.newbyteorder("=") == values.dtype.newbyteorder("=")
    assert three.metadata.zarr_format == 3


@quiet
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    "dtype",
    ["V7", [("a", "<i2"), ("b", "<f8"), ("s", "S3"), ("u", "<U2"), ("?", "?"), ("t", "<M8[s]")],
     [("a", [("x", "<i2"), ("y", "u1")]), ("b", "V3")]],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("fill", [False, True])
def test_records(dtype, order, fill):
    dtype = np.dtype(dtype)
    raw = np.random.default_rng(0).integers(1, 2, 20 * dtype.itemsize, "u1")
    raw.reshape(20, -1)[:, 0] = np.arange(20)
    for name in dtype.names or ():
        if dtype[name].kind == "U":
            raw.reshape(20, -1)[:, dtype.fields[name][1] :][:, : dtype[name].itemsize] = 0
    values = np.frombuffer(raw.tobytes(), dtype).reshape(5, 4)
    more = {"fill_value": values[1, 1]} if fill else {}
    array, chunks = make(values, (2, 3), order=order, **more)
    del chunks[(1, 0)]
    read = zarr.open_group(both(array, chunks)[1], mode="r")["a"][:]
    assert read[:2].tobytes() == values[:2].tobytes()
    assert read[4:].tobytes() == values[4:].tobytes()
    if fill:
        assert (read[2:4, :3] == values[1, 1]).all()


@quiet
@pytest.mark.parametrize("name", sorted(BYTES_CODECS))
def test_codecs(name):
    config = {"shuffle": {"elementsize": 4}}.get(name, {})
    codec = {"id": name, **config}
    values = np.arange(60, dtype=">i4").reshape(10, 6)
    array, chunks = make(values, (4, 6), compressor=codec)
    for opened in both(array, chunks):
        np.testing.assert_array_equal(zarr.open_group(opened, mode="r")["a"][:], values)


@quiet
def test_pipelines():
    filters = ({"id": "shuffle", "elementsize": 8}, {"id": "zlib", "level": 3})
    values = np.random.default_rng(0).random((7, 5))
    array, chunks = make(
        values, (3, 5), filters=filters, compressor={"id": "fletcher32"}, order="F"
    )
    for opened in both(array, chunks):
        np.testing.assert_array_equal(zarr.open_group(opened, mode="r")["a"][:], values)
    names = [codec["name"] for codec in array_document_v3(array)["codecs"]]
    assert names == [
        "transpose",
        "bytes",
        "numcodecs.shuffle",
        "numcodecs.zlib",
        "numcodecs.fletcher32",
    ]


@quiet
def test_codecs_of_references():
    """Those that version 3 has no name for are decoded as by version 2."""
    register()
    register_codec()
    values = np.arange(500, dtype=">i4").reshape(50, 10)
    parts = [np.ascontiguousarray(values[i : i + 25]) for i in (0, 25)]
    for codec, encode in (
        ({"id": "refmaker.hdf5_lzf", "nbytes": 1000}, imagecodecs.lzf_encode),
        ({"id": "imagecodecs_lz4h5"}, imagecodecs.lz4h5_encode),
    ):
        array = Array(
            (50, 10), (25, 10), np.dtype(">i4"), ChunkTable.empty((2, 1)), compressor=codec
        )
        more = {"header": False} if "lzf" in codec["id"] else {}
        chunks = {(i, 0): bytes(encode(parts[i].tobytes(), **more)) for i in range(2)}
        for opened in both(array, chunks):
            np.testing.assert_array_equal(zarr.open_group(opened, mode="r")["a"][:], values)


@pytest.mark.parametrize("config", [None, {}, {"id": 3}, {"id": "pickle"}, {"id": "zlib"}], ids=str)
def test_other_codecs_are_not_called(config):
    with pytest.raises(MetadataError, match="no codec"):
        Numcodec.from_dict({"name": NAME, "configuration": config})


def test_it_only_decodes():
    codec = Numcodec.from_dict({"name": NAME, "configuration": {"id": "imagecodecs_lz4h5"}})
    assert Numcodec.from_dict(codec.to_dict()) == codec
    with pytest.raises(UnsupportedError, match="only decodes"):
        asyncio.run(codec._encode_single(None, None))


@quiet
def test_texts():
    texts = np.array(["a", "", "日本", "x" * 50], object)
    codec = numcodecs.get_codec({"id": "vlen-utf8"})
    packed = numcodecs.get_codec({"id": "zlib"}).encode(codec.encode(texts))
    array = Array(
        (4,),
        (4,),
        np.dtype(object),
        ChunkTable.empty((1,)),
        filters=({"id": "vlen-utf8"},),
        compressor={"id": "zlib", "level": 1},
    )
    for opened in both(array, {(0,): bytes(packed)}):
        assert list(zarr.open_group(opened, mode="r")["a"][:]) == list(texts)


@quiet
@pytest.mark.parametrize("dtype", ["<i4", "<f4", "?", "<M8[s]", "S2", "<c8"])
def test_absent_chunks_without_a_fill_value(dtype):
    array, _ = make(np.zeros(2, dtype), (2,))
    two, three = (zarr.open_group(s, mode="r")["a"][:] for s in both(array, {}))
    assert two.tobytes() == three.tobytes()


@quiet
def test_scalars():
    array, chunks = make(np.array(7, ">i2"), ())
    for opened in both(array, chunks):
        assert zarr.open_group(opened, mode="r")["a"][()] == 7


@quiet
@pytest.mark.filterwarnings("ignore:.*[Cc]onsolidated.*", "ignore:.*invalid value.*")
@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("<f4", -999.0),
        ("<f4", float("nan")),
        ("<f8", 1e20),
        (">f8", 5.0),
        ("<i2", -9),
        ("|u1", 255),
        ("<i4", None),
        ("<f4", None),
        ("<f4", float("inf")),
    ],
)
def test_missing_values_in_xarray(dtype, fill):
    """The same is masked, and absent chunks read the same, by both versions."""
    values = np.arange(8).astype(dtype)
    if fill is not None:
        values[3] = fill
    more = {"dimension_names": ("x",), "attributes": {"units": "K", "scale_factor": 2.0}}
    array, chunks = make(values, (2,), fill_value=fill, **more)
    del chunks[(3,)]
    read = []
    for opened, version in zip(both(array, chunks), (2, 3), strict=True):
        with xr.open_dataset(opened, engine="zarr", zarr_format=version, consolidated=False) as ds:
            read.append(ds["a"].load())
    assert read[0].dims == read[1].dims
    assert read[0].attrs == read[1].attrs
    assert read[0].dtype == read[1].dtype
    np.testing.assert_array_equal(read[0], read[1])


@quiet
@pytest.mark.filterwarnings("ignore:.*[Cc]onsolidated.*")
def test_complex_numbers_stay_whole_in_xarray():
    """Of a missing value, xarray would make them real numbers."""
    values = np.array([1 + 2j, 3 - 4j], "<c8")
    array, chunks = make(values, (2,), fill_value=1 + 2j, dimension_names=("x",))
    with xr.open_dataset(both(array, chunks)[1], engine="zarr", consolidated=False) as ds:
        np.testing.assert_array_equal(ds["a"], values)


@pytest.mark.parametrize(
    ("dtype", "codecs", "code"),
    [
        (np.dtype([("a", "<i4"), ("b", [("c", ">i4")])]), (), "zarr3-dtype"),
        (np.dtype([("a", "<i4", (2,))]), (), "zarr3-dtype"),
        (np.dtype("f16"), (), "zarr3-dtype"),
        (np.dtype("M8"), (), "zarr3-dtype"),
        (np.dtype("<f4"), ({"id": "pickle"},), "zarr3-codec"),
        (np.dtype("<f4"), ({"id": "delta", "dtype": "<f4"},), "zarr3-codec"),
        (np.dtype(object), (), "zarr3-codec"),
    ],
    ids=str,
)
def test_what_version_3_cannot_say(dtype, codecs, code):
    with pytest.raises(UnsupportedError, match=r"ersion 3|not texts") as caught:
        array_document_v3(Array((2,), (2,), dtype, ChunkTable.empty((1,)), filters=codecs))
    assert caught.value.code == code

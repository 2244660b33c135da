"""Chunk tables to chunk manifests and back, and stores of other parsers."""

from __future__ import annotations

import base64
import os
import struct

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from virtualizarr.manifests import ChunkManifest, ManifestArray, ManifestGroup, ManifestStore
from virtualizarr.parsers import HDFParser
from zarr.core.metadata.v3 import ArrayV3Metadata

import refmaker
from refmaker.errors import MetadataError, RefmakerError, UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.testing.strategies import chunk_tables
from refmaker.virtualizarr import Parser, from_store, to_store
from refmaker.virtualizarr.from_manifests import table_from_manifest

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def array_of(table, **how):
    shape = tuple(2 * extent for extent in table.grid)
    chunk_shape = tuple(2 for _ in table.grid)
    return Array(shape, chunk_shape, np.dtype("<i4"), table, **how)


def as_named(url):
    path = local_path(url)
    return url if path is None else os.path.abspath(path)


@given(chunk_tables())
def test_tables_survive_the_way_there_and_back(table):
    group = Group({"x": array_of(table)})
    try:
        store = to_store(group, None, strict=True)
    except UnsupportedError as error:
        if error.code == "virtualizarr-name":
            assert any(set("?#;") & set(url) or "::" in url for url in table.urls)
        else:
            assert (table.length == 0).any() or not all(table.inlined.values())
        return
    manifest = store._group["x"].manifest
    assert manifest.shape_chunk_grid == table.grid
    back = table_from_manifest(manifest)
    expected = table.with_urls([as_named(url) for url in table.urls])
    assert back.same(expected), (back, expected)
    for place in range(min(table.size, 50)):
        at = np.unravel_index(place, table.grid) if table.grid else ()
        assert back.get(tuple(map(int, at))) == expected.get(tuple(map(int, at)))


def test_many_files(registry):
    count = 100
    urls = tuple(f"/data/{i:03}.bin" for i in range(count))
    order = np.random.default_rng(0).permutation(count).astype(np.int32)
    table = ChunkTable.from_columns(
        (count,), urls, offset=order * 8, length=np.full(count, 8), url=order
    )
    store = to_store(Group({"x": array_of(table)}), registry)
    back = table_from_manifest(store._group["x"].manifest)
    assert [back.get(i) for i in range(count)] == [table.get(i) for i in range(count)]


def test_documents_and_nesting(tmp_path, registry):
    inner = Group({}, {"deep": 1})
    for number in range(1200):
        inner = Group({f"g{number}": inner})
    chunk = np.arange(4, dtype=">i2").tobytes()
    told = Array(
        (2, 2), (2, 2), np.dtype(">i2"), ChunkTable.inline((1, 1), {0: chunk}),
        fill_value=np.int16(-1), order="F", dimension_names=("y", "x"),
        attributes={"units": "K", "valid_range": [1, 2]},
    )  # fmt: skip
    root = Group({"x": told, "deep": inner}, {"title": "made"})
    store = to_store(root, registry, strict=True)
    back = from_store(store).group
    assert back.attributes == {"title": "made"}
    assert list(back.members) == ["x", "deep"]
    assert back["x"].dtype == told.dtype
    assert back["x"].order == "F"
    assert back["x"].fill_value == -1
    assert back["x"].attributes["valid_range"] == [1, 2]
    store = to_store(Group({"x": told}), registry)
    read = np.asarray(zarr.open_array(store, path="x", mode="r", zarr_format=3)[...])
    np.testing.assert_array_equal(read, np.arange(4).reshape(2, 2).T)
    assert max(path.count("/") for path, _ in back.walk()) == 1200


def test_whole_files_get_their_size(tmp_path, registry):
    (tmp_path / "a.bin").write_bytes(np.arange(6, dtype="<i4").tobytes())
    url = str(tmp_path / "a.bin")
    table = ChunkTable.from_columns((1,), (url,), offset=np.zeros(1, int), length=np.zeros(1, int))
    group = Group({"x": Array((6,), (6,), np.dtype("<i4"), table)})
    with pytest.warns(UserWarning, match="the size of .*a.bin, which is one chunk, is not known"):
        assert not to_store(group, registry)._group.arrays
    report = ScanReport("")
    report.sources[url] = Fingerprint(24)
    store = to_store(refmaker.ReferenceSet(group, report), registry)
    read = zarr.open_array(store, path="x", mode="r", zarr_format=3)[...]
    np.testing.assert_array_equal(read, np.arange(6))


@pytest.mark.parametrize(
    "url",
    ["/data/a#b.nc", "/data/a?b.nc", "https://host/a.nc?sig=1", "https://host/a;b.nc",
     "s3://bucket//a.nc", "zip://a.nc::/data/a.zip", "https://host/a.nc#x"],
)  # fmt: skip
def test_names_that_virtualizarr_cuts_are_refused(url):
    table = ChunkTable.from_columns((1,), (url,), offset=np.zeros(1, int), length=np.ones(1, int))
    with pytest.raises(UnsupportedError, match="VirtualiZarr cuts off") as raised:
        to_store(Group({"x": array_of(table)}), None, strict=True)
    assert raised.value.code == "virtualizarr-name"


def test_absent_chunks_read_as_fill_both_ways(tmp_path, registry):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, fill in (("zero", None), ("seven", 7), ("nan", np.nan)):
            kind = "f4" if name == "nan" else "i4"
            data = file.create_dataset(name, (6,), kind, chunks=(2,), fillvalue=fill)
            data[2:4] = [1, 2]
    for parser in (Parser(), HDFParser()):
        back = from_store(parser(f"file://{tmp_path}/a.h5", registry))
        opened = refmaker.open_group(back)
        for name, fill in (("zero", 0), ("seven", 7), ("nan", np.nan)):
            expected = [fill, fill, 1, 2, fill, fill]
            np.testing.assert_array_equal(opened[name][...], expected, err_msg=name)


def test_a_virtual_dataset_of_hdf5(tmp_path, registry):
    """Mapped from other files: VirtualiZarr's own parser reads fill values here."""
    layout = h5py.VirtualLayout((4, 8), "i4")
    for row in range(4):
        with h5py.File(tmp_path / f"s{row}.h5", "w") as file:
            file["d"] = np.arange(8, dtype="i4") + 100 * row
        layout[row] = h5py.VirtualSource(f"s{row}.h5", "d", (8,))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_virtual_dataset("v", layout)
    with h5py.File(tmp_path / "v.h5") as file:
        true = file["v"][...]
    store = Parser()(f"file://{tmp_path}/v.h5", registry)
    read = zarr.open_array(store, path="v", mode="r", zarr_format=3)[...]
    np.testing.assert_array_equal(read, true)
    assert int(read.sum()) == int(true.sum()) != 0


def manifest_array(manifest, **changed):
    document = {
        "zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "int32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": 0, "attributes": {}, "dimension_names": ["x"],
        "codecs": [LITTLE], **changed,
    }  # fmt: skip
    metadata = ArrayV3Metadata.from_dict(document)
    return ManifestArray(metadata=metadata, chunkmanifest=manifest)


def manifest(paths=("s3://b/a", "s3://b/a"), offsets=(0, 8), lengths=(8, 8), inlined=None):
    return ChunkManifest.from_arrays(
        paths=np.array(paths, np.dtypes.StringDType()),
        offsets=np.array(offsets, np.uint64),
        lengths=np.array(lengths, np.uint64),
        validate_paths=False,
        inlined=inlined,
    )


def stored(array):
    return ManifestStore(group=ManifestGroup(arrays={"x": array}))


@pytest.mark.parametrize(
    ("array", "error", "what"),
    [
        (lambda: manifest_array(manifest(offsets=(0, 2**63))), MetadataError, "offset"),
        (lambda: manifest_array(manifest(lengths=(8, 2**64 - 1))), MetadataError, "length"),
        (lambda: manifest_array(manifest(("__inlined__", "s3://b/a"))), MetadataError, "inlined"),
        (
            lambda: manifest_array(
                manifest(("", "s3://b/a"), lengths=(0, 8), inlined={(0,): b"1"})
            ),
            MetadataError, "inlined",
        ),
        (
            lambda: manifest_array(manifest(), codecs=[{
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": [1], "codecs": [LITTLE],
                    "index_codecs": [LITTLE, {"name": "crc32c"}],
                },
            }]),
            UnsupportedError, "shards",
        ),
        (
            lambda: manifest_array(
                manifest(), data_type="float32", fill_value=0.0,
                attributes={"_FillValue": base64.b64encode(struct.pack("<f", 1)).decode()},
            ),
            MetadataError, "_FillValue",
        ),
        (
            lambda: manifest_array(manifest(("", "", "s3://b/a"), (0, 0, 0), (0, 0, 8))),
            MetadataError, "grid|chunks",
        ),
    ],
)  # fmt: skip
def test_hostile_stores_are_refused_by_name(array, error, what):
    with pytest.raises(error, match=what) as raised:
        from_store(stored(array()), strict=True)
    assert isinstance(raised.value, RefmakerError)
    assert raised.value.path == "x"
    # Otherwise it costs itself.
    group = ManifestGroup(arrays={"x": array(), "y": manifest_array(manifest())})
    with pytest.warns(UserWarning, match="left out are /x: "):
        refs = from_store(ManifestStore(group=group))
    assert list(refs.group.members) == ["y"]
    assert [row.path for row in refs.report.skipped] == ["/x"]
    assert [row.path for row in refs.report.rows] == ["/", "/x", "/y"]


def test_records_of_single_bytes_have_no_order(tmp_path, registry):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.array([(b"ab", 1), (b"c", 2)] * 300, [("name", "S4"), ("n", "u1")])
    url = f"file://{tmp_path}/a.h5"
    back = from_store(Parser(strict=True)(url, registry), strict=True)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(refmaker.open_group(back)["x"][...], file["x"][...])


def test_nan_payloads_are_nan():
    payload = base64.b64encode(struct.pack("<Q", 0x7FF8_0000_0000_1234)).decode()
    array = manifest_array(
        manifest(), data_type="float32", fill_value="NaN", attributes={"_FillValue": payload}
    )
    assert np.isnan(from_store(stored(array), strict=True).group["x"].fill_value)


def test_what_is_no_store():
    with pytest.raises(TypeError, match="ManifestStore"):
        from_store({"refs": {}})

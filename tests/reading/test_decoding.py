"""Chunks through Zarr: bounded, and errors that say which chunk of which file."""

from __future__ import annotations

import json
import pickle
import zlib

import numcodecs
import numpy as np
import pytest
import zarr
from zarr.core.codec_pipeline import BatchedCodecPipeline

import refmaker
from refmaker.errors import CodecError, LimitError, RefmakerError
from refmaker.io import local_file
from refmaker.reading.filesystem import RefmakerFileSystem
from refmaker.reading.store import ReferencePipeline

VALUES = np.arange(1000, dtype="<i4")
CODECS = [
    numcodecs.Zlib(1), numcodecs.GZip(1), numcodecs.BZ2(1), numcodecs.LZMA(preset=0),
    numcodecs.Zstd(1), numcodecs.Blosc(), numcodecs.LZ4(),
]  # fmt: skip


@pytest.fixture
def stored(tmp_path):
    """Return a function that puts a chunk behind some bytes of a file, and gives its set."""

    def put(chunk, compressor, **more):
        (tmp_path / "data.bin").write_bytes(b"front" + bytes(chunk))
        zarray = {
            "zarr_format": 2, "shape": [1000], "chunks": [1000], "dtype": "<i4", "order": "C",
            "fill_value": None, "filters": None, "compressor": compressor, **more,
        }  # fmt: skip
        refs = {
            ".zgroup": {"zarr_format": 2},
            "x/.zarray": zarray,
            "x/.zattrs": {"_ARRAY_DIMENSIONS": ["i"]},
            "x/0": [str(tmp_path / "data.bin"), 5, len(bytes(chunk))],
        }
        (tmp_path / "set.json").write_text(json.dumps({"version": 1, "refs": refs}))
        return tmp_path / "set.json"

    return put


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.codec_id)
def test_right_chunks_are_read_and_wrong_ones_located(stored, tmp_path, codec):
    config = codec.get_config()
    array = refmaker.open_group(stored(codec.encode(VALUES), config))["x"]
    np.testing.assert_array_equal(array[:], VALUES)
    damaged = [
        codec.encode(np.zeros(1001, "<i4")),
        codec.encode(VALUES[:999]),
        bytes(codec.encode(VALUES))[:-9],
        b"garbage, and nothing else",
    ]
    for chunk in damaged:
        array = refmaker.open_group(stored(chunk, config))["x"]
        with pytest.raises(RefmakerError) as caught:
            array[:]
        assert isinstance(caught.value, CodecError)
        assert caught.value.url == str(tmp_path / "data.bin")
        assert caught.value.path == "x/0"
        assert caught.value.offset == 5
        assert "set.json" in str(caught.value)


@pytest.fixture
def stored_v3(tmp_path):
    """Return a function that puts a chunk behind some bytes of a file, in a set of version 3."""

    def put(chunk, codecs):
        (tmp_path / "data.bin").write_bytes(b"front" + bytes(chunk))
        document = {
            "zarr_format": 3, "node_type": "array", "shape": [1000], "data_type": "int32",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1000]}},
            "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": codecs,
            "attributes": {}, "dimension_names": ["i"],
        }  # fmt: skip
        refs = {
            "zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": {}},
            "x/zarr.json": document,
            "x/c/0": [str(tmp_path / "data.bin"), 5, len(bytes(chunk))],
        }
        (tmp_path / "set.json").write_text(json.dumps({"version": 1, "refs": refs}))
        return tmp_path / "set.json"

    return put


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@pytest.mark.filterwarnings("ignore:.*[Nn]umcodecs.*", "ignore:.*codec.*")
@pytest.mark.parametrize("name", ["numcodecs.zlib", "gzip", "zstd", "blosc", "numcodecs.bz2"])
def test_chunks_of_version_3_are_bounded_as_those_of_version_2(stored_v3, tmp_path, name):
    codec = numcodecs.get_codec({"id": name.removeprefix("numcodecs.")})
    more = {"blosc": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4}}
    config = {"name": name, "configuration": more.get(name, {"level": 1})}
    path = stored_v3(codec.encode(VALUES), [BYTES, config])
    np.testing.assert_array_equal(refmaker.open_group(path)["x"][:], VALUES)
    for chunk, told in (
        (codec.encode(bytes(50_000_000)), "4000 at most"),
        (codec.encode(VALUES[:999]), "reshape"),
        (b"garbage", "cannot be decoded|ends too early|no size"),
    ):
        array = refmaker.open_group(stored_v3(chunk, [BYTES, config]))["x"]
        with pytest.raises(CodecError, match=told) as caught:
            array[:]
        assert (caught.value.url, caught.value.path) == (str(tmp_path / "data.bin"), "x/c/0")
        assert caught.value.offset == 5


def test_chunks_in_shards_are_bounded(stored_v3):
    parts = [zlib.compress(VALUES[:500].tobytes()), zlib.compress(bytes(50_000_000))]
    zipped = {"name": "numcodecs.zlib", "configuration": {"level": 1}}
    index = np.array([0, len(parts[0]), len(parts[0]), len(parts[1])], "<u8").tobytes()
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [500], "codecs": [BYTES, zipped], "index_codecs": [BYTES],
            "index_location": "end",
        },
    }  # fmt: skip
    array = refmaker.open_group(stored_v3(b"".join(parts) + index, [sharding]))["x"]
    np.testing.assert_array_equal(array[:500], VALUES[:500])
    with pytest.raises(CodecError, match="2000 at most"):
        array[500:]


def test_errors_of_filters_and_in_datasets(stored, tmp_path):
    config = numcodecs.Zlib(1).get_config()
    path = stored(zlib.compress(b"short"), config, filters=[{"id": "fletcher32"}])
    with pytest.raises(CodecError) as caught:
        refmaker.open_dataset(path).x.load()
    assert (caught.value.path, caught.value.offset) == ("x/0", 5)
    with pytest.raises(CodecError):
        refmaker.open_dataset(path, chunks={}).x.compute(scheduler="threads")


def test_arrays_of_other_stores_are_decoded_as_ever(stored):
    refmaker.open_store(stored(zlib.compress(VALUES.tobytes()), numcodecs.Zlib().get_config()))
    for version in (2, 3):
        own = zarr.create_array({}, shape=(1000,), dtype="i4", zarr_format=version)
        own[:] = VALUES
        np.testing.assert_array_equal(own[:], VALUES)
        assert type(own.async_array.codec_pipeline) is BatchedCodecPipeline
    sharded = zarr.create_array({}, shape=(1000,), chunks=(10,), shards=(100,), dtype="i4")
    sharded[:] = VALUES
    np.testing.assert_array_equal(sharded[:], VALUES)


def test_opened_arrays_travel(stored):
    path = stored(zlib.compress(bytes(8000)), numcodecs.Zlib().get_config())
    array = pickle.loads(pickle.dumps(refmaker.open_group(path)["x"]))
    assert type(array.async_array.codec_pipeline) is ReferencePipeline
    with pytest.raises(CodecError, match="4000 at most"):
        array[:]


def test_whole_files_have_a_limit(tmp_path, monkeypatch, server):
    monkeypatch.setattr(local_file, "WHOLE", 100)
    monkeypatch.setattr("refmaker.io.remote_file.WHOLE", 100)
    import fsspec

    for size in (100, 101):
        (tmp_path / "f").write_bytes(bytes(size))
        fsspec.filesystem("memory").pipe("/whole/f", bytes(size))
        for url in (str(tmp_path / "f"), server.url("f"), "memory://whole/f"):
            fs = RefmakerFileSystem({"version": 1, "refs": {"k": [url]}})
            if size == 100:
                assert len(fs.cat_file("k")) == 100
                continue
            with pytest.raises(LimitError, match="referenced as a whole"):
                fs.cat_file("k")
    fsspec.filesystem("memory").rm("/whole", recursive=True)

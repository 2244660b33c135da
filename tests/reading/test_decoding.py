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

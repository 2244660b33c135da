"""The xarray engine, and what it takes for its own."""

from __future__ import annotations

import gzip
import json

import imagecodecs
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.reading.backend import RefmakerBackend, is_reference_set


@pytest.fixture
def stored(made, tmp_path):
    refs, values = made(20, 100)
    refs.write(tmp_path / "a.json")
    return tmp_path / "a.json", values


def test_datasets_and_trees(stored, server):
    name, values = stored
    for given in (str(name), name, f"refmaker::{name}"):
        opened = xr.open_dataset(given, engine=RefmakerBackend, group="g")
        np.testing.assert_array_equal(opened["y"], values)
    tree = xr.open_datatree(name, engine=RefmakerBackend)
    assert set(tree.groups) == {"/", "/g"}
    assert set(xr.open_groups(name, engine=RefmakerBackend)) == {"/", "/g"}
    opened = xr.open_dataset(name, engine=RefmakerBackend, group="g", drop_variables="y")
    assert not opened.data_vars
    options = {"verify_sources": "full", "allow": ["file"], "storage_options": {}}
    assert xr.open_dataset(name, engine=RefmakerBackend, **options).sizes == {"x": 2000}


def test_what_is_a_reference_set(stored, made, tmp_path):
    name, _ = stored
    text = name.read_bytes()
    document = json.loads(text)
    refs, _ = made(20, 100)
    for form in ("compact", "parquet"):
        refs.write(tmp_path / form, format=form)
    kerchunk0 = json.dumps(document["refs"])
    kerchunk1 = json.dumps({"version": 1, "refs": document["refs"]}, indent=2)
    files = {
        "packed.json.gz": gzip.compress(text, mtime=0),
        "packed.json.zst": imagecodecs.zstd_encode(text),
        "no-suffix": text,
        "kerchunk0.json": kerchunk0.encode(),
        "kerchunk1.json": kerchunk1.encode(),
    }
    for given, data in files.items():
        (tmp_path / given).write_bytes(data)
    backend = RefmakerBackend()
    for given in ("a.json", "compact", "parquet", *files):
        assert backend.guess_can_open(str(tmp_path / given)), given
    assert backend.guess_can_open("refmaker::s3://bucket/a.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type":"FeatureCollection","features":[]}',
        b'{"version":1}',
        b'{"version":1,"references":{"refs":1}}',
        b'{"version":2,"refs":{}}',
        b'{"stac_version":"1.0.0","refs":{}}',
        b'{"metadata":{".zgroup":{"zarr_format":2}},"zarr_consolidated_format":1}',
        b'{"zarr_format":3,"node_type":"group"}',
        b"\x89HDF\r\n\x1a\n",
        b"CDF\x01",
        b"\x1f\x8b garbage",
        b"\x28\xb5\x2f\xfd garbage",
        gzip.compress(b'{"a":1}', mtime=0),
        b'{"version":1,"refs":{"a":',
    ],
    ids=repr,
)
def test_files_of_others_are_not_claimed(data, tmp_path):
    (tmp_path / "a.json").write_bytes(data)
    claimed = is_reference_set(tmp_path / "a.json")
    assert claimed == data.startswith(b'{"version":1,"refs":{"')


def test_what_is_no_name_or_lies_elsewhere(tmp_path):
    (tmp_path / "store.zarr").mkdir()
    (tmp_path / "store.zarr" / ".zmetadata").write_text('{"metadata":{}}')
    for given in (
        tmp_path / "store.zarr", tmp_path, tmp_path / "absent", "https://h/a.json", "memory://a",
        b"bytes", 5, object(), xr.Dataset(), "a\0b",
    ):  # fmt: skip
        assert not is_reference_set(given)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_without_names_of_dimensions_is_refused_by_name(tmp_path, zarr_format):
    """Sets of others have such arrays, those of lindi for instance."""
    (tmp_path / "data.bin").write_bytes(bytes(range(6)))
    table = ChunkTable.from_columns(
        (1, 1), (str(tmp_path / "data.bin"),), offset=np.array([0]), length=np.array([6])
    )
    array = Array((2, 3), (2, 3), np.dtype("u1"), table)
    assert array.dimension_names is None
    refs = refmaker.ReferenceSet(Group({"inner": Group({"a": array})}))
    refs.write(tmp_path / "a.json", zarr_format=zarr_format)
    with pytest.raises(MetadataError, match="names of dimensions") as error:
        refmaker.open_dataset(tmp_path / "a.json", group="inner")
    assert error.value.path == "/inner/a"
    assert refmaker.open_group(tmp_path / "a.json")["inner/a"][1].tolist() == [3, 4, 5]

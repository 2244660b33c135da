"""References as an fsspec filesystem."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from fsspec.implementations.reference import ReferenceFileSystem
from zarr.storage import FsspecStore

from refmaker.errors import MetadataError, SourceChangedError, UnsupportedError
from refmaker.reading import reader as reading
from refmaker.reading.filesystem import RefmakerFileSystem


@pytest.fixture(autouse=True)
def registered():
    """Do what the entry point does for an installed package."""
    fsspec.register_implementation("refmaker", RefmakerFileSystem, clobber=True)


@pytest.fixture(params=["local", "http"])
def stored(request, made, server, tmp_path):
    """Return the name of a document, with files here or there, and the values."""
    refs, values = made(50, 100, url=server.url("data.bin") if request.param == "http" else None)
    refs.write(tmp_path / "a.json")
    return str(tmp_path / "a.json"), values


def test_it_is_a_reference_filesystem(stored):
    fs = fsspec.filesystem("refmaker", fo=stored[0])
    assert isinstance(fs, ReferenceFileSystem)
    assert fs.cat_file("x/3") == stored[1][300:400].tobytes()
    assert fs.cat_file("x/3", 10, -20) == stored[1][310:380].tobytes()
    assert fs.cat_file("x/3", -5) == stored[1][395:400].tobytes()
    assert fs.cat_file("x/3", 90, 5) == b""
    with pytest.raises(FileNotFoundError):
        fs.cat_file("x/50")


def test_many_at_once(stored, server):
    fs = fsspec.filesystem("refmaker", fo=stored[0])
    names = [f"x/{i}" for i in range(50)]
    server.reset()
    got = fs.cat(names)
    assert b"".join(got[name] for name in names) == stored[1].tobytes()
    assert server.requests <= 1
    got = fs.cat_ranges(["x/0", "x/1", "nothing"], [0, 5, 0], [4, None, 1], on_error="return")
    assert got[:2] == [stored[1][:4].tobytes(), stored[1][105:200].tobytes()]
    assert isinstance(got[2], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat(["x/0", "nothing"])
    assert list(fs.cat(["x/0", "nothing"], on_error="omit")) == ["x/0"]


def test_listing_without_consolidated_metadata(stored, tmp_path):
    document = json.loads((tmp_path / "a.json").read_text())
    del document["refs"][".zmetadata"]
    (tmp_path / "b.json").write_text(json.dumps(document))
    fs = fsspec.filesystem("refmaker", fo=str(tmp_path / "b.json"))
    assert fs.ls("", detail=False) == ["g", "x", ".zgroup", ".zattrs"]
    assert fs.ls("g", detail=False) == ["g/y", "g/.zgroup", "g/.zattrs"]
    assert len(fs.ls("g/y")) == 52
    assert fs.info("g/y/7") == {"name": "g/y/7", "type": "file", "size": 100}
    assert fs.info("g")["type"] == "directory"
    assert fs.isdir("g/y")
    assert fs.isfile("g/y/7")
    assert not fs.exists("g/z")
    assert len(fs.find("g")) == 54
    assert sorted(fs.find("")) == sorted(document["refs"])
    assert [root for root, _, _ in fs.walk("")] == ["", "g", "g/y", "x"]
    with pytest.raises(FileNotFoundError):
        fs.ls("nothing")
    group = zarr.open_group(
        FsspecStore(fs_async(tmp_path / "b.json"), read_only=True, path=""), mode="r"
    )
    assert dict(group["g"].arrays()).keys() == {"y"}
    tree = xr.open_datatree(
        FsspecStore(fs_async(tmp_path / "b.json"), read_only=True, path=""),
        engine="zarr", zarr_format=2, consolidated=False,
    )  # fmt: skip
    assert set(tree.groups) == {"/", "/g"}


def fs_async(path):
    return RefmakerFileSystem(str(path), asynchronous=True)


def test_files_are_opened(stored):
    fs = fsspec.filesystem("refmaker", fo=stored[0])
    with fs.open("x/3") as file:
        file.seek(10)
        assert file.read(5) == stored[1][310:315].tobytes()
    with pytest.raises(UnsupportedError):
        fs.open("x/3", "wb")
    for write in (lambda: fs.pipe_file("x/3", b""), lambda: fs.rm_file("x/3")):
        with pytest.raises(UnsupportedError):
            write()


def test_all_the_ways_into_zarr_and_xarray(stored):
    name, values = stored
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        for group in (
            zarr.open_group(f"refmaker::{name}", mode="r", zarr_format=2),
            zarr.open_group("refmaker://", mode="r", zarr_format=2, storage_options={"fo": name}),
            zarr.open_group(FsspecStore(fs_async(name), read_only=True, path=""), mode="r"),
            zarr.open_group(fsspec.get_mapper("refmaker://", fo=name), mode="r", zarr_format=2),
            zarr.open_group(
                FsspecStore(RefmakerFileSystem(name), read_only=True, path=""), mode="r"
            ),
        ):
            np.testing.assert_array_equal(group["x"][:], values)
            np.testing.assert_array_equal(group["g/y"][100:950], values[100:950])
        for opened_set in (
            xr.open_dataset(f"refmaker::{name}", engine="zarr", backend_kwargs={"zarr_format": 2}),
            xr.open_zarr("refmaker://", storage_options={"fo": name}, zarr_format=2, chunks=None),
        ):
            np.testing.assert_array_equal(opened_set["x"], values)


def test_chained_to_a_document_from_afar(made, server, tmp_path):
    refs, values = made(20, url=server.url("data.bin"))
    refs.write(tmp_path / "a.json")
    url = f"refmaker::{server.url('a.json')}"
    group = zarr.open_group(url, mode="r", zarr_format=2)
    np.testing.assert_array_equal(group["x"][:], values)
    with fsspec.open(f"refmaker://x/3::{server.url('a.json')}") as file:
        assert file.read() == values[3000:4000].tobytes()


def test_mappings_read_in_bulk(stored, server):
    mapper = fsspec.get_mapper("refmaker://", fo=stored[0])
    server.reset()
    got = mapper.getitems([f"x/{i}" for i in range(50)] + ["x/99"], on_error="omit")
    assert len(got) == 50
    assert server.requests <= 1
    assert "x/99" not in mapper
    with pytest.raises(KeyError):
        mapper["x/99"]


def test_in_a_running_loop(stored):
    name, values = stored

    async def notebook():
        fs = fs_async(name)
        got = await asyncio.gather(*(fs._cat_file(f"x/{i}") for i in range(50)))
        assert b"".join(got) == values.tobytes()
        assert (await fs._info("x/1"))["size"] == 100
        # Calls that wait, from a notebook's cell.
        assert RefmakerFileSystem(name).cat_file("x/0") == values[:100].tobytes()

    asyncio.run(notebook())
    asyncio.run(notebook())


def test_from_many_threads(stored):
    name, values = stored
    fs = RefmakerFileSystem(name)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda i: fs.cat_file(f"x/{i % 50}"), range(400)))
    assert got == [values[i % 50 * 100 :][:100].tobytes() for i in range(400)]


def test_pickled_as_a_place_and_opened_once(stored, monkeypatch):
    name, values = stored
    fs = RefmakerFileSystem(name)
    text = pickle.dumps(fs)
    assert len(text) < 2000
    parsed = []
    inner = reading.parse
    monkeypatch.setattr(reading, "parse", lambda *a, **k: parsed.append(1) or inner(*a, **k))
    monkeypatch.setattr(reading, "_opened", type(reading._opened)())
    with ThreadPoolExecutor(8) as pool:
        copies = list(pool.map(pickle.loads, [text] * 20))
    assert parsed == [1]
    assert all(copy == fs for copy in copies)
    assert copies[0].cat_file("x/0") == values[:100].tobytes()


def test_a_document_that_changed_does_not_pass_for_the_one_that_was_opened(stored, monkeypatch):
    name, _ = stored
    text = pickle.dumps(RefmakerFileSystem(name))
    document = json.loads(Path(name).read_text())
    Path(name).write_text(json.dumps(document))
    monkeypatch.setattr(reading, "_opened", type(reading._opened)())
    with pytest.raises(SourceChangedError, match="reference document"):
        pickle.loads(text)
    assert RefmakerFileSystem(name).cat_file("x/0")


def test_many_protocols_in_one_document(server, tmp_path):
    (tmp_path / "a").write_bytes(b"abcd")
    memory = fsspec.filesystem("memory")
    memory.pipe("/mixed/b", b"efgh")
    refs = {
        "a": [server.url("a"), 0, 4],
        "b": ["memory://mixed/b", 1, 2],
        "c": [str(tmp_path / "a"), 3, 1],
    }
    try:
        fs = RefmakerFileSystem(refs)
        assert fs.cat(list(refs)) == {"a": b"abcd", "b": b"fg", "c": b"d"}
        assert fs.info("a")["size"] == 4
    finally:
        memory.rm("/mixed", recursive=True)


def test_documents_as_they_come(stored, tmp_path):
    name, values = stored
    text = Path(name).read_bytes()
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text))
    assert RefmakerFileSystem(str(tmp_path / "a.json.gz")).cat_file("x/0") == values[:100].tobytes()
    assert RefmakerFileSystem(json.loads(text)).cat_file("x/0") == values[:100].tobytes()
    override = RefmakerFileSystem(
        {"version": 1, "templates": {"u": "nothing"}, "refs": {"k": ["{{u}}", 0, 1]}},
        template_overrides={"u": str(tmp_path / "data.bin")},
    )
    assert override.cat_file("k") == values[:1].tobytes()
    with pytest.raises(MetadataError):
        RefmakerFileSystem({"version": 7})
    with pytest.raises(UnsupportedError, match="remote_options"):
        RefmakerFileSystem({}, fs=fsspec.filesystem("memory"))

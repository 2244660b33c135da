"""The Zarr store, by Zarr's own tests for stores as far as they do not write, and our own."""

from __future__ import annotations

import asyncio
import inspect
import json
import pickle
import subprocess
import sys
import threading

import dask
import dask.array
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.core.buffer import cpu, default_buffer_prototype
from zarr.testing.store import StoreTests

import refmaker
from refmaker.errors import RefmakerError
from refmaker.model.chunk_table import Reference
from refmaker.reading.open import open_group, open_store
from refmaker.reading.reader import Options, Reader
from refmaker.reading.store import RefmakerStore
from refmaker.storage.reference_index import ReferenceIndex
from refmaker.storage.reference_set import ReferenceSet

WRITES = frozenset(
    {
        *("test_set", "test_set_not_open", "test_set_many", "test_delete", "test_delete_dir"),
        *("test_delete_nonexistent_key_does_not_raise", "test_set_if_not_exists", "test_clear"),
        *("test_is_empty", "test_serializable_store", "test_store_read_only"),
        *("test_store_open_read_only", "test_with_read_only_store", "test_exists"),
        *("test_getsize_prefix", "test_list", "test_list_prefix", "test_list_empty_path"),
        *("test_set_sync", "test_delete_sync", "test_delete_sync_missing", "test_list_dir"),
        *("test_store_context_manager", "test_get_sync", "test_get_sync_missing"),
        *("test_set_invalid_buffer",),
    }
)


class _Read(StoreTests[RefmakerStore, cpu.Buffer]):
    store_cls = RefmakerStore
    buffer_cls = cpu.Buffer

    async def set(self, store, key, value):
        """Put the bytes into a file, and a reference to them into the set."""
        path = self.folder / f"f{len(list(self.folder.iterdir()))}"
        data = value.to_bytes()
        path.write_bytes(b"head" + data + b"tail")
        references = store.reader.references
        if data:
            references.others[key] = Reference(str(path), 4, len(data))
        else:
            references.documents[key] = data

    async def get(self, store, key):
        found = store.reader.locate(key)
        return cpu.Buffer.from_bytes(found if isinstance(found, bytes) else b"?")

    @pytest.fixture
    def store_kwargs(self, tmp_path):
        self.folder = tmp_path
        return {"reader": Reader(ReferenceIndex(), None, Options())}

    def test_store_repr(self, store):
        assert str(store) == repr(store) == "<RefmakerStore of a set in memory>"

    def test_store_supports_writes(self, store):
        assert not store.supports_writes

    def test_store_supports_listing(self, store):
        assert store.supports_listing

    def test_read_only(self, store, store_kwargs):
        assert store.read_only
        with pytest.raises(ValueError, match="written"):
            RefmakerStore(**store_kwargs, read_only=False)
        with pytest.raises(NotImplementedError, match="with_read_only"):
            store.with_read_only(read_only=False)
        assert store.with_read_only(read_only=True) == store


# Tests of writing have no place here; all others of the class do, also those to come.
TestStore = type(
    "TestStore",
    (_Read,),
    {name: None for name in dir(StoreTests) if name.startswith("test_") and name in WRITES},
)


def test_zarrs_tests_of_reading_are_among_them():
    names = {n for n, f in inspect.getmembers(TestStore) if n.startswith("test_") and f is not None}
    assert {"test_get", "test_get_partial_values", "test_getsize", "test_get_many"} <= names


@pytest.fixture(params=["memory", "json", "parquet", "compact"])
def stored(request, made, tmp_path):
    """Return a set in one of its forms, and its values."""
    refs, values = made(50, 100)
    if request.param == "memory":
        return refs, values
    name = tmp_path / {"parquet": "a.parquet"}.get(request.param, "a.json")
    refs.write(name, **({"format": "compact"} if request.param == "compact" else {}))
    return name, values


def collect(source):
    async def main():
        return [item async for item in source]

    return asyncio.run(main())


def test_listing(stored):
    store = open_store(stored[0])
    assert sorted(collect(store.list_dir(""))) == [".zattrs", ".zgroup", ".zmetadata", "g", "x"]
    assert sorted(collect(store.list_dir("g/"))) == [".zattrs", ".zgroup", "y"]
    assert len(collect(store.list_dir("x"))) == 52
    assert collect(store.list_dir("nothing")) == []
    assert len(collect(store.list())) == 3 + 52 + 2 + 52
    assert len(collect(store.list_prefix("g/y/1"))) == 11


def test_values(stored):
    name, values = stored
    group = open_group(name)
    for path in ("x", "g/y"):
        np.testing.assert_array_equal(group[path][:], values)
    assert list(group.group_keys()) == ["g"]
    np.testing.assert_array_equal(refmaker.open_dataset(name)["x"], values)
    tree = refmaker.open_datatree(name)
    np.testing.assert_array_equal(tree["g/y"], values)


def test_travelling(stored):
    name, values = stored
    store = pickle.loads(pickle.dumps(open_store(name)))
    if not isinstance(name, ReferenceSet):
        assert store == open_store(name)
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["x"][:], values)


def test_dask_in_processes(made, tmp_path):
    refs, values = made(50, 100)
    refs.write(tmp_path / "a.json")
    check_dask((tmp_path / "a.json", values), "processes")


@pytest.mark.parametrize("scheduler", ["threads", "synchronous"])
def test_dask(stored, scheduler):
    check_dask(stored, scheduler)


def check_dask(stored, scheduler):
    name, values = stored
    with dask.config.set(
        scheduler=scheduler, num_workers=2, **{"multiprocessing.context": "spawn"}
    ):
        data = refmaker.open_dataset(name, group="g", chunks={"x": 700})["y"]
        assert isinstance(data.data, dask.array.Array)
        assert int(data.astype("i8").sum()) == int(values.astype("i8").sum())


def test_a_forked_process_reads_on(made, server):
    """Event loops, sessions and locks do not survive a fork, so nothing of them is used."""
    refs, values = made(20, 100, url=server.url("data.bin"))
    program = f"""
import os, sys, zarr, refmaker
from refmaker.reading.filesystem import RefmakerFileSystem
refs = refmaker.read({server.url("a.json")!r})
fs = RefmakerFileSystem({server.url("a.json")!r})
assert len(fs.cat_file("x/0")) == 100
pid = os.fork()
if pid == 0:
    os._exit(0 if sum(fs.cat_file("x/1")) == {int(values[100:200].astype(int).sum())} else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    refs.write(server.folder / "a.json")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=False, timeout=60)
    assert done.returncode == 0


def test_in_a_running_loop_and_from_many_threads(stored):
    name, values = stored
    store = open_store(name)

    async def notebook():
        prototype = default_buffer_prototype()
        got = await asyncio.gather(*(store.get(f"x/{i}", prototype) for i in range(50)))
        assert b"".join(part.to_bytes() for part in got) == values.tobytes()
        assert await store.get("x/50", prototype) is None
        np.testing.assert_array_equal(open_group(name)["x"][:], values)

    asyncio.run(notebook())
    array = open_group(name)["x"]
    wrong = []

    def read(start):
        if not np.array_equal(array[start : start + 1000], values[start : start + 1000]):
            wrong.append(start)

    threads = [threading.Thread(target=read, args=(i * 37,)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_absent_chunks_are_fill_values_and_missing_files_are_not(made, tmp_path):
    from dataclasses import replace

    from refmaker.model import ChunkTable, Group

    refs, values = made(10, 100)
    full = refs.group["x"]
    table = ChunkTable.from_columns(
        (10,), full.chunks.urls, offset=full.chunks.offset[::2], length=full.chunks.length[::2],
        index=np.arange(0, 10, 2),
    )  # fmt: skip
    for form in ("a.json", "a.parquet"):
        sparse = ReferenceSet(Group({"x": replace(full, chunks=table, fill_value=np.uint8(7))}))
        sparse.write(tmp_path / form)
        got = open_group(tmp_path / form)["x"][:].reshape(10, 100)
        np.testing.assert_array_equal(got[::2], values.reshape(10, 100)[::2])
        assert (got[1::2] == 7).all()
    (tmp_path / "data.bin").unlink()
    with pytest.raises(RefmakerError, match="no such file"):
        open_group(tmp_path / "a.json")["x"][:]


def test_relative_paths(made, tmp_path, server):
    refs, values = made(20, 100)
    refs.write(tmp_path / "a.json", relative=True)
    np.testing.assert_array_equal(open_group(tmp_path / "a.json")["x"][:], values)
    np.testing.assert_array_equal(open_group(server.url("a.json"))["x"][:], values)


def test_metadata_without_consolidation(made, tmp_path):
    import json

    refs, values = made(20, 100)
    refs.write(tmp_path / "a.json")
    document = json.loads((tmp_path / "a.json").read_text())
    del document["refs"][".zmetadata"]
    (tmp_path / "a.json").write_text(json.dumps(document))
    tree = refmaker.open_datatree(tmp_path / "a.json")
    assert isinstance(tree, xr.DataTree)
    np.testing.assert_array_equal(tree["g/y"], values)
    assert list(open_group(tmp_path / "a.json").members(max_depth=None))


def test_zarr_version_3(made, tmp_path):
    import json

    _, values = made(6, 100)
    metadata = {
        "zarr_format": 3, "node_type": "array", "shape": [600], "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [100]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0, "codecs": [{"name": "bytes"}], "attributes": {}, "dimension_names": ["x"],
    }  # fmt: skip
    chunks = {f"x/c/{i}": [str(tmp_path / "data.bin"), i * 100, 100] for i in range(6)}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    document = {"version": 1, "refs": {"zarr.json": group, "x/zarr.json": metadata, **chunks}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    np.testing.assert_array_equal(open_group(tmp_path / "a.json")["x"][:], values)
    np.testing.assert_array_equal(refmaker.open_dataset(tmp_path / "a.json")["x"], values)


def test_scalars_need_no_names_of_dimensions(tmp_path):
    """Of nothing there is nothing to name; others' sets leave the attribute out."""
    zarray = {"zarr_format": 2, "shape": [], "chunks": [], "dtype": "<i4", "order": "C"}
    zarray |= {"filters": None, "compressor": None, "fill_value": None}
    document = {".zgroup": '{"zarr_format": 2}', "s/.zarray": json.dumps(zarray), "s/0": "\7\0\0\0"}
    (tmp_path / "set.json").write_text(json.dumps(document))
    assert int(refmaker.open_dataset(tmp_path / "set.json")["s"]) == 7
    refmaker.read(tmp_path / "set.json").write(tmp_path / "again.json")
    stock = xr.open_dataset(str(tmp_path / "again.json"), engine="kerchunk")
    assert int(stock["s"]) == 7


def test_a_key_is_got_without_a_prototype(tmp_path):
    """As of Zarr's own stores, on which xarray relies."""
    store = open_store(ReferenceSet(refmaker.scan("examples/air.nc").group))
    assert b"zarr_format" in asyncio.run(store.get(".zgroup")).to_bytes()

"""Icechunk repositories: read back by icechunk and zarr, with sources that change."""

from __future__ import annotations

import asyncio
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
import zarr

from refmaker.errors import MissingDependencyError, SourceError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.storage import icechunk as exporter
from refmaker.storage import icechunk_stores
from refmaker.storage.reference_set import ReferenceSet

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*numcodecs.*", "ignore:.*codec.*", "ignore:.*[Cc]onsolidated.*"
)


@pytest.fixture
def refs(tmp_path):
    """Give a set of all kinds of chunks, and the values of its array ``cube``."""
    values = np.arange(60, dtype=">i4").reshape(5, 12)
    folder = tmp_path / "da ta"
    folder.mkdir()
    names = ["plain.bin", "a b%20c?x#y.bin", "é.bin"]
    for i, name in enumerate(names):
        (folder / name).write_bytes(b"...." + values[2 * i : 2 * i + 2].tobytes())
        os.utime(folder / name, (1e9 + 0.5, 1e9 + 0.5))
    urls = [str(folder / name) for name in names]
    half = 12 * 4
    rows = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    del rows[3]
    cube = Array(
        (5, 12),
        (1, 12),
        np.dtype(">i4"),
        ChunkTable.from_columns(
            (5, 1),
            (urls[0], f"file://{urls[1]}", urls[2]),
            index=np.array([0, 1, 2, 4]),
            url=np.array([i for i, _ in rows]),
            offset=np.array([4 + half * j for _, j in rows]),
            length=np.full(4, half),
            inlined={3: values[3].tobytes()},
        ),
        dimension_names=("y", "x"),
        attributes={"units": "K"},
    )
    gaps = Array(
        (4,), (2,), np.dtype("<f4"),
        ChunkTable.from_columns((2,), (urls[0],), index=np.array([1]), offset=np.array([4]),
                                length=np.array([8])),
        fill_value=-1.0,
    )  # fmt: skip
    whole = Array((13,), (13,), np.dtype("<i4"),
                  ChunkTable.from_columns((1,), (urls[2],), offset=np.array([0]),
                                          length=np.array([0])))  # fmt: skip
    scalar = Array((), (), np.dtype("<f8"), ChunkTable.inline((), {0: np.float64(2).tobytes()}))
    deep = Group({"gaps": gaps, "whole": whole}, {"title": "deep"})
    group = Group({"cube": cube, "g": Group({"deep": deep, "scalar": scalar})}, {"n": 3})
    sources = {url: Fingerprint(os.stat(url).st_size, os.stat(url).st_mtime) for url in urls}
    sources[f"file://{urls[1]}"] = sources[urls[1]]
    return ReferenceSet(group, ScanReport("x", sources=sources)), values


def opened(path):
    store = exporter.open_repository(path).readonly_session("main").store
    return zarr.open_group(store, mode="r")


def test_everything_is_read_back(refs, tmp_path):
    found, values = refs
    found.write(tmp_path / "cube.icechunk")
    group = opened(tmp_path / "cube.icechunk")
    np.testing.assert_array_equal(group["cube"][:], values)
    assert group["cube"].metadata.dimension_names == ("y", "x")
    assert dict(group["cube"].attrs) == {"units": "K"}
    assert dict(group.attrs) == {"n": 3}
    assert dict(group["g/deep"].attrs) == {"title": "deep"}
    assert group["g/scalar"][()] == 2
    np.testing.assert_array_equal(group["g/deep/gaps"][:2], [-1, -1])
    assert (group["g/deep/gaps"][2:] == np.frombuffer(values[0, :2].tobytes(), "<f4")).all()
    raw = (tmp_path / "da ta/é.bin").read_bytes()
    np.testing.assert_array_equal(group["g/deep/whole"][:], np.frombuffer(raw, "<i4"))


def test_xarray_reads_it(refs, tmp_path):
    found, values = refs
    found.write(tmp_path / "cube", format="icechunk")
    store = exporter.open_repository(tmp_path / "cube").readonly_session("main").store
    with xr.open_dataset(store, engine="zarr", consolidated=False) as ds:
        assert ds["cube"].dims == ("y", "x")
        np.testing.assert_array_equal(ds["cube"], values)


def test_a_changed_source_is_noticed(refs, tmp_path):
    import icechunk

    found, values = refs
    found.write(tmp_path / "cube.icechunk")
    changed = tmp_path / "da ta/plain.bin"
    changed.write_bytes(b"...." + bytes(96))
    array = opened(tmp_path / "cube.icechunk")["cube"]
    np.testing.assert_array_equal(array[2], values[2])
    with pytest.raises(icechunk.IcechunkError, match="changed"):
        array[0]


def test_nothing_is_replaced(refs, tmp_path):
    found, _ = refs
    (tmp_path / "cube.icechunk").mkdir()
    with pytest.raises(SourceError, match="exists already"):
        found.write(tmp_path / "cube.icechunk")
    with pytest.raises(SourceError, match="no such folder"):
        found.write(tmp_path / "absent/cube.icechunk")


def test_whole_or_not_at_all(refs, tmp_path, monkeypatch):
    found, _ = refs
    before = set(os.listdir(tmp_path))
    # Which of them is used depends on icechunk's version.
    for way in ("_set_batches", "_set_grid"):
        monkeypatch.setattr(exporter, way, lambda *_: [(0, 1)])
    with pytest.raises(SourceError, match="did not take 1 chunk, such as") as caught:
        found.write(tmp_path / "cube.icechunk")
    assert caught.value.path == "cube"
    assert set(os.listdir(tmp_path)) == before


def test_batches(refs, tmp_path, monkeypatch):
    found, values = refs
    monkeypatch.setattr(exporter, "_BATCH", 3)
    found.write(tmp_path / "cube.icechunk")
    np.testing.assert_array_equal(opened(tmp_path / "cube.icechunk")["cube"][:], values)


def test_inside_a_running_event_loop(refs, tmp_path):
    found, _ = refs

    async def write():
        found.write(tmp_path / "cube.icechunk")

    asyncio.run(write())
    assert opened(tmp_path / "cube.icechunk")["g/scalar"][()] == 2


def test_whole_grids(refs):
    """Newer versions take a grid at once, with an empty location for an absent chunk."""
    found, _ = refs
    table = found.group["cube"].chunks
    calls = []
    store = SimpleNamespace(set_virtual_refs_arr=lambda *args, **kw: calls.append((args, kw)))
    files = {url: exporter.virtual_file(url, Fingerprint(100, 1e9)) for url in table.urls}
    plain = ChunkTable.from_columns(
        table.grid, table.urls, index=table.index, url=table.url,
        offset=table.offset, length=table.length,
    )  # fmt: skip
    exporter.put_chunks(None, store, "cube", plain, files)
    (path, grid, locations, offset, length), kwargs = calls[0]
    assert (path, grid) == ("cube", [5, 1])
    assert [bool(text) for text in locations] == [True, True, True, False, True]
    assert locations[2] == files[table.urls[1]].location
    assert offset.tolist() == [4, 52, 4, 0, 4]
    assert length.tolist() == [48, 48, 48, 0, 48]
    assert kwargs["checksum"].timestamp() == 1e9 + 1


def test_what_it_refuses(tmp_path):
    def write(array, **sources):
        exporter.write(Group({"g": Group({"a": array})}), tmp_path / "x", sources)

    def one(url, dtype="u1", span=(1, 1), **more):
        table = ChunkTable.from_columns(
            (1,), (url,), offset=np.array(span[:1]), length=np.array(span[1:])
        )
        return Array((1,), (1,), np.dtype(dtype), table, **more)

    for array, message in (
        (one("/d/a", [("a", ">i4")]), "data type"),
        (one("/d/a", compressor={"id": "delta"}), "no codec"),
        (one("zip://x::/a.zip"), "virtual chunks lie"),
        (one("gs://b/x"), "virtual chunks lie"),
        (one("/a"), "no files directly below"),
        (one("/a b/c"), "nor below 'a b'"),
        (one("/d/a", span=(0, 0)), "size is not known"),
    ):
        with pytest.raises(UnsupportedError, match=message):
            write(array)
    with pytest.raises(UnsupportedError, match="reserves names"):
        exporter.write(Group({"__x": Group()}), tmp_path / "x")
    assert not os.listdir(tmp_path)


def test_icechunk_is_named(refs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "icechunk", None)
    with pytest.raises(MissingDependencyError, match=r"refmaker\[icechunk\]"):
        refs[0].write(tmp_path / "x.icechunk")


def test_opening_nothing(tmp_path):
    with pytest.raises(SourceError):
        exporter.open_repository(tmp_path / "absent")
    with pytest.raises(UnsupportedError):
        exporter.open_repository("ftp://host/x")


def test_locations():
    assert icechunk_stores.location("/a b/%20?#é") == "file:///a%20b/%2520%3F%23%C3%A9"
    assert icechunk_stores.location("s3://s/s3/a?b") == "s3://s/s3/a%3Fb"
    assert icechunk_stores.location("https://h/x%20y?v=1") == "https://h/x%20y?v=1"


def test_containers():
    import icechunk

    locations = ["file:///d/a%20b/x", "file:///d/c/y", "s3://b/x", "s3://b/y", "https://h:8/x"]
    found = icechunk_stores.containers(icechunk, locations, {"anon": True})
    assert list(found) == ["s3://b/", "https://h:8/", "file:///d/"]
    locations = ["file:///d/a%20b/x", "file:///e/f/x", "file:///e/f/g/x"]
    found = icechunk_stores.containers(icechunk, locations, {})
    assert list(found) == ["file:///d/", "file:///e/f/"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_buckets(s3, tmp_path):
    """Chunks in a bucket and a repository in it; the entity tag is the checksum."""
    import icechunk

    client, options = s3
    client.put_object(Bucket="bucket", Key="k/a b?x.bin", Body=bytes(range(20)))
    url = "s3://bucket/k/a b?x.bin"
    tag = client.head_object(Bucket="bucket", Key="k/a b?x.bin")["ETag"].strip('"')
    table = ChunkTable.from_columns(
        (2,), (url,), offset=np.array([0, 10]), length=np.array([10, 10])
    )
    group = Group({"a": Array((20,), (10,), np.dtype("u1"), table)})
    arrays = []
    for out in (str(tmp_path / "repository"), "s3://bucket/repository"):
        exporter.write(group, out, {url: Fingerprint(20, 1e9, tag)}, options)
        store = exporter.open_repository(out, options).readonly_session("main").store
        arrays.append(zarr.open_group(store, mode="r")["a"])
        assert arrays[-1][:].tolist() == list(range(20))
    with pytest.raises(SourceError, match="icechunk"):
        exporter.write(group, "s3://bucket/repository", {}, options)
    client.put_object(Bucket="bucket", Key="k/a b?x.bin", Body=bytes(20))
    for array in arrays:
        with pytest.raises(icechunk.IcechunkError, match="changed"):
            array[:]

"""Where stores lie: folders among others, archives, servers that list nothing, keys."""

import json
import warnings
import zipfile

import fsspec
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import refmaker
from refmaker.errors import (
    FormatError,
    MissingTargetError,
    SourceNotFoundError,
    UnsupportedError,
)
from refmaker.io.inputs import expand_inputs
from refmaker.io.stores import (
    is_store_document,
    owners,
    store_document,
    store_documents,
    store_folder,
)
from refmaker.scanners.zarr.chunk_keys import ChunkKeys
from refmaker.scanners.zarr.declared import FORMAT
from refmaker.testing import open_stock
from refmaker.testing.http import RangeServer
from tests.scanners.zarr.stores import consolidate, document_of, pack, shards, values, write

ASSUME = {"zarr-chunks": "assume"}


@given(
    st.lists(st.integers(0, 10**17), min_size=1, max_size=4),
    st.sampled_from("./"),
    st.sampled_from(["", "c"]),
    st.lists(st.text("0123456789./cx-", max_size=6), max_size=5),
)
def test_keys_and_places(at, separator, letter, others):
    keys = ChunkKeys(len(at), separator, letter and letter + separator)
    key = keys.key(at)
    found = keys.place([*others, key])
    assert found.at[-1].tolist() == at
    assert int(found.row[-1]) == len(others)
    assert len(found.row) + len(found.strays) == len(others) + 1
    for row, where in zip(found.row.tolist(), found.at.tolist(), strict=True):
        assert keys.key(where) == [*others, key][row]


@given(
    st.text("0/.\nc", min_size=1, max_size=4).map(lambda text: text + "/"),
    st.lists(st.text("0123\n./c", max_size=6), max_size=6),
    st.sampled_from("./"),
    st.sampled_from(["", "c"]),
    st.integers(0, 2),
)
def test_keys_below_a_folder(folder, below, separator, letter, rank):
    keys = ChunkKeys(rank, separator, letter and letter + separator)
    bare, found = keys.place(below), keys.place([folder + key for key in below], folder)
    assert found.row.tolist() == bare.row.tolist()
    assert found.at.tolist() == bare.at.tolist()
    assert found.strays == [folder + key for key in bare.strays]
    for row, where in zip(bare.row.tolist(), bare.at.tolist(), strict=True):
        assert keys.key(where) == below[row]


@pytest.mark.parametrize("version", [2, 3])
def test_stores_among_files(version, tmp_path):
    for name in ("a.zarr", "deep/b"):
        write(tmp_path / name, version)
    (tmp_path / "deep" / "c.txt").write_text("x")
    found = expand_inputs(str(tmp_path)).urls
    stores = [str(document_of(tmp_path / name)) for name in ("a.zarr", "deep/b")]
    assert sorted(found) == sorted([*stores, str(tmp_path / "deep" / "c.txt")])
    assert expand_inputs(str(tmp_path / "*.zarr")).urls == (stores[0],)
    assert expand_inputs(str(tmp_path / "**/*")).urls == tuple(sorted(found))
    assert expand_inputs(tmp_path / "a.zarr").urls == (stores[0],)
    results = list(refmaker.scan_many([tmp_path / "a.zarr", tmp_path / "deep/b"]))
    assert all(result.error is None for result in results)


def test_a_folder_of_references_is_no_store(tmp_path):
    write(tmp_path / "a.zarr", 2)
    refmaker.scan(tmp_path / "a.zarr").write(tmp_path / "refs.parquet")
    found = expand_inputs(str(tmp_path / "refs.parquet")).urls
    assert any(url.endswith(".parq") for url in found)
    head = (tmp_path / "refs.parquet" / ".zmetadata").read_bytes()
    assert not is_store_document(head, "refs.parquet/.zmetadata")


def test_documents_of_stores_among_urls():
    urls = ["s3://b/x/a/.zarray", "s3://b/x/.zgroup", "s3://b/x/.zmetadata", "s3://b/y.nc",
            "s3://b/x/a/0.0", "/x/zarr.json", "/x/a/zarr.json", "/x/a/c/0", "/xa/c"]  # fmt: skip
    stores = ["s3://b/x/.zmetadata", "s3://b/y.nc", "/x/zarr.json", "/xa/c"]
    assert store_documents(urls) == stores
    parts = owners(["/x/zarr.json", "/x/a/c/0", "/xa/c", "s3://b/x/.zmetadata", "s3://b/x/a/0"])
    assert parts == {"/x/a/c/0": "/x/zarr.json", "s3://b/x/a/0": "s3://b/x/.zmetadata"}
    assert store_folder("https://h/x.zarr/zarr.json?sig=1") == "https://h/x.zarr?sig=1"
    assert store_folder("/a/x.zarr/.zgroup") == "/a/x.zarr"
    assert store_folder("/a/x.nc") == "/a/x.nc"


@pytest.mark.parametrize(
    ("head", "url", "sure"),
    [
        (b'{"zarr_format": 2}', "x", True),
        (b'{"a": [{"zarr_format": 2}]', "x", False),
        (b'{"attributes": {"zarr_format": 3, "x": "', "x", False),
        (b'{"attributes": {"x": "', "s/zarr.json", True),
        (b'{"attributes": {"x": "', "s/other.json", False),
        (b'{"a/.zarray": {"zarr_format": 2}}', "x", False),
        (b'{"metadata": {"a/.zattrs": {', "x", True),
        (b'{"version": 1, "refs": {".zgroup": "{\\"zarr_format\\": 2}"}}', "zarr.json", False),
        (b'{"metadata": {".zgroup": {}}, "record_size": 100}', ".zmetadata", False),
        (b'{"attributes": {"record_size": 1}, "zarr_format": 3}', "x", True),
        (b"", "zarr.json", False),
    ],
)
def test_what_is_a_document(head, url, sure):
    assert is_store_document(head, url) is sure
    assert (FORMAT.sniff(head, url) > 0) is sure


@pytest.mark.parametrize("version", [2, 3])
def test_remote_stores_that_list(version, tmp_path):
    write(tmp_path / "a.zarr", version)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "a.zarr"), "/stores/a.zarr", recursive=True)
    try:
        refs = refmaker.scan("memory://stores/a.zarr")
        assert not refs.report.skipped
        assert all(check.ok for check in refmaker.verify(refs, sample=None, isolate="never"))
        document = document_of(tmp_path / "a.zarr").name
        found = [url.replace("///", "//") for url in expand_inputs("memory://stores/").urls]
        assert found == [f"memory://stores/a.zarr/{document}"]
        fits = expand_inputs("memory://stores/*.zarr").urls
        assert [url.replace("///", "//") for url in fits] == found
        local = refmaker.scan(tmp_path / "a.zarr")
        assert refs.group["plain"].chunks.present == local.group["plain"].chunks.present
    finally:
        memory.rm("/stores", recursive=True)


@pytest.mark.parametrize("version", [2, 3])
def test_stores_that_cannot_be_listed(version, tmp_path):
    path = write(tmp_path / "a.zarr", version, consolidated=True)
    root = zarr.open_group(str(path), mode="a")
    true = {name: root[name][...] for name in ("plain", "group/inner/scalar")}
    with RangeServer(tmp_path) as server:
        url = server.url("a.zarr")
        refs = refmaker.scan(url)
        codes = {row.path: row.code for row in refs.report.skipped}
        assert codes["/plain"] == "zarr-listing"
        assert "zarr-chunks" in refs.report.skipped[0].reason
        refs = refmaker.scan(url, settings=ASSUME)
        assert not refs.report.skipped
        assert any("taken to be there" in text for text in refs.report.warnings)
        refs.write(tmp_path / "set.json")
        group = refmaker.open_group(tmp_path / "set.json")
        there = (slice(40), slice(None))
        np.testing.assert_array_equal(group["plain"][there], true["plain"][there])
        assert group["group/inner/scalar"][...] == true["group/inner/scalar"]
        if version == 2:
            # Never written, or lost: nobody can tell.
            with pytest.raises(MissingTargetError):
                group["plain"][40:]
        else:
            np.testing.assert_array_equal(group["sharded"][...], root["sharded"][...])
            np.testing.assert_array_equal(group["sharded_start"][...], root["sharded_start"][...])
            assert refs.group["sharded"].chunks.absent > 0


@pytest.mark.parametrize("version", [2, 3])
def test_a_lone_array_that_cannot_be_listed(version, tmp_path):
    array = zarr.create_array(
        str(tmp_path / "a b.zarr"), shape=(5, 4), chunks=(2, 2), dtype="i4", zarr_format=version,
        attributes={"units": "m"},
    )  # fmt: skip
    array[...] = values((5, 4), "i4")
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan(server.url("a b.zarr"), settings=ASSUME, inline_threshold=0)
        assert refs.group["data"].attributes == {"units": "m"}
        refs.write(tmp_path / "set.json")
        read = refmaker.open_group(tmp_path / "set.json")["data"][...]
        np.testing.assert_array_equal(read, array[...])


def test_groups_that_can_neither_be_listed_nor_are_consolidated(tmp_path):
    write(tmp_path / "a.zarr", 3)
    with RangeServer(tmp_path) as server:
        with pytest.raises(UnsupportedError, match="consolidate"):
            refmaker.scan(server.url("a.zarr"), settings=ASSUME)
        with pytest.raises(SourceNotFoundError):
            refmaker.scan(server.url("none.zarr"))


def test_a_query_goes_along(tmp_path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(4,), chunks=(2,), dtype="i4")
    array[...] = [1, 2, 3, 4]
    with RangeServer(tmp_path) as server:
        refs = refmaker.scan(server.url("a.zarr/zarr.json") + "?key=1", settings=ASSUME)
        assert all(url.endswith("?key=1") for url in refs.group["data"].chunks.urls)


def test_a_shard_that_is_refused_by_the_server_is_no_absent_one(tmp_path):
    root = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=3)
    shards(root, "a")
    consolidate(tmp_path / "a.zarr")
    with RangeServer(tmp_path) as server:
        with fsspec.open(server.url("a.zarr/zarr.json")) as file:
            assert json.load(file)["consolidated_metadata"]
        (tmp_path / "a.zarr" / "a" / "c" / "0" / "0").write_bytes(b"short")
        (row,) = refmaker.scan(server.url("a.zarr"), settings=ASSUME).report.skipped
        assert "are needed where the file has 5" in row.reason


def test_members_that_are_compressed_in_an_archive(tmp_path):
    write(tmp_path / "a.zarr", 2)
    packed = pack(tmp_path / "a.zarr", tmp_path / "a.zip", compress=("plain/0.0", ".zarray"))
    refs = refmaker.scan(packed)
    assert {row.path: row.code for row in refs.report.skipped} == {"/plain": "zarr-zip-compressed"}
    assert "group/big" in dict(refs.group.arrays())


def test_an_archive_that_begins_with_chunks(tmp_path):
    write(tmp_path / "a.zarr", 2)
    with zipfile.ZipFile(tmp_path / "a.zarr.zip", "w") as archive:
        names = sorted(p for p in (tmp_path / "a.zarr").rglob("*") if p.is_file())
        for file in sorted(names, key=lambda file: file.name.startswith(".")):
            archive.write(file, file.relative_to(tmp_path / "a.zarr").as_posix())
    refs = refmaker.scan(tmp_path / "a.zarr.zip")
    assert not refs.report.skipped
    stock = open_stock(refs.group)
    true = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    assert np.array_equal(stock["plain"][...], true["plain"][...])


def test_members_that_are_there_twice(tmp_path):
    """The last of a name counts, as for zarr."""
    array = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|u1", "fill_value": 0,
             "filters": None, "compressor": None, "order": "C"}  # fmt: skip
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in ((".zarray", json.dumps(array)), ("0", b"abcd"), ("0", b"efgh")):
            archive.writestr(name, data)
    refs = refmaker.scan(tmp_path / "a.zip")
    assert bytes(open_stock(refs.group)["data"][...]) == b"efgh"


def test_metadata_of_references_as_parquet_are_no_store(tmp_path):
    pairs = {f"a{i}/.zattrs": {"text": "x" * 50} for i in range(200)}
    text = json.dumps({"metadata": {".zgroup": {"zarr_format": 2}, **pairs}, "record_size": 10})
    (tmp_path / ".zmetadata").write_text(text)
    assert store_document(str(tmp_path)) is None
    with pytest.raises(FormatError, match="Parquet"):
        refmaker.scan(tmp_path / ".zmetadata", format="zarr")

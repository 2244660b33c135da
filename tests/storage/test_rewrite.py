"""New prefixes and relative paths: every URL exactly, or an error that says why not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.model.zarr_v2 import documents
from refmaker.storage import rewrite
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing.strategies import groups


def refs(*urls, sources=()):
    n = len(urls)
    table = ChunkTable.from_columns(
        (n,), urls, offset=np.arange(n), length=np.full(n, 5), url=np.arange(n)
    )
    group = Group({"g": Group({"a": Array((n,), (1,), np.dtype("u1"), table)}, {"x": 1})})
    report = ScanReport("x", sources={url: Fingerprint(i, 1.5) for i, url in enumerate(sources)})
    return ReferenceSet(group, report)


def urls_of(found):
    table = found.group["g/a"].chunks
    return [table.get(i).url for i in range(table.size)]


@pytest.mark.parametrize(
    ("prefixes", "url", "expected"),
    [
        ({"/a": "s3://b"}, "/a/x.nc", "s3://b/x.nc"),
        ({"/a/": "s3://b/"}, "/a/x.nc", "s3://b/x.nc"),
        ({"/a/x.nc": "/y.nc"}, "/a/x.nc", "/y.nc"),
        ({"s3:": "gs:"}, "s3://b/x", "gs://b/x"),
        ({"s3://": "gs://"}, "s3://b/x", "gs://b/x"),
        ({"s3://b": "/mnt"}, "s3://b/x", "/mnt/x"),
        ({"/a/b": "/1", "/a": "/2"}, "/a/b/x", "/1/x"),
        ({"/a": "/a"}, "/a/x", "/a/x"),
        ({"file://": ""}, "file:///a/x", "/a/x"),
    ],
)
def test_prefixes(prefixes, url, expected):
    found = refs(url, "/a/other", sources=[url]).rewrite(prefixes | {"/a/other": "/other"})
    assert urls_of(found)[0] == expected
    assert found.report.sources == {expected: Fingerprint(0, 1.5)}


def test_the_first_that_fits_counts():
    assert urls_of(refs("/a/b/x").rewrite({"/a": "/1", "/a/b": "/2"})) == ["/1/b/x"]


def test_fingerprints_of_files_without_chunks_are_renamed_too():
    found = refs("/a/x", sources=["/a/x", "/a/y"]).rewrite({"/a": "/b"})
    assert list(found.report.sources) == ["/b/x", "/b/y"]


def test_nothing_else_changes():
    old = refs("/a/x", "/c/y", sources=["/a/x"])
    new = old.rewrite({"/a": "/b"})
    assert urls_of(old) == ["/a/x", "/c/y"]
    assert urls_of(new) == ["/b/x", "/c/y"]
    assert list(documents(old.group)) == list(documents(new.group))
    assert [list(column) for column in (new.group["g/a"].chunks.offset,)] == [[0, 1]]


@pytest.mark.parametrize(
    ("prefixes", "message"),
    [
        ({"/run1": "/x"}, "it ends inside a name of /run10/a"),
        ({"/nowhere": "/x"}, "no file's name begins with '/nowhere'"),
        ({"/run10": "/b"}, "would both be named /b/a"),
    ],
)
def test_wrong_prefixes(prefixes, message):
    with pytest.raises(MetadataError, match=message):
        refs("/run10/a", "/b/a").rewrite(prefixes)


@pytest.mark.parametrize(
    ("out", "url", "expected"),
    [
        ("/data/refs/cube.json", "/data/files/x.nc", "../files/x.nc"),
        ("/data/cube.json", "/data/x.nc", "x.nc"),
        ("/data/cube.parquet/", "/data/x.nc", "x.nc"),
        ("file:///data/cube.json", "/data/x.nc", "x.nc"),
        ("s3://b/refs/cube.json", "s3://b/x y%20.nc", "../x y%20.nc"),
        ("https://h:8/r/c.json", "https://h:8/d/x?v=1", "../d/x?v=1"),
        ("/cube.json", "/x", "x"),
    ],
)
def test_relative_and_back(out, url, expected):
    assert rewrite.relative([url], out) == {url: expected}
    assert rewrite.absolute([expected], out) == {expected: url}


@pytest.mark.parametrize(
    ("out", "url"),
    [("/d/c.json", "s3://b/x"), ("s3://b/c.json", "s3://other/x"), ("s3://b/c.json", "/x"),
     ("https://h/c.json", "http://h/x"), ("zip://c.json::/a.zip", "zip://x::/a.zip")],
)  # fmt: skip
def test_other_stores(out, url):
    with pytest.raises(MetadataError, match="same store") as caught:
        rewrite.relative([url], out)
    assert caught.value.url == url


@pytest.mark.parametrize("url", ["../../../x", "a/../../../../x"])
def test_paths_out_of_the_store(url):
    with pytest.raises(MetadataError, match="out of its store"):
        rewrite.absolute([url], "s3://bucket/refs/c.json")


def test_absolute_ones_stay():
    assert rewrite.absolute(["/a", "s3://b/c"], "/x/y.json") == {}


NAMES = st.text(st.sampled_from("ab.é %-"), min_size=1, max_size=4).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@given(place=PATHS, paths=st.lists(PATHS, unique=True, max_size=4))
def test_there_and_back(place, paths):
    for store in ("", "s3://bucket"):
        out = f"{store}/{place}"
        urls = [f"{store}/{path}" for path in paths]
        short = rewrite.relative(urls, out)
        long = rewrite.absolute(list(short.values()), out)
        assert [long[short[url]] for url in urls] == urls


@given(group=groups())
def test_renaming_keeps_the_tree(group):
    urls = rewrite.used_urls(group)
    found = rewrite.renamed(group, {url: f"{i}" for i, url in enumerate(urls)})
    assert [path for path, _ in found.walk()] == [path for path, _ in group.walk()]
    assert set(rewrite.used_urls(found)) == {f"{i}" for i in range(len(urls))}
    back = rewrite.renamed(found, {f"{i}": url for i, url in enumerate(urls)})
    tables = dict(back.arrays())
    assert all(array.chunks.same(tables[path].chunks) for path, array in group.arrays())


def test_deep_trees():
    group = Group()
    for _ in range(3000):
        group = Group({"g": group})
    assert sum(1 for _ in rewrite.renamed(group, {"a": "b"}).walk()) == 3001

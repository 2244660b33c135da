"""What names mean: files, folders, patterns, lists, prefixes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import fsspec
import pytest

from refmaker.errors import SourceError, SourceNotFoundError
from refmaker.io.inputs import expand_inputs


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ("b.nc", "a.nc", "x/c.nc", "x/y/d.h5", ".hidden.nc", ".git/e.nc", "[1].nc"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_itself_whether_it_is_there_or_not(tree):
    assert expand_inputs(["b.nc", "a.nc", "none.nc"]).urls == ("b.nc", "a.nc", "none.nc")
    assert expand_inputs("s3://bucket/key?versionId=1").urls == ("s3://bucket/key?versionId=1",)


def test_a_folder_is_all_files_below_but_for_hidden_ones(tree):
    found = expand_inputs(".")
    assert found.urls == ("./[1].nc", "./a.nc", "./b.nc", "./x/c.nc", "./x/y/d.h5")
    assert found.searched == set(found.urls)
    assert expand_inputs(Path("x")).urls == ("x/c.nc", "x/y/d.h5")


def test_links_in_a_circle(tree):
    (tree / "x" / "back").symlink_to(tree)
    (tree / "linked").symlink_to(tree / "x" / "y")
    assert len(expand_inputs(str(tree)).urls) == 5


@pytest.mark.parametrize(
    ("pattern", "urls"),
    [
        ("*.nc", ("[1].nc", "a.nc", "b.nc")),
        ("**/*.nc", ("[1].nc", "a.nc", "b.nc", "x/c.nc")),
        ("[ab].nc", ("a.nc", "b.nc")),
        ("[1].nc", ("[1].nc",)),
        ("x/?.nc", ("x/c.nc",)),
        ("*", ("[1].nc", "a.nc", "b.nc")),
    ],
)
def test_patterns(tree, pattern, urls):
    found = expand_inputs(pattern)
    assert found.urls == urls
    assert not found.searched


def test_a_path_object_is_no_pattern(tree):
    assert expand_inputs(Path("*.nc")).urls == ("*.nc",)


def test_lists(tree):
    Path("list.txt").write_text("b.nc\n\n*.nc\r\nx\n")
    assert expand_inputs("@list.txt").urls == ("b.nc", "*.nc", "x")
    assert expand_inputs(["-", "a.nc"], stdin=["b.nc\n", " \n"]).urls == ("b.nc", "a.nc")


def test_what_is_found_twice_counts_once(tree):
    found = expand_inputs(["b.nc", ".", str(tree / "x"), "x", "x/c.nc"])
    assert found.urls.count("x/c.nc") == 1
    assert found.urls.index("x/y/d.h5") < found.urls.index("x/c.nc")
    assert "x/c.nc" not in found.searched
    assert expand_inputs(["a.nc", "*.nc"]).urls == ("a.nc", "[1].nc", "b.nc")
    # Who names a file twice is told so by whoever writes its output.
    assert expand_inputs(["a.nc", "a.nc"]).urls == ("a.nc", "a.nc")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("*.grib", "no file fits"),
        ("empty", "directory without files"),
        ("@empty.txt", "list is empty"),
        ("-", "standard input is empty"),
        ("memory://nothing/here/*.nc", "no file fits"),
        ("memory://nothing/here/", "no such file|no files below"),
    ],
)
def test_nothing_is_an_error_that_says_what_to_do(tree, name, words):
    (tree / "empty").mkdir()
    (tree / "empty.txt").write_text("\n")
    with pytest.raises(SourceNotFoundError, match=words) as caught:
        expand_inputs(name, stdin=[])
    assert caught.value.hint or "no such file" in str(caught.value)
    with pytest.raises(SourceNotFoundError):
        expand_inputs([])


def test_a_server_that_does_not_answer_is_no_empty_prefix():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        # Bound, but not listening: whoever connects is refused.
        with pytest.raises(SourceError, match=r"[Cc]annot connect") as caught:
            expand_inputs(f"http://127.0.0.1:{port}/")
    assert not isinstance(caught.value, SourceNotFoundError)


def test_a_list_that_is_not_there(tree):
    with pytest.raises(SourceError, match=r"none\.txt"):
        expand_inputs("@none.txt")


def test_remote_patterns_and_prefixes():
    fs = fsspec.filesystem("memory")
    for name in ("/bucket/d/b.nc", "/bucket/d/a.nc", "/bucket/d/e/c.nc", "/bucket/d/f.nc/x"):
        fs.pipe(name, b"x")
    below = expand_inputs("memory://bucket/d/")
    names = [url.partition("bucket/d/")[2] for url in below.urls]
    assert names == ["a.nc", "b.nc", "e/c.nc", "f.nc/x"]
    assert below.searched == set(below.urls)
    fits = expand_inputs("memory://bucket/d/*.nc")
    assert [url.rpartition("/")[2] for url in fits.urls] == ["a.nc", "b.nc"]
    for url in fits.urls:
        with fsspec.open(url) as file:
            assert file.read() == b"x"


def test_patterns_inside_archives(tmp_path):
    import zipfile

    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("b.nc", "a.nc", "c.txt"):
            file.writestr(name, name)
    found = expand_inputs(f"zip://*.nc::{archive}")
    assert found.urls == (f"zip://a.nc::{archive}", f"zip://b.nc::{archive}")
    for url in found.urls:
        with fsspec.open(url) as file:
            assert file.read().endswith(b".nc")


def test_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"a\xff.nc")
    (tmp_path / name).write_bytes(b"")
    assert expand_inputs(str(tmp_path)).urls == (str(tmp_path / name),)

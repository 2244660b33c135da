"""Many files that are written together: each appears whole or not at all, whatever others do."""

import os
import stat
import sys

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from refmaker.errors import SourceError
from refmaker.io import file_batch, files
from refmaker.io.file_batch import NewFile, replace_files
from refmaker.io.files import many_files


def new(folder, *names):
    return [NewFile(str(folder / name), name.encode()) for name in names]


def contents(folder):
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def test_all_of_them(tmp_path):
    (tmp_path / "b").write_bytes(b"old")
    assert replace_files(new(tmp_path, "a", "b", "né w")) == [None] * 3
    assert contents(tmp_path) == {"a": b"a", "b": b"b", "né w": "né w".encode()}


def test_paths_and_urls(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    memory = NewFile("memory://batch/m", b"m", {})
    assert replace_files([NewFile("a", b"a"), NewFile(f"file://{tmp_path}/b", b"b"), memory]) == (
        [None] * 3
    )
    assert contents(tmp_path) == {"a": b"a", "b": b"b"}
    assert MemoryFileSystem().cat("/batch/m") == b"m"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_one_that_fails_costs_no_other(tmp_path, monkeypatch, function):
    true, calls = getattr(os, function), []

    def second_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return true(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, function, second_fails)
        first, second, third = replace_files(new(tmp_path, "a", "b", "c"))
    assert first is None
    assert third is None
    assert isinstance(second, SourceError)
    assert "b: cannot be written: No space left" in str(second)
    assert contents(tmp_path) == {"a": b"a", "c": b"c"}


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    found = replace_files(
        [
            *new(tmp_path, "missing/a", "file/a", "good", "folder"),
            NewFile("nul\0", b""),
            NewFile("nothing://a", b""),
        ]
    )
    assert [error is None for error in found] == [False, False, True, False, False, False]
    assert all(isinstance(error, SourceError) for error in found if error is not None)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "good"]


@pytest.mark.skipif(sys.platform == "win32", reason="no links and pipes there")
def test_links_and_devices_stay(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "true").write_bytes(b"old")
    (tmp_path / "link").symlink_to("home/true")
    (tmp_path / "place").symlink_to("home")
    files = [*new(tmp_path, "link", "place/b"), NewFile(os.devnull, b"x")]
    assert replace_files(files) == [None] * 3
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "home") == {"true": b"link", "b": b"place/b"}
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_everything_is_written_before_anything_is_waited_for(tmp_path, monkeypatch):
    steps = []

    def noted(name):
        true = getattr(os, name)
        return lambda *arguments: (steps.append(name), true(*arguments))[1]

    created = file_batch.created
    monkeypatch.setattr(file_batch, "created", lambda *a: (steps.append("open"), created(*a))[1])
    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    synchronised = []
    monkeypatch.setattr(files, "_synchronise", synchronised.append)
    with many_files():
        replace_files(new(tmp_path, "a", "b"))
        assert synchronised == []
    assert steps == ["open", "open", "fsync", "fsync", "replace", "replace"]
    assert synchronised == [str(tmp_path)]


def test_a_run_that_is_broken_off_leaves_nothing_behind(tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(KeyboardInterrupt):
        replace_files(new(tmp_path, "a", "b"))
    assert os.listdir(tmp_path) == []

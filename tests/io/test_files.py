"""Files that appear whole or not at all."""

import io
import os
import stat
import sys

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from refmaker.errors import LimitError, SourceError, SourceNotFoundError
from refmaker.io.files import exists, read_file, replacing
from refmaker.testing.http import RangeServer


def write(path, data=b"new", **options):
    with replacing(path, **options) as file:
        file.write(data)


def break_off(path, error):
    with replacing(path) as file:
        file.write(b"partial")
        raise error("stop")


class Standard:
    def __init__(self, data=b""):
        self.buffer = io.BytesIO(data)


def test_a_new_file(tmp_path):
    path = tmp_path / "né w.json"
    with replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert os.listdir(tmp_path) == ["né w.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, LimitError])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_in_between_changes_nothing(tmp_path, error, old):
    path = tmp_path / "f.json"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error):
        break_off(path, error)
    assert os.listdir(tmp_path) == ([] if old is None else ["f.json"])
    assert old is None or path.read_bytes() == old


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk(tmp_path, monkeypatch, function):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "f.json"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, function, full)
    with pytest.raises(SourceError, match="No space left") as caught:
        write(path)
    assert caught.value.url == os.fspath(path)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["f.json"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_rights_are_those_of_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write(tmp_path / "f")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode


def test_a_link_stays(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to("far/target")
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    dangling = tmp_path / "dangling"
    dangling.symlink_to("far/not yet")
    write(dangling)
    assert (tmp_path / "far" / "not yet").read_bytes() == b"new"


def test_devices_and_pipes_are_written_to(tmp_path):
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    write(link)
    assert stat.S_ISCHR(os.stat(link).st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe)
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["none/f", "file/f", "folder", "a\0b"])
def test_places_that_cannot_be_written(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError) as caught:
        write(os.path.join(tmp_path, name))
    assert caught.value.url is not None
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_names_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("日" * 85)
    write(path)
    assert read_file(path) == b"new"


def test_standard_output(monkeypatch):
    out = Standard()
    monkeypatch.setattr(sys, "stdout", out)
    write("-")
    assert out.buffer.getvalue() == b"new"


def test_a_reader_that_has_gone(monkeypatch):
    class Gone(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    out = Standard()
    out.buffer = Gone()
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(BrokenPipeError):
        write("-")


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Standard(b"given"))
    assert read_file("-") == b"given"


def test_a_store():
    MemoryFileSystem.store.clear()
    write("memory://out/f.json")
    assert read_file("memory://out/f.json") == b"new"


def test_an_error_while_uploading():
    MemoryFileSystem.store.clear()
    with pytest.raises(ValueError, match="stop"):
        break_off("memory://f.json", ValueError)
    assert MemoryFileSystem.store == {}


def test_stores_that_cannot_be_written(tmp_path):
    with pytest.raises(SourceError, match="nonsense"):
        write("nonsense://f")
    with RangeServer(tmp_path) as server, pytest.raises(SourceError, match="written"):
        write(server.url("f"))


def test_reading(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"there")
    assert read_file(path) == b"there"
    assert exists(path)
    assert exists(f"file://{path}")
    assert not exists(tmp_path / "none")
    assert not exists("s3://never/asked")
    assert not exists("-")
    with pytest.raises(SourceNotFoundError):
        read_file(tmp_path / "none")

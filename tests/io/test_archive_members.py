"""Members of archives as files, and what archives can do wrong."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import numpy as np
import pytest

from refmaker.errors import (
    FormatError,
    LimitError,
    RefmakerError,
    SourceChangedError,
    SourceNotFoundError,
    UnsupportedError,
)
from refmaker.io import archive_directory
from refmaker.io.archive_members import PACKED, member_name, member_place
from refmaker.io.files import read_file
from refmaker.io.first_bytes import read_first_bytes
from refmaker.io.inputs import expand_inputs
from refmaker.io.source import Source
from refmaker.model.report import Cost
from refmaker.testing.http import RangeServer

SIZES = (0, 1, 4000, 70_000, 300_000)


def values(size):
    return np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()


FILES = {f"a/{size}.bin": values(size) for size in SIZES}


def zipped(path, files=FILES, method=zipfile.ZIP_STORED, **how):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.extra = how.get("extra", b"")
            with archive.open(info, "w", force_zip64=how.get("zip64", False)) as member:
                member.write(data)
    return str(path)


def tarred(path, files=FILES, form=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def streamed(path):
    """Write an archive as to a pipe: sizes stand behind the members."""

    class Pipe(io.RawIOBase):
        def __init__(self, file):
            self.file = file

        def writable(self):
            return True

        def write(self, data):
            return self.file.write(data)

    with open(path, "wb") as file, zipfile.ZipFile(Pipe(file), "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return str(path)


def in_front(path):
    """Write an archive behind something else, as those that unpack themselves are."""
    zipped(path)
    data = path.read_bytes()
    path.write_bytes(b"#!/bin/sh\n" * 99 + data)
    return str(path)


MAKERS = {
    "zip": zipped,
    "zip64": lambda path: zipped(path, zip64=True),
    "extra": lambda path: zipped(path, extra=b"\x99\x99\x90\x01" + bytes(400)),
    "streamed": streamed,
    "in front": in_front,
    "tar": tarred,
    "gnu": lambda path: tarred(path, form=tarfile.GNU_FORMAT),
    "long names": lambda path: tarred(path, {f"{'d' * 120}/{n}": d for n, d in FILES.items()}),
}


@pytest.fixture(params=MAKERS)
def archive(request, tmp_path):
    kind = "tar" if request.param in ("tar", "gnu", "long names") else "zip"
    return MAKERS[request.param](tmp_path / f"x.{kind}")


def by_size(urls):
    return {int(url.partition("::")[0].rpartition("/")[2][:-4]): url for url in urls}


def test_members_are_read_as_they_are(archive):
    urls = by_size(expand_inputs(archive).urls)
    assert set(urls) == set(SIZES)
    with open(archive, "rb") as file:
        whole = file.read()
    for size, url in urls.items():
        with Source(url) as source:
            assert source.size == size
            assert source.read_upto(0, size + 9) == values(size)
            assert source.read_upto(size // 2, 100) == values(size)[size // 2 :][:100]
        _, offset, length = member_place(url, None)
        assert whole[offset : offset + length] == values(size)
    heads = read_first_bytes(list(urls.values()), remote=5000)
    assert [head.data for head in heads] == [values(size)[:5000] for size in urls]


def test_far_members_take_a_request_each(tmp_path):
    zipped(tmp_path / "x.zip", {f"{n:03}": values(50_000 + n) for n in range(40)})
    with RangeServer(tmp_path) as server:
        urls = expand_inputs(server.url("x.zip")).urls
        assert len(urls) == 40
        opened = server.requests
        assert opened <= 3
        cost = Cost()
        heads = list(read_first_bytes(urls, remote=8192, cost=cost))
        assert [head.data for head in heads] == [values(50_000 + n)[:8192] for n in range(40)]
        assert server.requests - opened == cost.requests == 40
        assert server.counts.bodies < 40 * 9000 + 2 * 131_072
        for n in (0, 39):
            with Source(urls[n]) as source:
                assert source.read(0, source.size) == values(50_000 + n)


def test_a_far_archive_that_changes_is_noticed(tmp_path):
    path = tmp_path / "x.zip"
    zipped(path)
    with RangeServer(tmp_path) as server:
        urls = expand_inputs(server.url("x.zip")).urls
        zipped(path, {name: data[::-1] for name, data in FILES.items()})
        os.utime(path, (1, 1))
        with pytest.raises(SourceChangedError), Source(urls[-1]) as source:
            source.read(0, 1)


def test_a_local_archive_that_changes_is_read_again(tmp_path):
    path = tmp_path / "x.zip"
    zipped(path)
    assert len(expand_inputs(str(path)).urls) == len(SIZES)
    zipped(path, {"other": b"abc"})
    (url,) = expand_inputs(str(path)).urls
    with Source(url) as source:
        assert source.read(0, 3) == b"abc"


def test_what_names_members(tmp_path):
    files = dict.fromkeys(
        ("s/1/a.dcm", "s/1/b.dcm", "s/2/a.dcm", "top.dcm", "x.txt", ".hidden/a", "__MACOSX/s/._a"),
        b"x",
    )
    path = zipped(tmp_path / "x.zip", files)

    def meant(name):
        return [member_name(url).member for url in expand_inputs(name).urls]

    shown = ["s/1/a.dcm", "s/1/b.dcm", "s/2/a.dcm", "top.dcm", "x.txt"]
    assert meant(path) == meant(f"zip://::{path}") == shown
    assert meant(f"zip://s::{path}") == meant(f"zip://s/::{path}") == shown[:3]
    assert meant(f"zip://s/*::{path}") == shown[:3]
    assert meant(f"zip://*.dcm::{path}") == ["top.dcm"]
    assert meant(f"zip://**/a.dcm::{path}") == ["s/1/a.dcm", "s/2/a.dcm"]
    assert meant(f"zip://s/1/a.dcm::{path}") == ["s/1/a.dcm"]
    assert meant(f"zip://*::{zipped(tmp_path / 'y.zip', {'study/a': b'x'})}") == ["study/a"]
    with pytest.raises(SourceNotFoundError, match="no member"):
        expand_inputs(f"zip://none*::{path}")
    assert set(expand_inputs(path).searched) == set(expand_inputs(path).urls)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_members_are_refused_by_name(tmp_path, method):
    path = zipped(tmp_path / "my study.zip", {"a/b.dcm": bytes(10_000)}, method)
    with pytest.raises(UnsupportedError) as caught:
        Source(f"zip://a/b.dcm::{path}")
    assert caught.value.code == PACKED
    assert f"zip://a/b.dcm::{path}" in str(caught.value)
    assert f"unzip -q '{path}' -d 'my study'" in str(caught.value)
    head, *_ = read_first_bytes([f"zip://a/b.dcm::{path}"])
    assert head.error.code == PACKED


def test_packed_documents_are_read(tmp_path, monkeypatch):
    path = zipped(tmp_path / "x.zip", {"a.json": b"[1]" * 9000}, zipfile.ZIP_DEFLATED)
    assert read_file(f"zip://a.json::{path}") == b"[1]" * 9000
    with RangeServer(tmp_path) as server:
        assert read_file(f"zip://a.json::{server.url('x.zip')}") == b"[1]" * 9000
    monkeypatch.setattr(archive_directory, "DOCUMENT", 20_000)
    with pytest.raises(LimitError):
        read_file(f"zip://a.json::{path}")


def test_what_is_not_there(tmp_path):
    path = zipped(tmp_path / "x.zip")
    with pytest.raises(SourceNotFoundError, match="no such member"):
        Source(f"zip://none::{path}")
    with pytest.raises(SourceNotFoundError):
        Source(f"zip://none::{tmp_path / 'y.zip'}")
    assert expand_inputs(str(tmp_path / "y.zip")).urls == (str(tmp_path / "y.zip"),)


def test_stores_stay_one_file(tmp_path):
    path = zipped(tmp_path / "x.zip", {".zgroup": b"{}", "a/.zarray": b"{}", "a/0": b"x"})
    assert expand_inputs(path).urls == (path,)


def test_names_that_lead_elsewhere_are_names_only(tmp_path):
    names = ("../../up", "/etc/passwd", "c:\\x", "a::b", "x*y", "%2e%2e/z")
    path = zipped(tmp_path / "x.zip", {name: name.encode() for name in names})
    for url in expand_inputs(path).urls:
        with Source(url) as source:
            assert source.read(0, source.size).decode() == member_name(url).member


def test_members_that_overlap_are_refused(tmp_path):
    path = tmp_path / "x.zip"
    zipped(path, {f"{n}": values(4000) for n in range(3)})
    data = bytearray(path.read_bytes())
    entries = [at for at in range(len(data)) if data[at : at + 4] == b"PK\1\2"]
    for at in entries:
        data[at + 42 : at + 46] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="overlap"):
        Source(f"zip://1::{path}")


def test_a_member_larger_than_the_archive_is_refused(tmp_path):
    path = tmp_path / "x.zip"
    zipped(path, {"a": values(100)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    for field in (20, 24):
        data[at + field : at + field + 4] = (10**9).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FormatError, match="past the archive"):
        Source(f"zip://a::{path}")


def test_directories_have_a_limit(tmp_path, monkeypatch):
    path = zipped(tmp_path / "x.zip", {f"{n:0200}": b"" for n in range(3000)})
    monkeypatch.setattr(archive_directory, "_DIRECTORY", 100_000)
    with pytest.raises(LimitError):
        Source(f"zip://0::{path}")


def test_broken_archives_end_in_an_error(tmp_path):
    path = tmp_path / "x.zip"
    zipped(path, {"a": values(300), "b": values(200)})
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for trial in range(150):
        data = bytearray(whole[: random.integers(1, len(whole))] if trial % 2 else whole)
        for at in random.integers(0, len(data), 4):
            data[at] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            with Source(f"zip://a::{path}") as source:
                assert source.size <= len(data)
                source.read(0, source.size)
        except RefmakerError:
            continue


def test_manifests_of_the_imaging_commons(tmp_path):
    import fsspec

    fs = fsspec.filesystem("memory")
    manifest = tmp_path / "cart.s5cmd"
    for name in ("one/a.dcm", "one/b.dcm", "two/c.dcm"):
        fs.pipe(f"/idc/{name}", b"x")
    manifest.write_text("# a comment\n\ncp memory://idc/one/* .\ncp memory://idc/two/* .\n")
    urls = expand_inputs(str(manifest)).urls
    assert [url.rpartition("/")[2] for url in urls] == ["a.dcm", "b.dcm", "c.dcm"]
    manifest.write_text("rm memory://idc/one/*\n")
    with pytest.raises(RefmakerError, match="line 1"):
        expand_inputs(str(manifest))

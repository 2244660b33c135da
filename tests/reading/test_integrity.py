"""What came is what was asked for, of the file that was scanned, or there is an error."""

from __future__ import annotations

import os
from dataclasses import replace

import fsspec
import numpy as np
import pytest

import refmaker
from refmaker.errors import (
    MissingTargetError,
    RefmakerError,
    SourceChangedError,
    SourceError,
    TruncatedError,
)
from refmaker.io import retries
from refmaker.io.source import Source
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.reading.filesystem import RefmakerFileSystem
from refmaker.reading.open import open_group
from refmaker.reading.planner import Plan


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(retries, "PAUSE", 0.001)


@pytest.fixture(params=["local", "http", "memory"])
def kind(request):
    return request.param


@pytest.fixture
def place(kind, made, server, tmp_path):
    """Return a set whose file lies somewhere, its values, and a function that replaces the file."""
    url = {"local": str(tmp_path / "data.bin"), "http": server.url("data.bin")}.get(
        kind, "memory://integrity/data.bin"
    )
    refs, values = made(20, 1000, url=url)
    memory = fsspec.filesystem("memory")

    def put(data):
        path = tmp_path / "data.bin"
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        if kind == "memory":
            memory.store.pop("/integrity/data.bin", None)
            if data is not None:
                memory.pipe("/integrity/data.bin", data)

    put(values.tobytes())
    yield refs, values, put
    memory.store.pop("/integrity/data.bin", None)


def test_what_is_whole_is_read(place):
    refs, values, _ = place
    for verify in ("off", "size", "full"):
        np.testing.assert_array_equal(open_group(refs, verify_sources=verify)["x"][:], values)


def test_a_file_that_is_gone(place):
    refs, _, put = place
    put(None)
    group = open_group(refs)
    with pytest.raises(MissingTargetError) as caught:
        group["x"][:]
    assert not isinstance(caught.value, FileNotFoundError)
    assert "data.bin" in caught.value.url
    assert caught.value.path.startswith("x/")


@pytest.mark.parametrize("verify", ["off", "size", "full"])
def test_a_file_that_is_too_short(place, verify):
    refs, values, put = place
    put(values.tobytes()[:10_500])
    array = open_group(refs, verify_sources=verify)["x"]
    with pytest.raises((TruncatedError, SourceChangedError)):
        array[10_000:11_000]
    with pytest.raises((TruncatedError, SourceChangedError)):
        array[15_000:16_000]


def test_the_size_is_compared_where_that_costs_nothing(place, kind, server):
    refs, values, put = place
    put(values.tobytes() + b"x")
    with pytest.raises(SourceChangedError, match="20001 bytes, and had 20000"):
        open_group(refs, verify_sources="full")["x"][:10]
    server.reset()
    if kind == "memory":
        np.testing.assert_array_equal(open_group(refs)["x"][:], values)
    else:
        with pytest.raises(SourceChangedError):
            open_group(refs)["x"][:10]
    np.testing.assert_array_equal(open_group(refs, verify_sources="off")["x"][:], values)


def test_etags_and_local_times_are_compared_without_being_asked(made, server, tmp_path):
    for known, url in [
        (Fingerprint(20_000, etag="other"), server.url("data.bin")),
        (Fingerprint(20_000, mtime=5.0), str(tmp_path / "data.bin")),
    ]:
        refs, values = made(20, 1000, url=url, known=known)
        for options in ({}, {"verify_sources": "full"}):
            with pytest.raises(SourceChangedError, match=r"ETag|modified"):
                open_group(refs, **options)["x"][:]
        np.testing.assert_array_equal(open_group(refs, verify_sources="off")["x"][:], values)


def test_times_that_servers_tell_are_compared_on_request(made, server):
    refs, values = made(20, 1000, url=server.url("data.bin"), known=Fingerprint(20_000, mtime=5.0))
    np.testing.assert_array_equal(open_group(refs)["x"][:], values)
    with pytest.raises(SourceChangedError, match="modified"):
        open_group(refs, verify_sources="full")["x"][:]


def test_whole_seconds_are_as_good_as_fractions(made, tmp_path):
    """Archives, and some file systems, keep no more of a time."""
    path = tmp_path / "data.bin"
    for recorded, there in [(1000.75, 1000.0), (1000.0, 1000.25), (1000.75, 1000.7500001)]:
        refs, values = made(20, 1000, known=Fingerprint(20_000, mtime=recorded))
        os.utime(path, (there, there))
        np.testing.assert_array_equal(open_group(refs)["x"][:], values)
        os.utime(path, (there + 1.5, there + 1.5))
        with pytest.raises(SourceChangedError, match="modified"):
            open_group(refs)["x"][:]


@pytest.mark.parametrize("where", ["local", "http"])
def test_a_source_that_changes_at_equal_size_while_it_is_open(made, server, tmp_path, where):
    url = str(tmp_path / "data.bin") if where == "local" else server.url("data.bin")
    refs, values = made(20, 1000, url=url)
    with Source(url) as source:
        refs.report.sources[url] = source.fingerprint
    array = open_group(refs, plan=Plan(ahead=0))["x"]
    np.testing.assert_array_equal(array[:1000], values[:1000])
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(20_000))
    os.utime(path, (2e9, 2e9))
    with pytest.raises(SourceChangedError):
        array[5000:6000]


def test_what_scanning_records_is_what_reading_sees(made, server):
    refs, values = made(20, 1000, url=server.url("data.bin"))
    refs.report.sources[server.url("data.bin")] = Source(server.url("data.bin")).fingerprint
    np.testing.assert_array_equal(open_group(refs, verify_sources="full")["x"][:], values)


def test_a_file_that_changes_while_it_is_open(made, tmp_path):
    refs, values = made(20, 1000)
    array = open_group(refs)["x"]
    np.testing.assert_array_equal(array[:], values)
    path = tmp_path / "data.bin"
    path.write_bytes(values.tobytes() + b"x")
    with pytest.raises(SourceChangedError):
        array[:]


@pytest.mark.parametrize(
    ("behaviour", "error", "said"),
    [
        ({"ranges": False}, SourceError, "ignores byte ranges"),
        ({"truncate": 300}, TruncatedError, "300 bytes came of"),
        ({"truncate": 300, "honest": False}, TruncatedError, "broke off|came of"),
        ({"status": 403}, SourceError, "access denied"),
        ({"status": 404}, MissingTargetError, "no such file"),
        ({"status": 500}, SourceError, "500"),
        ({"status": 503}, SourceError, "503"),
    ],
    ids=str,
)
def test_servers_that_misbehave(made, server, behaviour, error, said):
    refs, _ = made(20, 1000, url=server.url("data.bin"))
    array = open_group(refs)["x"]
    server.behaviour = replace(server.behaviour, **behaviour)
    with pytest.raises(error, match=said) as caught:
        array[3000:5000]
    assert caught.value.url == server.url("data.bin")
    assert caught.value.path.startswith("x/")


@pytest.mark.parametrize(("where", "said"), [("http://[::1", "no URL"), ("", "without saying")])
def test_redirections_that_lead_nowhere(made, server, where, said):
    refs, _ = made(20, 1000, url=server.url("data.bin"))
    server.behaviour = replace(server.behaviour, moved={"/data.bin": where})
    with pytest.raises(SourceError, match=said) as caught:
        open_group(refs)["x"][0]
    assert caught.value.url == server.url("data.bin")


@pytest.mark.parametrize("more", [b"x", b""])
def test_two_answers_of_a_file_agree_where_nothing_was_recorded(made, server, tmp_path, more):
    """A set of other people's has no fingerprints; its file is still one and the same."""
    refs, values = made(20, 1000, url=server.url("data.bin"))
    bare = replace(refs, report=ScanReport(""))
    array = open_group(bare)["x"]
    np.testing.assert_array_equal(array[:1], values[:1])
    path = tmp_path / "data.bin"
    path.write_bytes(path.read_bytes() + more if more else path.read_bytes()[::-1])
    os.utime(path, (1, 1))
    with pytest.raises(SourceChangedError, match="before"):
        array[-1:]
    loose = open_group(bare, verify_sources="off")["x"]
    assert loose[:1].shape == (1,)


def test_errors_that_pass_are_not_even_seen(made, server):
    refs, values = made(20, 1000, url=server.url("data.bin"))
    server.behaviour = replace(server.behaviour, status=503, failures=2)
    np.testing.assert_array_equal(open_group(refs)["x"][:], values)


def test_a_whole_file_from_a_server_without_ranges(server, tmp_path):
    (tmp_path / "whole").write_bytes(b"abcd")
    server.behaviour = replace(server.behaviour, ranges=False)
    fs = RefmakerFileSystem({"a": [server.url("whole")], "b": [server.url("whole"), 0, 4]})
    assert fs.cat(["a", "b"]) == {"a": b"abcd", "b": b"abcd"}


def test_ranges_far_outside_allocate_nothing(tmp_path):
    (tmp_path / "f").write_bytes(b"abcd")
    fs = RefmakerFileSystem(
        {"a": [str(tmp_path / "f"), 0, 2**50], "b": [str(tmp_path / "f"), 2**60, 1]}
    )
    for key in ("a", "b"):
        with pytest.raises(TruncatedError, match="4 in all"):
            fs.cat_file(key)


def test_local_things_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    fs = RefmakerFileSystem({"a": [str(tmp_path)], "b": [str(tmp_path / "pipe")], "c": ["/a\0b"]})
    for key in ("a", "b", "c"):
        with pytest.raises(SourceError):
            fs.cat_file(key)


def test_wrong_words_are_refused(made):
    with pytest.raises(ValueError, match="verify_sources"):
        open_group(made(2)[0], verify_sources="yes")


def test_all_errors_are_this_packages(made, server):
    refs, _ = made(20, 1000, url="http://127.0.0.1:9/nobody")
    with pytest.raises(RefmakerError, match=r"127\.0\.0\.1:9"):
        refmaker.open_group(refs)["x"][:]

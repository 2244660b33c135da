"""The first bytes of many files: in order, concurrently, one request for each remote file."""

from __future__ import annotations

import os

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from refmaker.errors import SourceError, SourceNotFoundError, TruncatedError
from refmaker.io.first_bytes import LOCAL, REMOTE, read_first_bytes, read_pieces
from refmaker.io.source import Source
from refmaker.model.report import Cost
from refmaker.testing.http import RangeServer


@pytest.fixture
def files(tmp_path):
    paths = []
    for i, size in enumerate([0, 1, 100, LOCAL - 1, LOCAL, LOCAL + 1, REMOTE + 5, 200_000] * 20):
        path = tmp_path / f"{i:03d}"
        path.write_bytes(bytes([i % 251]) * size)
        paths.append(path)
    return paths


def test_local_files(files):
    cost = Cost()
    heads = list(read_first_bytes([str(path) for path in files], cost=cost))
    assert [head.url for head in heads] == [str(path) for path in files]
    for head, path in zip(heads, files, strict=True):
        assert head.error is None
        assert head.data == path.read_bytes()[:LOCAL]
        with Source(path) as source:
            assert head.fingerprint == source.fingerprint
    assert cost.requests == len(files)
    assert cost.bytes_read == sum(len(head.data) for head in heads)
    assert cost.rounds == 0


def test_relative_paths_and_urls_of_local_files(files, monkeypatch):
    monkeypatch.chdir(files[3].parent)
    names = [files[3].name, f"file://{files[3]}"]
    assert [head.url for head in read_first_bytes(names)] == [str(files[3])] * 2


def test_a_failure_costs_no_other_file(files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    urls = [str(files[2]), str(tmp_path / "gone"), str(tmp_path), str(tmp_path / "pipe"), "a\0b"]
    heads = list(read_first_bytes([*urls, str(files[2])]))
    assert heads[0].data == heads[5].data == files[2].read_bytes()
    assert isinstance(heads[1].error, SourceNotFoundError)
    assert all(isinstance(head.error, SourceError) for head in heads[1:5])
    assert all(head.fingerprint is None and head.data == b"" for head in heads[1:5])


def test_each_remote_file_takes_one_request(files):
    with RangeServer(files[0].parent, latency=0.005) as server:
        urls = [server.url(path.name) for path in files]
        cost = Cost()
        heads = list(read_first_bytes(urls, cost=cost))
        assert [head.url for head in heads] == urls
        assert dict(server.counts.requests) == {"GET": len(files)}
        assert server.counts.most > 1
        assert cost.requests == len(files)
        for head, path in zip(heads, files, strict=True):
            assert head.error is None
            assert head.data == path.read_bytes()[:REMOTE]
            assert head.fingerprint.size == path.stat().st_size
            assert path.stat().st_size == 0 or head.fingerprint.etag
        with Source(urls[2]) as source:
            assert heads[2].fingerprint == source.fingerprint


def test_remote_failures(files):
    with RangeServer(files[0].parent) as server:
        heads = list(read_first_bytes([server.url(files[2].name), server.url("gone")]))
    assert heads[0].data == files[2].read_bytes()
    assert isinstance(heads[1].error, SourceNotFoundError)
    assert heads[1].url in str(heads[1].error)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_objects_of_s3(files, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="heads")
        for path in files[:8]:
            client.put_object(Bucket="heads", Key=path.name, Body=path.read_bytes())
        client.close()
        options = {"endpoint_url": endpoint, "client_kwargs": {"region_name": "us-east-1"}}
        urls = [f"s3://heads/{path.name}" for path in files[:8]]
        cost = Cost()
        heads = list(read_first_bytes(urls[1:], options, cost=cost))
        assert cost.requests == 7
        for head, path in zip(heads, files[1:8], strict=True):
            assert head.data == path.read_bytes()[:REMOTE]
            with Source(head.url, options) as source:
                assert head.fingerprint == source.fingerprint
        empty, gone = read_first_bytes([urls[0], "s3://heads/gone"], options)
        assert (empty.data, empty.fingerprint.size) == (b"", 0)
        assert isinstance(gone.error, SourceNotFoundError)
    finally:
        server.stop()


def test_other_stores(files):
    memory = fsspec.filesystem("memory")
    memory.pipe("/heads/a", files[7].read_bytes())
    memory.pipe("/heads/b", b"")
    heads = list(read_first_bytes(["memory://heads/a", str(files[2]), "memory://heads/b"]))
    memory.rm("/heads", recursive=True)
    assert heads[0].data == files[7].read_bytes()[:REMOTE]
    assert heads[0].fingerprint.size == files[7].stat().st_size
    assert heads[1].data == files[2].read_bytes()
    assert heads[2].data == b""


def test_a_reader_that_stops_early_leaves_nothing_behind(files):
    heads = read_first_bytes([str(path) for path in files] * 20)
    next(heads)
    heads.close()


def test_no_files():
    assert list(read_first_bytes([])) == []


def test_pieces_of_files_anywhere(files):
    cost = Cost()
    places = [(str(path), at) for path in files[:8] for at in (0, 50, LOCAL)]
    with RangeServer(files[0].parent) as server:
        far = [(server.url(os.path.basename(url)), at) for url, at in places]
        pieces = list(read_pieces([*places, *far], 70, cost=cost))
        assert server.requests == len(far)
    for (url, at), near, distant in zip(places, pieces, pieces[len(places) :], strict=False):
        with open(url, "rb") as file:
            data = file.read()
        for piece in (near, distant):
            if at and at >= len(data):
                assert isinstance(piece.error, TruncatedError)
            else:
                assert piece.data == data[at : at + 70]
                assert piece.fingerprint.size == len(data)
    assert cost.requests >= len(far)


def test_pieces_of_servers_that_ignore_ranges(files):
    with RangeServer(files[0].parent, ranges=False) as server:
        [piece] = read_pieces([(server.url(files[7].name), 1000)], 50)
    assert piece.data == files[7].read_bytes()[1000:1050]


def test_pieces_of_other_stores(files):
    memory = fsspec.filesystem("memory")
    memory.pipe("/pieces/a", b"0123456789")
    pieces = list(read_pieces([("memory://pieces/a", 3), ("memory://pieces/a", 10)], 4))
    assert pieces[0].data == b"3456"
    assert isinstance(pieces[1].error, TruncatedError)

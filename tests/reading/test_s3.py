"""Buckets, by a server of moto's on this machine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import boto3
import numpy as np
import pytest
import xarray as xr
from moto.server import ThreadedMotoServer

import refmaker
from refmaker.errors import (
    MissingTargetError,
    PolicyError,
    RefmakerError,
    SourceChangedError,
    SourceError,
    TruncatedError,
)
from refmaker.io.remote_file import RemoteFile
from refmaker.model.report import Fingerprint
from refmaker.reading.backend import RefmakerBackend
from refmaker.reading.filesystem import RefmakerFileSystem
from refmaker.reading.open import open_group

pytestmark = [
    # botocore and s3fs leave connections to be closed by the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def options(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return {"endpoint_url": endpoint, "client_kwargs": {"region_name": "us-east-1"}}


@pytest.fixture
def bucket(endpoint, options):
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="bucket")
    yield client
    for entry in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=entry["Key"])
    client.delete_bucket(Bucket="bucket")
    client.close()


@pytest.fixture
def stored(made, bucket, tmp_path):
    """Put a file and its references into the bucket."""
    refs, values = made(100, 1000, url="s3://bucket/data.bin")
    bucket.put_object(Bucket="bucket", Key="data.bin", Body=(tmp_path / "data.bin").read_bytes())
    refs.write(tmp_path / "a.json")
    bucket.put_object(Bucket="bucket", Key="a.json", Body=(tmp_path / "a.json").read_bytes())
    return refs, values


def test_references_here_and_there(stored, options, tmp_path):
    refs, values = stored
    both = {"storage_options": options, "reference_options": options}
    for given in (refs, tmp_path / "a.json", "s3://bucket/a.json"):
        np.testing.assert_array_equal(open_group(given, **both)["x"][:], values)
    by_prefix = {"s3://bucket/": options}
    group = open_group(tmp_path / "a.json", storage_options=by_prefix)
    np.testing.assert_array_equal(group["g/y"][5000:7000], values[5000:7000])
    data = xr.open_dataset(
        "s3://bucket/a.json", engine=RefmakerBackend, group="g",
        storage_options=options, reference_options=options,
    )  # fmt: skip
    np.testing.assert_array_equal(data["y"], values)


def test_neighbours_are_fetched_together(stored, options, monkeypatch):
    asked = []
    inner = RemoteFile.read
    monkeypatch.setattr(
        RemoteFile, "read", lambda self, *span: asked.append(span) or inner(self, *span)
    )
    np.testing.assert_array_equal(open_group(stored[0], storage_options=options)["x"][:], stored[1])
    assert len(asked) <= 2


def test_in_a_running_loop_and_without(stored, options):
    fs = RefmakerFileSystem("s3://bucket/a.json", target_options=options, remote_options=options)
    assert fs.cat_file("x/1") == stored[1][1000:2000].tobytes()

    async def notebook():
        assert await fs._cat_file("x/2") == stored[1][2000:3000].tobytes()
        group = open_group(stored[0], storage_options=options)
        np.testing.assert_array_equal(group["x"][:], stored[1])

    asyncio.run(notebook())


def test_what_is_not_what_was_scanned(stored, options, bucket, tmp_path):
    refs, values = stored
    refs.report.sources["s3://bucket/data.bin"] = Fingerprint(100_000, etag="other")
    np.testing.assert_array_equal(open_group(refs, storage_options=options)["x"][:], values)
    with pytest.raises(SourceChangedError, match="ETag"):
        open_group(refs, storage_options=options, verify_sources="full")["x"][:]
    bucket.put_object(Bucket="bucket", Key="data.bin", Body=values.tobytes()[:50_500])
    array = open_group(refs, storage_options=options)["x"]
    with pytest.raises((TruncatedError, SourceError)):
        array[50_000:51_000]
    with pytest.raises(RefmakerError):
        array[90_000:91_000]
    bucket.delete_object(Bucket="bucket", Key="data.bin")
    with pytest.raises(MissingTargetError, match=r"s3://bucket/data\.bin"):
        open_group(refs, storage_options=options)["x"][:]


def test_a_scan_of_a_bucket_reads_back(toy, bucket, options, tmp_path):
    values = {"v": np.arange(3000.0)}
    path = toy.write_toy(tmp_path / "a.toy", values, compressed=True)
    bucket.put_object(Bucket="bucket", Key="a.toy", Body=path.read_bytes())
    refs = refmaker.scan("s3://bucket/a.toy", options)
    group = open_group(refs, storage_options=options, verify_sources="full")
    np.testing.assert_array_equal(group["v"][:], values["v"])


def test_documents_in_buckets_name_buckets_only(bucket, options, tmp_path):
    for url in (str(tmp_path / "x"), "http://h/x", "gs://b/x"):
        text = json.dumps({"version": 1, "refs": {"x/0": [url, 0, 4]}})
        bucket.put_object(Bucket="bucket", Key="bad.json", Body=text.encode())
        with pytest.raises(PolicyError):
            RefmakerFileSystem("s3://bucket/bad.json", target_options=options)


def test_no_such_bucket(made, options):
    refs, _ = made(5, url="s3://nowhere/data.bin")
    refs.report.sources.clear()
    with pytest.raises(RefmakerError, match="nowhere"):
        open_group(replace(refs), storage_options=options)["x"][:]

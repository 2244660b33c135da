"""A server of buckets."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def s3():
    """Start an S3 server of moto's; give a client and fsspec's options for it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    endpoint = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    options = {"endpoint_url": endpoint, "key": "x", "secret": "y"}
    options["client_kwargs"] = {"region_name": "us-east-1"}
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",  # noqa: S106 - moto takes any
    )
    client.create_bucket(Bucket="bucket")
    yield client, options
    client.close()
    server.stop()

"""A reference set over HTTP: through zarr, by hand, and what it does not give away."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.errors import PolicyError, SourceError
from refmaker.model import Array, ChunkTable, Group
from refmaker.storage.reference_set import ReferenceSet


@pytest.fixture
def data():
    """Return values worth several chunks."""
    values = np.random.default_rng(1).normal(size=(40, 30))
    return xr.Dataset({"t": (("time", "x"), values)}, {"x": np.arange(30.0)})


@pytest.fixture
def refs(data, tmp_path):
    """Scan a file of them."""
    encoding = {"t": {"zlib": True, "chunksizes": (4, 30)}}
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", encoding=encoding)
    return refmaker.scan(tmp_path / "a.nc")


@pytest.fixture
def url(refs):
    """Serve it."""
    with refmaker.serving(refs) as running:
        yield running


def ask(url, key, method="GET", **headers):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request(
        method, f"/{key}", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_zarr_reads_it(url, data):
    opened = xr.open_dataset(url, engine="zarr", consolidated=True)
    xr.testing.assert_identical(opened.load(), data)


def test_keys_and_ranges(url, refs):
    table = refs.group["t"].chunks
    with open(table.urls[0], "rb") as file:
        file.seek(int(table.offset[0]))
        chunk = file.read(int(table.length[0]))
    answer, body = ask(url, "t/0.0")
    assert (answer.status, body) == (200, chunk)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    answer, body = ask(url, "t/0.0", "HEAD")
    assert (answer.status, body, int(answer.headers["Content-Length"])) == (200, b"", len(chunk))
    for wanted, start, stop in (
        ("bytes=3-9", 3, 10),
        ("bytes=10-", 10, len(chunk)),
        ("bytes=-7", len(chunk) - 7, len(chunk)),
        ("bytes=5-999999999", 5, len(chunk)),
        ("bytes=-999999999", 0, len(chunk)),
    ):
        answer, body = ask(url, "t/0.0", Range=wanted)
        assert (answer.status, body) == (206, chunk[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(chunk)}"
    assert ask(url, "t/0.0", Range=f"bytes={len(chunk)}-")[0].status == 416
    assert ask(url, "t/0.0", Range="bytes=0-1,4-5")[1] == chunk
    for passed_over in ("bytes=9-5", f"bytes={'9' * 5000}-", f"bytes=-{'9' * 5000}"):
        answer, body = ask(url, "t/0.0", Range=passed_over)
        assert (answer.status, body) == (200, chunk)
    assert ask(url, "t/0.0", Range="lines=1-2")[1] == chunk


def test_a_set_without_consolidated_metadata(refs, data, tmp_path):
    """Over HTTP nothing can be listed: without that document there would be an empty store."""
    refs.write(tmp_path / "set.json", templates="never")
    document = json.loads((tmp_path / "set.json").read_text())
    del document["refs"][".zmetadata"]
    (tmp_path / "set.json").write_text(json.dumps(document))
    with refmaker.serving(tmp_path / "set.json") as url:
        opened = xr.open_dataset(url, engine="zarr", consolidated=True)
        xr.testing.assert_identical(opened.load(), data)
        _, body = ask(url, ".zmetadata")
        assert json.loads(body)["metadata"].keys() >= {".zgroup", "t/.zarray", "x/.zattrs"}
        assert int(ask(url, ".zmetadata", "HEAD")[0].headers["Content-Length"]) == len(body)
        assert ask(url, ".zmetadata", Range="bytes=1-4")[1] == body[1:5]


def test_what_is_not_there(url):
    assert ask(url, "nothing")[0].status == 404
    assert ask(url, "t/99.0")[0].status == 404
    assert ask(url, "nothing", "HEAD")[0].status == 404
    assert ask(url, "../../etc/passwd")[0].status == 404
    for method in ("PUT", "POST", "DELETE"):
        assert ask(url, "t/0.0", method)[0].status == 405
    answer, body = ask(url, "")
    assert answer.status == 200
    assert b"Zarr" in body


def test_trouble_with_a_file_is_not_a_missing_chunk(url, refs):
    os.unlink(refs.group["t"].chunks.urls[0])
    answer, body = ask(url, "t/1.0")
    assert answer.status == 502
    assert b"t/1.0" in body


def test_who_may_ask(refs):
    with refmaker.serving(refs) as url:
        port = urlsplit(url).port
        assert ask(url, ".zmetadata", Host="evil.example")[0].status == 400
        for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
            assert ask(url, ".zmetadata", Host=host)[0].status == 200
        answer, _ = ask(url, ".zmetadata", Origin="https://evil.example")
        assert "Access-Control-Allow-Origin" not in answer.headers
        answer, _ = ask(url, ".zmetadata", Origin="http://localhost:3000")
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
    with refmaker.serving(refs, origins=["https://viewer.example"]) as url:
        answer, _ = ask(url, ".zmetadata", Origin="https://viewer.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://viewer.example"
        known = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "range"}
        answer, _ = ask(url, "t/0.0", "OPTIONS", Origin="https://viewer.example", **known)
        assert answer.status == 200
        assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    with refmaker.serving(refs, origins=["*"]) as url:
        answer, _ = ask(url, ".zmetadata", Origin="https://any.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_set_from_afar_serves_no_local_file(tmp_path):
    (tmp_path / "secret").write_bytes(b"secret!!")
    place = {"offset": np.array([0]), "length": np.array([8])}
    table = ChunkTable.from_columns((1,), (str(tmp_path / "secret"),), **place)
    refs = ReferenceSet(Group({"x": Array((8,), (8,), np.dtype("u1"), table)}))
    refs.write("memory://served.json")
    with pytest.raises(PolicyError), refmaker.serving("memory://served.json"):
        pass


def test_a_port_that_is_taken(refs):
    with refmaker.serving(refs) as url, pytest.raises(SourceError, match="port="):
        refmaker.serve(refs, port=urlsplit(url).port)


def test_command(refs, tmp_path):
    refs.write(tmp_path / "a.json")
    command = [sys.executable, "-m", "refmaker", "serve", str(tmp_path / "a.json"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        assert ask(url, ".zmetadata")[0].status == 200
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert "Traceback" not in process.stderr.read()
    assert process.returncode in (0, 130)

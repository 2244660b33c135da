"""Where requests run: in Zarr's own event loop, but in none that ends before its sessions."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from refmaker.testing.http import RangeServer

START = """
import asyncio, sys
import refmaker
from refmaker.io import http_client
from fsspec.asyn import get_loop

def loops():
    return {fs.loop for fs in http_client._filesystems.values()}

store = refmaker.open_store(sys.argv[1])
"""

ZARR = """
import zarr
from zarr.core.sync import loop
assert zarr.open_group(store, mode="r")["x"][...].tolist() == list(range(8))
assert loops() == {loop[0]}, loops()
"""

OWN = """
from zarr.core.buffer import default_buffer_prototype
def read():
    async def get():
        return await store.get("x/0", default_buffer_prototype())
    assert asyncio.run(get()).to_bytes() == bytes(range(4))
read()
read()
assert loops() == {get_loop()}, loops()
"""

PLAIN = """
import fsspec
fs = fsspec.filesystem("refmaker", fo=sys.argv[1])
assert fs.cat_file("x/1") == bytes(range(4, 8))
assert loops() == {get_loop()}, loops()
"""


@pytest.fixture
def made(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.bin").write_bytes(np.arange(8, dtype="u1").tobytes())
    with RangeServer(data) as server:
        array = {
            "zarr_format": 2, "shape": [8], "chunks": [4], "dtype": "|u1", "order": "C",
            "fill_value": 0, "filters": None, "compressor": None,
        }  # fmt: skip
        url = server.url("a.bin")
        refs = {
            ".zgroup": '{"zarr_format":2}', "x/.zarray": json.dumps(array),
            "x/0": [url, 0, 4], "x/1": [url, 4, 4],
        }  # fmt: skip
        path = tmp_path / "refs.json"
        path.write_text(json.dumps({"version": 1, "refs": refs}))
        yield path


@pytest.mark.parametrize("use", [ZARR, OWN, PLAIN], ids=["zarr", "own", "plain"])
def test_sessions_belong_to_a_loop_that_lasts(made, use):
    """Nothing is said at the end of sessions that were not closed, either."""
    done = subprocess.run(
        [sys.executable, "-W", "default::ResourceWarning", "-c", START + use, str(made)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not re.search("session|connect", done.stderr), done.stderr

"""The benchmark of reading runs, on inputs too small to say anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import refmaker
from refmaker.model import Array, ChunkTable, Group

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "reading.py"


def child(*arguments):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "child", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_opening(made, tmp_path):
    refs, _ = made(50, 100)
    refs.write(tmp_path / "a.json")
    for tool in ("stock", "refmaker"):
        found = child("open", tool, tmp_path / "a.json", tmp_path / "a.json", 50)
        assert found["chunks"] == 50
        assert found["cpu"] > 0


def test_requests(tmp_path):
    stock, ours = (child("requests", tool, tmp_path, 40, 0) for tool in ("stock", "refmaker"))
    assert stock["requests"] == 39
    assert ours["requests"] <= 2
    assert ours["bytes"] == 39 * 1024


@pytest.mark.parametrize("tool", ["stock", "refmaker", "h5py", "loop"])
def test_local(tmp_path, tool):
    import h5py

    values = np.arange(40.0, dtype="f4").reshape(8, 5)
    with h5py.File(tmp_path / "a.nc", "w") as file:
        made = file.create_dataset("v", data=values, chunks=(2, 5), compression="gzip")
        chunks = [made.id.get_chunk_info(i) for i in range(4)]
    table = ChunkTable.from_columns(
        (4, 1), (str(tmp_path / "a.nc"),),
        offset=[chunk.byte_offset for chunk in chunks], length=[chunk.size for chunk in chunks],
    )  # fmt: skip
    array = Array((8, 5), (2, 5), values.dtype, table, compressor={"id": "zlib", "level": 4})
    refmaker.ReferenceSet(Group({"v": array})).write(tmp_path / "a.json")
    assert child("local", tool, tmp_path / "a.nc", tmp_path / "a.json", 2)["wall"] > 0


@pytest.mark.parametrize("layout", ["interleaved", "slashes", "shuffled"])
def test_layouts(layout, tmp_path):
    script = SCRIPT.with_name("documents.py")
    path = tmp_path / "a.json"
    for command in (("make", layout, 200, path), ("refmaker", path)):
        subprocess.run([sys.executable, str(script), *map(str, command)], check=True)
    arrays = dict(refmaker.read(path).group.arrays())
    assert [arrays[name].chunks.referenced for name in "ab"] == [100, 100]


def test_plain_json_needs_no_template_machinery(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"version":1,"refs":{".zgroup":"{}","a/0":["x",1,2]}}')
    code = (
        "import sys, fsspec; fsspec.filesystem('refmaker', fo=sys.argv[1]);"
        "sys.exit(any(name.startswith('refmaker.templates') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


@pytest.mark.parametrize(("pattern", "most"), [("adjacent", 2), ("near", 3), ("scattered", 30),
                                               ("files", 30)])  # fmt: skip
def test_ranges(pattern, most):
    script = str(SCRIPT.with_name("ranges.py"))
    command = [sys.executable, script, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        found = {}
        for tool in ("refmaker:10", "aiohttp:64"):
            told = subprocess.run(
                [sys.executable, script, "child", tool, pattern, url, "30"],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            found[tool] = json.loads(told)["requests"]
        server.terminate()
    # The first chunk was fetched before anything was counted, and is fetched again.
    assert found["aiohttp:64"] == 30
    assert found["refmaker:10"] <= most

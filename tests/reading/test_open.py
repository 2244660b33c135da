"""Reference sets as open groups, datasets and trees."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr

import refmaker
from refmaker.errors import MetadataError, MissingDependencyError, SourceError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.testing import open_stock


class _Ranges(SimpleHTTPRequestHandler):
    """Serves a folder by byte ranges."""

    def do_GET(self):
        asked = self.headers.get("Range")
        try:
            data = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            self.send_error(404)
            return
        start, stop = 0, len(data)
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(len(data), int(last) + 1 if last else len(data))
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(data[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """Serve the test's folder; yields its URL."""

    def handler(*args):
        return _Ranges(*args, directory=str(tmp_path))

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return {"x": np.arange(30, dtype=">i4"), "g/h/y": rng.random((9, 4)), "tiny": np.arange(3.0)}


@pytest.fixture
def refs(toy, tmp_path, values):
    return refmaker.scan(toy.write_toy(tmp_path / "a.toy", values, compressed=True))


def check(group, values):
    for path, true in values.items():
        np.testing.assert_array_equal(group[path][...], true)


def test_a_set_in_memory(refs, values):
    group = refmaker.open_group(refs)
    check(group, values)
    assert group.read_only
    assert group.metadata.consolidated_metadata is not None
    check(open_stock(refs), values)


@pytest.mark.parametrize("kind", [str, None], ids=["text", "path"])
def test_a_file(refs, values, tmp_path, kind):
    refs.write(tmp_path / "a.json")
    check(refmaker.open_group((kind or (lambda path: path))(tmp_path / "a.json")), values)


def test_stock_fsspec_reads_what_is_written(refs, values, tmp_path):
    refs.write(tmp_path / "a.json")
    opened = xr.open_dataset(
        "reference://",
        engine="zarr",
        storage_options={"fo": str(tmp_path / "a.json")},
        backend_kwargs={"zarr_format": 2},
    )
    np.testing.assert_array_equal(opened["x"], values["x"])


def test_a_dataset(refs, values, tmp_path):
    refs.write(tmp_path / "a.json")
    for given in (refs, tmp_path / "a.json"):
        opened = refmaker.open_dataset(given)
        assert opened["x"].dims == ("x_0",)
        assert opened["x"].dtype == np.dtype("i4")  # xarray gives native byte order
        np.testing.assert_array_equal(opened["x"], values["x"])
        below = refmaker.open_dataset(given, group="g/h", chunks={})
        assert below["y"].chunks
        np.testing.assert_array_equal(below["y"], values["g/h/y"])


def test_a_tree(refs, values):
    tree = refmaker.open_datatree(refs)
    assert set(tree.groups) == {"/", "/g", "/g/h"}
    np.testing.assert_array_equal(tree["g/h/y"], values["g/h/y"])


def test_over_http(toy, server, values, tmp_path):
    toy.write_toy(tmp_path / "far.toy", values, compressed=True)
    refs = refmaker.scan(f"{server}/far.toy")
    check(refmaker.open_group(refs), values)
    refs.write(tmp_path / "far.json")
    check(refmaker.open_group(f"{server}/far.json"), values)
    np.testing.assert_array_equal(refmaker.open_dataset(f"{server}/far.json")["x"], values["x"])
    check(open_stock(refs, {"asynchronous": True}), values)


def test_in_a_running_event_loop(toy, server, values, tmp_path):
    toy.write_toy(tmp_path / "far.toy", values)
    far, near = refmaker.scan(f"{server}/far.toy"), refmaker.scan(tmp_path / "far.toy")

    async def notebook():
        for refs in (far, near):
            check(refmaker.open_group(refs), values)
            np.testing.assert_array_equal(refmaker.open_dataset(refs)["x"], values["x"])

    asyncio.run(notebook())


def test_files_behind_several_protocols(toy, server, values, tmp_path):
    path = toy.write_toy(tmp_path / "far.toy", values)
    memory = fsspec.filesystem("memory")
    memory.pipe("/opening/near.toy", path.read_bytes())
    try:
        far = refmaker.scan(f"{server}/far.toy").group
        near = refmaker.scan("memory://opening/near.toy").group
        here = refmaker.scan(path).group
        mixed = refmaker.ReferenceSet(Group({"far": far, "near": near, "here": here}))
        group = refmaker.open_group(mixed, storage_options={"http": {"block_size": 100}})
        for name in ("far", "near", "here"):
            check(group[name], values)
    finally:
        memory.rm("/opening", recursive=True)


def test_groups_travel_between_processes(refs, values):
    check(pickle.loads(pickle.dumps(refmaker.open_group(refs))), values)


def test_a_missing_target_is_told_not_filled_in(refs, tmp_path):
    group = refmaker.open_group(refs)
    (tmp_path / "a.toy").unlink()
    with pytest.raises(Exception, match=r"a\.toy"):
        group["x"][...]


def test_a_set_from_afar_may_not_name_local_files(refs, server, tmp_path):
    refs.write(tmp_path / "a.json")
    with pytest.raises(MetadataError, match="names the local file"):
        refmaker.open_group(f"{server}/a.json")


def test_templates_are_no_code(tmp_path):
    zarray = json.dumps(
        {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|u1", "compressor": None,
         "filters": None, "fill_value": None, "order": "C"}
    )  # fmt: skip
    for url, templates in [
        ("{{u.__class__}}", {"u": "/x"}),
        ("{{u}}", {"u": "{{ ''.__class__ }}"}),
    ]:
        refs = {".zgroup": '{"zarr_format":2}', "x/.zarray": zarray, "x/0": [url, 0, 1]}
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"version": 1, "templates": templates, "refs": refs}))
        with pytest.raises(MetadataError):
            refmaker.open_group(path)


def test_chained_urls_are_refused(refs):
    x = refs.group["x"]
    table = x.chunks.with_urls(["zip://a.toy::b.zip"])
    array = Array(x.shape, x.chunk_shape, x.dtype, table)
    with pytest.raises(UnsupportedError, match="chained"):
        refmaker.open_group(refmaker.ReferenceSet(Group({"x": array})))


def test_unknown_protocols_are_refused():
    table = ChunkTable.from_columns((1,), ("nosuch://a",), offset=[0], length=[1])
    group = Group({"x": Array((1,), (1,), np.dtype("u1"), table)})
    with pytest.raises(UnsupportedError, match="nosuch"):
        refmaker.open_group(refmaker.ReferenceSet(group))


@pytest.mark.parametrize(("protocol", "package"), [("s3", "s3fs"), ("https", "aiohttp")])
def test_the_client_of_a_store_is_not_imported_before_a_chunk_is_read(tmp_path, protocol, package):
    zarray = (
        '{"zarr_format":2,"shape":[2],"chunks":[1],"dtype":"<i2","compressor":null,'
        '"filters":null,"fill_value":null,"order":"C"}'
    )
    url = f"{protocol}://bucket.example/a.nc"
    refs = {".zgroup": '{"zarr_format":2}', "a/.zarray": zarray, "a/0": [url, 0, 2]}
    (tmp_path / "a.json").write_text(json.dumps({"version": 1, "refs": refs}))
    code = (
        "import sys, refmaker; refmaker.open_group(sys.argv[1]);"
        "sys.exit(sys.argv[2] in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.json"), package]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize(
    ("protocol", "package", "extra"), [("s3", "s3fs", "s3"), ("https", "aiohttp", "http")]
)
def test_a_client_that_is_missing_names_the_extra(monkeypatch, protocol, package, extra):
    url = f"{protocol}://bucket.example/a.nc"
    table = ChunkTable.from_columns((1,), (url,), offset=[0], length=[1])
    group = Group({"x": Array((1,), (1,), np.dtype("u1"), table)})
    monkeypatch.setitem(sys.modules, package, None)
    # What another test has used is known to be there.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, protocol, raising=False)
    with pytest.raises(MissingDependencyError, match=rf"refmaker\[{extra}\]"):
        refmaker.open_store(refmaker.ReferenceSet(group))


def test_a_missing_reference_file(tmp_path):
    with pytest.raises(SourceError):
        refmaker.open_dataset(tmp_path / "absent.json")


def test_every_kind_of_reference_is_read(tmp_path):
    (tmp_path / "whole").write_bytes(b"\x07")
    url = str(tmp_path / "whole")
    whole = ChunkTable.from_columns((1,), (url,), offset=[0], length=[0])
    scalar = ChunkTable.from_columns((), (url,), offset=[0], length=[1])
    inlined = ChunkTable.inline((2, 1), {0: b"base64:!", 1: b"\xff" * 8})
    u1 = np.dtype("u1")
    group = Group(
        {
            "whole": Array((1,), (1,), u1, whole),
            "scalar": Array((), (), u1, scalar),
            "lone": Array((), (), u1, ChunkTable.inline((), {0: b"\x09"})),
            "inlined": Array((2, 8), (1, 8), u1, inlined),
            "absent": Array((2,), (1,), u1, ChunkTable.empty((2,)), fill_value=5),
            "nothing": Array((0,), (1,), u1, ChunkTable.empty((0,))),
        }
    )
    opened = refmaker.open_group(refmaker.ReferenceSet(group))
    assert opened["whole"][...].tolist() == [7]
    assert opened["scalar"][()] == 7
    assert opened["lone"][()] == 9
    assert opened["inlined"][...].tobytes() == b"base64:!" + b"\xff" * 8
    assert opened["absent"][...].tolist() == [5, 5]
    assert opened["nothing"][...].shape == (0,)


def test_a_missing_codec_names_its_package(refs):
    x = replace(refs.group["x"], compressor={"id": "imagecodecs_nosuch"})
    with pytest.raises(MissingDependencyError, match="pip install imagecodecs-numcodecs") as caught:
        refmaker.open_dataset(refmaker.ReferenceSet(Group({"x": x})))
    assert caught.value.path == "x"

"""Every verb asks the policy of a document: what came from afar reaches nothing on this machine.

The document lies on a server of this machine, whose own host and port it may name. Everything
else here must stay out of reach: local files, and another server, which notes what it is asked
and which headers come.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import replace

import fsspec
import h5py
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from zarr.core.buffer import default_buffer_prototype

import refmaker
from refmaker.cli import main
from refmaker.errors import MetadataError, PolicyError, RefmakerError
from refmaker.io.policy import Policy
from refmaker.publish import catalog
from refmaker.testing.http import RangeServer

SECRET = {"headers": {"X-Api-Key": "SECRET", "Authorization": "Bearer SECRET"}}
VALUES = np.arange(64, dtype="u1").reshape(8, 8)


@pytest.fixture
def other(tmp_path):
    """Serve the data from another port of this machine: nobody may ask."""
    with RangeServer(tmp_path) as running:
        yield running


@pytest.fixture
def data(tmp_path):
    """Return a file, and where its values lie in it."""
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["a"] = VALUES
        file["a"].dims[0].label, file["a"].dims[1].label = "y", "x"
        return path, file["a"].id.get_offset()


@pytest.fixture
def document(data, server, tmp_path):
    """Return a function that puts a document on the server, and gives its URL."""

    def put(url, whole=False):
        zarray = {
            "zarr_format": 2, "shape": [8, 8], "chunks": [8, 8], "dtype": "|u1",
            "compressor": None, "fill_value": None, "order": "C", "filters": None,
        }  # fmt: skip
        refs = {
            ".zgroup": {"zarr_format": 2},
            "a/.zarray": zarray,
            "a/.zattrs": {"_ARRAY_DIMENSIONS": ["y", "x"]},
            "a/0.0": [url] if whole else [url, data[1], 64],
        }
        sources = {url: {"size": data[0].stat().st_size}}
        header = {"version": "0", "format": "hdf5", "sources": sources}
        text = json.dumps({"version": 1, "refmaker": header, "refs": refs})
        (tmp_path / "doc.json").write_text(text)
        return server.url("doc.json")

    return put


def _materialize(url, out):
    done = refmaker.materialize(url, out / "store.zarr", SECRET)
    return [] if done.complete else done.failures


def _serve(url, method):
    with refmaker.serving(url, SECRET) as root:
        asked = urllib.request.Request(f"{root}a/0.0", method=method)  # noqa: S310 - our own
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 - likewise
            return answer.read()


def _append(url, out, data):
    refmaker.scan(data).write(out / "cube.json")
    return refmaker.append(out / "cube.json", [url], SECRET, concat="t", coords={"t": [1]})


def _catalog(url, out):
    catalog.add(out / "catalog.yaml", url, name="evil")
    checked = catalog.check(out / "catalog.yaml")
    assert not any(check.ok for check in checked)
    raise PolicyError(checked[0].reason)


VERBS = {
    "open_store": lambda url, out, data: asyncio.run(
        refmaker.open_store(url, SECRET).get("a/0.0", default_buffer_prototype())
    ),
    "size": lambda url, out, data: asyncio.run(refmaker.open_store(url, SECRET).getsize("a/0.0")),
    "open_group": lambda url, out, data: refmaker.open_group(url, storage_options=SECRET)["a"][:],
    "open_dataset": lambda url, out, data: (
        refmaker.open_dataset(url, storage_options=SECRET).a.values
    ),
    "open_datatree": lambda url, out, data: (
        refmaker.open_datatree(url, storage_options=SECRET).a.values
    ),
    "xarray": lambda url, out, data: (
        xr.open_dataset(f"refmaker::{url}", engine="refmaker", storage_options=SECRET).a.values
    ),
    "read, open": lambda url, out, data: (
        refmaker.open_dataset(refmaker.read(url), storage_options=SECRET).a.values
    ),
    "filesystem": lambda url, out, data: fsspec.filesystem(
        "refmaker", fo=url, remote_options=SECRET
    ).cat_file("a/0.0"),
    "info": lambda url, out, data: fsspec.filesystem(
        "refmaker", fo=url, remote_options=SECRET
    ).info("a/0.0"),
    "verify": lambda url, out, data: [
        check for check in refmaker.verify(url, storage_options=SECRET) if not check.ok
    ],
    "verify here": lambda url, out, data: [
        check
        for check in refmaker.verify(url, storage_options=SECRET, isolate="never")
        if not check.ok
    ],
    "check_sources": lambda url, out, data: [
        check for check in refmaker.check_sources(url, storage_options=SECRET) if not check.ok
    ],
    "report": lambda url, out, data: refmaker.report(url, out / "page.html", SECRET),
    "serve": lambda url, out, data: _serve(url, "GET"),
    "serve, size": lambda url, out, data: _serve(url, "HEAD"),
    "combine": lambda url, out, data: refmaker.combine(
        [url, url], SECRET, concat="t", coords={"t": [0, 1]}, identical_variables=["a"]
    ),
    "append": _append,
    "convert": lambda url, out, data: refmaker.read(url).write(out / "converted.json"),
    "convert to Parquet": lambda url, out, data: refmaker.read(url).write(out / "c.parquet"),
    "materialize": lambda url, out, data: _materialize(url, out),
    "catalog": lambda url, out, data: _catalog(url, out),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["local", "file URL", "other port", "user", "full width"])
def test_what_a_document_from_afar_names_is_refused(verb, kind, document, data, other, tmp_path):
    port = other.url("").rsplit(":", 1)[1]
    url = document(
        {
            "local": str(data[0]),
            "file URL": f"file://{data[0]}",
            "other port": other.url("data.h5"),
            "user": f"http://u:p@localhost:{port}data.h5",
            "full width": f"http://\uff11\uff12\uff17.\u24ea.0\u30021:{port}data.h5",
        }[kind]
    )
    (tmp_path / "out").mkdir()
    with pytest.raises((PolicyError, urllib.error.HTTPError)) as caught:
        VERBS[verb](url, tmp_path / "out", data[0])
    assert "SECRET" not in str(caught.value)
    assert other.requests == 0
    assert not list((tmp_path / "out").glob("c*.json.part"))
    assert not (tmp_path / "out/page.html").exists()
    assert not (tmp_path / "out/converted.json").exists()


READS = sorted(VERBS.keys() - {"convert", "convert to Parquet", "append", "combine"})
THERE = [verb for verb in READS if verb != "catalog"]


@pytest.mark.parametrize("verb", READS)
def test_redirections_of_such_files_are_refused(verb, document, data, server, other, tmp_path):
    server.behaviour.moved = {"/moved": other.url("data.h5")}
    url = document(server.url("moved"), whole=verb in ("size", "info", "serve, size"))
    (tmp_path / "out").mkdir()
    try:
        found = VERBS[verb](url, tmp_path / "out", data[0])
    except (RefmakerError, urllib.error.HTTPError):
        found = "refused"
    # Verbs that look at many things name what is wrong with one.
    assert found == "refused" or verb == "report" or found
    assert server.requests > 1
    assert other.requests == 0


@pytest.mark.parametrize("verb", THERE)
def test_what_it_may_name_is_read_with_what_was_given(verb, document, data, server, tmp_path):
    """The tests above would pass if nothing worked at all."""
    url = document(server.url("data.h5"), whole=verb in ("size", "info", "serve, size"))
    (tmp_path / "out").mkdir()
    server.reset()
    found = VERBS[verb](url, tmp_path / "out", data[0])
    assert any(headers.get("x-api-key") == "SECRET" for headers in server.counts.headers)
    if isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, VALUES)


@pytest.mark.parametrize("command", ["verify", "report", "convert", "combine", "materialize"])
def test_commands_say_so_and_fail(command, document, data, other, tmp_path):
    out = tmp_path / "out"
    arguments = {
        "verify": ["verify", document(str(data[0]))],
        "report": ["report", document(str(data[0])), "-o", f"{out}.html"],
        "convert": ["convert", document(str(data[0])), f"{out}.json"],
        "combine": ["combine", document(str(data[0])), "--concat", "t", "-o", f"{out}.json"],
        "materialize": ["materialize", document(str(data[0])), str(out)],
    }[command]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "names the local file" in done.output
    assert not list(tmp_path.glob("out*"))


def test_what_is_combined_is_trusted_no_further(document, data, server, other, tmp_path):
    """A cube of sets from afar and of the user's own files: the former gained nothing by it."""
    far = refmaker.read(document(server.url("data.h5")))
    own = refmaker.scan(data[0], inline_threshold=0)
    cube = refmaker.combine([far, own], SECRET, concat="t", coords={"t": [0, 1]})
    assert cube.policy.remote
    assert cube.policy.origins == (server.url("doc.json"),)
    server.reset()
    read = refmaker.open_dataset(cube, storage_options=SECRET).a.values
    np.testing.assert_array_equal(read, np.stack([VALUES, VALUES]))
    server.behaviour.moved = {"/data.h5": other.url("data.h5")}
    with pytest.raises(PolicyError):
        refmaker.open_dataset(cube, storage_options=SECRET).a[0].load()
    assert other.requests == 0
    with pytest.raises(PolicyError, match="local file"):
        cube.policy.check_url(str(tmp_path / "secret"))
    cube.write(tmp_path / "cube.json")


def test_a_set_keeps_its_origin(document, server, tmp_path):
    refs = refmaker.read(document(server.url("data.h5")))
    assert refs.policy.origin == server.url("doc.json")
    for kept in (replace(refs, report=refs.report), refs.rewrite({server.url(""): "/mirror/"})):
        assert kept.policy.origins == refs.policy.origins
    moved = refs.rewrite({server.url(""): f"{tmp_path}/"})
    np.testing.assert_array_equal(refmaker.open_dataset(moved).a.values, VALUES)
    with pytest.raises(PolicyError):
        moved.policy.check_url("/etc/passwd")
    allowed = refmaker.ReferenceSet.read(server.url("doc.json"), allow=["file"])
    allowed.policy.check_url("/etc/passwd")


def test_a_scan_is_led_to_no_other_place_with_secrets(data, server, other):
    server.behaviour.moved = {"/moved": other.url("data.h5")}
    refs = refmaker.scan(server.url("moved"), SECRET, isolate="never", inline_threshold=0)
    assert refs.group["a"].chunks.urls == (server.url("moved"),)
    assert server.counts.headers[0]["x-api-key"] == "SECRET"
    assert other.requests > 0
    read = refmaker.open_dataset(refs, storage_options=SECRET).a.values
    np.testing.assert_array_equal(read, VALUES)
    for headers in other.counts.headers:
        assert not {"x-api-key", "authorization", "cookie"} & headers.keys()


def _resolving(monkeypatch, hosts):
    """Make names resolve to this machine, as anybody's name server can."""
    import aiohttp

    inner = aiohttp.ThreadedResolver.resolve

    async def resolve(self, host, port=0, family=0):
        found = await inner(self, "127.0.0.1" if host in hosts else host, port, family)
        return [{**entry, "hostname": host} for entry in found]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)


@pytest.mark.parametrize("to", ["127.0.0.1", "localhost", "rebound.example.org", "[::1]"])
def test_a_scan_from_afar_is_not_led_to_this_machine(data, server, other, monkeypatch, to):
    _resolving(monkeypatch, {"data.example.org", "rebound.example.org"})
    far = server.url("moved").replace("127.0.0.1", "data.example.org")
    server.behaviour.moved = {"/moved": other.url("data.h5").replace("127.0.0.1", to)}
    for call in (
        lambda: refmaker.scan(far, SECRET, isolate="never"),
        lambda: fsspec.filesystem(
            "refmaker", fo={"version": 1, "refs": {"k": [far, 0, 4]}}, remote_options=SECRET
        ).cat_file("k"),
    ):
        with pytest.raises(PolicyError, match="this machine"):
            call()
    assert server.requests == 2
    assert other.requests == 0


def test_a_name_that_leads_here_is_another_host_at_every_port(document, server, other, monkeypatch):
    """The address that is connected to is judged, and the port that it is asked at."""
    _resolving(monkeypatch, {"data.example.org"})
    url = document(other.url("data.h5").replace("127.0.0.1", "data.example.org"))
    far = url.replace("127.0.0.1", "data.example.org")
    with pytest.raises(PolicyError, match="this machine"):
        refmaker.open_dataset(far).a.load()
    with pytest.raises(PolicyError, match="would go to"):
        refmaker.open_dataset(far, storage_options=SECRET).a.load()
    assert other.requests == 0
    document(server.url("data.h5").replace("127.0.0.1", "data.example.org"))
    np.testing.assert_array_equal(refmaker.open_dataset(far).a.values, VALUES)


@pytest.mark.parametrize(
    "host",
    [
        "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127\u30020\u30020\u30021", "0177.0.0.1",
        "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "169\u3002254\u3002169\u3002254", "0x7f000001",
        "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "[::127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1%25eth0]", "100.100.100.200", "[::]",
        "metadata.google.internal", "METADATA.google.internal.", "localhost.localdomain",
        "loc\u00adalhost", "%6cocalhost", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
        "192.0.0.192", "168.63.129.16", "169.254.170.2", "017700000001", "127.0.1",
    ],
)  # fmt: skip
def test_this_machine_in_every_spelling(host):
    policy = Policy("https://data.example.org/doc.json")
    for url in (f"http://{host}/x", f"https://user:pw@{host}:8080/x"):
        with pytest.raises(PolicyError):
            policy.check_url(url)
    assert Policy("https://data.example.org/x", scanned=True).is_led_here(
        "https://data.example.org/x", f"http://{host}/x"
    )
    for url in ("https://other.example.org/x", "http://8.8.8.8/x", "http://[2606:4700::1]/x"):
        policy.check_url(url)


def test_own_addresses_of_this_machine_count():
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the system only says by which of its addresses it would be.
        with suppress(OSError):
            probe.connect(("192.0.2.1", 9))
        own = probe.getsockname()[0]
    with pytest.raises(PolicyError, match="this machine"):
        Policy("https://data.example.org/doc.json").check_url(f"http://{own}/x")


def test_links_of_scanned_files_are_judged_as_documents_are(server, tmp_path):
    from refmaker.io.related_files import RelatedFiles
    from refmaker.io.source import Source

    (tmp_path / "a").write_bytes(b"abcd")
    (tmp_path / "b").write_bytes(b"efgh")
    with Source(server.url("a"), SECRET) as source, RelatedFiles(source, anywhere=True) as related:
        assert related.open("b").read(0, 4) == b"efgh"
        for name in (str(tmp_path / "b"), "file:///etc/passwd", "http://localhost:1/b"):
            with pytest.raises(PolicyError):
                related.open(name)
        with pytest.raises(PolicyError, match="would go to"):
            related.open("http://other.example.org/b")


@pytest.mark.parametrize(
    "name",
    [
        "http://user:hunter2@127.0.0.1:{port}/data.h5",
        "http://hunter2@127.0.0.1:{port}/data.h5",
        "http://127.0.0.1:{port}/data.h5?X-Amz-Signature=hunter2&X-Amz-Expires=60",
        "http://127.0.0.1:{port}/data.h5?sv=1&sig=hunter2",
        "http://127.0.0.1:{port}/data.h5?token=hunter2",
    ],
)
def test_secrets_of_urls_are_not_written_unasked(data, server, tmp_path, name):
    port = server.url("").rsplit(":", 1)[1].rstrip("/")
    refs = refmaker.scan(name.format(port=port), isolate="never", inline_threshold=0)
    for out in ("a.json", "a.parquet"):
        with pytest.raises(MetadataError, match="password or signature") as caught:
            refs.write(tmp_path / out)
        assert "hunter2" not in str(caught.value)
        assert not (tmp_path / out).exists()
    refs.write(tmp_path / "asked.json", secrets=True)
    assert "hunter2" in (tmp_path / "asked.json").read_text()
    np.testing.assert_array_equal(refmaker.open_dataset(tmp_path / "asked.json").a.values, VALUES)
    (tmp_path / "data.h5").unlink()
    with pytest.raises(RefmakerError) as caught:
        refmaker.open_dataset(tmp_path / "asked.json").a.load()
    assert "hunter2" not in str(caught.value)

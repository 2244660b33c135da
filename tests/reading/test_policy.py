"""What a document may make its reader do: one test, with a harmless payload, for each attack."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fsspec
import pytest

import refmaker
from refmaker.errors import LimitError, MetadataError, PolicyError, RefmakerError, UnsupportedError
from refmaker.io.hosts import is_here
from refmaker.io.policy import Policy
from refmaker.reading.filesystem import RefmakerFileSystem
from refmaker.reading.open import open_store
from refmaker.reading.reader import open_reader
from refmaker.storage.json_parser import parse
from refmaker.testing.http import RangeServer

ZARRAY = {
    "zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|u1", "compressor": None,
    "filters": None, "fill_value": None, "order": "C",
}  # fmt: skip


def document(refs, **head):
    found = {".zgroup": {"zarr_format": 2}, "x/.zarray": ZARRAY, **refs}
    return json.dumps({"version": 1, **head, "refs": found})


@pytest.fixture
def secret(tmp_path):
    path = tmp_path.parent / f"{tmp_path.name}-secret"
    path.write_text("abcd")
    return path


@pytest.fixture
def far(server, tmp_path):
    """Return a function that opens a document which came over HTTP."""

    def opened(refs, *, options=None, **head):
        (tmp_path / "doc.json").write_text(document(refs, **head))
        return RefmakerFileSystem(server.url("doc.json"), **(options or {}))

    return opened


@pytest.mark.parametrize("prefix", ["", "file://", "file:", "local://", "FILE://"])
@pytest.mark.parametrize("many", [False, True])
def test_documents_from_afar_never_reach_local_files(far, server, secret, prefix, many):
    refs = {"x/0": [f"{prefix}{secret}", 0, 4]}
    if many:
        refs = {"y/0": [server.url("doc.json"), 0, 4], **refs}
    with pytest.raises(PolicyError, match=r"local file|FILE|from http"):
        far(refs)


def test_templates_that_name_local_files_do_not_either(far, secret):
    for templates in ({"u": f"file://{secret}"}, {"a": "http://h/", "u": str(secret)}):
        with pytest.raises(PolicyError):
            far({"x/0": ["{{u}}", 0, 4]}, templates=templates)


def test_rules_that_name_local_files_do_not_either(far, secret):
    rule = {
        "key": "x/{{i}}", "url": f"file://{secret}", "offset": "0", "length": "4",
        "dimensions": {"i": [0]},
    }  # fmt: skip
    with pytest.raises(PolicyError, match="local file"):
        far({}, gen=[rule]).cat_file("x/0")


def test_asked_for_they_do(far, secret):
    fs = far({"x/0": [str(secret), 0, 4]}, options={"allow": [str(secret.parent)]})
    assert fs.cat_file("x/0") == b"abcd"
    fs = far({"x/0": [f"file://{secret}", 0, 4]}, options={"allow": ["file"]})
    assert fs.cat_file("x/0") == b"abcd"


def test_prefixes_end_where_names_end(far, secret):
    for allow in (str(secret)[:-1], f"{secret}/", "/nowhere/", "https"):
        with pytest.raises(PolicyError, match="not allowed"):
            far({"x/0": [str(secret), 0, 4]}, options={"allow": [allow]})
    inside = f"{secret.parent}/sub/../{secret.name}"
    with pytest.raises(PolicyError, match="relative part"):
        far({"x/0": [inside, 0, 4]}, options={"allow": [f"{secret.parent}/"]})


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]",
     "169.254.169.254", "0.0.0.0", "a.localhost", "localhost.", "[fe80::1]"],  # noqa: S104 - refused
)  # fmt: skip
def test_documents_from_afar_never_reach_this_machine(host):
    policy = Policy("https://data.example.org/doc.json")
    policy.check_url("https://other.example.org/a.nc")
    with pytest.raises(PolicyError, match="this machine"):
        policy.check_url(f"http://{host}/a.nc")
    with pytest.raises(PolicyError, match="this machine"):
        policy.check_url(f"http://user:pw@{host}:8080/a.nc")
    Policy(None).check_url(f"http://{host}/a.nc")
    Policy("/home/doc.json").check_url(f"http://{host}/a.nc")


def test_another_port_of_the_same_machine_is_another_host(far, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"abcd")
    with RangeServer(tmp_path / "inner") as inner:
        with pytest.raises(PolicyError, match="this machine"):
            far({"x/0": [inner.url("a"), 0, 4]})
        assert inner.requests == 0


def test_names_that_resolve_to_this_machine(monkeypatch, tmp_path):
    """A name of somebody's own that points to an address of the reader's machine."""
    import aiohttp

    from refmaker.model.chunk_table import Reference
    from refmaker.reading.reader import Options, Reader
    from refmaker.storage.reference_index import ReferenceIndex

    async def resolve(self, host, port=0, family=0):
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": 2,
                "proto": 0,
                "flags": 0,
            }
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    (tmp_path / "a").write_bytes(b"abcd")
    with RangeServer(tmp_path) as inner:
        url = inner.url("a").replace("127.0.0.1", "rebind.example.org")
        reader = Reader(
            ReferenceIndex(others={"k": Reference(url, 0, 4)}),
            "http://data.example.org/doc.json",
            Options(),
        )
        with pytest.raises(PolicyError, match="this machine"):
            RefmakerFileSystem(reader).cat_file("k")
        assert inner.requests == 0


def test_other_protocols_are_not_even_imported(far):
    for url in ("memory://a", "s3://b/a", "nosuch://a", "github://o:r@/a", "ftp://h/a"):
        with pytest.raises(PolicyError, match="from http"):
            far({"x/0": [url, 0, 4]})


def test_local_documents_may_name_stores_but_no_wrappers(tmp_path):
    policy = Policy(str(tmp_path / "doc.json"))
    for url in ("s3://b/a", "https://h/a", "memory://a", "/a", "gs://b/a"):
        policy.check_url(url)
    for url in ("reference://a", "filecache://a", "dir://a", "refmaker://x"):
        with pytest.raises(PolicyError, match="wraps"):
            policy.check_url(url)
    with pytest.raises(UnsupportedError, match="chained"):
        policy.check_url("simplecache::s3://b/a")


def test_a_protocol_that_is_pinned(far, secret, server):
    with pytest.raises(PolicyError):
        far({"x/0": [str(secret), 0, 4]}, options={"remote_protocol": "http"})
    assert far({"x/0": [server.url("doc.json"), 0, 4]}, options={"remote_protocol": "http"})


SECRET = {"headers": {"Authorization": "Bearer token"}}


def test_credentials_go_to_the_documents_own_host_only(tmp_path):
    policy = Policy("https://data.example.org/doc.json")
    assert policy.options("https://data.example.org/a.nc", SECRET) == SECRET
    with pytest.raises(PolicyError, match="would go to evil"):
        policy.options("https://evil.example.org/a.nc", SECRET)
    assert policy.options("https://evil.example.org/a.nc", {"block_size": 5}) == {"block_size": 5}


def test_credentials_for_all_files_of_a_local_document_go_to_one_host():
    policy = Policy("/doc.json")
    assert policy.options("https://data.example.org/a.nc", SECRET) == SECRET
    with pytest.raises(PolicyError, match=r"prefix: `storage_options=\{'https://evil"):
        policy.options("https://evil.example.org/a.nc", SECRET)
    assert policy.options("/local", SECRET) == {}


def test_credentials_by_prefix():
    policy = Policy("/doc.json")
    given = {
        "https://data.example.org/": SECRET,
        "https": {"block_size": 5},
        "s3://b": {"anon": True},
    }
    assert policy.options("https://data.example.org/a.nc", given) == SECRET
    assert policy.options("https://data.example.org.evil/a.nc", given) == {"block_size": 5}
    assert policy.options("s3://b/a", given) == {"anon": True}
    assert policy.options("s3://bb/a", given) == {}
    assert policy.options("gs://b/a", given) == {}


def test_tokens_are_not_sent_to_hosts_that_are_not_listed(server, tmp_path):
    """Over real connections: what the servers have seen."""
    (tmp_path / "a").write_bytes(b"abcd")
    with RangeServer(tmp_path) as other:
        refs = {"x/0": [server.url("a"), 0, 4], "y/0": [other.url("a"), 0, 4]}
        (tmp_path / "doc.json").write_text(document(refs))
        fs = RefmakerFileSystem(str(tmp_path / "doc.json"), remote_options={server.url(""): SECRET})
        assert fs.cat(["x/0", "y/0"]) == {"x/0": b"abcd", "y/0": b"abcd"}
        assert server.counts.headers[-1]["authorization"] == "Bearer token"
        assert "authorization" not in other.counts.headers[-1]
        fs = RefmakerFileSystem(str(tmp_path / "doc.json"), remote_options=SECRET)
        assert fs.cat_file("x/0") == b"abcd"
        seen = other.requests
        with pytest.raises(PolicyError):
            fs.cat_file("y/0")
        assert other.requests == seen


@pytest.mark.parametrize(
    "text",
    [
        "{{ cycler.__init__.__globals__ }}",
        "{{ ''.__class__ }}",
        "{% for i in range(10) %}x{% endfor %}",
        "{{ lipsum() }}",
        "{{ 'A' * 200000000 }}",
        "{{ u.__init__.__globals__[SECRET] }}",
        "{{u!r}}",
        "{{u:>1000000000}}",
        "{{0}}",
    ],
)
@pytest.mark.parametrize("place", ["template", "reference", "rule"])
def test_templates_are_no_code(text, place, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "leak")
    refs, templates, gen = {"x/0": ["{{t}}", 0, 4]}, {"u": "x"}, []
    if place == "template":
        templates["t"] = text
    elif place == "reference":
        refs = {"x/0": [f"{text}{{{{u}}}}", 0, 4]}
    else:
        refs = {}
        gen = [{"key": "x/{{i}}", "url": text + "{{u}}", "dimensions": {"i": [0]}}]
    harmless = text == "{{0}}" or (place == "template" and "{{" not in text)
    text = document(refs, templates=templates, gen=gen).encode()
    if harmless:
        # A number is a number, and a text without anything to replace is a text.
        assert parse(text).get("x/0").url in ("0", "0x", templates.get("t"))
        return
    with pytest.raises(MetadataError):
        parse(text)


def test_rules_without_end_cost_nothing():
    gen = [{"key": "x/{{i}}", "url": "/f", "offset": "{{i}}", "length": "1",
            "dimensions": {"i": {"stop": 10**12}}}]  # fmt: skip
    refs = parse(document({}, gen=gen).encode())
    assert refs.get("x/123456789012")[:3] == ("/f", 123456789012, 1)
    with pytest.raises(LimitError):
        list(refs.keys())


def test_keys_never_lead_outside_of_a_folder(tmp_path):
    for key in ("x/../../../f", "/etc/f", "a//f"):
        with pytest.raises(MetadataError, match="key"):
            parse(document({key: "text"}).encode())
    fs = RefmakerFileSystem({"version": 1, "refs": {"a/b": "text", "c": "more"}})
    fs.get("", str(tmp_path / "out"), recursive=True)
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_text()
        for p in tmp_path.rglob("out/**/*")
        if p.is_file()
    }
    assert found == {"a/b": "text", "c": "more"}


@pytest.mark.parametrize(
    "codecs",
    [
        {"filters": [{"id": "pickle"}]},
        {"compressor": {"id": "pickle"}},
        {"filters": [{"id": "refmaker.hdf5_masked", "filters": [{"id": "pickle"}]}]},
        {"compressor": {"id": "somebodys.codec"}},
    ],
    ids=str,
)
def test_codecs_that_may_do_more_than_decode(tmp_path, codecs):
    zarray = {**ZARRAY, **codecs}
    plain = document({"x/.zarray": zarray, "x/0": "text"})
    consolidated = document(
        {".zmetadata": {"metadata": {".zgroup": {}, "x/.zarray": zarray}}, "x/0": "text"}
    )
    hidden = document({"x/.zarray": [str(tmp_path / "meta"), 0, len(json.dumps(zarray))]})
    (tmp_path / "meta").write_text(json.dumps(zarray))
    for text in (plain, consolidated):
        (tmp_path / "doc.json").write_text(text)
        with pytest.raises(PolicyError, match="not known to be safe"):
            open_store(tmp_path / "doc.json")
        with pytest.raises(RefmakerError):
            refmaker.open_group(tmp_path / "doc.json")
    (tmp_path / "doc.json").write_text(hidden)
    fs = RefmakerFileSystem(str(tmp_path / "doc.json"))
    with pytest.raises(PolicyError, match="not known to be safe"):
        fs.cat_file("x/.zarray")


def test_a_codec_can_be_allowed(tmp_path):
    zarray = {**ZARRAY, "compressor": {"id": "somebodys.codec"}}
    (tmp_path / "doc.json").write_text(document({"x/.zarray": zarray}))
    fs = RefmakerFileSystem(str(tmp_path / "doc.json"), codecs=["somebodys.codec"])
    assert json.loads(fs.cat_file("x/.zarray")) == zarray


def test_redirections_obey_the_policy_and_carry_no_token(server, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"abcd")
    with RangeServer(tmp_path) as other:
        _redirect(server, "/moved", other.url("a"), monkeypatch)
        refs = {"x/0": [server.url("moved"), 0, 4]}
        (tmp_path / "doc.json").write_text(document(refs))
        # A document of one's own: followed, without what was given for another host.
        fs = RefmakerFileSystem(str(tmp_path / "doc.json"), remote_options=SECRET)
        assert fs.cat_file("x/0") == b"abcd"
        assert "authorization" not in other.counts.headers[-1]
        # One from afar: not followed to this machine.
        seen = other.requests
        with pytest.raises(PolicyError, match="this machine"):
            RefmakerFileSystem(server.url("doc.json")).cat_file("x/0")
        assert other.requests == seen


def _redirect(server, path, target, monkeypatch):
    handler = server._server.RequestHandlerClass
    inner = handler._serve

    def serve(self, *, body):
        if self.path != path:
            inner(self, body=body)
            return
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    monkeypatch.setattr(handler, "_serve", serve)


def test_a_set_that_was_read_back_keeps_its_origin(server, tmp_path, secret):
    (tmp_path / "doc.json").write_text(document({"x/0": [str(secret), 0, 4]}))
    refs = refmaker.read(server.url("doc.json"))
    with pytest.raises(PolicyError, match="local file"):
        refmaker.open_group(refs)


def test_is_here():
    assert not any(map(is_here, ["example.org", "10.0.0.1", "8.8.8.8", "2001:db8::1", "x.y"]))


def test_errors_name_document_and_key(tmp_path, server):
    (tmp_path / "doc.json").write_text(
        document({}, gen=[{"key": "x/{{i}}", "url": "/f{{i}}", "dimensions": {"i": [0]}}])
    )
    reader = open_reader(server.url("doc.json"))
    with pytest.raises(PolicyError) as caught:
        reader.locate("x/0")
    assert caught.value.url == server.url("doc.json")
    assert caught.value.path == "x/0"
    assert "allow=" in str(caught.value)
    assert os.fspath(Path("/f0")) in str(caught.value)


def test_stock_protocol_is_left_alone():
    assert fsspec.get_filesystem_class("reference") is not RefmakerFileSystem

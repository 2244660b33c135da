"""Reference documents of all kinds, as columns."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import LimitError, MetadataError, RefmakerError
from refmaker.storage import compact, json_windows, json_writer
from refmaker.storage.json_parser import parse, references_of
from refmaker.storage.limits import Limits
from refmaker.storage.reference_index import METADATA, Located, ReferenceIndex
from refmaker.testing.strategies import groups


def flat(refs):
    """Return everything that references say, key by key."""
    found = {}
    for key in refs.keys():  # noqa: SIM118 - no mapping
        value = refs.get(key)
        found[key] = value if isinstance(value, bytes) else tuple(value[:3])
    return found


def dump(refs, **head):
    return json.dumps({"version": 1, **head, "refs": refs}).encode()


ROWS = {f"a/{i}.{j}": ["s3://b/x.nc", 100 * i + j, 7 + j] for i in range(30) for j in range(20)}


@pytest.fixture(autouse=True)
def windows(monkeypatch):
    """Cut small documents into several windows, too."""
    monkeypatch.setattr(json_windows, "WINDOW", 777)


def test_columns_take_little():
    refs = parse(dump(ROWS))
    assert flat(refs) == {key: tuple(value) for key, value in ROWS.items()}
    assert refs.nbytes <= 12 * len(ROWS)
    assert refs.get("a/30.0") is refs.get("a/0.20") is refs.get("a/0") is None
    assert refs.get("a/00.1") is refs.get("a/-1.0") is refs.get("b/0.0") is None


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (",\n", ":")])
@pytest.mark.parametrize("slash", [b"/", b"\\/"])
def test_layouts_of_other_writers(separators, slash):
    refs = {".zgroup": '{"zarr_format": 2}', **ROWS, "tail/0": "text"}
    text = json.dumps({"version": 1, "refs": refs}, separators=separators).encode()
    text = text.replace(b"a/", b"a" + slash).replace(b"s3://b/", b"s3:" + slash * 2 + b"b" + slash)
    found = parse(text)
    assert flat(found) == flat(references_of({"version": 1, "refs": refs}))


def test_numbers_in_names_and_urls():
    names = {"t2m/5/": 0, "7/": 1, "": 2}
    refs = {}
    for prefix in names:
        for i in range(70):
            url = f"s3://b2/run{i // 10:03d}/file_{i % 7}.nc"
            refs[f"{prefix}{i}"] = [url, i * 10**9, 5]
    text = dump(refs)
    assert flat(parse(text)) == {key: tuple(value) for key, value in refs.items()}


def test_texts_that_differ_in_zeros_only():
    refs = {f"a/{i}": [f"f{'0' * (i % 3)}1.nc", i, 1] for i in range(50)}
    assert flat(parse(dump(refs))) == {key: tuple(value) for key, value in refs.items()}


def test_templates_and_whole_files():
    refs = {f"a/{i}": [f"{{{{u{i % 3}}}}}"] for i in range(60)}
    found = parse(dump(refs, templates={"u0": "x", "u1": "y", "u2": "z"}))
    assert found.get("a/4") == Located("y", 0, None, found.tables["a"], 4)


def test_keys_that_are_no_numbers_stay_keys():
    refs = {"a/01": ["x", 1, 2], "b.bin": ["y"], "c/d/e.0x": ["z", 0, 4], "a/3": ["x", 9, 9]}
    assert flat(parse(dump(refs))) == {
        "a/01": ("x", 1, 2),
        "b.bin": ("y", 0, None),
        "c/d/e.0x": ("z", 0, 4),
        "a/3": ("x", 9, 9),
    }


def test_version_0():
    refs = {
        **ROWS,
        ".zgroup": {"zarr_format": 2},
        "t": "base64:" + base64.b64encode(b"\xff").decode(),
    }
    found = parse(json.dumps(refs).encode())
    assert found.get("t") == b"\xff"
    assert json.loads(found.get(".zgroup")) == {"zarr_format": 2}
    assert len(flat(found)) == len(ROWS) + 2


def test_compressed():
    text = dump(ROWS)
    for packed in (gzip.compress(text), imagecodecs.zstd_encode(text)):
        assert flat(parse(packed)) == flat(parse(text))
        with pytest.raises(LimitError, match="more than 1000 bytes"):
            parse(packed, limits=Limits(document_bytes=1000))
        with pytest.raises(MetadataError):
            parse(packed[: len(packed) // 2])


def test_rules_replace_what_refs_say_and_are_never_expanded():
    gen = [
        {
            "key": "a/{{i}}.{{j}}",
            "url": "f{{i}}.nc",
            "offset": "{{j * 10}}",
            "length": "10",
            "dimensions": {"i": {"stop": 10**6}, "j": {"stop": 100}},
        }
    ]
    found = parse(dump({"a/1.1": ["other", 0, 5], "b/0": ["x", 1, 2]}, gen=gen))
    assert found.get("a/1.1")[:3] == ("f1.nc", 10, 10)
    assert found.get("a/999999.99")[:3] == ("f999999.nc", 990, 10)
    assert found.get("a/1000000.0") is None
    assert found.get("b/0")[:3] == ("x", 1, 2)
    assert len(found) == 10**8 + 2
    assert found.children("")[0] == ["a", "b"]
    with pytest.raises(LimitError, match="too many to be listed"):
        list(found.keys())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "no JSON object"),
        (b'{"version":1,"refs":[]}', "refs"),
        (b'{"version":2,"refs":{}}', "version 2"),
        (b'{"version":1,"templates":[],"refs":{}}', "templates"),
        (b'{"version":1,"gen":{},"refs":{}}', "gen"),
        (b'{"version":1,"gen":[{"key":"x"}],"refs":{}}', "gen"),
        (dump({"a/0": ["x", 1]}), "a/0: neither"),
        (dump({"a/0": ["x", -1, 3]}), "a/0: an offset"),
        (dump({"a/0": ["x", 1.5, 3]}), "a/0: an offset"),
        (dump({"a/0": ["x", 0, 0]}), "a/0: a range of no bytes"),
        (dump({"a/0": [None, 0, 4]}), "a/0: neither"),
        (dump({"a/0": 5}), "a/0: int"),
        (dump({"a/0": "base64:!"}), "a/0: not base64"),
        (dump({"a/0": ["{{u}}", 0, 4]}), "a/0: u is not known"),
        (dump({"a/0": ["{{u.x}}", 0, 4]}, templates={"u": "x"}), "attributes do not exist"),
        (b'{"version":1,"refs":{"a/0":["x",1,2],"a/0":"y","a/0":["x",1,2],}', "not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_documents_name_the_key(text, said):
    with pytest.raises(MetadataError, match=said) as caught:
        parse(text, "doc.json")
    assert caught.value.url == "doc.json"


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/x", "a//b", "", "a/", "./a", "a/..", "..\\x", "a\0b"]
)
@pytest.mark.parametrize("many", [0, 100])
def test_keys_that_lead_elsewhere_are_refused(key, many):
    padding = {f"p/{i}": ["x", i, 1] for i in range(many)}
    with pytest.raises(MetadataError, match="key"):
        parse(dump({**padding, key: ["x", 0, 4]}))
    with pytest.raises(MetadataError, match="key"):
        parse(dump({**padding, f"{key}/0": ["x", 0, 4]} if key else {"": "x"}))


def test_caps():
    text = dump({**ROWS, "inline": "x" * 100})
    assert parse(text, limits=Limits(keys=601))
    for limits, said in [
        (Limits(keys=600), "keys"),
        (Limits(inline_bytes=99), "kept in the set"),
        (Limits(document_bytes=1000), "bytes"),
        (Limits(key_length=3), "too long"),
    ]:
        with pytest.raises(LimitError, match=said):
            parse(text, limits=limits)


def test_a_template_that_grows_is_stopped():
    templates = {"t0": "A" * 1000}
    for i in range(7):
        templates[f"t{i + 1}"] = f"{{{{t{i}}}}}" * 10
    with pytest.raises(MetadataError, match="characters"):
        parse(dump({"a/0": ["{{t7}}", 0, 4]}, templates=templates))


def test_a_row_inside_of_another_value_is_no_row():
    inner = ",\n".join(f'"a/{i}":["x",{i},1]' for i in range(100))
    text = f'{{"version":1,"refs":{{"doc":{{"y":[1],\n{inner},\n"z":[2]}}}}}}'.encode()
    found = parse(text)
    assert list(found.keys()) == ["doc"]
    assert json.loads(found.get("doc"))["a/5"] == ["x", 5, 1]


def test_a_chunk_that_is_named_twice():
    row = b'"a/%d":["x",%d,1],\n'
    text = b'{"version":1,"refs":{' + b"".join(row % (i % 90, i) for i in range(100))
    with pytest.raises(MetadataError, match="twice"):
        parse(text + b'"b":"c"}}')


@st.composite
def documents(draw):
    names = st.sampled_from(["a/", "t2/", "", "g/7/", 'q"/', "é/"])
    urls = st.sampled_from(
        ["x", "{{u}}", "{{u1}}", "s3://b/f%d.nc", "f%03d", 'q"%d', "\\%d", '],"%d']
    )
    refs = {}
    for _ in range(draw(st.integers(1, 4))):
        name, url, rank = draw(names), draw(urls), draw(st.integers(1, 3))
        step = draw(st.sampled_from([0, 1, 7, 10**12]))
        whole = draw(st.integers(0, 9)) == 0
        for i in range(draw(st.integers(1, 40))):
            key = name + ".".join(str(part) for part in np.unravel_index(i, (40, 3, 2)[:rank]))
            text = url % i if "%" in url else url
            refs[key] = [text] if whole else [text, i * step, 5 + i % 3]
            if draw(st.integers(0, 30)) == 0:
                refs[f"{key}x"] = draw(st.sampled_from(["text],", "base64:AAAA", {"a": [1]}]))
    return refs


@given(documents(), st.sampled_from([(",", ":"), (", ", ": "), (",\n", ":"), (",\n  ", ": ")]))
def test_bulk_and_plain_parsing_agree(refs, separators):
    head = {"version": 1, "templates": {"u": "U", "u1": "V"}}
    text = json.dumps({**head, "refs": refs}, separators=separators).encode()
    try:
        plain = flat(references_of({**head, "refs": refs}))
    except MetadataError:
        with pytest.raises(MetadataError):
            parse(text)
    else:
        assert flat(parse(text)) == plain


@given(st.data())
def test_damaged_documents_end_in_a_clean_error(data):
    gen = [
        {
            "key": "b/{{i}}",
            "url": "x",
            "offset": "{{i}}",
            "length": "1",
            "dimensions": {"i": {"stop": 5}},
        }
    ]
    refs = {".zgroup": '{"zarr_format":2}', **dict(list(ROWS.items())[:40])}
    text = bytearray(dump(refs, templates={"u": "s3://b"}, gen=gen))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "put"]))
        if kind == "flip":
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut":
            del text[at : at + data.draw(st.integers(1, 300))]
        else:
            text[at:at] = data.draw(
                st.sampled_from([b"[" * 2000, b"9" * 30, b'"', b"\\ud800", b"],", b"{{"])
            )
        if not text:
            break
    with contextlib.suppress(RefmakerError):
        flat(parse(bytes(text)))


@given(groups(), st.sampled_from(["json", "compact"]))
def test_sets_of_all_kinds_come_back_as_they_were(group, form):
    buffer = io.BytesIO()
    {"json": json_writer, "compact": compact}[form].write(group, buffer)
    found, made = flat(parse(buffer.getvalue())), flat(ReferenceIndex.of_group(group))
    assert json.loads(found.pop(".zmetadata")) == json.loads(made.pop(".zmetadata"))
    assert {key: loaded(key, value) for key, value in found.items()} == {
        key: loaded(key, value) for key, value in made.items()
    }


def loaded(key, value):
    return json.loads(value) if key.rpartition("/")[2] in METADATA else value

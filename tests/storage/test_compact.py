"""Compact JSON: exact round trips, and stock readers that refuse it loudly."""

from __future__ import annotations

import io
import json
import math

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from refmaker.errors import LimitError, MetadataError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.zarr_v2 import documents, dumps
from refmaker.storage import compact, generated, hierarchy
from refmaker.storage import json_writer as storage
from refmaker.testing.strategies import groups

HEADER = {"version": "0", "format": "toy", "sources": {}}


def text_of(group, header=HEADER):
    buffer = io.BytesIO()
    compact.write(group, buffer, header)
    return buffer.getvalue()


def same(one, other):
    assert dumps(list(documents(one))) == dumps(list(documents(other)))
    tables = dict(other.arrays())
    return all(array.chunks.same(tables[path].chunks) for path, array in one.arrays())


def array(grid, urls, **columns):
    columns = {
        name: np.asarray(column) for name, column in columns.items() if name != "inlined"
    } | ({"inlined": columns["inlined"]} if "inlined" in columns else {})
    return Array(
        grid, (1,) * len(grid), np.dtype("u1"), ChunkTable.from_columns(grid, urls, **columns)
    )


@pytest.fixture
def regular(tmp_path):
    """Give a set whose array is one byte of each of 50 places in two files, one chunk missing."""
    names = [str(tmp_path / f"part_{i:02d}.bin") for i in (8, 9)]
    for name in names:
        with open(name, "wb") as file:
            file.write(bytes(range(100)))
    row = np.arange(49)
    files = array(
        (2, 50),
        tuple(names),
        index=np.delete(np.arange(100).reshape(2, 50), 49, axis=1).ravel(),
        offset=np.tile(row * 2, 2),
        length=np.full(98, 1),
        url=np.repeat([0, 1], 49),
    )
    odd = array((3,), (names[0],), offset=[1, 7, 3], length=[1, 1, 1])
    group = Group({"g": Group({"regular": files}), "odd": odd})
    assert json.loads(text_of(group))["gen"]
    return group


def test_round_trip(regular):
    again, header = hierarchy.read(text_of(regular))
    assert same(regular, again)
    assert header == HEADER


def test_what_is_written(regular):
    found = json.loads(text_of(regular))
    assert found["version"] == compact.COMPACT
    assert len(found["gen"]) == 1
    assert found["gen"][0]["key"] == "g/regular/{{i0}}.{{i1}}"
    assert sorted(found["refs"]) == ["odd/0", "odd/1", "odd/2"]
    assert list(found["templates"]) == ["u"]
    assert sorted(found["metadata"]) == sorted(dict(documents(regular)))


def test_a_rule_is_small_whatever_it_describes():
    n = 1_000_000
    urls = tuple(f"s3://bucket/2020/day_{i:03d}.nc" for i in range(1000))
    chunks = array(
        (1000, 1000),
        urls,
        offset=np.tile(4096 + np.arange(1000) * 800, 1000),
        length=np.full(n, 800),
        url=np.repeat(np.arange(1000), 1000),
    )
    group = Group({"a": chunks})
    data = text_of(group)
    assert len(data) < 1000
    assert same(group, hierarchy.read(data)[0])


def test_without_a_rule_it_is_an_ordinary_document():
    group = Group({"a": array((3,), ("u",), offset=[1, 7, 3], length=[1, 2, 3])})
    plain = io.BytesIO()
    storage.write(group, plain, HEADER)
    assert text_of(group) == plain.getvalue()
    assert json.loads(text_of(group))["version"] == 1


@pytest.mark.parametrize(
    "chunks",
    [
        array((2,), ("u",), offset=[0, 1], length=[1, 1]),  # a rule would be longer
        array((40,), ("u",), offset=np.arange(40) ** 2, length=np.ones(40, "u1")),
        array((40,), ("u",), offset=np.r_[0, np.arange(39)], length=np.r_[0, np.ones(39, "u1")]),
        array((), ("u",), offset=[0], length=[4]),
        array((0,), ("u",), offset=np.empty(0, "u8"), length=np.empty(0, "u8")),
    ],
    ids=["short", "squares", "whole-and-ranges", "scalar", "empty"],
)
def test_what_has_no_rule(chunks):
    group = Group({"a": chunks})
    assert json.loads(text_of(group))["version"] == 1
    assert same(group, hierarchy.read(text_of(group))[0])


@pytest.mark.parametrize(
    "chunks",
    [
        array((40,), tuple(f"f{i:03d}" for i in range(40)), url=np.arange(40),
              offset=np.zeros(40, "u1"), length=np.zeros(40, "u1")),
        array((40,), ("u",), offset=np.zeros(40, "u1"), length=np.ones(40, "u1")),
        array((41,), ("u",), index=np.arange(1, 41), offset=np.arange(40), length=np.ones(40, "u1"),
              inlined={0: b"base64:x"}),
        array((400,), ("u",), index=np.arange(0, 400, 10), offset=np.arange(40) * 2**50,
              length=np.full(40, 2**40)),
    ],
    ids=["whole-files", "one-place", "inlined", "stride"],
)  # fmt: skip
def test_what_has_a_rule(chunks):
    group = Group({"a": chunks, "b": Group({"a": chunks})})
    found = json.loads(text_of(group))
    assert len(found["gen"]) == 2
    assert same(group, hierarchy.read(text_of(group))[0])


@st.composite
def regular_arrays(draw):
    """Arrays that have a rule more often than not."""
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    n = math.prod(shape)
    at = np.indices(shape).reshape(len(shape), n)
    steps = draw(st.lists(st.integers(0, 2**30), min_size=len(shape), max_size=len(shape)))
    offset = 1 + sum(step * part for step, part in zip(steps, at, strict=True))
    axis = draw(st.integers(0, len(shape) - 1))
    period = draw(st.integers(1, 3))
    pattern = draw(st.sampled_from(["f_{:02d}.nc", "d/{}/x{{y}}.h5", "{%{}", "{{#{}", "same"]))
    pattern = pattern if "{}" in pattern or "{:" in pattern else pattern + "{:.0s}"
    pattern = pattern.replace("{%", "{{%") if "{%" in pattern else pattern
    numbers = range(-(-shape[axis] // period))
    urls = [pattern.format(str(i) if ".0s" in pattern else i + 9) for i in numbers]
    keep = np.ones(n, bool)
    if draw(st.booleans()):
        keep = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    if draw(st.booleans()):
        keep &= at[-1] % 2 == 0
    if draw(st.integers(0, 3)) == 0:
        offset = offset + (at[0] == shape[0] - 1)
    rows = np.flatnonzero(keep)
    return array(
        shape,
        tuple(urls),
        index=rows,
        url=(at[axis] // period)[rows].astype("i4"),
        offset=offset[rows],
        length=np.full(rows.size, draw(st.integers(1, 99))),
        inlined={int(i): b"x" for i in np.flatnonzero(~keep)[: draw(st.integers(0, 2))]},
    )


@given(members=st.dictionaries(st.sampled_from(["a", "x{y}", "{{", "é", "{%"]), regular_arrays()))
def test_expanding_gives_back_what_was_compacted(members):
    group = Group({"g": Group(members)})
    assert same(group, hierarchy.read(text_of(group))[0])


@given(group=groups())
def test_round_trip_of_anything(group):
    again, header = hierarchy.read(text_of(group))
    assert same(group, again)
    assert header == HEADER


def test_most_of_these_have_rules():
    """The property above is worth something only if rules are found."""
    found = []

    @settings(max_examples=200, derandomize=True, database=None)
    @given(chunks=regular_arrays())
    def count(chunks):
        found.append(compact.find_rule("a", chunks.chunks) is not None)

    count()
    assert sum(found) > len(found) / 4


class TestStockReaders:
    """Whatever a stock reader does with a compact document, it reads no fill values."""

    @pytest.fixture(params=["path", "url", "dict"])
    def where(self, request, regular, tmp_path):
        path = tmp_path / "cube.json"
        path.write_bytes(text_of(regular))
        if request.param == "dict":
            return json.loads(path.read_text())
        return f"file://{path}" if request.param == "url" else str(path)

    @pytest.mark.parametrize("simple", [True, False])
    def test_fsspec(self, where, simple):
        for protocol in ({}, {"remote_protocol": "file"}, {"fs": fsspec.filesystem("file")}):
            with pytest.raises(ValueError, match=compact.COMPACT):
                fsspec.filesystem("reference", fo=where, simple_templates=simple, **protocol)

    @pytest.mark.parametrize("simple", [True, False])
    def test_zarr(self, where, simple):
        options = {"fo": where, "simple_templates": simple, "remote_protocol": "file"}
        for opener in (zarr.open_group, zarr.open):
            with pytest.raises(ValueError, match=compact.COMPACT):
                opener("reference://", mode="r", zarr_format=2, storage_options=options)

    @pytest.mark.parametrize("simple", [True, False])
    def test_xarray(self, where, simple):
        options = {"fo": where, "simple_templates": simple}
        for kwargs in ({}, {"consolidated": False}, {"zarr_format": 2}, {"group": "g"}):
            with pytest.raises(ValueError, match=compact.COMPACT):
                xr.open_dataset("reference://", engine="zarr", storage_options=options, **kwargs)

    def test_kerchunk(self, where):
        with pytest.raises(ValueError, match=compact.COMPACT):
            xr.open_dataset(where, engine="kerchunk")

    @pytest.mark.parametrize("simple", [True, False])
    def test_readers_that_do_not_look_at_the_version(self, where, simple, tmp_path):
        """They find no array at all, so there is nothing to be filled."""
        document = json.loads((tmp_path / "cube.json").read_text()) | {"version": 1}
        fs = fsspec.filesystem("reference", fo=document, simple_templates=simple)
        keys = list(fs.references)
        assert not [key for key in keys if key.rpartition("/")[2].startswith(".z")]
        options = {"fo": document, "simple_templates": simple}
        with pytest.raises(FileNotFoundError):
            zarr.open_group("reference://", mode="r", zarr_format=2, storage_options=options)


def v1(gen, refs=None, shape=(3, 2), **more):
    """Return a version 1 document of somebody else's, with one array ``a``."""
    zarray = {"zarr_format": 2, "shape": list(shape), "chunks": [1] * len(shape), "dtype": "|u1"}
    zarray |= {"compressor": None, "fill_value": 0, "order": "C", "filters": None}
    document = {"version": 1, "gen": gen, "refs": {"a/.zarray": json.dumps(zarray), **(refs or {})}}
    return json.dumps(document | more).encode()


RULE = {"key": "a/{{i}}.{{j}}", "url": "{{u}}_{{i}}", "offset": "{{(i+1)*10}}", "length": "{{j+1}}"}
RULE |= {"dimensions": {"i": {"stop": 3}, "j": [0, 1]}}


class TestRulesOfOthers:
    """``gen`` as in the specification, in documents of version 1."""

    def test_expanded_as_by_fsspec(self):
        data = v1([RULE], templates={"u": "s3://b/x"})
        chunks = hierarchy.read(data)[0]["a"].chunks
        fs = fsspec.filesystem(
            "reference", fo=json.loads(data), simple_templates=False, fs=fsspec.filesystem("file")
        )
        for i in range(3):
            for j in range(2):
                assert list(chunks.get((i, j))) == fs.references[f"a/{i}.{j}"]

    def test_later_ones_replace_earlier_ones_and_references(self):
        one = {**RULE, "url": "second", "dimensions": {"i": {"start": 1, "stop": 2}, "j": [1]}}
        refs = {"a/0.0": ["first", 1, 2], "a/2.1": "text"}
        data = v1(
            [{**RULE, "dimensions": {"i": [1], "j": [0, 1]}}, one], refs, templates={"u": "t"}
        )
        chunks = hierarchy.read(data)[0]["a"].chunks
        assert chunks.get((0, 0)) == ("first", 1, 2)
        assert chunks.get((1, 0)) == ("t_1", 20, 1)
        assert chunks.get((1, 1)) == ("second", 20, 2)
        assert chunks.get((2, 1)) == b"text"
        assert chunks.get((2, 0)) is None
        data = v1([one], {"a/1.1": "text", "a/0.1": "kept"})
        chunks = hierarchy.read(data)[0]["a"].chunks
        assert dict(chunks.inlined) == {1: b"kept"}
        assert chunks.get((1, 1)) == ("second", 20, 2)

    def test_keys_of_several_arrays_and_folders(self):
        rule = {"key": "a{{i}}/0.{{j}}", "url": "u{{i}}", "dimensions": {"i": [1, 2], "j": [0, 1]}}
        zarray = json.loads(json.loads(v1([]))["refs"]["a/.zarray"]) | {"shape": [1, 2]}
        refs = {f"a{i}/.zarray": json.dumps(zarray) for i in (1, 2)}
        group, _ = hierarchy.read(v1([rule], refs))
        assert group["a2"].chunks.get((0, 1)) == ("u2", 0, 0)
        nested = json.dumps(zarray | {"dimension_separator": "/"})
        rule = {"key": "n/0/{{j}}", "url": "u{{j}}", "dimensions": {"j": [0, 1]}}
        group, _ = hierarchy.read(v1([rule], {"n/.zarray": nested}))
        assert group["n"].chunks.get((0, 1)) == ("u1", 0, 0)

    def test_padded_keys_are_no_chunks(self):
        rule = {**RULE, "key": "a/{{i:02d}}.{{j}}", "url": "u"}
        with pytest.raises(MetadataError, match=r"00\.0"):
            hierarchy.read(v1([rule]))

    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            ({**RULE, "key": "b/{{i}}.{{j}}"}, "no metadata"),
            ({**RULE, "key": "a/{{i}}{{j}}"}, "no chunk"),
            ({**RULE, "key": "a/{{i}}.{{j}}.0"}, "no chunks of a grid"),
            ({**RULE, "dimensions": {"i": [3], "j": [0]}}, "outside the grid"),
            ({**RULE, "dimensions": {"i": [-1], "j": [0]}}, "outside the grid"),
            ({**RULE, "offset": "0", "length": "0"}, "no bytes"),
            ({**RULE, "offset": "{{0 - 5}}"}, "negative"),
            ({**RULE, "key": "a/.zarray{{i}}{{j}}"}, "no chunk"),
            ({**RULE, "key": "a{{i*j}}/.zarray"}, "a0/.zarray: neither"),
            ({**RULE, "url": "{{v}}"}, "v is not known"),
            ({**RULE, "url": "{{u.__class__}}"}, "attributes"),
            ({key: RULE[key] for key in ("key", "url")}, "dimensions"),
            (5, "no list of JSON objects"),
        ],
        ids=str,
    )
    def test_wrong_rules(self, rule, message):
        with pytest.raises(MetadataError, match=message):
            hierarchy.read(v1([rule], templates={"u": "s3://b/x"}), "doc.json")

    def test_vast_rules_are_not_expanded(self):
        rule = {**RULE, "url": "u", "dimensions": {"i": {"stop": 10**9}, "j": {"stop": 10**9}}}
        with pytest.raises(LimitError, match="held in memory"):
            hierarchy.read(v1([rule], shape=(10**9, 10**9)))
        rule = {**rule, "key": "a{{i}}/{{j}}"}
        with pytest.raises(LimitError, match="several arrays"):
            hierarchy.read(v1([rule]))

    def test_windows(self, monkeypatch):
        data = v1([RULE], templates={"u": "s3://b/x"})
        whole = hierarchy.read(data)[0]
        monkeypatch.setattr(generated, "_WINDOW", 2)
        assert same(whole, hierarchy.read(data)[0])


@pytest.mark.parametrize(
    "change",
    [{"version": "refmaker-compact-2"}, {"metadata": 3}, {"metadata": {"a/0": "x"}}, {"gen": {}},
     {"gen": [{}]}, {"refs": None}, {"metadata": {}}],
    ids=str,
)  # fmt: skip
def test_wrong_documents(regular, change):
    document = json.loads(text_of(regular)) | change
    if change == {"gen": {}}:
        document["gen"] = {"a": 1}
    with pytest.raises(MetadataError):
        hierarchy.read(json.dumps(document).encode(), "cube.json")

"""What opening and reading as a model make of the same document: one parser, so the same."""

from __future__ import annotations

import gzip
import json

import pytest

import refmaker
from refmaker.errors import LimitError, MetadataError, RefmakerError

GROUP = '{"zarr_format":2}'


def zarray(**changed):
    return json.dumps(
        {
            "zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "<i2", "compressor": None,
            "fill_value": None, "order": "C", "filters": None, **changed,
        }
    )  # fmt: skip


BASE = {".zgroup": GROUP, "a/.zarray": zarray(), "a/0": ["x", 0, 4], "a/1": ["x", 4, 4]}
SQUARE = {
    ".zgroup": GROUP,
    "a/.zarray": zarray(shape=[4, 4], chunks=[2, 2], dimension_separator="/"),
}


def v1(*refs, **members):
    said = {key: value for part in refs for key, value in part.items()}
    return json.dumps({"version": 1, **members, "refs": said}).encode()


CONSOLIDATED = json.dumps(
    {
        "metadata": {".zgroup": {"zarr_format": 2}, "a/.zarray": json.loads(zarray())},
        "zarr_consolidated_format": 1,
    }
)
FINE = {
    "plain": v1(BASE),
    "gzip": gzip.compress(v1(BASE)),
    "version 0": json.dumps(BASE).encode(),
    "separator": v1(SQUARE, {"a/0/0": ["x", 0, 8], "a/1/1": ["x", 8, 8]}),
    "zero length": v1(BASE, {"a/1": ["x", 4, 0]}),
    "chunk outside the grid": v1(BASE, {"a/7": ["x", 0, 4]}),
    "whole file": v1(BASE, {"a/1": ["x"]}),
    "NaN in attributes": v1(BASE, {"a/.zattrs": '{"valid": NaN}'}),
    "inlined object": v1(BASE, {"a/.zattrs": {"units": "m"}}),
    "only consolidated": v1({".zmetadata": CONSOLIDATED, "a/0": ["x", 0, 4], "a/1": ["x", 4, 4]}),
}
REFUSED = {
    "no refs": b'{"version":1,"templates":{}}',
    "chunk of another rank": v1(BASE, {"a/7.0": ["x", 0, 4]}),
    "key with ..": v1(BASE, {"a/../b/0": ["x", 0, 4]}),
    "key with empty part": v1(BASE, {"c//0": ["x", 0, 4]}),
    "negative offset": v1(BASE, {"a/1": ["x", -4, 4]}),
    "float offset": v1(BASE, {"a/1": ["x", 4.0, 4]}),
    "range of nothing": v1(BASE, {"a/1": ["x", 0, 0]}),
    "two items": v1(BASE, {"a/1": ["x", 4]}),
    "null value": v1(BASE, {"a/1": None}),
    "templates no object": v1(BASE, templates=[1]),
    "gen no list": v1(BASE, gen={"a": 1}),
    "broken metadata": v1(BASE, {"a/.zattrs": "{"}),
    "bad base64": v1(BASE, {"a/1": "base64:%%%"}),
    "version 2": b'{"version":2,"refs":{}}',
    "twice by separators": v1(SQUARE, {"a/0/0": ["x", 0, 8], "a/0.0": ["y", 8, 8]}),
}
BESIDE = {
    # A store hands out any key; the model of arrays and groups has no place for these.
    "chunk of no array": v1(BASE, {"b/0": ["x", 0, 4]}),
    "another file": v1(BASE, {"README.txt": "hello"}),
    "a file beside chunks": v1(BASE, {"a/notes": "hello"}),
    "leading zero": v1(BASE, {"a/01": ["x", 4, 4]}),
}


@pytest.fixture
def at(tmp_path):
    def write(data):
        (tmp_path / "set.json").write_bytes(data)
        return tmp_path / "set.json"

    return write


@pytest.mark.parametrize("name", FINE)
def test_both_accept(name, at):
    path = at(FINE[name])
    array = refmaker.read(path).group["a"]
    opened = refmaker.open_group(path)["a"]
    assert (opened.shape, opened.chunks) == (array.shape, array.chunk_shape)
    keys = [key for key in refmaker.open_store(path).reader.references.keys() if "a/" in key]  # noqa: SIM118
    assert sum(key.rpartition("/")[2][:1] != "." for key in keys) == array.chunks.referenced


@pytest.mark.parametrize("packed", [False, True])
def test_a_list_of_sets_is_called_so(at, packed):
    """What kerchunk's scan_grib returns, written as it is."""
    text = b"[" + v1(BASE) + b"," + v1(BASE) + b"]"
    path = at(gzip.compress(text) if packed else text)
    for way in (refmaker.open_store, refmaker.read):
        with pytest.raises(MetadataError, match=r"a list of 2 reference sets .*refmaker combine"):
            way(path)


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_alike(name, at):
    path = at(REFUSED[name])
    said = []
    for way in (refmaker.open_store, refmaker.read):
        with pytest.raises(MetadataError) as caught:
            way(path)
        said.append((type(caught.value), str(caught.value)))
    assert said[0] == said[1]
    assert "set.json" in said[0][1]


@pytest.mark.parametrize("name", BESIDE)
def test_a_store_hands_out_what_the_model_has_no_place_for(name, at):
    path = at(BESIDE[name])
    (key,) = json.loads(path.read_bytes())["refs"].keys() - BASE.keys()
    assert refmaker.open_store(path).reader.locate(key) is not None
    with pytest.raises(MetadataError, match=r"set\.json"):
        refmaker.read(path)


def test_chunks_of_no_array_in_version_3_are_handed_out_but_are_no_model(at):
    group = '{"zarr_format": 3, "node_type": "group"}'
    path = at(v1({"zarr.json": group, "a/c/0": ["x", 0, 4]}))
    assert refmaker.open_store(path).reader.version == 3
    with pytest.raises(MetadataError, match=r"set\.json: a/c: chunks of an array that"):
        refmaker.read(path)


@pytest.mark.parametrize("way", [refmaker.open_group, refmaker.read, refmaker.describe])
@pytest.mark.parametrize("as_text", [False, True])
def test_attributes_without_bottom_are_refused_with_the_document_named(way, as_text, at):
    depth = 100_000 if as_text else 1000
    deep = '{"a":' * depth + "1" + "}" * depth
    value = json.dumps(deep) if as_text else deep
    path = at(
        f'{{"version":1,"refs":{{".zgroup":{{"zarr_format":2}},"x/.zattrs":{value}}}}}'.encode()
    )
    with pytest.raises(RefmakerError, match=r"set\.json.*64 deep") as caught:
        way(path)
    assert isinstance(caught.value, LimitError | MetadataError)

"""One set in every form it can be stored in."""

from __future__ import annotations

import json

import numpy as np
import pytest

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.model.zarr_v2 import documents
from refmaker.storage.formats import format_of_name, is_reference_folder, stored_form
from refmaker.storage.reference_set import ReferenceSet


@pytest.fixture
def refs(tmp_path):
    (tmp_path / "data").mkdir()
    url = str(tmp_path / "data/a.bin")
    table = ChunkTable.from_columns((50,), (url,), offset=np.arange(50) * 8, length=np.full(50, 8))
    group = Group({"g": Group({"a": Array((50,), (1,), np.dtype("f8"), table)})}, {"title": "x"})
    report = ScanReport(url, "toy", sources={url: Fingerprint(400, 1e9, "tag")})
    return ReferenceSet(group, report)


def same(one, other):
    assert list(documents(one.group)) == list(documents(other.group))
    assert one.group["g/a"].chunks.same(other.group["g/a"].chunks)
    assert one.report.sources == other.report.sources
    assert one.report.format == other.report.format


NAMES = {"a.json": None, "b.json": "compact", "c.parquet": None, "d": "parquet", "e.parq": None}


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("name", "form"), NAMES.items())
def test_round_trip(refs, tmp_path, name, form, relative):
    out = tmp_path / name
    refs.write(out, format=form, relative=relative)
    same(refs, ReferenceSet.read(out))
    same(refs, ReferenceSet.read(f"file://{out}"))
    texts = [path.read_bytes() for path in ([out] if out.is_file() else out.rglob("*.parq"))]
    assert (str(tmp_path).encode() in b"".join(texts)) != relative or out.is_dir()


def test_relative_sets_move_with_their_files(refs, tmp_path, monkeypatch):
    (tmp_path / "refs").mkdir()
    refs.write(tmp_path / "refs/cube.json", relative=True)
    found = json.loads((tmp_path / "refs/cube.json").read_text())
    assert found["templates"] == {"u": "../data/a.bin"}
    assert list(found["refmaker"]["sources"]) == ["../data/a.bin"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "refs").rename(elsewhere / "refs")
    monkeypatch.chdir(elsewhere)
    again = ReferenceSet.read("refs/cube.json")
    assert again.group["g/a"].chunks.urls == (str(elsewhere / "data/a.bin"),)
    assert list(again.report.sources) == [str(elsewhere / "data/a.bin")]


def test_what_cannot_be_relative(refs):
    with pytest.raises(MetadataError, match="standard output"):
        refs.write("-", relative=True)


def test_names():
    assert format_of_name("x.parquet/") == format_of_name("x.PARQ") == "parquet"
    assert format_of_name("s3://b/x.icechunk") == "icechunk"
    assert format_of_name("x.json") == format_of_name("-") == format_of_name("x") == "json"


def test_stored_forms(refs, tmp_path):
    refs.write(tmp_path / "odd.parquet", format="json")
    refs.write(tmp_path / "folder", format="parquet")
    (tmp_path / "ice/snapshots").mkdir(parents=True)
    assert stored_form(tmp_path / "odd.parquet") == "json"
    assert stored_form(tmp_path / "folder") == "parquet"
    assert stored_form(tmp_path / "ice") == "icechunk"
    assert stored_form("s3://b/x.parquet") == stored_form("s3://b/x/") == "parquet"
    assert stored_form("-") == stored_form("http://h/x.json") == "json"
    assert is_reference_folder(str(tmp_path / "folder"))
    assert not is_reference_folder(str(tmp_path / "ice"))
    (tmp_path / "ice/.zmetadata").write_text("{}")
    assert not is_reference_folder(str(tmp_path / "ice"))
    with pytest.raises(UnsupportedError, match="read back"):
        ReferenceSet.read(tmp_path / "ice")


def test_unknown_formats(refs, tmp_path):
    with pytest.raises(ValueError, match="not one of json, compact"):
        refs.write(tmp_path / "x", format="xml")
    assert not (tmp_path / "x").exists()

"""One set in every form it can be stored in."""

from __future__ import annotations

import gzip
import json

import numcodecs
import numpy as np
import pytest
import zarr

import refmaker
from refmaker.errors import FormatError, MetadataError, UnknownFormatError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Fingerprint, ScanReport
from refmaker.model.zarr_v2 import documents
from refmaker.storage.detect import detect, is_reference_folder, reference_form
from refmaker.storage.formats import format_of_name
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


@pytest.fixture
def places(refs, tmp_path):
    """Return what a path can be, by kind and form."""
    refs.write(tmp_path / "odd.parquet", format="json")
    refs.write(tmp_path / "c.json", format="compact")
    refs.write(tmp_path / "folder", format="parquet")
    text = (tmp_path / "odd.parquet").read_bytes()
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.json.zst").write_bytes(bytes(numcodecs.Zstd().encode(text)))
    document = json.loads(text)
    (tmp_path / "last.json").write_text(json.dumps(dict(reversed(document.items())), indent=2))
    (url,) = document["templates"].values()
    plain = json.dumps(document["refs"]).replace("{{u}}", url)
    (tmp_path / "v0.json").write_text(plain)
    (tmp_path / "ice/snapshots").mkdir(parents=True)
    zarr.create_array(tmp_path / "store.zarr", shape=(3,), dtype="i1", zarr_format=2)
    zarr.create_array(tmp_path / "three", shape=(3,), dtype="i1", zarr_format=3)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a.nc").write_bytes(b"CDF")
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "a.h5.gz").write_bytes(gzip.compress(b"\x89HDF" * 100))
    (tmp_path / "empty").write_bytes(b"")
    return {
        "odd.parquet": ("references", "json", ""),
        "c.json": ("references", "compact", ""),
        "folder": ("references", "parquet", ""),
        "a.json.gz": ("references", "json", "gzip"),
        "a.json.zst": ("references", "json", "zstd"),
        "last.json": ("references", "json", ""),
        "v0.json": ("references", "json", ""),
        "ice": ("icechunk", "icechunk", ""),
        "store.zarr": ("zarr", "", ""),
        "three": ("zarr", "", ""),
        "plain": ("folder", "", ""),
        "a.h5": ("file", "", ""),
        "a.h5.gz": ("file", "", "gzip"),
        "empty": ("file", "", ""),
    }


def test_what_a_path_is(places, tmp_path):
    for name, (kind, form, compression) in places.items():
        found = detect(tmp_path / name, format_of=lambda head, _: "hdf5" if b"HDF" in head else "")
        assert (found.kind, found.form, found.compression) == (kind, form, compression), name
        assert found.sure
        assert found.format == ("hdf5" if name == "a.h5" else "")
        assert found.told()
    (tmp_path / "other.json").write_text('{"type": "FeatureCollection", "features": []}')
    assert not detect(tmp_path / "other.json").sure
    with pytest.raises(FileNotFoundError):
        detect(tmp_path / "nowhere")


def test_of_urls_the_name_decides():
    for url, kind in [
        ("s3://b/x.parquet", "references"),
        ("s3://b/x/", "references"),
        ("s3://b/x.icechunk", "icechunk"),
        ("-", "references"),
    ]:
        assert detect(url).kind == kind
    assert reference_form("s3://b/x.parquet") == reference_form("s3://b/x/") == "parquet"
    assert reference_form("-") == reference_form("http://h/x.json") == "json"


def test_the_wrong_kind_of_path_names_the_next_step(places, tmp_path):
    # Data files are opened by scanning them; what cannot be scanned says so itself.
    scanned = {
        "plain": (UnknownFormatError, "`scan={'format': 'hdf5'}`"),
        "a.h5": (FormatError, "truncated or damaged"),
        "a.h5.gz": (UnknownFormatError, "unpack it"),
        "empty": (UnknownFormatError, "known formats"),
    }
    steps = {
        "store.zarr": "xarray.open_zarr",
        "three": "xarray.open_zarr",
        "plain": "refmaker scan",
        "a.h5": "refmaker scan",
        "a.h5.gz": "unpack it",
        "empty": "refmaker scan",
    }
    for name, (kind, _, _) in places.items():
        path = tmp_path / name
        if kind == "references":
            assert refmaker.open_store(path).reader.version == 2
            continue
        if kind == "icechunk":
            # An empty repository: tests of reading it stand with the others of Icechunk.
            continue
        told = (MetadataError, steps[name])
        for call, (error, step) in [
            (ReferenceSet.read, told),
            (refmaker.open_store, scanned.get(name, told)),
            (refmaker.open_dataset, scanned.get(name, told)),
        ]:
            with pytest.raises(error) as caught:
                call(path)
            assert type(caught.value) is error
            assert step in caught.value.hint, name
            inside = name == "plain" and error is UnknownFormatError
            assert caught.value.url == str(path / "a.nc" if inside else path)


def test_folders_of_parquet(refs, tmp_path):
    refs.write(tmp_path / "folder", format="parquet")
    (tmp_path / "ice/snapshots").mkdir(parents=True)
    assert is_reference_folder(str(tmp_path / "folder"))
    assert not is_reference_folder(str(tmp_path / "ice"))
    (tmp_path / "ice/.zmetadata").write_text("{}")
    assert not is_reference_folder(str(tmp_path / "ice"))


def test_unknown_formats(refs, tmp_path):
    with pytest.raises(ValueError, match="not one of json, compact"):
        refs.write(tmp_path / "x", format="xml")
    assert not (tmp_path / "x").exists()

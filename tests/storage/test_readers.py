"""Sets written for a reader: refused by array with what helps, or as it reads them."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

import refmaker
from refmaker.errors import UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.storage.formats import TARGETS, StoredForm, stored_form
from refmaker.storage.readers import READERS, in_words, made_for, obstacles, summary
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock


def one(dtype="f4", shape=(4,), *, url="s3://bucket/a", length=16, **fields):
    """Return a set of one array in one chunk."""
    table = ChunkTable.from_columns((1,) * len(shape), (url,), offset=[0], length=[length])
    names = tuple(f"d{i}" for i in range(len(shape)))
    return Group(
        {"v": Array(shape, shape, np.dtype(dtype), table, dimension_names=names, **fields)}
    )


PLAIN = StoredForm(templates=False)


@pytest.mark.parametrize(
    ("reader", "group", "what"),
    [
        ("gdal", one(filters=({"id": "fletcher32"}, {"id": "zlib"})), "the codec fletcher32"),
        ("gdal", one(filters=({"id": "zlib"}, {"id": "zlib"})), "the codec zlib as a filter"),
        ("gdal", one("S5"), "texts"),
        ("gdal", one(url="az://bucket/a"), "files behind az"),
        ("gdal", one(url="zip://a::s3://b/c.zip"), "files behind ::"),
        ("gdal", one(length=2**32), "chunks of 4 GiB"),
        ("virtualizarr", one(shape=(2, 2), order="F"), "Fortran order"),
        ("virtualizarr", one(url="s3://bucket/a#1"), "'#' in names of files"),
        ("virtualizarr", one("S5", attributes={"_FillValue": "x"}), "its _FillValue"),
        ("virtualizarr", one(compressor={"id": "refmaker.grib"}), "the codec refmaker.grib"),
        ("tensorstore", one(filters=({"id": "shuffle"},)), "the codec shuffle"),
        ("tensorstore", one(compressor={"id": "lz4"}), "the codec lz4"),
    ],
)
def test_what_is_not_read_is_refused_by_name(reader, group, what):
    with pytest.raises(UnsupportedError, match="does not read") as caught:
        made_for(group, PLAIN, reader, pytest.fail)
    assert what in str(caught.value)
    assert caught.value.code == "reader"
    assert caught.value.hint


@pytest.mark.parametrize("reader", TARGETS)
def test_what_is_read_is_written_without_templates(tmp_path, reader):
    refs = ReferenceSet(one(attributes={"_FillValue": -1.0}, compressor={"id": "zlib", "level": 1}))
    refs.write(tmp_path / "a.json", for_reader=reader)
    found = json.loads((tmp_path / "a.json").read_text())
    assert list(found)[:2] == ["version", "refs"]
    assert found["refs"]["v/0"] == ["s3://bucket/a", 0, 16]


def test_many_arrays_are_named():
    group = Group({f"v{i}": one("S5").members["v"] for i in range(30)})
    with pytest.raises(UnsupportedError, match=r"30 arrays: v0 \(texts\), .* 10 more"):
        made_for(group, PLAIN, "gdal", pytest.fail)


def test_templates_that_are_asked_for_are_refused(tmp_path):
    refs = ReferenceSet(one())
    with pytest.raises(UnsupportedError, match="templates") as caught:
        refs.write(tmp_path / "a.json", templates="always", for_reader="gdal")
    assert "templates='never'" in caught.value.hint
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("form", ["compact", "icechunk"])
def test_forms_that_are_not_read_are_refused(tmp_path, form):
    with pytest.raises(UnsupportedError, match=form):
        ReferenceSet(one()).write(tmp_path / "a", format=form, for_reader="gdal")


@pytest.mark.parametrize(
    ("form", "templates", "reader"),
    [
        ("json", "sometimes", None), ("compact", "never", None), ("parquet", "always", None),
        ("icechunk", "always", None),
    ],
)  # fmt: skip
def test_words_that_mean_nothing(form, templates, reader):
    with pytest.raises(ValueError, match="templates"):
        stored_form(form, templates, reader)


def test_an_unknown_reader(tmp_path):
    with pytest.raises(ValueError, match="'qgis'"):
        ReferenceSet(one()).write(tmp_path / "a.json", for_reader="qgis")


def test_checksums_at_the_end_are_cut_off(tmp_path):
    values = np.arange(6000.0).reshape(60, 100)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "v", data=values, chunks=(10, 100), compression="gzip", shuffle=True, fletcher32=True
        )
    refs = refmaker.scan(tmp_path / "a.h5")
    refs.write(tmp_path / "a.json", for_reader="gdal")
    assert any("checksums" in warning for warning in refs.report.warnings)
    back = refmaker.read(tmp_path / "a.json")
    assert [codec["id"] for codec in back.group["v"].codecs] == ["shuffle", "zlib"]
    assert back.readers()["gdal"]["reads"] == "all"
    np.testing.assert_array_equal(open_stock(back)["v"][...], values)
    # Without being asked, nothing is cut.
    refs.write(tmp_path / "b.json")
    assert refmaker.read(tmp_path / "b.json").group["v"].codecs[-1]["id"] == "fletcher32"


def test_checksums_inside_compressed_bytes_are_not():
    group = one(filters=({"id": "fletcher32"}, {"id": "zlib", "level": 1}))
    assert [found.what for found in obstacles(group, PLAIN, "gdal")] == ["the codec fletcher32"]


def test_who_reads_is_told_in_a_line():
    told = in_words([summary(one(), StoredForm()), summary(one("S5"), PLAIN)])
    assert told == (
        "read by: fsspec with zarr and xarray, zarrita; in part by: TensorStore through serve"
        " (texts); not by: GDAL (templates, texts), VirtualiZarr (templates)"
    )


def test_a_scalar_is_no_obstacle_to_gdal_and_is_told_of():
    table = ChunkTable.inline((), {0: bytes(4)})
    group = Group({"crs": Array((), (), np.dtype("i4"), table)})
    assert made_for(group, PLAIN, "gdal", pytest.fail).members.keys() == {"crs"}
    assert [found.what for found in obstacles(group, PLAIN, "gdal")] == ["scalars"]
    assert summary(group, PLAIN)["gdal"] == {"title": "GDAL", "reads": "all", "not": []}


@pytest.mark.parametrize("version", [2, 3])
def test_a_set_knows_how_it_is_stored(tmp_path, version):
    refs = ReferenceSet(one())
    for templates, named in (("auto", True), ("always", True), ("never", False)):
        refs.write(tmp_path / "a.json", templates=templates, zarr_format=version)
        assert refmaker.read(tmp_path / "a.json").stored == StoredForm(
            templates=named, zarr_format=version
        )
    told = refmaker.read(tmp_path / "a.json").readers()
    assert (told["gdal"]["reads"] == "none") == (version == 3)
    assert set(told) == set(READERS)


class TestWhatIsSaidInFull:
    def test_whole_files_have_sizes(self, tmp_path):
        (tmp_path / "a.bin").write_bytes(bytes(16))
        url = str(tmp_path / "a.bin")
        refs = refmaker.read(_whole(tmp_path, url))
        refs.report.sources[url] = refmaker.model.report.Fingerprint(16)
        for name in ("a.json", "a.parquet"):
            refs.write(tmp_path / name)
            assert refmaker.read(tmp_path / name).group["v"].chunks.length.tolist() == [16]

    def test_whole_files_of_unknown_size_stay(self, tmp_path):
        refs = refmaker.read(_whole(tmp_path, "s3://bucket/a"))
        refs.write(tmp_path / "a.json", templates="never")
        assert json.loads((tmp_path / "a.json").read_text())["refs"]["v/0"] == ["s3://bucket/a"]

    @pytest.mark.parametrize(("fill", "value"), [(None, 0), (-7, -7)])
    def test_absent_scalars_are_inlined(self, tmp_path, fill, value):
        array = Array((), (), np.dtype("<i4"), ChunkTable.empty(()), fill_value=fill)
        ReferenceSet(Group({"v": array})).write(tmp_path / "a.json")
        back = refmaker.read(tmp_path / "a.json")
        assert back.group["v"].chunks.inlined == {0: np.array(value, "<i4").tobytes()}


def _whole(folder, url):
    zarray = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<f4", "compressor": None,
              "filters": None, "order": "C", "fill_value": None}  # fmt: skip
    refs = {".zgroup": '{"zarr_format":2}', "v/.zarray": json.dumps(zarray), "v/0": [url]}
    path = folder / "given.json"
    path.write_text(json.dumps({"version": 1, "refs": refs}))
    return path


def test_relative_sets_are_read_by_gdal_too(tmp_path):
    """Of all scalars behind ``refs`` GDAL takes texts alone."""
    (tmp_path / "a.bin").write_bytes(bytes(16))
    group = one(url=str(tmp_path / "a.bin"))
    ReferenceSet(group).write(tmp_path / "a.json", relative=True, templates="never")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["refs"]["v/0"] == ["a.bin", 0, 16]
    assert all(isinstance(value, str | dict) for value in document["refmaker"].values())
    assert refmaker.read(tmp_path / "a.json").urls() == [str(tmp_path / "a.bin")]
    # As earlier versions wrote it.
    document["refmaker"]["relative"] = True
    (tmp_path / "b.json").write_text(json.dumps(document))
    assert refmaker.read(tmp_path / "b.json").urls() == [str(tmp_path / "a.bin")]

"""Data sets: every type, coding and layout, with known values, and what is said of them."""

import numpy as np
import pytest
import xarray as xr
from pyhdf.SD import SD, SDC

import refmaker
from refmaker.errors import FormatError
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.hdf4 import HDF4Scanner
from refmaker.testing.reading import decode_array
from tests.scanners.hdf4 import files


@pytest.mark.parametrize("threshold", [0, 1024])
def test_every_type_in_every_coding(tmp_path, threshold):
    path = files.codings(tmp_path / "codings.hdf")
    group, report = files.scan(path, inline_threshold=threshold)
    for kind in files.NUMBERS:
        true = files.values(kind, (13, 17))
        for coding in ("plain", "rle", "skp", "zip"):
            array = group[f"{kind}_{coding}"]
            assert array.dtype == np.dtype(kind).newbyteorder(">")
            assert np.array_equal(decode_array(array), true), (kind, coding)
            assert array.dimension_names == ("y", "x")
            assert array.attributes["units"] == "K"
            assert array.attributes["_FillValue"] == 99
            assert array.fill_value == 99
    assert decode_array(group["text"]).tobytes() == b"HellothereWorld"
    assert group.attributes["title"] == "made for tests"
    assert group.attributes["numbers"] == [1.5, 2.5]
    assert report.lossless
    assert report.warnings == []
    assert files.unequal(path, inline_threshold=threshold) == ([], 33)


def test_chunks_of_every_coding(tmp_path):
    path = files.chunked(tmp_path / "chunked.hdf")
    group, _ = files.scan(path)
    for kind in ("u1", "i2", "f8"):
        true = np.full((13, 17), 77, kind)
        true[:10, :12] = files.values(kind, (13, 17))[:10, :12]
        for coding in ("plain", "rle", "skp", "zip"):
            array = group[f"{kind}_{coding}"]
            assert array.chunk_shape == (5, 6)
            assert array.chunks.referenced == 4
            assert array.chunks.absent == 5
            assert np.array_equal(decode_array(array), true), (kind, coding)
    # What the header of the chunks says counts, not what was declared after it was written.
    late = group["late"]
    assert (late.fill_value, late.attributes["_FillValue"]) == (-32767, 77)
    unfilled = decode_array(group["unfilled"])
    assert (unfilled[:4, :4] == 1).all()
    assert unfilled[7, 7] == SD(str(path)).select("unfilled").get()[7, 7]
    assert files.unequal(path) == ([], 14)


def test_n_bit(tmp_path):
    count = files.nbit(tmp_path / "nbit.hdf")
    assert count == 88
    assert files.unequal(tmp_path / "nbit.hdf") == ([], count)
    assert files.unequal(tmp_path / "nbit.hdf", inline_threshold=0) == ([], count)


def test_little_endian_numbers(tmp_path):
    path = files.little(tmp_path / "little.hdf")
    group, _ = files.scan(path)
    for name, array in group.arrays():
        ramp = (10 * np.arange(9)[:, None] + np.arange(7)).astype(array.dtype)
        assert array.dtype.newbyteorder("<") == array.dtype
        assert np.array_equal(decode_array(array), ramp), name
    assert files.unequal(path) == ([], 16)


def test_unlimited_data_have_as_many_records_as_are_written(tmp_path):
    group, report = files.scan(files.special(tmp_path / "special.hdf"))
    grown = group["grow"]
    assert grown.shape == (7, 5)
    assert decode_array(grown).reshape(-1).tolist() == list(range(35))
    assert group["empty"].shape == (0,)
    (row,) = [row for row in report.rows if row.path == "/empty"]
    assert row.outcome is Outcome.REFERENCED


def test_data_never_written_are_the_fill_value(tmp_path):
    path = files.special(tmp_path / "special.hdf")
    group, _ = files.scan(path)
    native = SD(str(path))
    for kind in files.NUMBERS:
        array = group[f"never_{kind}"]
        assert array.chunks.present == 0
        assert array.fill_value == native.select(f"never_{kind}").get()[0, 0]
        assert "_FillValue" not in array.attributes
    assert group["never_filled"].fill_value == -7
    assert decode_array(group["filled"]).tolist() == [-7, 1, 2, -7, -7, -7]


def test_a_data_set_without_dimensions(tmp_path):
    path = tmp_path / "file.hdf"
    with files.Raw(path) as made:
        one = files.LIBRARY.SDcreate(made.id, b"scalar", files.CODES["i4"], 0, files.integers(0))
        value = files.pointer(np.array([5], "i4"))
        start, count = files.integers(0), files.integers(1)
        assert files.LIBRARY.SDwritedata(one, start, None, count, value) == 0
        made.end(one)
    group, _ = files.scan(path)
    assert group["scalar"].shape == ()
    assert decode_array(group["scalar"]) == 5
    with (
        Source(path) as source,
        HDF4Scanner().native(source) as native,
        pytest.raises(FormatError, match="without dimensions"),
    ):
        native.read("scalar", group["scalar"], ())


def test_scales_are_coordinates(tmp_path):
    target = tmp_path / "refs.json"
    refmaker.scan(files.special(tmp_path / "special.hdf")).write(target)
    with xr.open_dataset(target, engine="refmaker") as opened:
        assert opened.scaled.coords["lat"].values.tolist() == [10, 20, 30, 40]
        assert opened.lat.units == "degrees_north"
        assert "lon" not in opened, "its values were never written"


def test_calibration_is_told_in_the_terms_of_cf(tmp_path):
    path = files.special(tmp_path / "special.hdf")
    group, report = files.scan(path)
    found = group["packed"].attributes
    assert (found["scale_factor"], found["add_offset"], found["hdf4_add_offset"]) == (0.5, -5, 10)
    assert decode_array(group["packed"]).tolist() == [1, 2, 3]
    assert any("/packed: add_offset is -5.0 here" in text for text in report.warnings)
    target = tmp_path / "refs.json"
    refmaker.scan(path).write(target)
    with xr.open_dataset(target, engine="refmaker") as opened:
        # 0.5 x (stored - 10), as SDsetcal means it.
        assert opened.packed.values.tolist() == [-4.5, -4, -3.5]


@pytest.mark.parametrize(("product", "warned"), [("MOD06_L2", True), ("MYD08_D3", True),
                                                 ("MOD13Q1", False), ("", False)])  # fmt: skip
def test_offsets_without_the_librarys_marks_are_left_alone(tmp_path, product, warned):
    metadata = f'GROUP = X\n OBJECT = SHORTNAME\n VALUE = "{product}"\n END_OBJECT = SHORTNAME\n'
    path = tmp_path / "file.hdf"
    with files.file(path) as made:
        setattr(made, "CoreMetadata.0", metadata)
        files.add(made, "v", np.arange(3, dtype="i2"), scale_factor=0.01, add_offset=-15000.0)
    group, report = files.scan(path)
    assert group["v"].attributes["add_offset"] == -15000
    assert "hdf4_add_offset" not in group["v"].attributes
    assert bool([text for text in report.warnings if "/v: products like" in text]) is warned


def test_records_of_unequal_number_have_dimensions_of_their_own(tmp_path):
    path = tmp_path / "file.hdf"
    with files.file(path) as made:
        for name, rows in (("a", 3), ("b", 3), ("c", 5)):
            one = made.create(name, SDC.FLOAT32, (SDC.UNLIMITED, 2))
            one.dim(0).setname("time")
            one[0:rows] = np.zeros((rows, 2), "f4")
            one.endaccess()
    group, report = files.scan(path)
    names = {name: array.dimension_names[0] for name, array in group.arrays()}
    assert names == {"a": "time", "b": "time", "c": "time_5"}
    assert any("/c has another extent" in text for text in report.warnings)
    assert files.unequal(path) == ([], 3)


def test_names_that_occur_twice(tmp_path):
    path = tmp_path / "file.hdf"
    with files.file(path) as made:
        first = files.add(made, "v", np.arange(3, dtype="i2"))
        second = files.add(made, "v", np.arange(4, dtype="i2"))
        files.add(made, "a/b", np.arange(5, dtype="i2"))
    group, report = files.scan(path)
    assert set(group.members) == {"v", f"v_{second}", "a_b"}
    assert first != second
    assert group["v"].shape == (3,)
    assert len([text for text in report.warnings if "is named" in text]) == 2
    assert files.unequal(path) == ([], 3)


def test_names_that_occur_twice_are_told_apart_by_vgroups(tmp_path):
    from pyhdf import HDF
    from pyhdf.HDF import HC

    path = tmp_path / "file.hdf"
    with files.file(path) as made:
        refs = [files.add(made, "v", np.arange(n, dtype="i2")) for n in (3, 4)]
    opened = HDF.HDF(str(path), HC.WRITE)
    vgroups = opened.vgstart()
    for name, ref in zip(("Left", "Right"), refs, strict=True):
        one = vgroups.create(name)
        one.add(720, ref)
        one.detach()
    vgroups.end()
    opened.close()
    group, report = files.scan(path)
    assert group["Left/v"].shape == (3,)
    assert group["Right/v"].shape == (4,)
    assert report.warnings == []
    assert files.unequal(path) == ([], 2)


def test_external_data_are_referenced_in_their_file(tmp_path):
    path = files.external(tmp_path / "external.hdf")
    group, report = files.scan(path)
    beside = str(tmp_path / "outside.bin")
    assert group["outside"].chunks.get(0) == (beside, 8, 2400)
    assert beside in report.sources
    assert decode_array(group["outside"]).reshape(-1).tolist() == list(range(1200))
    (tmp_path / "outside.bin").unlink()
    group, report = files.scan(path)
    assert not list(group.arrays())
    (row,) = report.skipped
    assert row.code == "hdf4-external"
    assert "outside.bin" in row.reason


def test_what_the_single_file_interface_says_of_a_data_set(tmp_path):
    path = str(tmp_path / "dfsd.hdf")
    stored = np.arange(12, dtype="i2").reshape(3, 4)
    assert files.single_file_interface(path, stored) == 0
    group, report = files.scan(path)
    found = dict(group.arrays())["Data-Set-2"]
    native = SD(path).select(2)
    assert native.info()[0] == "Data-Set-2"
    true = native.attributes()
    assert (true["valid_max"], true["valid_min"]) == (77, -5)
    said = {name: value for name, value in found.attributes.items() if not name.startswith("_")}
    assert said == {**true, "coordsys": "polar"}
    assert not report.warnings
    assert decode_array(found).tolist() == stored.tolist()
    for axis, values in enumerate(([3, 2, 1], [40, 30, 20, 10])):
        scale = dict(group.arrays())[found.dimension_names[axis]]
        assert decode_array(scale).tolist() == values


def test_fields_of_vdatas(tmp_path):
    path = files.tables(tmp_path / "tables.hdf", rows=3000)
    for threshold in (0, 10**6):
        group, report = files.scan(path, inline_threshold=threshold)
        rows = np.arange(3000)
        assert decode_array(group["single"]).tolist() == rows.tolist()
        assert decode_array(group["several/count"]).tolist() == rows.tolist()
        place = np.stack([rows, rows + 0.5, -rows], 1)
        assert np.array_equal(decode_array(group["several/place"]), place)
        assert decode_array(group["several/label"])[7] == b"n007"
        assert decode_array(group["several/flag"]).tolist() == (rows % 7).tolist()
        assert np.array_equal(decode_array(group["by_field/b"]), np.stack([rows, -rows], 1))
        assert group["empty/a"].shape == (0,)
        assert group["several/place"].attributes["units"] == "m"
        assert group["several"].attributes["note"] == "of the whole"
        assert report.lossless
    assert files.unequal(path) == ([], 9)


def test_attributes_of_vgroups_are_those_of_the_root(tmp_path):
    from pyhdf import HDF
    from pyhdf.HDF import HC

    path = files.codings(tmp_path / "codings.hdf")
    opened = HDF.HDF(str(path), HC.WRITE)
    vgroups = opened.vgstart()
    one = vgroups.create("Swath")
    one.attr("SwathHeader").set(HC.CHAR8, "NumberScans=97;")
    one.detach()
    vgroups.end()
    opened.close()
    group, _ = files.scan(path)
    assert group.attributes["Swath.SwathHeader"] == "NumberScans=97;"
    assert group.attributes["title"] == "made for tests"


def test_images(tmp_path):
    path = files.images(tmp_path / "images.hdf", jpeg=True)
    group, report = files.scan(path)
    assert group["colour"].shape == (20, 30, 3)
    assert group["grey"].attributes["gain"] == 2.5
    assert decode_array(group["grey_palette"])[255].tolist() == [253, 254, 255]
    assert group["photo"].compressor == {"id": "imagecodecs_jpeg"}
    for name in ("photo", "colour photo"):
        true = files.values("u1", (20, 30)).astype(int)
        if name == "colour photo":
            true = np.stack([true, true[::-1], 2 * true[:, ::-1]], 2)
        assert abs(decode_array(group[name]).astype(int) - true).max() < 30
    assert report.lossless
    assert files.unequal(files.images(tmp_path / "plain.hdf")) == ([], 7)


def test_verify(tmp_path):
    path = files.codings(tmp_path / "codings.hdf")
    refs = refmaker.scan(path)
    checks = refmaker.verify(refs, sample=None, isolate="never")
    assert len(checks) == 33
    assert all(check.ok for check in checks)

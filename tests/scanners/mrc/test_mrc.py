"""Values, places and attributes of MRC files against mrcfile."""

import struct

import mrcfile
import numpy as np
import pytest

from refmaker.errors import FormatError, TruncatedError
from refmaker.io.source import Source
from refmaker.scanners.mrc import MRCScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.mrc import files
from tests.scanners.verified import verified

VOLUME = np.arange(5 * 6 * 7).reshape(5, 6, 7)


def scan(path, **fields):
    with Source(path) as source:
        return MRCScanner().scan(source, ScanOptions(inline_threshold=0, **fields))


def patched(path, at, layout, *values):
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, at, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["i1", "i2", "f4", "c8", "u2", "f2"])
def test_values_of_every_mode(dtype, order, tmp_path):
    for shape, volume in (
        ((6, 7), None), ((5, 6, 7), True), ((5, 6, 7), False), ((2, 5, 6, 7), None),
    ):  # fmt: skip
        values = np.random.default_rng(1).integers(-100, 100, shape).astype(dtype)
        path = files.write(tmp_path / "x.mrc", values, order=order, volume=volume)
        assert (path.read_bytes()[212] == 0x11) == (order == ">" and dtype != "i1")
        group, _ = scan(path)
        found = open_stock(group)["data"][...]
        with mrcfile.open(path) as file:
            assert found.shape == file.data.shape
            assert np.array_equal(found, file.data)
        assert group["data"].dtype == np.dtype(dtype).newbyteorder(order)
        assert group["data"].dimension_names == ("volume", "z", "y", "x")[4 - len(shape) :]


def test_what_the_header_says(tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("f4"), volume=True, ispg=19)
    with mrcfile.open(path, "r+") as file:
        file.add_label("a label")
        file.nstart = (1, 2, 3)
    attributes = scan(path)[0]["data"].attributes
    assert attributes["voxel_size"] == pytest.approx([1.5, 2.5, 3.5])
    assert attributes["voxel_size_units"] == "angstrom"
    assert attributes["cell_angles"] == [90, 90, 90]
    assert attributes["nstart"] == [1, 2, 3]
    assert attributes["space_group"] == 19
    assert attributes["dmax"] == VOLUME.max()
    assert attributes["labels"][-1].startswith("a label")


def test_axes_name_the_dimensions(tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("f4"), volume=True, mapc=3, mapr=1, maps=2)
    group, report = scan(path)
    assert group["data"].dimension_names == ("y", "x", "z")
    assert group["data"].shape == (5, 6, 7)
    assert not report.warnings
    _, report = scan(patched(path, 64, "<3i", 0, 0, 0))
    assert any("MAPC" in text for text in report.warnings)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("flags", "dtype"), [(1, "i1"), (0, "u1"), (4, "u1"), (5, "i1")])
def test_bytes_of_imod(flags, dtype, order, tmp_path):
    values = np.arange(-100, 100).astype("i1").reshape(20, 10)
    # mrcfile writes bytes under a little-endian header alone.
    path = files.write(tmp_path / "x.mrc", values.view(f"{order}i2"), order=order)
    patched(path, 0, f"{order}4i", 10, 20, 1, 0)
    patched(path, 152, f"{order}2i", 1146047817, flags)
    group, _ = scan(path)
    assert group["data"].dtype == np.dtype(dtype)
    found = open_stock(group)["data"][...]
    assert np.array_equal(found, values.view(dtype))
    with Source(path) as source, MRCScanner().native(source) as native:
        assert np.array_equal(native.read("data", group["data"], (slice(None),) * 2), found)


@pytest.mark.parametrize("mode", [3, 16, 101, 5, 7, -1])
def test_remaining_modes_are_refused_by_name(mode, tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True)
    group, report = scan(patched(path, 12, "<i", mode))
    assert not group.members
    assert [(row.path, row.code) for row in report.skipped] == [("/data", "mrc-mode")]
    assert str(mode) in report.skipped[0].reason


def test_two_values_a_byte_are_refused(tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("i1"), volume=True)
    _, report = scan(patched(path, 152, "<2i", 1146047817, 16))
    assert [(row.path, row.code) for row in report.skipped] == [("/data", "mrc-mode")]


def test_an_extended_header_has_a_row(tmp_path):
    extended = np.zeros(160, "V1")
    path = files.write(
        tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True, extended=extended, exttyp=b"CCP4"
    )
    group, report = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert [(row.path, row.code) for row in report.skipped] == [
        ("/@extended-header", "mrc-extended-header")
    ]
    assert "160 bytes of type CCP4" in report.skipped[0].reason


def test_a_stamp_that_is_none(tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True)
    with pytest.raises(FormatError, match="machine stamp") as caught:
        scan(patched(path, 212, "<2B", 0, 0))
    assert caught.value.offset == 212


@pytest.mark.parametrize(("at", "value"), [(0, -1), (8, -5), (92, -4), (8, 2**31 - 1)])
def test_extents_that_cannot_be(at, value, tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True)
    group, report = scan(patched(path, at, "<i", value))
    assert not group.members
    assert [row.path for row in report.skipped] == ["/data"]


def test_a_stack_that_does_not_come_out_even(tmp_path):
    path = files.write(tmp_path / "x.mrc", np.zeros((2, 3, 4, 5), "i2"))
    for deep in (4, 0, -3):
        group, report = scan(patched(path, 36, "<i", deep))
        assert not group.members
        assert "sections in volumes" in report.skipped[0].reason


def test_truncated(tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    _, report = scan(path)
    assert [(row.path, row.code) for row in report.skipped] == [("/data", "truncated")]
    path.write_bytes(whole[:1000])
    with pytest.raises(TruncatedError, match="1000"):
        scan(path)


def test_bytes_behind_the_data_are_told(tmp_path):
    path = files.write(tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True)
    path.write_bytes(path.read_bytes() + b"more")
    group, report = scan(path)
    assert np.array_equal(open_stock(group)["data"][...], VOLUME)
    assert any("4 bytes follow" in text for text in report.warnings)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [b"FEI1", b"FEI2"])
def test_what_fei_says_of_every_section(kind, order, packed, tmp_path):
    told = np.zeros(len(VOLUME), mrcfile.dtypes.get_ext_header_dtype(kind, order))
    told["Metadata size"] = told.dtype.itemsize
    told["Bitmask 1"] = 1 << 7 | 1 << 14 | 1 << 15
    told["Bitmask 1"][1:] |= 1 << 8
    if order == ">":  # mrcfile takes masks to be in this machine's order
        told["Bitmask 1"] = told["Bitmask 1"].byteswap()
    told["Alpha tilt"] = np.linspace(-60, 60, len(VOLUME))
    told["Beta tilt"] = 5
    told["Pixel size X"], told["Pixel size Y"] = 1.5e-10, 2e-10
    path = files.write(
        tmp_path / "x.mrc", VOLUME.astype("i2"), order=order, volume=True,
        extended=told, exttyp=kind, compression="gzip" if packed else None,
    )  # fmt: skip
    group, report = scan(path)
    assert set(group.members) == {"data", "alpha_tilt", "pixel_size_x", "pixel_size_y"}
    assert group["data"].attributes["coordinates"] == "alpha_tilt pixel_size_x pixel_size_y"
    assert group["alpha_tilt"].dimension_names == ("z",)
    assert np.array_equal(open_stock(group)["alpha_tilt"][...], told["Alpha tilt"])
    assert "kept as far as alpha_tilt" in report.skipped[0].reason
    verified(path)


@pytest.mark.parametrize(("field", "value"), [("Metadata size", 5), ("Bitmask 1", 0)])
def test_fei_headers_that_say_nothing(field, value, tmp_path):
    told = np.zeros(len(VOLUME), mrcfile.dtypes.get_ext_header_dtype(b"FEI1", "<"))
    told["Metadata size"], told["Bitmask 1"] = 768, 1 << 7
    told[field] = value
    path = files.write(
        tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True, extended=told, exttyp=b"FEI1"
    )
    group, report = scan(path)
    assert set(group.members) == {"data"}
    assert "not kept" in report.skipped[0].reason


def test_fei_headers_of_fewer_sections(tmp_path):
    told = np.zeros(1, mrcfile.dtypes.get_ext_header_dtype(b"FEI1", "<"))
    told["Metadata size"], told["Bitmask 1"] = 768, 1 << 7
    path = files.write(
        tmp_path / "x.mrc", VOLUME.astype("i2"), volume=True, extended=told, exttyp=b"FEI1"
    )
    assert set(scan(path)[0].members) == {"data"}

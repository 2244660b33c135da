"""Images and cubes against astropy: every stored type, scaling, missing values, refusals."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

import refmaker
from refmaker.model.report import Outcome
from refmaker.testing.reading import decode_array, open_stock
from tests.scanners.fits import files


def raw_image(path, array, **keywords):
    """Write stored values with keywords that astropy would rather apply itself."""
    bitpix = array.dtype.itemsize * (-8 if array.dtype.kind == "f" else 8)
    lines = [f"BITPIX  = {bitpix}", f"NAXIS   = {array.ndim}"]
    lines += [f"NAXIS{i}  = {n}" for i, n in enumerate(array.shape[::-1], start=1)]
    lines += [f"{name:8}= {value}" for name, value in keywords.items()]
    stored = array.astype(array.dtype.newbyteorder(">"))
    path.write_bytes(files.simple(*lines, data=stored.tobytes()))
    return path


@pytest.mark.parametrize("kind", files.TYPES)
@pytest.mark.parametrize("shape", [(4001,), (60, 41), (5, 30, 17), (2, 3, 4, 25, 7)])
@pytest.mark.parametrize("target", [None, 512])
def test_every_type_and_rank(tmp_path, kind, shape, target):
    true = files.values(kind, shape)
    path = files.write(tmp_path / "a.fits", fits.PrimaryHDU(true))
    group, report = files.scan(path, chunk_bytes=target)
    array = group["data"]
    assert array.dtype.str[1:] == kind
    assert array.dimension_names == tuple(f"NAXIS{i}" for i in range(len(shape), 0, -1))
    assert array.fill_value is None
    assert not array.attributes
    np.testing.assert_array_equal(decode_array(array), true)
    np.testing.assert_array_equal(open_stock(group)["data"][...], true)
    assert report.rows[-1].outcome is Outcome.REFERENCED


def test_unsigned_64_bits_are_exact(tmp_path):
    true = np.array([0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1], np.uint64)
    path = files.write(tmp_path / "a.fits", fits.PrimaryHDU(true))
    np.testing.assert_array_equal(decode_array(files.scan(path)[0]["data"]), true)


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize(
    ("scale", "zero"), [(0.5, 10.0), (1.0, 32768.5), (-2.0, 0.0), (2.0, 32768)]
)
def test_scaled_values_are_those_of_astropy(tmp_path, kind, scale, zero):
    stored = files.values(kind, (30, 41))
    if np.dtype(kind).kind == "i":
        stored //= 4
    path = raw_image(tmp_path / "a.fits", stored, BSCALE=scale, BZERO=zero)
    group, _ = files.scan(path)
    np.testing.assert_array_equal(decode_array(group["data"]), stored)
    with fits.open(path) as file:
        true = np.array(file[0].data)
    refmaker.scan(str(path)).write(tmp_path / "a.json")
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker") as opened:
        np.testing.assert_allclose(opened["data"].to_numpy(), true, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "i8"])
def test_blank_is_missing(tmp_path, kind):
    stored = files.values(kind, (20, 31)) // 2
    stored[3:5] = 7
    path = raw_image(tmp_path / "a.fits", stored, BLANK=7, BSCALE=0.5)
    array = files.scan(path)[0]["data"]
    assert (array.fill_value, array.attributes["_FillValue"]) == (7, 7)
    refmaker.scan(str(path)).write(tmp_path / "a.json")
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker") as opened:
        np.testing.assert_array_equal(np.isnan(opened["data"].to_numpy()), stored == 7)


def test_blank_of_unsigned_is_the_value_that_it_becomes(tmp_path):
    true = np.arange(2000, dtype=np.uint16)
    stored = (true.astype("i4") - 32768).astype("i2")
    path = raw_image(tmp_path / "a.fits", stored, BZERO=32768, BLANK=-32768 + 77)
    array = files.scan(path)[0]["data"]
    assert array.fill_value == 77
    assert decode_array(array)[77] == 77


@pytest.mark.parametrize(("kind", "blank"), [("i2", -99999), ("f4", 3), ("i2", 1.5)])
def test_a_blank_that_no_element_has_is_told(tmp_path, kind, blank):
    path = raw_image(tmp_path / "a.fits", files.values(kind, (20, 31)), BLANK=blank)
    group, report = files.scan(path)
    assert group["data"].fill_value is None
    assert "_FillValue" not in group["data"].attributes
    assert any("BLANK" in text for text in report.warnings)


def test_groups_and_dimensions_of_extensions(tmp_path):
    one, two = files.values("f4", (20, 30)), files.values("f4", (25, 31))
    units = [fits.ImageHDU(one, name="SCI"), fits.ImageHDU(two, name="SCI", ver=2)]
    group, _ = files.scan(files.write(tmp_path / "a.fits", fits.PrimaryHDU(), *units))
    assert group["SCI/data"].dimension_names == ("NAXIS2", "NAXIS1")
    np.testing.assert_array_equal(decode_array(group["SCI_2/data"]), two)
    path = files.write(tmp_path / "b.fits", fits.PrimaryHDU(files.values("i2", (9, 9))), *units)
    group, _ = files.scan(path)
    assert group["data"].dimension_names == ("NAXIS2", "NAXIS1")
    assert group["SCI_2/data"].dimension_names == ("SCI_2_NAXIS2", "SCI_2_NAXIS1")
    refmaker.scan(str(path)).write(tmp_path / "b.json")
    tree = xr.open_datatree(tmp_path / "b.json", engine="refmaker")
    np.testing.assert_array_equal(tree["SCI_2/data"].to_numpy(), two)
    tree.close()


def test_small_and_empty_images(tmp_path):
    path = files.write(tmp_path / "a.fits", fits.PrimaryHDU(files.values("u4", (3, 5))))
    group, report = files.scan(path)
    assert report.rows[-1].outcome is Outcome.INLINED
    np.testing.assert_array_equal(decode_array(group["data"]), files.values("u4", (3, 5)))
    path.write_bytes(files.simple("BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 4"))
    group, report = files.scan(path)
    assert group["data"].shape == (4, 0)
    assert report.rows[-1].code == "empty"


AXES = ("NAXIS   = 2", "NAXIS1  = 40", "NAXIS2  = 40")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("BITPIX  = 16", *AXES, "BSCALE  = 0"), "fits-header"),
        (("BITPIX  = 16", *AXES, "BSCALE  = 'two'"), "fits-header"),
        (("BITPIX  = 64", *AXES), "truncated"),
        (("BITPIX  = 16", *AXES, "PCOUNT  = 2"), "fits-geometry"),
        (("BITPIX  = 16", *AXES, "GCOUNT  = 2"), "truncated"),
    ],
)  # fmt: skip
def test_data_that_are_refused_keep_their_header(tmp_path, lines, code):
    path = tmp_path / "a.fits"
    path.write_bytes(files.simple(*lines, "OBJECT  = 'M31'", data=bytes(40 * 40 * 2 + 8)))
    group, report = files.scan(path)
    (row,) = report.skipped
    assert (row.path, row.reason != "") == ("/data", True)
    assert row.code in {code, "fits-geometry"} if "GCOUNT  = 2" in lines else row.code == code
    assert not group.members
    assert group.attributes["OBJECT"] == "M31"


def test_a_file_that_does_not_follow_the_standard(tmp_path):
    path = tmp_path / "a.fits"
    raw = files.simple("BITPIX  = 16", *AXES, data=bytes(3200))
    path.write_bytes(raw.replace(b"T", b"F", 1))
    assert [row.code for row in files.scan(path)[1].skipped] == ["fits-nonstandard"]


def test_extensions_that_are_no_images_are_refused_by_name(tmp_path):
    path = tmp_path / "a.fits"
    table = ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 4", "NAXIS2  = 2")
    kinds = (
        ("'TABLE'", ""),
        ("'FOREIGN'", ""),
        ("'BINTABLE'", "ZTABLE  = T"),
    )
    units = [files.cards(f"XTENSION= {kind}", *table, line, data=bytes(8)) for kind, line in kinds]
    path.write_bytes(files.simple("BITPIX  = 8", "NAXIS   = 0") + b"".join(units))
    group, report = files.scan(path)
    assert [row.code for row in report.skipped] == [
        "fits-header",  # no TFIELDS
        "fits-extension",
        "fits-compressed-table",
    ]
    assert len(group.members) == 3


def test_verify_says_equal(tmp_path):
    units = [fits.ImageHDU(files.values(kind, (40, 50)), name=kind) for kind in files.TYPES]
    path = files.write(tmp_path / "a.fits", fits.PrimaryHDU(), *units)
    checks = refmaker.verify(refmaker.scan(str(path)))
    assert [check.path for check in checks] == [f"{kind.upper()}/data" for kind in files.TYPES]
    assert all(check.ok for check in checks), checks

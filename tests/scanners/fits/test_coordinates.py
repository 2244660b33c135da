"""World coordinates against astropy.wcs: which axes get any, their values and units."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

import refmaker
from refmaker.testing.reading import decode_array
from tests.scanners.fits import files

SKY = {
    "CTYPE1": "RA---SIN", "CRVAL1": 10.0, "CDELT1": -0.01, "CRPIX1": 5.0, "CUNIT1": "deg",
    "CTYPE2": "DEC--SIN", "CRVAL2": 30.0, "CDELT2": 0.01, "CRPIX2": 6.0, "CUNIT2": "deg",
}  # fmt: skip
SPECTRUM = {
    "CTYPE3": "FREQ", "CRVAL3": 1.42e9, "CDELT3": 3e6, "CRPIX3": 2.5, "CUNIT3": "Hz",
    "CTYPE4": "STOKES", "CRVAL4": 1.0, "CDELT4": 1.0, "CRPIX4": 1.0,
}  # fmt: skip
FIRST = ("CTYPE1", "CRVAL1", "CDELT1", "CRPIX1", "CUNIT1")


def write(path, shape, *, extension=False, **keywords):
    true = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    kind = fits.ImageHDU if extension else fits.PrimaryHDU
    unit = kind(true, header=fits.Header(list(keywords.items())))
    return files.write(path, *([fits.PrimaryHDU()] if extension else []), unit)


def test_a_radio_cube(tmp_path):
    path = write(tmp_path / "a.fits", (2, 7, 12, 10), **SKY, **SPECTRUM, BUNIT="Jy/beam")
    group, report = files.scan(path)
    assert set(group.members) == {"data", "NAXIS3", "NAXIS4"}
    assert group["data"].attributes["units"] == "Jy/beam"
    true = WCS(fits.getheader(path)).all_pix2world([[0, 0, k, 0] for k in range(7)], 0)[:, 2]
    np.testing.assert_allclose(decode_array(group["NAXIS3"]), true, rtol=1e-14)
    assert dict(group["NAXIS3"].attributes) == {
        "units": "Hz", "long_name": "FREQ", "standard_name": "radiation_frequency",
    }  # fmt: skip
    np.testing.assert_array_equal(decode_array(group["NAXIS4"]), [1, 2])
    assert {row.path for row in report.rows} == {"/", "/data", "/NAXIS3", "/NAXIS4"}
    refmaker.scan(str(path)).write(tmp_path / "a.json")
    with xr.open_dataset(tmp_path / "a.json", engine="refmaker") as opened:
        assert opened["data"].sel(NAXIS3=1.4245e9).shape == (2, 12, 10)
    assert all(check.ok for check in refmaker.verify(refmaker.scan(str(path))))


def test_units_are_those_of_the_header(tmp_path):
    keywords = {"CTYPE1": "WAVE", "CUNIT1": "nm", "CRVAL1": 500.0, "CDELT1": 0.5, "CRPIX1": 1}
    path = write(tmp_path / "a.fits", (4000,), **keywords)
    array = files.scan(path)[0]["NAXIS1"]
    np.testing.assert_array_equal(decode_array(array), 500 + 0.5 * np.arange(4000))
    assert array.attributes["units"] == "nm"
    assert all(check.ok for check in refmaker.verify(refmaker.scan(str(path))))


def plain(axis, **changed):
    return {f"CTYPE{axis}": "", f"CRVAL{axis}": 5.0, f"CDELT{axis}": 2.0} | changed


@pytest.mark.parametrize(
    ("keywords", "axes"),
    [
        (SKY, set()),
        (plain(1) | plain(2), {1, 2}),
        ({"CRPIX1": 3.0}, set()),  # neither value nor step
        (plain(1) | {"CTYPE1": "WAVE-LOG"}, set()),
        (plain(1) | {"CTYPE1": "WAVE-TAB"}, set()),
        (plain(1) | {"CTYPE1": "MULTISPE"}, set()),
        (plain(1) | {"CTYPE1": "LINEAR", "DC-FLAG": 1}, set()),
        (plain(1) | {"CTYPE1": "VELO-LSR"}, {1}),
        (plain(1) | {"CTYPE1": "SOLAR_X"}, {1}),
        (plain(1) | {"CDELT1": 0.0}, set()),
        (plain(1) | {"CRVAL1": "five"}, set()),
        (plain(1) | plain(2) | {"PC1_2": 0.1}, set()),
        (plain(1) | plain(2) | {"PC1_1": 3.0}, {1, 2}),
        (plain(1) | plain(2) | {"PC1_2": 0.0}, {1, 2}),
        (plain(1) | plain(2) | {"CROTA2": 10.0}, set()),
        (plain(1) | plain(2) | plain(3) | {"CROTA2": 10.0}, {3}),
        (plain(1) | plain(2) | {"CROTA2": 0.0}, {1, 2}),
        ({"CRVAL1": 5.0, "CD1_1": 2.0, "CD2_2": 3.0, "CD3_3": 1.0, "CD4_4": 1.0}, {1, 2, 3, 4}),
        ({"CRVAL1": 5.0, "CD1_1": 2.0}, set()),  # steps of 0 along the others
        ({"CD1_1": 2.0, "CD1_2": 1.0, "CD2_2": 3.0, "CD3_3": 1.0, "CD4_4": 1.0}, {3, 4}),
        (plain(1) | plain(2) | {"CPDIS1": "LOOKUP"}, {2}),
        (SKY | {"CROTA2": 10.0} | SPECTRUM, {3, 4}),
    ],
)  # fmt: skip
def test_which_axes_get_coordinates(tmp_path, keywords, axes):
    path = write(tmp_path / "a.fits", (2, 3, 4, 5), **keywords)
    group, _ = files.scan(path)
    assert set(group.members) == {"data", *(f"NAXIS{axis}" for axis in axes)}
    for axis in axes - {1, 2} if "CPDIS1" in keywords else axes:
        pixels = np.zeros((6 - axis, 4))
        pixels[:, axis - 1] = np.arange(6 - axis)
        true = WCS(fits.getheader(path), naxis=4).all_pix2world(pixels, 0)[:, axis - 1]
        np.testing.assert_allclose(decode_array(group[f"NAXIS{axis}"]), true, rtol=1e-14)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-1e9, 1e9), st.floats(1e-6, 1e6), st.floats(-1e4, 1e4), st.integers(1, 50)
)  # fmt: skip
def test_any_linear_axis(value, step, reference, extent):
    header = fits.Header([("CRVAL1", value), ("CDELT1", step), ("CRPIX1", reference)])
    unit = fits.PrimaryHDU(np.zeros(extent, "i2"), header=header)
    with files.temporary(unit) as path:
        array = files.scan(path)[0]["NAXIS1"]
        true = WCS(fits.getheader(path)).all_pix2world(np.arange(extent)[:, None], 0)[:, 0]
    scale = max(abs(value), abs(step) * (abs(reference) + extent))
    np.testing.assert_allclose(decode_array(array), true, rtol=0, atol=1e-14 * scale)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_longitude_and_latitude(tmp_path, swapped, packed):
    keywords = SKY | SPECTRUM
    if swapped:
        turn = {"1": "2", "2": "1"}
        keywords = {name[:-1] + turn.get(name[-1], name[-1]): v for name, v in keywords.items()}
    path = write(tmp_path / "a.fits", (2, 7, 12, 10), extension=True, **keywords)
    if packed:
        path = files.packed(path)
    group, report = files.scan(path, settings={"fits-wcs": "2d"})
    part = group["HDU1"]
    assert part["data"].attributes["coordinates"] == "longitude latitude"
    assert part["longitude"].dimension_names == ("NAXIS2", "NAXIS1")
    world = WCS(fits.getheader(path, 1))
    rows, columns = np.indices((12, 10))
    true = world.celestial.all_pix2world(*((rows, columns) if swapped else (columns, rows)), 0)
    np.testing.assert_array_equal(decode_array(part["longitude"]), true[0])
    np.testing.assert_array_equal(decode_array(part["latitude"]), true[1])
    assert part["longitude"].attributes["units"] == "deg"
    refs = refmaker.scan(str(path), settings={"fits-wcs": "2d"})
    assert all(check.ok for check in refmaker.verify(refs))
    assert not report.skipped


def test_positions_beyond_the_budget_and_without_a_projection(tmp_path):
    path = write(tmp_path / "a.fits", (12, 10), **SKY)
    group, report = files.scan(path, settings={"fits-wcs": "2d"}, inline_budget=100)
    assert set(group.members) == {"data"}
    assert any("inline_budget" in text for text in report.warnings)
    path = write(tmp_path / "b.fits", (12, 10), **plain(1))
    group, report = files.scan(path, settings={"fits-wcs": "2d"})
    assert set(group.members) == {"data", "NAXIS1"}
    assert set(files.scan(path, settings={"fits-wcs": "none"})[0].members) == {"data"}


def test_a_projection_that_does_not_exist_costs_nothing_else(tmp_path):
    path = write(tmp_path / "a.fits", (12, 10), **SKY | {"CTYPE1": "RA---QQQ"})
    group, report = files.scan(path, settings={"fits-wcs": "2d"})
    assert set(group.members) == {"data"}
    assert any("longitude is left out" in text for text in report.warnings)


def test_compressed_images_have_coordinates(tmp_path):
    true = np.arange(4000, dtype="i2").reshape(40, 100)
    unit = fits.CompImageHDU(true, header=fits.Header(list(plain(1).items())), name="SCI")
    group, _ = files.scan(files.write(tmp_path / "a.fits", fits.PrimaryHDU(), unit))
    np.testing.assert_array_equal(decode_array(group["SCI/NAXIS1"]), 7 + 2.0 * np.arange(100))

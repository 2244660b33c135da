"""Random groups against astropy: parameters and data, as they are stored and as they are meant."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from refmaker.testing import open_stock
from tests.scanners.fits import files
from tests.scanners.verified import verified

STORED = {8: "u1", 16: "i2", 32: "i4", -32: "f4", -64: "f8"}
NAMES = ["UU", "VV", "DATE", "DATE"]


def written(path, bitpix, groups, **scales):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 100, (groups, 2, 1, 3)).astype(STORED[bitpix])
    parameters = [rng.integers(0, 100, groups).astype(STORED[bitpix]) for _ in NAMES]
    made = fits.GroupData(data, parnames=NAMES, pardata=parameters, bitpix=bitpix)
    unit = fits.GroupsHDU(made)
    for name, value in scales.items():
        unit.header[name] = value
    unit.header["CRVAL2"], unit.header["CDELT2"], unit.header["CTYPE2"] = 1.0, 1.0, "STOKES"
    unit.writeto(path)
    return parameters, data


@pytest.mark.parametrize("threshold", [0, 1 << 20])
@pytest.mark.parametrize("groups", [1, 7, 5000])
@pytest.mark.parametrize("bitpix", sorted(STORED))
def test_random_groups(bitpix, groups, threshold, tmp_path):
    path = tmp_path / "uv.fits"
    parameters, data = written(path, bitpix, groups)
    refs = verified(path, inline_threshold=threshold, chunk_bytes=4096)
    assert not refs.report.skipped
    stock = open_stock(refs.group)
    assert refs.group["data"].dimension_names == ("GCOUNT", "NAXIS4", "NAXIS3", "NAXIS2")
    assert np.array_equal(stock["data"][...], data)
    for name, values in zip(["UU", "VV", "DATE", "DATE_col4"], parameters, strict=True):
        assert np.array_equal(stock[name][...], values)
        assert refs.group[name].dimension_names == ("GCOUNT",)
    with fits.open(path) as opened:
        assert np.array_equal(opened[0].data.par("UU"), stock["UU"][...])
        assert np.array_equal(opened[0].data.data, stock["data"][...])


def test_scales_are_told(tmp_path):
    path = tmp_path / "uv.fits"
    written(path, -32, 7)
    patch = {"PSCAL1": 1e-3, "PZERO3": 2450000.0, "PSCAL4": 0.5, "BUNIT": "JY", "BSCALE": 2.0}
    with fits.open(path, mode="update", do_not_scale_image_data=True) as opened:
        opened[0].header.update(patch)
    refs = verified(path)
    said = {name: dict(array.attributes) for name, array in refs.group.arrays()}
    assert said["data"] == {"units": "JY", "scale_factor": 2.0}
    assert (said["UU"], said["VV"]) == ({"scale_factor": 1e-3}, {})
    assert (said["DATE"], said["DATE_col4"]) == ({"add_offset": 2450000.0}, {"scale_factor": 0.5})


@pytest.mark.parametrize(("bitpix", "kind"), [(8, "i1"), (16, ">u2"), (32, ">u4")])
def test_unsigned_integers(bitpix, kind, tmp_path):
    path = tmp_path / "uv.fits"
    zero = -128 if bitpix == 8 else 1 << (bitpix - 1)
    # Under other names, since astropy would scale what it writes.
    parameters, data = written(path, bitpix, 7, XZERO=zero, XZERO1=zero)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"XZERO   ", b"BZERO   ").replace(b"XZERO1  ", b"PZERO1  "))
    refs = verified(path)
    stock = open_stock(refs.group)
    assert refs.group["data"].dtype == refs.group["UU"].dtype == np.dtype(kind)
    assert np.array_equal(stock["data"][...].astype("i8"), data.astype("i8") + zero)
    assert np.array_equal(stock["UU"][...].astype("i8"), parameters[0].astype("i8") + zero)


def test_packed_groups_and_groups_that_are_cut(tmp_path):
    path = tmp_path / "uv.fits"
    parameters, data = written(path, -32, 50)
    packed = tmp_path / "uv.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    stock = open_stock(verified(packed).group)
    assert np.array_equal(stock["data"][...], data)
    assert np.array_equal(stock["VV"][...], parameters[1])
    path.write_bytes(path.read_bytes()[:-2880])
    _, report = files.scan(path)
    assert [(row.path, row.code) for row in report.skipped] == [("/data", "truncated")]

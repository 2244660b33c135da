"""LERC and its mask of valid pixels, as GDAL reads them."""

import numpy as np
import pytest
import rasterio
import tifffile

from refmaker import open_dataset
from refmaker.scanning.one_file import scan
from refmaker.storage.reference_set import ReferenceSet
from refmaker.testing import open_stock
from refmaker.verification.verify import verify

STRIPS = {"blockysize": 16}
TILES = {"tiled": True, "blockxsize": 32, "blockysize": 32}

pytestmark = pytest.mark.filterwarnings("ignore")


def checked(path):
    """Return the values of a file's image, verified, and those that GDAL reads."""
    refs = ReferenceSet(*scan(str(path)))
    checks = verify(refs, sample=None, isolate="never")
    assert checks
    assert all(check.ok for check in checks), checks
    found = open_stock(refs.group)["image"]
    with rasterio.open(path) as file:
        true = file.read()
    names = found.attrs["_ARRAY_DIMENSIONS"]
    values = found[...]
    if names[-1] in ("s", "band"):
        values = np.moveaxis(values, -1, 0)
    return values.reshape(true.shape), true


@pytest.mark.parametrize("compression", ["LERC", "LERC_DEFLATE", "LERC_ZSTD"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("layout", [STRIPS, TILES])
@pytest.mark.parametrize("nodata", [None, -9999])
def test_invalid_pixels_are_nan(compression, dtype, bands, interleave, layout, nodata, tmp_path):
    data = np.random.default_rng(1).random((bands, 70, 50)).astype(dtype)
    data[:, 10:20, 5:30] = np.nan
    # One that is missing in one band only has a mask of its own in each.
    data[0, 40, 3] = np.nan
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=50, height=70, count=bands,
                       dtype=dtype, compress=compression, interleave=interleave, nodata=nodata,
                       **layout) as file:  # fmt: skip
        file.write(data)
    found, true = checked(tmp_path / "a.tif")
    assert np.isnan(true).any()
    assert np.array_equal(found, true, equal_nan=True)


@pytest.mark.parametrize("alpha", ["YES", "UNSPECIFIED", "PREMULTIPLIED"])
@pytest.mark.parametrize("bands", [2, 4])
def test_alpha_may_be_the_mask(alpha, bands, tmp_path):
    data = np.random.default_rng(2).integers(1, 255, (bands, 40, 50)).astype("u1")
    data[-1] = 255
    data[-1, 5:10] = 0
    options = {"photometric": "RGB"} if bands == 4 else {}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=50, height=40, count=bands,
                       dtype="uint8", compress="LERC", interleave="pixel", alpha=alpha,
                       **options) as file:  # fmt: skip
        file.write(data)
    found, true = checked(tmp_path / "a.tif")
    assert np.array_equal(found, true)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_integers_have_no_mask(dtype, tmp_path):
    data = np.random.default_rng(3).integers(0, 100, (1, 40, 50)).astype(dtype)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=50, height=40, count=1,
                       dtype=dtype, compress="LERC", nodata=7) as file:  # fmt: skip
        file.write(data)
    found, true = checked(tmp_path / "a.tif")
    assert np.array_equal(found, true)


@pytest.mark.parametrize("compression", ["LERC", "LERC_ZSTD"])
@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize(("bands", "interleave"), [(1, "pixel"), (3, "pixel"), (3, "band")])
def test_big_endian_files_hold_swapped_numbers(compression, dtype, bands, interleave, tmp_path):
    data = np.random.default_rng(4).integers(-100, 100, (bands, 40, 50)).astype(dtype)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=50, height=40, count=bands,
                       dtype=dtype, compress=compression, interleave=interleave,
                       endianness="BIG") as file:  # fmt: skip
        file.write(data)
    found, true = checked(tmp_path / "a.tif")
    assert np.array_equal(true, data)
    assert np.array_equal(found, data)
    own = open_dataset(tmp_path / "a.tif")["image"]
    assert own.dtype == data.dtype
    assert np.array_equal(own.to_numpy(), open_stock(scan(str(tmp_path / "a.tif"))[0])["image"][:])


def test_predictors_are_refused(tmp_path):
    data = np.arange(2000, dtype="u2").reshape(40, 50)
    tifffile.imwrite(tmp_path / "a.tif", data, compression="lerc", predictor=True, metadata=None)
    group, report = scan(str(tmp_path / "a.tif"))
    assert "image" not in dict(group.arrays())
    assert "Predictor 2 of LERC" in next(row.reason for row in report.rows if row.path == "/image")

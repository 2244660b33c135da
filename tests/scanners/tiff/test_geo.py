import json
import sys

import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from refmaker.model.report import Outcome
from refmaker.scanners.tiff import TIFFScanner
from refmaker.scanners.tiff.crs import grid_mapping
from refmaker.testing import open_stock
from tests.scanners.tiff.meaning_files import noise, pixels, scanned

pytestmark = [
    # Of rasterio and rioxarray with a newer affine, and of GDAL about its own files.
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]
REFERENCE_SYSTEMS = [
    "EPSG:4326", "EPSG:32618", "EPSG:3857", "EPSG:3031", "EPSG:3413", "EPSG:2263", "EPSG:27700",
    "EPSG:4267", "EPSG:5070", "EPSG:4979", "EPSG:4326+5773", "EPSG:7415", "ESRI:54009",
    "ESRI:102003",
    "+proj=tmerc +lat_0=1 +lon_0=2 +k=0.9996 +x_0=500000 +y_0=100 +datum=WGS84 +units=m",
    "+proj=lcc +lat_1=30 +lat_2=60 +lat_0=45 +lon_0=10 +x_0=1 +y_0=2 +ellps=GRS80 +units=us-ft",
    "+proj=lcc +lat_1=40 +lat_0=40 +lon_0=3 +k_0=0.99 +ellps=intl",
    "+proj=laea +lat_0=90 +lon_0=0 +a=6371228 +b=6371228 +units=m",
    "+proj=sinu +lon_0=0 +a=6371007.181 +b=6371007.181 +units=m",
    "+proj=aea +lat_1=20 +lat_2=40 +lat_0=30 +lon_0=-90 +datum=NAD83 +units=ft",
    "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +datum=WGS84",
    "+proj=merc +lat_ts=20 +lon_0=0 +datum=WGS84", "+proj=merc +k=0.5 +lon_0=3 +datum=WGS84",
    "+proj=longlat +a=6371229 +b=6371229", "+proj=longlat +ellps=WGS84 +pm=paris",
    "+proj=eqc +lat_ts=30 +datum=WGS84", "+proj=aeqd +lat_0=10 +lon_0=20 +datum=WGS84",
    "+proj=sterea +lat_0=52 +lon_0=5 +k=0.9999 +x_0=155000 +y_0=463000 +ellps=bessel",
    "+proj=cass +lat_0=10 +lon_0=-61 +x_0=86501 +ellps=clrk80", "+proj=utm +zone=33 +ellps=intl",
    "+proj=omerc +lat_0=4 +lonc=102 +alpha=323 +gamma=323 +k=0.9998 +x_0=804671 +ellps=WGS84",
    "+proj=cea +lat_ts=30 +datum=WGS84", "+proj=poly +lat_0=0 +lon_0=-54 +ellps=GRS80",
]  # fmt: skip
UTM = {"crs": "EPSG:32618", "transform": Affine(10, 0, 500000.5, 0, -10, 4100000.25)}


def write(path, data, *, tags=None, band_tags=None, **profile):
    """Write a GeoTIFF of (band, y, x)."""
    count, height, width = data.shape
    shape = {"count": count, "height": height, "width": width, "dtype": data.dtype}
    profile = {"driver": "GTiff", **UTM, **shape, **profile}
    with rasterio.open(path, "w", **profile) as file:
        file.write(data)
        for key, value in (tags or {}).items():
            file.update_tags(**{key: value})
        for band, values in enumerate(band_tags or [], 1):
            file.update_tags(band, **values)
    return path


def opened(path, level="", **options):
    """Return the dataset that a stock reader makes of a file's references."""
    z = open_stock(scanned(path)[0])
    return xr.open_dataset(z.store, engine="zarr", group=level or None, chunks={}, **options)


def assert_as_rioxarray(path, level="", **options):
    """Assert that our dataset and rioxarray's are the same."""
    ours = opened(path, level, mask_and_scale=False)["image"]
    with rioxarray.open_rasterio(path, **options) as theirs:
        values = ours.expand_dims("band") if "band" not in ours.dims else ours
        values = values.transpose("band", "y", "x")
        assert values.dtype.newbyteorder("=") == theirs.dtype
        assert values.shape == theirs.shape
        # Of large images, rows at both ends and between.
        for rows in (slice(400), slice(1000, 1100), slice(-100, None)):
            mine, true = values[:, rows].values, theirs[:, rows].values
            assert np.array_equal(mine, true, equal_nan=values.dtype.kind == "f")
        for name in "xy":
            assert (name in ours.coords) == (name in theirs.coords)
            if name in theirs.coords:
                assert np.array_equal(ours[name].values, theirs[name].values)
        assert ours.rio.crs == theirs.rio.crs
        assert ours.rio.transform(recalc=False) == theirs.rio.transform(recalc=False)
        assert ours.rio.nodata == theirs.rio.nodata or (
            np.isnan(ours.rio.nodata) and np.isnan(theirs.rio.nodata)
        )
    return ours


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_bands_are_those_of_rioxarray(tmp_path, bands, interleave):
    path = write(tmp_path / "a.tif", noise(bands, 70, 50), interleave=interleave)
    ours = assert_as_rioxarray(path)
    stored = ("y", "x", "band") if interleave == "pixel" else ("band", "y", "x")
    assert ours.dims == (stored if bands > 1 else ("y", "x"))
    if bands > 1:
        assert ours["band"].values.tolist() == list(range(1, bands + 1))


@pytest.mark.parametrize("level", [None, 0, 1])
def test_overviews_are_those_of_rioxarray(tmp_path, level):
    path = write(
        tmp_path / "a.tif", noise(1, 500, 333), driver="COG", blocksize=128, compress="deflate"
    )
    options = {} if level is None else {"overview_level": level}
    assert_as_rioxarray(path, str(0 if level is None else level + 1), **options)


@pytest.mark.parametrize("point", ["Area", "Point"])
def test_pixel_is_point_or_area(tmp_path, point):
    path = write(tmp_path / "a.tif", noise(1, 20, 30), tags={"AREA_OR_POINT": point})
    assert assert_as_rioxarray(path).attrs["AREA_OR_POINT"] == point


def test_rotated_files_have_a_transform_and_no_coordinates(tmp_path):
    turned = Affine.translation(100, 200) @ Affine.rotation(30) @ Affine.scale(2, -3)
    path = write(tmp_path / "a.tif", noise(1, 20, 30), transform=turned)
    ours = opened(path)
    assert "x" not in ours.coords
    assert "y" not in ours.coords
    with rasterio.open(path) as file:
        assert ours["image"].rio.transform(recalc=False) == file.transform
        assert ours["image"].rio.crs == file.crs


def test_south_up_files(tmp_path):
    assert_as_rioxarray(
        write(tmp_path / "a.tif", noise(1, 20, 30), transform=Affine(2, 0, 100, 0, 3, 50))
    )


@pytest.mark.parametrize("system", REFERENCE_SYSTEMS)
def test_reference_systems_are_those_of_gdal(tmp_path, system):
    path = write(tmp_path / "a.tif", noise(1, 8, 8), crs=system)
    attributes = scanned(path)[0]["spatial_ref"].attributes
    with rasterio.open(path) as file:
        assert rasterio.crs.CRS.from_wkt(attributes["crs_wkt"]) == file.crs
    assert attributes["geo_keys"]


def test_a_system_that_is_not_understood_is_told_and_its_keys_kept(tmp_path):
    path = write(tmp_path / "a.tif", noise(1, 8, 8), crs="EPSG:4978")
    group, report = scanned(path)
    assert "crs_wkt" not in group["spatial_ref"].attributes
    assert group["spatial_ref"].attributes["geo_keys"]["GTModelTypeGeoKey"] == 3
    assert any("reference system" in warning for warning in report.warnings)


def test_without_pyproj_the_keys_are_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyproj", None)
    path = write(tmp_path / "a.tif", noise(1, 8, 8))
    group, report = scanned(path)
    reference = group["spatial_ref"].attributes
    assert "crs_wkt" not in reference
    assert reference["geo_keys"]["ProjectedCRSGeoKey"] == 32618
    assert reference["GeoTransform"].split() == [
        "500000.5",
        "10.0",
        "0.0",
        "4100000.25",
        "0.0",
        "-10.0",
    ]
    assert any("refmaker[tiff]" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 255), ("int16", -9999), ("float32", np.nan), ("float32", -3.4e38), ("float64", 0)],
)
def test_nodata(tmp_path, dtype, nodata):
    data = noise(1, 40, 30).astype(dtype)
    data[0, :5] = nodata
    path = write(tmp_path / "a.tif", data, nodata=nodata)
    assert_as_rioxarray(path)
    masked = opened(path, decode_coords="all")["image"]
    with rioxarray.open_rasterio(path, masked=True) as theirs:
        assert np.array_equal(masked.values, theirs.values[0], equal_nan=True)


def test_nodata_that_the_dtype_cannot_hold_is_told(tmp_path):
    import tifffile

    path = tmp_path / "a.tif"
    tags = [(42113, 2, None, "-9999", True)]
    tifffile.imwrite(path, noise(20, 20, dtype=np.uint8), metadata=None, extratags=tags)
    group, report = scanned(path)
    assert group["image"].fill_value is None
    assert any("-9999" in warning for warning in report.warnings)


def test_nodata_with_a_decimal_comma(tmp_path):
    import tifffile

    path = tmp_path / "a.tif"
    tags = [(42113, 2, None, "-9999,25", True)]
    tifffile.imwrite(path, noise(20, 20, dtype=np.float32), metadata=None, extratags=tags)
    with rasterio.open(path) as file:
        assert scanned(path)[0]["image"].fill_value == file.nodata == -9999.25


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_without_nodata_the_dtype_stays_in_xarray(tmp_path, dtype):
    path = write(tmp_path / "a.tif", noise(1, 40, 30).astype(dtype))
    assert opened(path)["image"].dtype == np.dtype(dtype)


def test_blocks_that_were_not_written_read_as_nodata(tmp_path):
    path = tmp_path / "a.tif"
    profile = {
        "driver": "GTiff", "width": 128, "height": 128, "count": 1, "dtype": "uint8", "nodata": 7,
        "tiled": True, "blockxsize": 64, "blockysize": 64, "sparse_ok": True, **UTM,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        window = rasterio.windows.Window(0, 0, 64, 64)
        file.write(noise(1, 64, 64, dtype=np.uint8), window=window)
    group, _ = scanned(path)
    assert group["image"].chunks.absent == 3
    assert_as_rioxarray(path)


def test_scale_offset_units_and_names(tmp_path):
    path = write(tmp_path / "a.tif", noise(1, 20, 20))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets, file.units = (0.5,), (10.0,), ("K",)
        file.set_band_description(1, "temperature")
    found = opened(path)["image"]
    assert found.attrs["units"] == "K"
    assert found.attrs["long_name"] == "temperature"
    with rioxarray.open_rasterio(path, mask_and_scale=True) as theirs:
        assert np.array_equal(found.values, theirs.values[0])


def test_scales_that_differ_between_bands_are_only_told(tmp_path):
    data = noise(2, 20, 20)
    path = write(tmp_path / "a.tif", data, interleave="band")
    with rasterio.open(path, "r+") as file:
        file.scales = (0.5, 2.0)
        file.set_band_description(2, "second")
    found = opened(path)["image"]
    assert found.attrs["scales"] == [0.5, 2.0]
    assert found.attrs["long_name"] == ["", "second"]
    assert np.array_equal(found.values, data)


def test_metadata_items_are_attributes(tmp_path):
    path = write(
        tmp_path / "a.tif", noise(1, 8, 8), tags={"SENSOR": "a & b"}, band_tags=[{"WAVE": "1"}]
    )
    attributes = scanned(path)[0]["image"].attributes
    assert attributes["SENSOR"] == "a & b"
    assert attributes["gdal_bands"] == {"1": {"WAVE": "1"}}


def test_ground_control_points_are_kept(tmp_path):
    points = [GroundControlPoint(row, col, col * 2.0, row * 3.0, 1.0)
              for row, col in ((0, 0), (0, 9), (9, 0), (9, 9))]  # fmt: skip
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 10, "height": 10, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, gcps=points, crs="EPSG:4326") as file:
        file.write(noise(1, 10, 10, dtype=np.uint8))
    reference = scanned(path)[0]["spatial_ref"].attributes
    found = [one["geometry"]["coordinates"] for one in json.loads(reference["gcps"])["features"]]
    assert found == [[point.x, point.y, point.z] for point in points]
    assert "GeoTransform" not in reference


def test_ground_control_points_of_overviews_count_their_own_pixels(tmp_path):
    points = [GroundControlPoint(row, col, 5e5 + col, 5e6 - row, 0)
              for row, col in ((0, 0), (0, 255), (131, 0), (131, 255))]  # fmt: skip
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 256, "height": 132, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, gcps=points, crs="EPSG:32633") as file:
        file.write(noise(1, 132, 256, dtype=np.uint8))
        file.build_overviews([2, 4])
    for level, options in enumerate(({}, {"overview_level": 0}, {"overview_level": 1})):
        with rasterio.open(path, **options) as file:
            expected = [(one.row, one.col, one.x, one.y) for one in file.gcps[0]]
        found = opened(path, str(level))["image"].rio.get_gcps()
        np.testing.assert_allclose([(one.row, one.col, one.x, one.y) for one in found], expected)


def test_regions_of_masked_pyramids_clip_as_in_rioxarray(tmp_path):
    path = write(tmp_path / "a.tif", noise(1, 300, 200), driver="COG", blocksize=128)
    box = (500500, 4098000, 501500, 4099500)
    ours = opened(path, "0", mask_and_scale=False)["image"].rio.clip_box(*box)
    with rioxarray.open_rasterio(path) as theirs:
        assert np.array_equal(ours.values, theirs.rio.clip_box(*box).values[0])


def test_every_array_has_a_row(tmp_path):
    group, report = scanned(write(tmp_path / "a.tif", noise(2, 40, 40)))
    kept = {row.path.strip("/") for row in report.having(Outcome.REFERENCED, Outcome.INLINED)}
    assert kept == {name for name, _ in group.arrays()}
    assert list(pixels(group)) == ["image"]


@pytest.mark.parametrize(
    "keys",
    [
        {1024: 1, 3072: 32767, 3075: 1, 2048: 4326, 3076: 9999}, {1024: 1, 3072: 1},
        {1024: 2, 2048: 1}, {1024: 1, 3072: 32767, 3074: 5}, {1024: 2, 2048: 32767, 2056: 1},
        {1024: 2, 2048: 32767, 2057: "x", 2058: 2.0}, {1024: 1, 3073: "ESRI PE String = nonsense"},
        {1024: 7}, {1024: 1, 3072: 32767, 3075: 8, 2048: 4326, 3078: (1.0, 2.0)},
    ],
)  # fmt: skip
def test_keys_that_make_no_sense_are_told(keys):
    attributes, problem = grid_mapping(keys)
    assert attributes == {}
    assert problem


@pytest.mark.filterwarnings("ignore")
def test_the_summary_counts_the_levels_of_a_cog(tmp_path):
    path = tmp_path / "a.tif"
    place = Affine(10, 0, 5e5, 0, -10, 4e6)
    with rasterio.open(path, "w", driver="COG", width=1200, height=1100, count=1, dtype="uint8",
                       crs="EPSG:32633", blocksize=128, transform=place) as file:  # fmt: skip
        file.write(np.arange(1200 * 1100, dtype="u4").reshape(1100, 1200).astype("u1"), 1)
    group, _ = scanned(path)
    (row,) = TIFFScanner().summary(group)
    with rasterio.open(path) as file:
        assert row["levels"] == 1 + len(file.overviews(1)) > 2
    assert row["path"] == "/"
    assert row["shape"] == "y: 1100, x: 1200"

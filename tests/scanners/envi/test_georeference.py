"""Where ENVI images are, against GDAL; what is listed for bands."""

import numpy as np
import pytest
import rasterio
from pyproj import CRS, Transformer

import refmaker
from refmaker.io.source import Source
from refmaker.scanners.envi import ENVIScanner
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.verified import verified

CUBE = np.arange(6 * 7 * 2, dtype="i2").reshape(6, 7, 2)
BASIC = (
    "ENVI\nsamples = 7\nlines = 6\nbands = 2\nheader offset = 0\ndata type = 2\n"
    "interleave = bip\nbyte order = 0\n"
)
UTM = "UTM, 1, 1, 5e5, 4e6, 30, 30, 11, North, WGS-84, units=Meters"
SIZES = "5e5, 4e6, 30, 30"
ELLIPSOID = "6378137.0, 6356752.3"
ORIGIN = "40.0, 10.0, 1000.0, 2000.0"
TOLD = {
    "utm": "map info = {UTM, 1, 1, 5e5, 4e6, 30, 30, 11, North, WGS-84}",
    "centre": "map info = {UTM, 1.5, 1.5, 5e5, 4e6, 30, 20, 11, South, WGS-84, units=Meters}",
    "no_datum": "map info = {UTM, 1, 1, 5e5, 4e6, 30, 20, 11, North, units=Meters}",
    "nad83": "map info = {UTM, 3, 2, 5e5, 4e6, 30, 20, 11, North, North America 1983}",
    "ed50": "map info = {UTM, 3, 2, 5e5, 4e6, 30, 20, 32, North, European 1950 (France)}",
    "wgs72": "map info = {UTM, 3, 2, 5e5, 4e6, 30, 20, 32, South, WGS-72}",
    "degrees": "map info = {Geographic Lat/Lon, 1, 1, 10, 50, 0.1, 0.2, WGS-84, units=Degrees}",
    "minutes": "map info = {Geographic Lat/Lon, 1, 1, 600, 3000, 6, 12, WGS-84, units=Minutes}",
    "seconds": "map info = {Geographic Lat/Lon, 2, 3, 36000, 180000, 6, 12, WGS-84, units=Seconds}",
    "rotated": f"map info = {{{UTM}, rotation=30}}",
    "rotated_back": f"map info = {{{UTM}, rotation=-72.25}}",
    "south_up": f"map info = {{{UTM}, rotation=180.0}}",
    "mercator": f"map info = {{TM, 1, 1, {SIZES}}}\nprojection info = "
    f"{{3, {ELLIPSOID}, {ORIGIN}, 0.9996, WGS-84, TM}}",
    "lambert": f"map info = {{LCC, 1, 1, {SIZES}}}\nprojection info = "
    f"{{4, {ELLIPSOID}, {ORIGIN}, 30, 50, North America 1927, LCC}}",
    "ellipsoid": f"map info = {{LCC, 1, 1, {SIZES}}}\nprojection info = "
    f"{{4, 6378000.0, 6356000.0, {ORIGIN}, 30, 50, LCC}}",
    "sphere": f"map info = {{LCC, 1, 1, {SIZES}}}\nprojection info = "
    f"{{4, 6370000.0, 6370000.0, {ORIGIN}, 30, 50, LCC}}",
    "albers": f"map info = {{AEA, 1, 1, {SIZES}}}\nprojection info = "
    f"{{9, {ELLIPSOID}, {ORIGIN}, 30, 50, North America 1983, AEA, units=Meters}}",
    "azimuthal": f"map info = {{LAEA, 1, 1, {SIZES}}}\nprojection info = "
    f"{{11, {ELLIPSOID}, {ORIGIN}, WGS-84, LAEA}}",
    "polar": f"map info = {{PS, 1, 1, {SIZES}}}\nprojection info = "
    f"{{31, {ELLIPSOID}, -71.0, 10.0, 1000.0, 2000.0, WGS-84, PS}}",
    **{
        str(code): "map info = {x, 1, 1, 10, 50, 0.1, 0.2}\ncoordinate system string = "
        f"{{{CRS.from_epsg(code).to_wkt('WKT1_ESRI')}}}"
        for code in (32611, 4326, 2263, 3035, 3031, 27700, 2154, 4267, 3857, 21781)
    },
    "string_that_is_none": f"map info = {{{UTM}}}\ncoordinate system string = {{rubbish}}",
}


def write(folder, told):
    (folder / "x.hdr").write_text(f"{BASIC}{told}\n")
    (folder / "x.img").write_bytes(CUBE.tobytes())
    return folder / "x.hdr"


def scan(path):
    with Source(path) as source:
        return ENVIScanner().scan(source, ScanOptions(inline_threshold=0))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("case", TOLD)
def test_places_are_those_of_gdal(case, tmp_path):
    path = write(tmp_path, TOLD[case])
    group, _ = scan(path)
    with rasterio.open(tmp_path / "x.img") as opened:
        true, reference = opened.transform.to_gdal(), CRS.from_wkt(opened.crs.to_wkt())
        values = opened.read()
    attributes = group["spatial_ref"].attributes
    found = [float(word) for word in attributes["GeoTransform"].split()]
    assert np.allclose(found, true, rtol=1e-15, atol=1e-12)
    ours = CRS.from_wkt(attributes["crs_wkt"])
    assert ours.is_geographic == reference.is_geographic
    places = [(2.0, 45.0)] if ours.is_geographic else [(5e5, 4e6), (1e5, 2e5)]
    for place in places:
        where = [
            Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(*place)
            for crs in (ours, reference)
        ]
        assert np.allclose(*where, rtol=0, atol=1e-9)
    for one in ("semi_major_metre", "semi_minor_metre"):
        lengths = [getattr(crs.ellipsoid, one) for crs in (ours, reference)]
        assert lengths[0] == pytest.approx(lengths[1], abs=1e-3)
    stock = open_stock(group)
    assert np.array_equal(np.moveaxis(stock["data"][...], 2, 0), values)
    straight = true[2] == true[4] == 0
    assert ("x" in group.members) == straight
    if straight:
        assert np.allclose(stock["x"][...], true[0] + (np.arange(7) + 0.5) * true[1], rtol=1e-15)
        assert np.allclose(stock["y"][...], true[3] + (np.arange(6) + 0.5) * true[5], rtol=1e-15)
    assert verified(path)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("{UTM, 1, 1, 5e5, 4e6, 30, 30, 11, North, Mars 2000}", "its datum is 'Mars 2000'"),
        ("{UTM, 1, 1, 5e5, 4e6, 30, 30, 61, North, WGS-84}", "no zone 61 North"),
        ("{UTM, 1, 1, 5e5, 4e6, 30, 30, 11, Up, WGS-84}", "no zone 11 Up"),
        ("{UTM, 1, 1, 5e5, 4e6, 30, 30, 11, North, WGS-84, units=Feet}", "axes are in metre"),
        ("{State Plane (NAD 27), 1, 1, 5e5, 4e6, 30, 30, 3326}", "nothing here knows"),
        ("{Geographic Lat/Lon, 1, 1, 5, 4, 3, 3}", "neither datum nor unit"),
        ("{x, 1, 1, 5, 4, 3, 3}\nprojection info = {99, 1, 2, 3, x}", "its projection is 99"),
        ("{x, 1, 1, 5, 4, 3, 3}\nprojection info = {3, 1, 2, 3, x}", "7 numbers"),
    ],
)
def test_reference_systems_that_are_not_described(told, said, tmp_path):
    group, report = scan(write(tmp_path, f"map info = {told}"))
    assert any(said in text for text in report.warnings)
    assert set(group["spatial_ref"].attributes) == {"GeoTransform"}
    assert "metre" not in group["x"].attributes.values()


@pytest.mark.parametrize(
    "told",
    [
        "UTM, 1, 1, 5e5, 4e6, 30", "UTM, 1, 1, x, 4e6, 30, 30", "UTM, 1, 1, nan, 4e6, 30, 30",
        "UTM, 1, 1, 5e5, 4e6, 0, 30", "UTM, 1, 1, 5e5, 4e6, 30, 30, rotation=x",
        "Geographic Lat/Lon, 1, 1, 5, 4, 3, 3, WGS-84, units=Radians", "",
    ],
)  # fmt: skip
def test_map_info_that_is_not_understood(told, tmp_path):
    group, report = scan(write(tmp_path, f"map info = {{{told}}}"))
    assert set(group.members) == {"data"}
    assert any("no coordinates" in text for text in report.warnings)
    assert group["data"].attributes["map_info"]


def test_a_turned_image_whose_tie_point_is_inside(tmp_path):
    told = UTM.replace("UTM, 1, 1", "UTM, 2, 1")
    group, report = scan(write(tmp_path, f"map info = {{{told}, rotation=18}}"))
    assert "GeoTransform" not in group["spatial_ref"].attributes
    assert "crs_wkt" in group["spatial_ref"].attributes
    assert any("readers disagree" in text for text in report.warnings)


def test_an_arbitrary_map_has_coordinates_without_units(tmp_path):
    group, report = scan(write(tmp_path, "map info = {Arbitrary, 1, 1, 0, 0, 1, 1, 0, North}"))
    assert not report.warnings
    assert open_stock(group)["y"][...].tolist() == [-0.5, -1.5, -2.5, -3.5, -4.5, -5.5]
    assert "units" not in group["x"].attributes


def test_gains_of_all_bands_are_scaling(tmp_path):
    told = "data gain values = {0.5, 0.5}\ndata offset values = {-3, -3}"
    path = write(tmp_path, told)
    group, _ = scan(path)
    assert set(group.members) == {"data"}
    attributes = group["data"].attributes
    assert (attributes["scale_factor"], attributes["add_offset"]) == (0.5, -3)
    with refmaker.open_dataset(refmaker.scan(path)) as opened:
        assert np.array_equal(opened["data"], CUBE * 0.5 - 3)


def test_gains_that_differ_are_listed(tmp_path):
    path = write(tmp_path, "data gain values = {0.5, 2}\nwavelength = {1, 2}\nfwhm = {.1, .2}")
    group, report = scan(path)
    assert "scale_factor" not in group["data"].attributes
    assert open_stock(group)["data_gain"][...].tolist() == [0.5, 2]
    assert any("differs between bands" in text for text in report.warnings)
    assert verified(path)


def test_lists_that_are_too_short_stay_attributes(tmp_path):
    group, report = scan(write(tmp_path, "band names = {r}\nfwhm = {1, 2, 3}"))
    assert set(group.members) == {"data"}
    assert group["data"].attributes["band_names"] == ["r"]
    assert group["data"].attributes["fwhm"] == [1, 2, 3]
    assert len(report.warnings) == 2

"""HDF-EOS2: grids with their coordinates, and swaths."""

import sys

import numpy as np
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401 - the accessor .rio
import xarray as xr

import refmaker
from refmaker.errors import MissingDependencyError
from refmaker.io.source import Source
from refmaker.scanners.hdf4 import HDF4Scanner
from refmaker.scanners.hdf4.odl import find_values, parse_odl
from refmaker.scanners.hdf4.projections import angle
from tests.scanners.hdf4 import eos_files, files

SPHERE = 6371007.181
CORNERS = ((-20015109.354, 1111950.51972), (-18903158.83434, 0.00006))
POLAR = (6378273, -0.006694, 0, 0, -45000000, 70000000)


def one_grid(path, size, corners, projection, params=(), **more):
    said = eos_files.grid("G", size, corners, projection, params, **more)
    field = eos_files.Field("v", ("YDim", "XDim"), files.values("f4", size[::-1]))
    eos_files.write(path, [("GRID", said, [field], ())])
    return files.scan(path)


def coordinates(group):
    from refmaker.testing.reading import decode_array

    return (decode_array(group[f"G/{name}"]) for name in "xy")


def places(group):
    """Return longitude and latitude of the pixels, by the grid mapping and the coordinates."""
    crs = pyproj.CRS.from_wkt(group["G/spatial_ref"].attributes["crs_wkt"])
    there = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    return there.transform(*np.meshgrid(*coordinates(group)))


@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_sinusoidal_grid_of_a_sphere(tmp_path):
    group, _ = one_grid(tmp_path / "g.hdf", (1200, 40), CORNERS, "GCTP_SNSOID", (SPHERE,))
    x, y = coordinates(group)
    assert x[0] == pytest.approx(-20015109.354 + 0.5 * 926.6254330555, abs=1e-6)
    assert y[0] == pytest.approx(1111950.51972 - 0.5 * 1111950.51966 / 40, abs=1e-6)
    mapping = group["G/spatial_ref"].attributes
    assert mapping["grid_mapping_name"] == "sinusoidal"
    assert mapping["semi_major_axis"] == mapping["semi_minor_axis"] == SPHERE
    array = group["G/v"]
    assert array.dimension_names == ("y", "x")
    assert array.attributes["grid_mapping"] == "spatial_ref"
    opened = refmaker.open_dataset(tmp_path / "g.hdf", group="G")["v"]
    assert opened.rio.crs == rasterio.CRS.from_wkt(mapping["crs_wkt"])
    assert opened.rio.transform(recalc=False)[2] == pytest.approx(CORNERS[0][0])


def test_polar_stereographic_grid_as_the_hdf_eos_library_places_it(tmp_path):
    corners = (-3850000, 5850000), (3750000, -5350000)
    group, _ = one_grid(tmp_path / "g.hdf", (4, 5), corners, "GCTP_PS", POLAR)
    longitude, latitude = places(group)
    assert latitude[0, 0] == pytest.approx(41.73984192, abs=1e-8)
    assert longitude[0, 0] == pytest.approx(166.51278738, abs=1e-8)


def test_equal_area_grid_whose_true_scale_is_given_as_300_degrees(tmp_path):
    corners = (-17000000, 7300000), (17000000, -7300000)
    params = (6371228, 0, 0, 0, 0, 300000000)
    group, _ = one_grid(tmp_path / "g.hdf", (8, 8), corners, "GCTP_CEA", params)
    assert places(group)[1][0, 0] == pytest.approx(30.08452106, abs=1e-8)


def test_geographic_grid_has_packed_corners(tmp_path):
    corners = (0, 4000000), (8000000, 0)
    group, _ = one_grid(tmp_path / "g.hdf", (8, 4), corners, "GCTP_GEO")
    x, y = coordinates(group)
    assert y.tolist() == [3.5, 2.5, 1.5, 0.5]
    assert x.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    assert group["G/x"].attributes["standard_name"] == "longitude"
    mapping = group["G/spatial_ref"].attributes
    assert mapping["grid_mapping_name"] == "latitude_longitude"
    assert "crs_wkt" not in mapping, "the file tells no figure of the earth"


def test_corners_of_the_older_equal_area_grid_are_packed_degrees(tmp_path):
    corners = (-180000000, 86043021), (180000000, -86043021)
    params = (6371228, 0, 0, 0, 0, 30000000)
    group, _ = one_grid(tmp_path / "g.hdf", (4, 2), corners, "GCTP_BCEA", params)
    x, _ = coordinates(group)
    step = 2 * 6371228 * np.pi * np.cos(np.radians(30)) / 4
    assert x == pytest.approx([-1.5 * step, -0.5 * step, 0.5 * step, 1.5 * step], abs=1e-6)
    longitude, latitude = places(group)
    assert longitude[0] == pytest.approx([-135, -45, 45, 135], abs=1e-9)
    sine = np.sin(np.radians(angle(86043021)))
    assert latitude[:, 0] == pytest.approx(np.degrees(np.arcsin([sine / 2, -sine / 2])), abs=1e-9)


@pytest.mark.parametrize(
    ("projection", "params", "more", "name"),
    [
        ("GCTP_UTM", (), {"ZoneCode": -33, "SphereCode": 12}, "transverse_mercator"),
        ("GCTP_LAMCC", (6378137, 0, 30000000, 60000000, -100000000, 40000000), {},
         "lambert_conformal_conic"),
        ("GCTP_ALBERS", (0, 0, 29030000, 45030000, -96000000, 23000000), {"SphereCode": 8},
         "albers_conical_equal_area"),
        ("GCTP_LAMAZ", (6371228, 0, 0, 0, 0, 90000000), {}, "lambert_azimuthal_equal_area"),
        ("GCTP_MERCAT", (6378137, 6356752.3, 0, 0, 10000000, 0), {}, "mercator"),
        ("GCTP_TM", (6378137, 0.00669438, 0.9996, 0, 15000000, 0, 500000), {},
         "transverse_mercator"),
    ],
)  # fmt: skip
def test_other_projections(tmp_path, projection, params, more, name):
    corners = (100000, 900000), (200000, 800000)
    group, report = one_grid(tmp_path / "g.hdf", (4, 2), corners, projection, params, **more)
    assert report.warnings == []
    assert group["G/spatial_ref"].attributes["grid_mapping_name"] == name
    longitude, latitude = places(group)
    assert np.isfinite([longitude, latitude]).all()


def test_south_zone_of_utm_counts_from_the_equator_down(tmp_path):
    corners = (499950, 10000000), (500050, 9999900)
    more = {"ZoneCode": -33, "SphereCode": 12}
    group, _ = one_grid(tmp_path / "g.hdf", (1, 1), corners, "GCTP_UTM", **more)
    longitude, latitude = places(group)
    assert longitude[0, 0] == pytest.approx(15, abs=1e-9)
    assert -0.001 < latitude[0, 0] < 0


def test_pixels_registered_at_their_corner(tmp_path):
    more = {"PixelRegistration": "HDFE_CORNER"}
    corners = (0, 4000000), (8000000, 0)
    group, _ = one_grid(tmp_path / "g.hdf", (8, 4), corners, "GCTP_GEO", **more)
    x, y = coordinates(group)
    assert (x[0], y[0], y[-1]) == (0, 4, 1)


@pytest.mark.parametrize(
    ("projection", "more", "told"),
    [
        ("GCTP_SOM", {}, "GCTP_SOM"),
        ("GCTP_ISINUS", {}, "GCTP_ISINUS"),
        ("GCTP_GEO", {"GridOrigin": "HDFE_GD_LR"}, "HDFE_GD_LR"),
        ("GCTP_GEO", {"UpperLeftPointMtrs": "DEFAULT"}, "corners"),
        ("GCTP_UTM", {"ZoneCode": 61, "SphereCode": 12}, "zone 61"),
        ("GCTP_PS", {"SphereCode": 77}, "sphere code 77"),
    ],
)
def test_grids_that_cannot_be_placed_keep_their_data(tmp_path, projection, more, told):
    params = POLAR if projection == "GCTP_PS" else (SPHERE,)
    group, report = one_grid(
        tmp_path / "g.hdf", (8, 4), ((0, 4000000), (8000000, 0)), projection, params, **more
    )
    assert set(group["G"].members) == {"v"}
    assert group["G/v"].dimension_names == ("YDim", "XDim")
    assert "grid_mapping" not in group["G/v"].attributes
    (warning,) = report.warnings
    assert warning.startswith("/G: it has no coordinates")
    assert told in warning


def structures():
    """Return two grids and two swaths with fields of one name in all."""
    first = eos_files.grid("First", (6, 4), ((0, 4000000), (6000000, 0)), "GCTP_GEO")
    second = eos_files.grid("Second", (4, 5), ((-3850000, 5850000), (3750000, -5350000)),
                            "GCTP_PS", POLAR)  # fmt: skip
    field = eos_files.Field
    layered = field("temperature", ("Band", "YDim", "XDim"), files.values("f4", (2, 5, 4)))
    swath = [
        field("temperature", ("Track", "Cross"), files.values("f4", (20, 10)), units="K"),
        field("Latitude", ("GeoTrack", "GeoCross"), files.values("f4", (4, 5)), geolocation=True),
        field("Longitude", ("GeoTrack", "GeoCross"), files.values("f4", (4, 5), 1),
              geolocation=True),
        field("Time", ("Track",), np.arange(20, dtype="f8"), geolocation=True),
        field("quality", ("Track",), np.arange(20, dtype="u1")),
    ]  # fmt: skip
    fine = [
        field("temperature", ("Track", "Cross"), files.values("f4", (6, 7))),
        field("Latitude", ("Track", "Cross"), files.values("f4", (6, 7), 2), geolocation=True),
        field("Longitude", ("Track", "Cross"), files.values("f4", (6, 7), 3), geolocation=True),
    ]
    maps = [("GeoTrack", "Track", 2, 5), ("GeoCross", "Cross", 0, 2)]
    return [
        (
            "GRID",
            first,
            [field("temperature", ("YDim", "XDim"), files.values("f4", (4, 6), 4))],
            (),
        ),
        ("GRID", second, [layered], ()),
        ("SWATH", {"SwathName": '"Coarse"'}, swath, maps),
        ("SWATH", {"SwathName": '"Fine"'}, fine, ()),
    ]


def test_every_structure_is_a_group(tmp_path):
    path = eos_files.write(tmp_path / "s.hdf", structures())
    group, report = files.scan(path)
    assert set(group.members) == {"First", "Second", "Coarse", "Fine"}
    assert group["Second/temperature"].dimension_names == ("Band", "y", "x")
    assert group["First/temperature"].shape == (4, 6)
    assert report.lossless
    assert files.unequal(path)[0] == []
    assert files.unequal(path, inline_threshold=0)[0] == []


def test_swaths_lead_to_geolocation_of_the_same_dimensions_alone(tmp_path):
    group, _ = files.scan(eos_files.write(tmp_path / "s.hdf", structures()))
    coarse, fine = group["Coarse"], group["Fine"]
    # Latitude and longitude lie on a coarser grid: nothing is interpolated.
    assert coarse.members["temperature"].attributes["coordinates"] == "Time"
    assert coarse.members["Latitude"].dimension_names == ("GeoTrack", "GeoCross")
    assert coarse.attributes["dimension_maps"][0] == {
        "geolocation_dimension": "GeoTrack", "data_dimension": "Track",
        "offset": 2, "increment": 5,
    }  # fmt: skip
    assert coarse.members["quality"].dimension_names == ("Track",)
    assert fine.members["temperature"].attributes["coordinates"] == "Latitude Longitude"
    assert "coordinates" not in fine.members["Latitude"].attributes


def test_xarray_opens_grids_and_swaths(tmp_path):
    target = tmp_path / "refs.json"
    refmaker.scan(eos_files.write(tmp_path / "s.hdf", structures())).write(target)
    with xr.open_dataset(target, engine="refmaker", group="First") as grid:
        assert grid.temperature.coords["y"].values.tolist() == [3.5, 2.5, 1.5, 0.5]
    with xr.open_dataset(target, engine="refmaker", group="Fine") as swath:
        assert set(swath.temperature.coords) == {"Latitude", "Longitude"}


def test_structures_without_vgroups_are_known_by_the_metadata(tmp_path):
    said = eos_files.grid("G", (6, 4), ((0, 4000000), (6000000, 0)), "GCTP_GEO")
    field = eos_files.Field("v", ("YDim", "XDim"), files.values("f4", (4, 6)))
    path = eos_files.write(tmp_path / "g.hdf", [("GRID", said, [field], ())], vgroups=False,
                           dims=False)  # fmt: skip
    group, _ = files.scan(path)
    assert group["G/v"].dimension_names == ("y", "x")
    assert files.unequal(path)[0] == []


def test_long_metadata_are_put_together(tmp_path):
    said = eos_files.grid("G", (6, 4), ((0, 4000000), (6000000, 0)), "GCTP_GEO")
    names = [f"a_rather_long_name_of_a_field_{i}" for i in range(250)]
    zeros = np.zeros((4, 6), "u1")
    fields = [eos_files.Field(name, ("YDim", "XDim"), zeros) for name in names]
    group, _ = files.scan(eos_files.write(tmp_path / "g.hdf", [("GRID", said, fields, ())]))
    assert "StructMetadata.1" in group.attributes
    assert all(
        group[f"G/{field.name}"].attributes["grid_mapping"] == "spatial_ref" for field in fields
    )


@pytest.mark.parametrize(
    ("packed", "degrees"),
    [(4000000, 4), (-45030000, -45.5), (180000000, 180), (86043021, 86 + 43 / 60 + 21 / 3600),
     (-30000030.5, -30 - 30.5 / 3600), (0, 0)],
)  # fmt: skip
def test_packed_angles(packed, degrees):
    assert angle(packed) == pytest.approx(degrees, abs=1e-12)


def test_odl():
    text = """
GROUP = INVENTORYMETADATA
  GROUPTYPE = MASTERGROUP
  OBJECT = SHORTNAME
    NUM_VAL = 1
    VALUE = "MOD06_L2"
  END_OBJECT = SHORTNAME
  OBJECT = LIST
    VALUE = ("a, (b)", "c",
             3, -1.5E+2)
  END_OBJECT = LIST
  EMPTY = ""
END_GROUP = INVENTORYMETADATA
END
"""
    found = parse_odl(text)
    assert find_values(found, "SHORTNAME") == ["MOD06_L2"]
    assert find_values(found, "LIST") == [["a, (b)", "c", 3, -150.0]]
    assert found["INVENTORYMETADATA"]["EMPTY"] == ""
    assert find_values(found, "NONE") == []


@pytest.mark.parametrize(
    "text",
    ["", "END", "GROUP=" * 1000, "GROUP=A\n" * 5000, "END_GROUP=A\n" * 50, '="', "A=(((", 'A="b',
     "A=(1,(2,3))\nB=4", "\0\0\0", "A B C = = ="],
)  # fmt: skip
def test_odl_that_is_none_is_passed_over(text):
    assert isinstance(parse_odl(text), dict)


def test_without_pyproj_grids_keep_their_data(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyproj", None)
    group, report = one_grid(tmp_path / "g.hdf", (6, 4), CORNERS, "GCTP_SNSOID", (SPHERE,))
    assert set(group["G"].members) == {"v"}
    (warning,) = report.warnings
    assert "pip install 'refmaker[hdf4]'" in warning


def test_geographic_grids_need_no_pyproj(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyproj", None)
    group, report = one_grid(tmp_path / "g.hdf", (8, 4), ((0, 4000000), (8000000, 0)), "GCTP_GEO")
    assert report.warnings == []
    assert set(group["G"].members) == {"v", "x", "y", "spatial_ref"}


def test_without_pyhdf_the_extra_is_named(tmp_path, monkeypatch):
    path = files.codings(tmp_path / "codings.hdf")
    monkeypatch.setitem(sys.modules, "pyhdf", None)
    with (
        Source(path) as source,
        pytest.raises(MissingDependencyError, match=r"refmaker\[hdf4\]"),
        HDF4Scanner().native(source),
    ):
        pass

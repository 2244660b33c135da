"""STAC items say where, when and what a set is, and their assets open in xpystac."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pystac
import pystac.validation
import pytest
import rasterio
import rasterio.warp
import xarray as xr
from affine import Affine
from pyproj import CRS, Transformer

import refmaker
from refmaker.errors import MetadataError
from refmaker.publish import catalog
from refmaker.testing.http import RangeServer

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def written(data, folder, name="a"):
    """Write a dataset and its reference set; return the set's path."""
    data.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    refs = folder / f"{name}.json"
    refmaker.scan(folder / f"{name}.nc").write(refs)
    return refs


def checked(item):
    """Return an item's document after it was found valid by the core schemas, which are at hand.

    Those of extensions lie behind the network: what they ask for is asserted here.
    """
    document = json.loads(json.dumps(item.to_dict(include_self_link=False), allow_nan=False))
    core = {**document, "stac_extensions": []}
    pystac.validation.validate_dict(core)
    found = document["properties"]
    for dimension in found.get("cube:dimensions", {}).values():
        assert "extent" in dimension or "values" in dimension
        assert dimension["type"] != "spatial" or dimension["axis"] in ("x", "y", "z")
    for variable in found.get("cube:variables", {}).values():
        assert variable["type"] in ("data", "auxiliary")
        assert set(variable["dimensions"]) <= set(found["cube:dimensions"])
    assert ("cube:dimensions" in found) == any("datacube" in e for e in document["stac_extensions"])
    assert ("proj:code" in found) == any("projection" in e for e in document["stac_extensions"])
    return document


@pytest.fixture
def air(tmp_path):
    """Write two days of data and their reference sets; return both days."""
    days = {}
    (tmp_path / "refs").mkdir()
    for number, day in enumerate(("20240101", "20240102")):
        days[day] = xr.Dataset(
            {"t": (("time", "lat", "lon"), np.random.default_rng(number).normal(size=(24, 4, 5)))},
            {
                "time": np.datetime64("2024-01-01")
                + np.timedelta64(24 * number, "D")
                + np.arange(24).astype("m8[h]"),
                "lat": ("lat", [10.0, 20.0, 30.0, 40.0], {"units": "degrees_north"}),
                "lon": ("lon", [0.0, 90.0, 180.0, 200.0, 300.0], {"units": "degrees_east"}),
            },
        )
        written(days[day], tmp_path / "refs", day)
    return days


def test_stac_items_open_in_xpystac(air, tmp_path):
    with RangeServer(tmp_path) as server:
        refmaker.scan(server.url("refs/20240101.nc")).write(tmp_path / "far.json")
        item = catalog.stac_item(tmp_path / "far.json", href=server.url("far.json"))
        again = pystac.Item.from_dict(json.loads(json.dumps(item.to_dict())))
        found = xr.open_dataset(again.assets["references"], engine="stac").load()
    xr.testing.assert_identical(found, air["20240101"])
    assert item.bbox == [-180.0, 10.0, 180.0, 40.0]
    assert item.common_metadata.start_datetime == datetime(2024, 1, 1, tzinfo=UTC)
    assert item.properties["cube:dimensions"]["time"]["type"] == "temporal"
    assert item.properties["cube:variables"]["t"]["dimensions"] == ["time", "lat", "lon"]


def test_stac_collections(air, tmp_path):
    items = [catalog.stac_item(tmp_path / f"refs/{day}.json", id=day) for day in air]
    collection = catalog.stac_collection("air", items, description="two days")
    assert [item.id for item in collection.get_items()] == list(air)
    spans = collection.extent.temporal.intervals[0]
    assert spans[0] == datetime(2024, 1, 1, tzinfo=UTC)
    assert spans[1].day == 25  # the second file begins 24 days later
    assert collection.extent.spatial.bboxes[0] == [-180.0, 10.0, 180.0, 40.0]


def test_a_stac_item_needs_times(tmp_path):
    xr.Dataset({"v": ("x", np.arange(3.0))}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    refmaker.scan(tmp_path / "a.nc").write(tmp_path / "a.json")
    with pytest.raises(MetadataError, match="times"):
        catalog.stac_item(tmp_path / "a.json")
    now = datetime(2024, 1, 1, tzinfo=UTC)
    item = catalog.stac_item(tmp_path / "a.json", times=(now, now))
    assert item.geometry is None


@pytest.fixture
def scene(tmp_path):
    """Write a GeoTIFF with an overview and its reference set; return the values."""
    values = np.arange(96 * 64, dtype="u2").reshape(64, 96)
    with rasterio.open(
        tmp_path / "scene.tif",
        "w",
        driver="GTiff",
        width=96,
        height=64,
        count=1,
        dtype="uint16",
        crs="EPSG:32633",
        transform=Affine(10, 0, 600000, 0, -20, 5600000),
    ) as file:
        file.write(values, 1)
        file.build_overviews([2])
    refmaker.scan(tmp_path / "scene.tif").write(tmp_path / "scene.json")
    return values


def test_a_raster_has_the_fields_of_the_projection_extension(scene, tmp_path):
    item = catalog.stac_item(tmp_path / "scene.json", group="0", times=(NOW, NOW))
    found = checked(item)["properties"]
    assert item.datetime == NOW
    with rasterio.open(tmp_path / "scene.tif") as file:
        assert found["proj:transform"] == list(file.transform)[:6]
        assert found["proj:bbox"] == list(file.bounds)
        assert found["proj:shape"] == list(file.shape)
        box = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert found["proj:code"] == "EPSG:32633"
    assert found["proj:epsg"] == 32633
    assert CRS.from_wkt(found["proj:wkt2"]) == CRS.from_epsg(32633)
    np.testing.assert_allclose(item.bbox, box, atol=1e-9)
    ring = np.array(item.geometry["coordinates"][0])
    assert (ring[0] == ring[-1]).all()
    turned = Transformer.from_crs(4326, 32633, always_xy=True).transform(*ring.T)
    corners = {(round(float(x)), round(float(y))) for x, y in zip(*turned, strict=True)}
    assert {(600000, 5600000), (600960, 5600000), (600960, 5598720)} <= corners
    x = found["cube:dimensions"]["x"]
    assert (x["type"], x["axis"], x["extent"]) == ("spatial", "x", [600005, 600955])
    assert x["reference_system"] == 32633


def test_levels_have_their_own_grid(scene, tmp_path):
    found = catalog.stac_item(tmp_path / "scene.json", group="1", times=(NOW, NOW)).properties
    assert found["proj:shape"] == [32, 48]
    assert found["proj:transform"] == [20, 0, 600000, 0, -40, 5600000]
    with pytest.raises(MetadataError, match="no arrays in the group /") as refused:
        catalog.stac_item(tmp_path / "scene.json", times=(NOW, NOW))
    assert "/0, /1" in refused.value.hint


@pytest.mark.parametrize("far", [True, False])
def test_a_group_opens_in_xpystac(scene, tmp_path, far):
    with RangeServer(tmp_path) as server:
        refmaker.scan(server.url("scene.tif")).write(tmp_path / "far.json")
        href = server.url("far.json") if far else None
        item = catalog.stac_item(tmp_path / "far.json", href=href, group="0", times=(NOW, NOW))
        document = checked(item)
        again = pystac.Item.from_dict(document)
        found = xr.open_dataset(again.assets["references"], engine="stac").load()
        data = document["assets"]["data"]
        assert data["href"] == server.url("scene.tif")
    np.testing.assert_array_equal(found.image, scene)
    # kerchunk's engine, which takes the other type, shows groups as empty.
    assert document["assets"]["references"]["type"] == "application/vnd+zarr"
    assert (data["type"], data["roles"]) == ("image/tiff; application=geotiff", ["data"])


def test_sets_that_stock_readers_misread_are_opened_by_the_engine_of_refmaker(air, tmp_path):
    refmaker.read(tmp_path / "refs/20240101.json").write(tmp_path / "r.json", relative=True)
    asset = catalog.stac_item(tmp_path / "r.json").assets["references"]
    assert asset.media_type == "application/vnd+zarr"
    found = xr.open_dataset(asset, engine="stac").load()
    xr.testing.assert_identical(found, air["20240101"])
    far = catalog.stac_item(tmp_path / "r.json", href="https://example.org/r.json")
    assert far.assets["references"].media_type == "application/vnd+zarr"


def on_grid(crs, x, y, units="m", **attributes):
    """Return a dataset with a grid mapping, as CF has it."""
    return xr.Dataset(
        {
            "v": (("y", "x"), np.zeros((len(y), len(x)), "f4"), {"grid_mapping": "crs"}),
            "crs": ((), 0, {**CRS.from_user_input(crs).to_cf(), **attributes}),
        },
        {"x": ("x", x, {"units": units, "axis": "X"}), "y": ("y", y, {"units": units})},
    )


def place(data, folder):
    return catalog.stac_item(written(data, folder), times=(NOW, NOW))


def test_kilometres_are_metres_of_the_reference_system(tmp_path):
    item = place(on_grid(3035, [4000.0, 4001.0], [3000.0, 2998.0, 2996.0], "km"), tmp_path)
    found = checked(item)["properties"]
    assert found["proj:transform"] == [1000, 0, 3999500, 0, -2000, 3001000]
    assert found["proj:bbox"] == [3999500, 2995000, 4001500, 3001000]
    assert found["cube:variables"]["crs"]["type"] == "auxiliary"


def test_a_stale_geotransform_is_not_believed(tmp_path):
    stale = {"GeoTransform": "0.0 10.0 0.0 0.0 0.0 -10.0"}
    item = place(on_grid(3035, [4e6, 4e6 + 10], [3e6, 3e6 - 10, 3e6 - 20], **stale), tmp_path)
    assert item.properties["proj:transform"] == [10, 0, 4e6 - 5, 0, -10, 3e6 + 5]


@pytest.mark.parametrize("x", [[4e6, 4e6 + 10, 4e6 + 30], [4e6, 4e6, 4e6], [np.nan, 0, 1]])
def test_uneven_coordinates_are_no_raster(tmp_path, x):
    found = checked(place(on_grid(3035, x, [3e6, 2e6]), tmp_path))
    assert found["properties"]["proj:code"] == "EPSG:3035"
    assert "proj:transform" not in found["properties"]
    assert found["geometry"] is None


def test_radians_of_a_satellite_are_not_metres(tmp_path):
    view = "+proj=geos +h=35786023 +lon_0=-75 +sweep=x +ellps=GRS80"
    found = checked(place(on_grid(view, [-0.1, 0, 0.1], [0.1, 0, -0.1], "rad"), tmp_path))
    assert found["properties"]["proj:code"] is None
    assert found["properties"]["proj:wkt2"]
    assert not {"proj:transform", "proj:bbox"} & set(found["properties"])
    assert found["geometry"] is None


def test_the_edge_of_a_full_disk_is_on_no_globe(tmp_path):
    view = "+proj=geos +h=35786023 +lon_0=-75 +sweep=x +ellps=GRS80"
    far = np.linspace(-5.4e6, 5.4e6, 5)
    found = checked(place(on_grid(view, far, far), tmp_path))
    assert found["properties"]["proj:shape"] == [5, 5]
    assert found["geometry"] is None


def test_the_antimeridian_cuts_the_outline(tmp_path):
    item = place(on_grid(32601, [3e5 + 1e4 * i for i in range(9)], [7e6, 6.99e6]), tmp_path)
    checked(item)
    west, south, east, north = item.bbox
    assert 170 < west <= 180
    assert -180 <= east < -170
    assert item.geometry["type"] == "MultiPolygon"
    assert south < north


def test_a_pole_is_within(tmp_path):
    edge = np.linspace(-3e6, 3e6, 7)
    item = place(on_grid(3413, edge, edge[::-1]), tmp_path)
    checked(item)
    west, south, east, north = item.bbox
    assert (west, east, round(north, 6)) == (-180, 180, 90)
    assert 40 < south < 60


@pytest.mark.parametrize(
    ("longitudes", "west", "east"),
    [
        (np.arange(0, 360.0), -180, 180),
        (np.arange(-180, 180.0), -180, 180),
        (np.arange(170, 191.0), 170, -170),
        (np.array([*range(170, 181), *range(-179, -169)], "f8"), 170, -170),
        (np.arange(200, 251.0), -160, -110),
        (np.array([10.0, 20.0]), 10, 20),
        (np.array([7.0]), 7, 7),
    ],
)
def test_boxes_of_longitudes(tmp_path, longitudes, west, east):
    data = xr.Dataset(
        {"v": (("lat", "lon"), np.zeros((3, len(longitudes))))},
        {
            "lat": ("lat", [1.0, 2.0, 3.0], {"units": "degrees_north"}),
            "lon": ("lon", longitudes, {"units": "degrees_east"}),
        },
    )
    item = place(data, tmp_path)
    checked(item)
    assert item.bbox == [west, 1, east, 3]
    assert item.geometry["type"] == ("Polygon" if west <= east else "MultiPolygon")


def test_a_global_grid_with_a_mapping(tmp_path):
    data = on_grid(4326, np.arange(0, 360.0, 10), np.arange(-90, 91.0, 10), "degrees")
    item = place(data, tmp_path)
    checked(item)
    assert item.bbox == [-180, -90, 180, 90]
    assert item.properties["proj:bbox"] == [-5, -95, 355, 95]


def test_other_dimensions(tmp_path):
    data = xr.Dataset(
        {"v": (("time", "level", "name", "step"), np.zeros((2, 2, 2, 3)), {"units": "K"})},
        {
            "reftime": ("time", np.array(["1990-01-01", "1990-01-02"], "M8[ns]")),
            "time": (
                "time",
                np.array(["2024-01-01", "2024-01-01T06:00:00.5"], "M8[ns]"),
                {"standard_name": "time"},
            ),
            "level": ("level", [1000.0, 500.0], {"units": "hPa", "positive": "down"}),
            "name": ("name", ["north", "south"]),
        },
    )
    found = checked(catalog.stac_item(written(data, tmp_path)))["properties"]
    assert found["start_datetime"] == "2024-01-01T00:00:00Z"
    cube = found["cube:dimensions"]
    assert cube["time"]["extent"] == [
        "2024-01-01T00:00:00+00:00",
        "2024-01-01T06:00:00.500000+00:00",
    ]
    assert cube["level"] == {
        "type": "spatial",
        "axis": "z",
        "extent": [500.0, 1000.0],
        "unit": "hPa",
    }
    assert cube["name"] == {"type": "other", "values": ["north", "south"]}
    assert cube["step"] == {"type": "other", "extent": [0, 2]}
    assert found["cube:variables"]["v"]["unit"] == "K"


@pytest.mark.parametrize("box", [(0, 1, 2), (0, 5, 1, 4), (0, 0, 190, 1), (0, float("nan"), 1, 1)])
def test_boxes_that_are_none(air, tmp_path, box):
    with pytest.raises(MetadataError, match="not west, south, east, north"):
        catalog.stac_item(tmp_path / "refs/20240101.json", bbox=box)

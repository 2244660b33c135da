"""Levels without NGFF metadata: `info`, the page and napari take the same, by one rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

import refmaker
from refmaker.model import Group
from refmaker.model.grid_mapping import geotransform
from refmaker.model.inline import inline_array
from refmaker.model.pyramid import numbered_levels
from refmaker.publish.description.images import images
from refmaker.publish.images import pictures
from refmaker.publish.pictures.pyramids import pyramids
from refmaker.scanners.tiff.summary import summary

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]
CORNERS = [(0, 0), (0, 200), (131, 0), (131, 200)]
PLACES = {
    "upright": {"transform": Affine(10, 0, 5e5, 0, -10, 5e6)},
    "turned": {"transform": Affine(10, 2, 5e5, 2, -10, 5e6)},
    "points": {"gcps": [GroundControlPoint(r, c, 5e5 + c, 5e6 - r) for r, c in CORNERS]},
}


def level(rows, columns, *, x=0.0, step=1.0, dtype="u1", names=("y", "x"), crs="A", name="image"):
    """Return a group with an image on the ground that rows and columns of one size cover."""
    place = {"crs_wkt": crs, "GeoTransform": f"{x} {step} 0 0 0 {-step}"}
    sizes = {"y": rows, "x": columns, "lat": rows, "lon": columns}
    values = np.zeros([sizes.get(one, 3) for one in names], dtype)
    image = inline_array(values, names, {"grid_mapping": "crs"})
    return Group({name: image, "crs": inline_array(np.zeros(()), (), place)})


def levels(**second):
    """Return what is found in an image of 40 by 60 and one of 20 by 30."""
    small = {"rows": 20, "columns": 30, "step": 2.0} | second
    return numbered_levels(Group({"0": level(40, 60), "1": level(**small)}))


def test_smaller_copies_on_the_same_ground_are_levels():
    assert levels() == [["0/image", "1/image"]]
    # The last column stands for a part of what the others do.
    assert levels(x=1.5) == [["0/image", "1/image"]]


@pytest.mark.parametrize(
    "other",
    [
        {"x": 4}, {"step": 1.0}, {"crs": "B"}, {"dtype": "u2"}, {"names": ("x", "y")},
        {"names": ("band", "y", "x")}, {"rows": 40}, {"rows": 40, "columns": 60, "step": 1.0},
        {"rows": 80, "columns": 120, "step": 0.5}, {"name": "other"}, {"rows": 0, "columns": 0},
        {"names": ("lat", "lon")},
    ],
)  # fmt: skip
def test_other_images_are_none(other):
    assert levels(**other) == []


def test_without_a_place_nothing_tells_levels_from_other_images():
    groups = {"0": level(40, 60), "1": level(20, 30, step=2.0)}
    bare = {
        name: Group({"image": replace(group["image"], attributes={})})
        for name, group in groups.items()
    }
    assert numbered_levels(Group(bare)) == []


def test_each_name_has_its_levels():
    groups = {
        str(at): Group({**level(n, n, step=64 / n, names=("b", "lat", "lon")).members, **more})
        for at, (n, more) in enumerate([(64, level(64, 64, name="mask").members), (32, {})])
    }
    assert numbered_levels(Group(groups)) == [["0/image", "1/image"]]
    groups["1"] = Group({**groups["1"].members, **level(32, 32, step=2.0, name="mask").members})
    assert numbered_levels(Group(groups)) == [["0/image", "1/image"], ["0/mask", "1/mask"]]


@pytest.mark.parametrize("told", [None, 7, "1 2 3", "a b c d e f", [1, 2, "x"], "1 2 3 4 5 nan"])
def test_what_is_no_transform_places_nothing(told):
    assert geotransform({"GeoTransform": told}) is None


def test_transforms_are_texts_or_lists():
    assert geotransform({"GeoTransform": "1 2 3 4 5 6.5"}) == (1, 2, 3, 4, 5, 6.5)
    assert geotransform({"GeoTransform": [1, 2, 3, 4, 5, 6]}) == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    "told", [None, 7, "text", {"features": 7}, {"features": [{"geometry": {}}]}]
)
def test_damaged_control_points_place_nothing(told):
    groups = {}
    for at, size in enumerate((64, 32)):
        group = level(size, size)
        mapping = replace(group["crs"], attributes={"crs_wkt": "A", "gcps": told})
        groups[str(at)] = Group({**group.members, "crs": mapping})
    assert numbered_levels(Group(groups)) == []


@pytest.mark.parametrize("place", PLACES)
def test_overviews_are_levels_wherever_one_looks(tmp_path, place):
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 201, "height": 132, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32633", **PLACES[place]) as file:
        file.write(np.zeros((1, 132, 201), "u1"))
        file.build_overviews([2, 4])
    root = refmaker.scan(path).group
    expected = ["0/image", "1/image", "2/image"]
    (informed,) = images(dict(root.walk()))
    assert [one["path"] for one in informed["levels"]] == expected
    (drawn,) = pyramids(root)
    assert drawn.levels == tuple(expected)
    groups = {
        name: xr.Dataset({"image": (("y", "x"), np.zeros(root[f"{name}/image"].shape))})
        for name in "012"
    }
    (shown,) = pictures({"": xr.Dataset(), **groups}, root)
    assert shown.paths == expected
    (row,) = summary(root)
    assert row["levels"] == 3

"""GeoZarr attributes of GeoTIFFs, against rasterio and, where they are, its validators."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import rasterio
import zarr
from click.testing import CliRunner
from pyproj import CRS
from rasterio.transform import Affine

import refmaker
from refmaker.cli import main
from refmaker.errors import UnsupportedError
from refmaker.scanning.options import ScanOptions
from refmaker.storage.reference_set import ReferenceSet
from tests.scanners.tiff.meaning_files import noise
from tests.scanners.tiff.test_geo import write

pytestmark = [
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]
VALIDATORS = all(map(importlib.util.find_spec, ("geozarr_toolkit", "zarr_cm")))
"""Whether they are installed: they need Python 3.12."""
UUIDS = {
    "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4": "spatial",
    "f17cb550-5864-4468-aeb7-f3180cfb622f": "proj",
    "d35379db-88df-4056-af3a-620245f8e347": "multiscales",
}


def scan(path):
    return refmaker.scan(str(path), options=ScanOptions(settings={"geozarr": "yes"}))


def pyramid(path, data, overviews=(2, 4), **profile):
    """Write a tiled GeoTIFF with overviews."""
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    write(path, data, **tiles, **profile)
    with rasterio.open(path, "r+") as file:
        file.build_overviews(list(overviews))
    return path


def conventions(attributes):
    return {UUIDS[one["uuid"]] for one in attributes["zarr_conventions"]}


def check_system(attributes, theirs):
    """Assert that the reference system is the file's."""
    ours = attributes.get("proj:code") or attributes["proj:wkt2"]
    assert CRS.from_user_input(ours) == CRS.from_user_input(theirs)
    assert ("proj:code" in attributes) != ("proj:wkt2" in attributes)


def check_valid(group, several):
    if not VALIDATORS:
        return
    import geozarr_toolkit
    import zarr_cm

    attributes = dict(group.attrs)
    names = {"spatial", "proj", *(["multiscales"] if several else [])}
    assert set(geozarr_toolkit.detect_conventions(attributes)) == names
    assert geozarr_toolkit.validate_group(group) == {
        name: [] for name in (*names, "zarr_conventions")
    }
    document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    for name in names:
        getattr(zarr_cm, name).validate_group_metadata(document)


@pytest.mark.parametrize("bands", [1, 3])
def test_a_pyramid(tmp_path, bands):
    path = pyramid(tmp_path / "a.tif", noise(bands, 300, 201))
    scan(path).write(tmp_path / "a.json")
    assert "zarr.json" in json.loads((tmp_path / "a.json").read_text())["refs"]
    group = refmaker.open_group(tmp_path / "a.json")
    assert conventions(group.attrs) == {"spatial", "proj", "multiscales"}
    levels = group.attrs["multiscales"]["layout"]
    assert len(levels) == 3
    for at, level in enumerate(levels):
        with rasterio.open(path, **({"overview_level": at - 1} if at else {})) as file:
            assert level["spatial:shape"] == list(file.shape)
            assert np.allclose(level["spatial:transform"], file.transform[:6], rtol=1e-15)
            check_system(group.attrs, file.crs)
            array = group[level["asset"]]
            read = (
                array[...]
                if bands == 1
                else np.moveaxis(array[...], array.metadata.dimension_names.index("band"), 0)
            )
            assert np.array_equal(read.reshape(-1, *file.shape), file.read())
        assert ("derived_from" in level) == bool(at)
        scale = np.array([300, 201]) / level["spatial:shape"]
        assert np.allclose(level["transform"]["scale"], scale)
        told = array.attrs
        assert conventions(told) == {"spatial", "proj"}
        assert told["spatial:transform"] == level["spatial:transform"]
        assert set(told["spatial:dimensions"]) <= set(array.metadata.dimension_names)
    with rasterio.open(path) as file:
        assert np.allclose(group.attrs["spatial:bbox"], file.bounds, rtol=1e-15)
    check_valid(group, several=True)


ROTATED = Affine(10, 3, 500000.5, 2, -10, 4100000.25)


@pytest.mark.parametrize(
    ("profile", "tags"),
    [
        ({}, {}), ({"crs": "EPSG:4326"}, {}), ({"transform": ROTATED}, {}),
        ({}, {"AREA_OR_POINT": "Point"}), ({"crs": "ESRI:54009"}, {}), ({"crs": "EPSG:7415"}, {}),
        ({"crs": "+proj=laea +lat_0=90 +lon_0=0 +a=6371228 +b=6371228 +units=m"}, {}),
    ],
)  # fmt: skip
def test_an_image_without_levels(tmp_path, profile, tags):
    path = write(tmp_path / "a.tif", noise(1, 30, 20), tags=tags, **profile)
    group = refmaker.open_group(scan(path))
    assert conventions(group.attrs) == {"spatial", "proj"}
    told = group["image"].attrs
    with rasterio.open(path) as file:
        assert np.allclose(told["spatial:transform"], file.transform[:6], rtol=1e-15)
        check_system(told, file.crs)
        corners = np.array([file.transform * at for at in ((0, 0), (20, 0), (0, 30), (20, 30))])
    bounds = [*corners.min(0), *corners.max(0)]
    assert np.allclose(group.attrs["spatial:bbox"], bounds, rtol=1e-15)
    check_valid(group, several=False)


def test_a_real_store(tmp_path):
    path = pyramid(tmp_path / "a.tif", noise(1, 300, 201))
    refmaker.materialize(scan(path), tmp_path / "out.zarr", recode="zstd")
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert group.metadata.zarr_format == 3
    check_valid(group, several=True)
    with rasterio.open(path, overview_level=0) as file:
        assert np.array_equal(group["1/image"][...], file.read(1))


def test_what_is_nowhere_is_told(tmp_path):
    path = write(tmp_path / "a.tif", noise(1, 30, 20), crs=None, transform=None)
    refs = scan(path)
    assert any("not described as GeoZarr" in warning for warning in refs.report.warnings)
    assert "zarr_conventions" not in refs.group.attributes


def test_not_unless_it_is_asked_for(tmp_path):
    group = refmaker.scan(str(write(tmp_path / "a.tif", noise(1, 30, 20)))).group
    assert "zarr_conventions" not in {*group.attributes, *group["image"].attributes}


def test_version_2_is_refused(tmp_path):
    path = pyramid(tmp_path / "a.tif", noise(1, 300, 201))
    refs = scan(path)
    for how in ({"format": "parquet"}, {"format": "compact"}, {"zarr_format": 2}):
        with pytest.raises(UnsupportedError, match="GeoZarr is of version 3") as error:
            refs.write(tmp_path / "out", **how)
        assert "'geozarr': 'no'" in error.value.hint
    words = ["scan", str(path), "-o", str(tmp_path / "a.json"), "--geozarr", "yes"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert ReferenceSet.read(tmp_path / "a.json").zarr_format == 3
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "a.json")]).exit_code == 0

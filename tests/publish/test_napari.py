"""Layers for napari have the values of the files, and their scales, names, contrast and levels."""

from __future__ import annotations

import subprocess
import sys

import dask.array as da
import npe2.io_utils
import numpy as np
import pytest
import rasterio
import tifffile
import xarray as xr
from affine import Affine
from phantom import write_study
from phantom.anatomy import COLOURS, torso

import refmaker
from refmaker.errors import UnsupportedError
from refmaker.publish.napari import layers, napari_get_reader
from tests.scanners.dicom.image_files import save, save_all, slice_of, slide_level

PLANES = np.arange(2 * 3 * 64 * 64, dtype="u2").reshape(2, 3, 64, 64)


def read(*paths):
    """Return the layers by napari's way: the manifest that is installed, and its command."""
    npe2.PluginManager.instance().discover()
    path = [str(path) for path in paths]
    found, contribution = npe2.io_utils.read_get_reader(
        path, stack=len(path) > 1, plugin_name="refmaker"
    )
    assert contribution.command == "refmaker.read"
    return found


def of(layer):
    """Return levels and keywords of a layer, whose data must be lazy."""
    data, keywords, kind = layer
    levels = data if isinstance(data, list) else [data]
    assert kind == "image"
    assert all(isinstance(level, da.Array) for level in levels)
    for name in ("scale", "translate", "units", "axis_labels"):
        assert len(keywords[name]) == levels[0].ndim - keywords.get("rgb", False)
    return levels, keywords


@pytest.fixture
def cells(tmp_path):
    """Write an OME-TIFF of two channels and two levels."""
    path = tmp_path / "cells.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        told = {
            "axes": "CZYX",
            "Channel": {"Name": ["DAPI", "GFP"]},
            "PhysicalSizeX": 0.5,
            "PhysicalSizeY": 0.25,
            "PhysicalSizeZ": 2.0,
        }
        file.write(PLANES, subifds=1, tile=(32, 32), metadata=told)
        file.write(PLANES[..., ::2, ::2], subfiletype=1, tile=(32, 32))
    return path


@pytest.mark.parametrize("form", ["tif", "json", "parquet"])
def test_channels_and_levels(cells, tmp_path, form):
    path = cells
    if form != "tif":
        path = tmp_path / f"cells.{form}"
        refmaker.scan(cells).write(path)
    found = [of(layer) for layer in read(path)]
    assert [keywords["name"] for _, keywords in found] == ["Image0 DAPI", "Image0 GFP"]
    for channel, (levels, keywords) in enumerate(found):
        np.testing.assert_array_equal(levels[0], PLANES[channel])
        np.testing.assert_array_equal(levels[1], PLANES[channel, :, ::2, ::2])
        assert levels[0].chunksize == (1, 32, 32)
        assert keywords["scale"] == [2.0, 0.25, 0.5]
        assert keywords["units"] == ["micrometer"] * 3
        assert keywords["axis_labels"] == ["z", "y", "x"]
        assert keywords["blending"] == "additive"
        # The file tells no contrast: the window of all 16 bits is none.
        assert "contrast_limits" not in keywords
    assert [keywords["colormap"] for _, keywords in found] == ["#FF0000", "#00FF00"]


def test_contrast_of_omero(tmp_path):
    window = {"min": 0, "max": 65535, "start": 100, "end": 900}
    attributes = {
        "multiscales": [
            {
                "version": "0.4",
                "name": "cells",
                "axes": [{"name": "c", "type": "channel"}, {"name": "y"}, {"name": "x"}],
                "datasets": [
                    {
                        "path": "image",
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [1.0, 2.0, 3.0]},
                            {"type": "translation", "translation": [0.0, 10.0, 20.0]},
                        ],
                    }
                ],
                "coordinateTransformations": [{"type": "scale", "scale": [1.0, 10.0, 1.0]}],
            }
        ],
        "omero": {"channels": [{"label": "a", "color": "0000ff", "window": window}]},
    }
    data = xr.Dataset({"image": (("c", "y", "x"), PLANES[:, 0])}, attrs=attributes)
    data.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    refmaker.scan(tmp_path / "a.zarr").write(tmp_path / "a.json")
    (one, first), (two, second) = map(of, layers(str(tmp_path / "a.json")))
    np.testing.assert_array_equal(one[0], PLANES[0, 0])
    np.testing.assert_array_equal(two[0], PLANES[1, 0])
    assert (first["name"], first["colormap"]) == ("cells a", "#0000ff")
    assert first["contrast_limits"] == [100, 900]
    assert first["scale"] == [20, 3]
    assert first["translate"] == [100, 20]
    assert second["name"] == "cells 1"
    assert "contrast_limits" not in second


def series(folder, positions, **elements):
    folder.mkdir()
    found = []
    for number, place in enumerate(positions, 1):
        data = slice_of((0.0, 0.0, place), number)
        for name, value in elements.items():
            setattr(data, name, value)
        found.append(data)
    save_all(folder, found)
    return np.stack([data.pixel_array for data in found])


def test_a_series_of_dicom_is_a_volume(tmp_path):
    told = {"RescaleSlope": "2", "RescaleIntercept": "-1024"}
    window = {"WindowCenter": "40", "WindowWidth": "400"}
    stored = series(tmp_path / "ct", [0.0, 2.5, 5.0, 7.5], **told, **window)
    ((levels, keywords),) = map(of, read(tmp_path / "ct"))
    np.testing.assert_array_equal(levels[0], stored * 2.0 - 1024)
    assert levels[0].chunksize[0] == 1
    assert keywords["scale"] == [2.5, 2, 3]
    assert keywords["units"] == ["millimeter"] * 3
    assert keywords["contrast_limits"] == [-160, 239]
    assert keywords["visible"]


def test_several_files_are_one_object(tmp_path):
    stored = series(tmp_path / "ct", [0.0, 2.5, 5.0])
    paths = [path.rename(f"{path}.dcm") for path in sorted((tmp_path / "ct").iterdir())]
    ((levels, keywords),) = map(of, read(*paths))
    np.testing.assert_array_equal(levels[0], stored)
    assert keywords["scale"] == [2.5, 2, 3]


def test_uneven_slices_have_no_scale(tmp_path):
    stored = series(tmp_path / "ct", [0.0, 2.5, 9.0, 10.0])
    with pytest.warns(UserWarning, match="places along z are not at even distances"):
        ((levels, keywords),) = map(of, layers(str(tmp_path / "ct")))
    np.testing.assert_array_equal(levels[0], stored)
    assert keywords["scale"] == [1, 2, 3]
    assert keywords["units"] == ["pixel", "millimeter", "millimeter"]


def test_low_values_of_monochrome1_are_bright(tmp_path):
    series(tmp_path / "ct", [0.0, 2.5], PhotometricInterpretation="MONOCHROME1")
    ((_, keywords),) = map(of, layers(str(tmp_path / "ct")))
    assert keywords["colormap"] == "gray_r"


def test_a_slide_is_rgb_with_levels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    save(slide_level(pixels, (32, 32), number=1), tmp_path / "a.dcm")
    save(slide_level(pixels[::2, ::2], (32, 32), number=2, spacing=0.002), tmp_path / "b.dcm")
    ((levels, keywords),) = map(of, read(tmp_path))
    np.testing.assert_array_equal(levels[0], pixels)
    np.testing.assert_array_equal(levels[1], pixels[::2, ::2])
    assert keywords["rgb"]
    assert keywords["scale"] == [1, 1]
    assert keywords["units"] == ["micrometer"] * 2


def test_plain_colours_are_rgb(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    ((levels, keywords),) = map(of, layers(str(tmp_path / "a.tif")))
    np.testing.assert_array_equal(levels[0], pixels)
    assert keywords["rgb"]


def test_overviews_of_a_geotiff_are_levels(tmp_path):
    path = tmp_path / "scene.tif"
    values = np.arange(96 * 64, dtype="u2").reshape(64, 96)
    with rasterio.open(
        path,
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
        file.build_overviews([2, 4])
    refmaker.scan(path).write(tmp_path / "scene.json")
    ((levels, keywords),) = map(of, read(tmp_path / "scene.json"))
    np.testing.assert_array_equal(levels[0], values)
    assert [level.shape for level in levels] == [(64, 96), (32, 48), (16, 24)]
    for level, shrink in zip(levels[1:], (0, 1), strict=True):
        with rasterio.open(path, overview_level=shrink) as file:
            np.testing.assert_array_equal(level, file.read(1))
    assert keywords["scale"] == [20, 10]
    assert keywords["translate"] == [0, 0]
    assert keywords["units"] == ["meter"] * 2


def test_smaller_images_of_a_file_are_no_levels(tmp_path):
    images = [np.arange(size * size, dtype="u2").reshape(size, size) for size in (64, 40, 24)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for image in images:
            file.write(image, tile=(16, 16), metadata=None)
    found = list(map(of, layers(str(tmp_path / "a.tif"))))
    assert [len(levels) for levels, _ in found] == [1] * len(found)
    for image, (levels, _) in zip(images, found, strict=True):
        np.testing.assert_array_equal(levels[0], image)


def test_many_bands_are_a_slider(tmp_path):
    data = xr.Dataset({"v": (("band", "y", "x"), np.arange(40 * 12.0).reshape(40, 3, 4))})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    refmaker.scan(tmp_path / "a.nc").write(tmp_path / "a.json")
    ((levels, keywords),) = map(of, layers(str(tmp_path / "a.json")))
    np.testing.assert_array_equal(levels[0], data.v)
    assert keywords["axis_labels"] == ["band", "y", "x"]


def test_further_images_are_not_shown_at_first(tmp_path):
    images = {name: (("y", "x"), np.full((3, 4), at)) for at, name in enumerate("abc")}
    data = xr.Dataset({**images, "line": ("x", np.arange(4))})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    refmaker.scan(tmp_path / "a.nc").write(tmp_path / "a.json")
    found = [keywords for _, keywords in map(of, layers(str(tmp_path / "a.json")))]
    assert [(told["name"], told["visible"]) for told in found] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]


def test_what_has_no_image_is_refused(tmp_path):
    xr.Dataset({"v": ("t", np.arange(3.0))}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    refmaker.scan(tmp_path / "a.nc").write(tmp_path / "a.json")
    assert napari_get_reader(str(tmp_path / "a.json")) is layers
    with pytest.raises(UnsupportedError, match="there is no image"):
        layers(str(tmp_path / "a.json"))


def test_what_is_not_ours_is_left_to_others(tmp_path):
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "other.tif").write_bytes(b"nothing")
    (tmp_path / "folder").mkdir()
    for name in ("other.json", "other.tif", "folder", "nowhere.json"):
        assert napari_get_reader(str(tmp_path / name)) is None
    assert napari_get_reader([]) is None


def test_the_manifest_is_valid_and_needs_no_napari():
    manifest = npe2.PluginManifest.from_distribution("refmaker")
    manifest.validate_imports()
    (contribution,) = manifest.contributions.readers
    assert contribution.accepts_directories
    code = "import sys, refmaker.publish.napari; sys.exit('napari' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_label_images_are_layers_of_labels(tmp_path):
    study = str(write_study(tmp_path / "study"))
    found = layers(study)
    kinds = [kind for _, _, kind in found]
    assert kinds == ["image"] * 4 + ["labels"] * 2
    named = {keywords["name"]: (data, keywords) for data, keywords, _ in found}
    image = named["study-1/series-1/image"][1]
    assert image["contrast_limits"] == [-160.0, 239.0]  # of Hounsfield units, not stored values
    assert [keywords["visible"] for _, keywords, _ in found] == [True, *[False] * 5]
    _, organs, lesion = torso()
    for name, right in (("series-4", organs), ("series-3-segment-1", lesion)):
        data, keywords = named[name]
        assert isinstance(data, da.Array)
        assert data.dtype == np.uint8
        assert np.array_equal(data.compute(), right)
        for key in ("scale", "translate", "units", "axis_labels"):
            assert keywords[key] == image[key]
    colours = named["series-4"][1]["colormap"]
    assert colours.keys() == {None, 0, 1, 2, 3}
    assert np.abs(np.array(colours[2]) * 255 - [*COLOURS[2], 255]).max() <= 1
    assert named["series-4"][1]["features"]["name"] == ["Lungs", "Liver", "Spine"]
    assert named["series-4"][1]["features"]["index"] == [1, 2, 3]

import numpy as np
import ome_zarr_models.v04.image as v04
import ome_zarr_models.v05.image as v05
import pytest
import tifffile
import xarray as xr
import zarr
from ome_zarr.format import FormatV04
from ome_zarr.io import ZarrLocation
from ome_zarr.reader import Reader

import refmaker
from refmaker.scanners.tiff import ngff
from refmaker.scanners.tiff.image_model import Axis, Channel
from refmaker.scanning.options import ScanOptions
from refmaker.storage import icechunk as icechunk_store
from tests.scanners.tiff.meaning_files import noise, scanned, stock, write_pyramid

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def gray(tmp_path):
    """Write a pyramid of several channels."""
    data = noise(2, 3, 256, 200)
    return write_pyramid(
        tmp_path / "a.ome.tif", data, "ZCYX", PhysicalSizeX=0.5, PhysicalSizeY=0.5,
        PhysicalSizeZ=2.0, Channel={"Name": ["DAPI", "GFP", "RFP"]},
    ), data.swapaxes(0, 1)  # fmt: skip


def rgb(tmp_path):
    """Write a pyramid of colours side by side."""
    data = noise(256, 128, 3, dtype=np.uint8)
    path = write_pyramid(tmp_path / "rgb.ome.tif", data, "YXS")
    return path, np.moveaxis(data, -1, 0)


def slide(tmp_path):
    """Write a slide."""
    data = noise(512, 256, 3, dtype=np.uint8)
    text = "Aperio Image Library\n512x256|AppMag = 20|MPP = 0.25"
    path = tmp_path / "a.svs"
    options = {"tile": (64, 64), "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as tif:
        tif.write(data, description=text, **options)
        tif.write(data[::8, ::8], photometric="rgb", metadata=None)
        tif.write(data[::2, ::2], **options)
        tif.write(data[::4, ::4], **options)
    return path, np.moveaxis(data, -1, 0)


def hyperstack(tmp_path):
    """Write an ImageJ hyperstack."""
    data = noise(2, 3, 4, 64, 48)
    path = tmp_path / "ij.tif"
    metadata = {"axes": "TZCYX", "unit": "um", "spacing": 2.0, "finterval": 0.5}
    tifffile.imwrite(path, data, imagej=True, resolution=(4, 4), metadata=metadata)
    return path, data.swapaxes(1, 2)


def plain_pyramid(tmp_path):
    """Write levels that nobody describes."""
    data = noise(300, 200)
    path = tmp_path / "p.tif"
    with tifffile.TiffWriter(path) as tif:
        for step in (1, 2, 4):
            tif.write(data[::step, ::step], metadata=None, subfiletype=int(step > 1))
    return path, data


FILES = [gray, rgb, slide, hyperstack, plain_pyramid]


@pytest.mark.parametrize("make", FILES)
def test_ome_zarr_models_accept_it(tmp_path, make):
    path, data = make(tmp_path)
    image = v04.Image.from_zarr(stock(path))
    (multiscale,) = image.attributes.multiscales
    assert len(multiscale.axes) == data.ndim
    scales = [one.coordinateTransformations[0].scale for one in multiscale.datasets]
    assert np.allclose(np.array(scales[-1])[-1] / scales[0][-1], 2 ** (len(scales) - 1), rtol=0.02)


@pytest.mark.parametrize("make", FILES)
def test_ome_zarr_reads_it(tmp_path, make):
    path, data = make(tmp_path)
    (node,) = Reader(ZarrLocation(stock(path).store, fmt=FormatV04()))()
    assert np.array_equal(np.asarray(node.data[0]), data)
    for level, array in enumerate(node.data):
        assert np.array_equal(np.asarray(array), data[..., :: 2**level, :: 2**level])
    assert [axis["name"] for axis in node.metadata["axes"]][-2:] == ["y", "x"]


def test_names_units_and_scales_reach_the_reader(tmp_path):
    path, _ = gray(tmp_path)
    (node,) = Reader(ZarrLocation(stock(path).store, fmt=FormatV04()))()
    assert node.metadata["channel_names"] == ["DAPI", "GFP", "RFP"]
    assert node.metadata["axes"][1] == {"name": "z", "type": "space", "unit": "micrometer"}
    scales = [one[0]["scale"] for one in node.metadata["coordinateTransformations"]]
    assert scales == [[1.0, 2.0, 0.5, 0.5], [1.0, 2.0, 1.0, 1.0], [1.0, 2.0, 2.0, 2.0]]


@pytest.mark.parametrize("make", FILES)
def test_xarray_lists_every_level(tmp_path, make):
    path, data = make(tmp_path)
    z = stock(path)
    tree = xr.open_datatree(z.store, engine="zarr", chunks={})
    paths = [one["path"] for one in z.attrs["multiscales"][0]["datasets"]]
    for level, where in enumerate(paths):
        array = tree[where]
        assert array.dtype == data.dtype
        assert np.array_equal(array.values, data[..., :: 2**level, :: 2**level])


def test_a_file_of_one_image_opens_as_a_dataset(tmp_path):
    path, data = hyperstack(tmp_path)
    dataset = xr.open_dataset(stock(path).store, engine="zarr", chunks={})
    assert dataset["image"].dims == tuple("tczyx")
    assert dataset["image"].dtype == data.dtype
    assert np.array_equal(dataset["image"].sel(t=0.5, z=4.0).values, data[1, :, 2])


def test_version_5_is_what_goes_with_zarr_3(tmp_path):
    path, _ = gray(tmp_path)
    group, _ = scanned(path, ngff="0.5")
    attributes = v05.ImageAttrs.model_validate(group.attributes["ome"])
    assert attributes.version == "0.5"
    assert [one.path for one in attributes.multiscales[0].datasets] == [
        "0/image", "1/image", "2/image",
    ]  # fmt: skip
    assert "version" not in group.attributes["ome"]["multiscales"][0]


def test_version_6_has_coordinate_systems(tmp_path):
    path, _ = gray(tmp_path)
    group, report = scanned(path, ngff="0.6")
    older, _ = scanned(path, ngff="0.5")
    (image,), (other,) = (one.attributes["ome"]["multiscales"] for one in (group, older))
    (system,) = image["coordinateSystems"]
    assert system == {"name": "physical", "axes": other["axes"]}
    for level, same in zip(image["datasets"], other["datasets"], strict=True):
        (step,) = level["coordinateTransformations"]
        assert step == {
            **same["coordinateTransformations"][0],
            "input": {"path": same["path"]},
            "output": {"name": "physical"},
        }
    assert group.attributes["ome"]["version"] == "0.6"
    assert not report.warnings


def test_what_ngff_has_no_axes_for_is_told():
    assert ngff.problem(("t", "c", "z", "y", "x")) == ""
    assert ngff.problem(("page", "y", "x")) == ""
    assert "lifetime" in ngff.problem(("t", "lifetime", "c", "y", "x"))


def test_windows_follow_the_bits_in_use():
    axes = [Axis("y"), Axis("x")]
    found = ngff.image_attributes(
        "", axes, ["image"], [(4, 4)], [Channel("a")], np.dtype(">u2"), bits=12
    )
    assert found["omero"]["channels"][0]["window"]["max"] == 4095


def test_samples_of_channels_are_named_after_both():
    found = ngff.channel_labels([Channel("brightfield")], 1, 3, color=True)
    assert [one.label for one in found] == [
        "brightfield red", "brightfield green", "brightfield blue",
    ]  # fmt: skip
    assert ngff.channel_labels([Channel("a")], 2, 1, color=False) == (Channel(), Channel())


@pytest.mark.filterwarnings(
    "ignore:.*codec.*", "ignore:.*[Cc]onsolidated.*", "ignore:.*data type.*"
)
@pytest.mark.parametrize("make", [gray, hyperstack])
def test_icechunk_holds_version_5(tmp_path, make):
    path, data = make(tmp_path)
    refs = refmaker.scan(str(path), options=ScanOptions(settings={"ngff": "0.5"}))
    refs.write(tmp_path / "a.icechunk")
    store = icechunk_store.open_repository(tmp_path / "a.icechunk").readonly_session("main").store
    group = zarr.open_group(store, mode="r")
    image = v05.Image.from_zarr(group)
    where = image.ome_attributes.multiscales[0].datasets[0].path
    assert np.array_equal(group[where][...], data)


@pytest.mark.parametrize("make", FILES)
def test_a_file_of_references_serves_ome_zarr_and_xarray(tmp_path, make):
    path, data = make(tmp_path)
    out = str(tmp_path / "a.json")
    refmaker.scan(str(path)).write(out)
    opened = zarr.open_group("reference://", mode="r", storage_options={"fo": out})
    (node,) = Reader(ZarrLocation(opened.store, fmt=FormatV04()))()
    assert np.array_equal(np.asarray(node.data[0]), data)
    tree = refmaker.open_datatree(out)
    assert sum("image" in one.data_vars for one in tree.subtree) >= len(node.data)
    group = "" if len(node.data) == 1 and "image" in tree.data_vars else "0"
    dataset = xr.open_dataset(out, engine="refmaker", group=group or None)
    assert np.array_equal(dataset["image"].values, data)


@pytest.mark.parametrize("make", FILES)
def test_verify_finds_all_equal(tmp_path, make):
    path, _ = make(tmp_path)
    checks = refmaker.verify(refmaker.scan(str(path)), isolate="never")
    assert checks
    assert [(one.path, one.reason) for one in checks if not one.ok] == []

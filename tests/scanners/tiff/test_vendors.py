import os

import numpy as np
import pytest
import tifffile

from refmaker.model.report import Outcome
from refmaker.scanners.tiff.tifffile_series import shape_and_axes
from refmaker.testing import open_stock
from refmaker.testing.counting import CountingFileSystem
from tests.scanners.tiff import vendor_files
from tests.scanners.tiff.meaning_files import noise, pixels, scanned, stock


def write(path, planes, **options):
    """Write pages."""
    with tifffile.TiffWriter(path) as tif:
        for plane in planes:
            tif.write(plane, metadata=None, contiguous=False, **options)
    return path


@pytest.mark.parametrize(
    ("channels", "frames", "names", "shape"),
    [
        ("[1;2]", "3", list("tczyx"), (3, 2, 2, 32, 24)), ("1", "4", list("tzyx"), (4, 3, 32, 24)),
        ("[1;3]", "Inf", list("tcyx"), (6, 2, 32, 24)),
        ("[1;2]", "5", ["page", "y", "x"], (12, 32, 24)),
    ],
)  # fmt: skip
def test_scanimage_counts_channels_frames_and_slices(tmp_path, channels, frames, names, shape):
    text = (
        f"SI.hChannels.channelSave = {channels}\nSI.hStackManager.framesPerSlice = {frames}\n"
        "SI.hRoiManager.mroiEnable = 0"
    )
    planes = noise(12, 32, 24)
    z = stock(write(tmp_path / "a.tif", planes, software=text))
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == names
    assert z["image"].shape == shape
    if "z" in names:
        # Slices are slowest in the file, in the array time is.
        at = names.index("z")
        assert np.array_equal(np.moveaxis(z["image"][...], at, 0).reshape(12, 32, 24), planes)
    else:
        assert np.array_equal(z["image"][...].reshape(12, 32, 24), planes)


def test_other_vendors_fall_back_to_pages_with_a_word(tmp_path):
    planes = noise(3, 32, 24)
    tags = [(34412, 7, 64, bytes(64), True)]
    path = write(tmp_path / "a.lsm", planes, extratags=tags)
    group, report = scanned(path)
    (array,) = pixels(group).values()
    assert array.shape == (3, 32, 24)
    assert np.array_equal(stock(path)["image"][...], planes)
    assert any("lsm" in warning for warning in report.warnings)


@pytest.mark.parametrize("code", [34412, 34362, 33628, 33560, 65420, 43314, 33445, 51123])
def test_a_vendor_tag_alone_costs_no_page(tmp_path, code):
    planes = noise(3, 32, 24)
    path = write(tmp_path / "a.tif", planes, extratags=[(code, 1, 4, b"\1\2\3\4", True)])
    group, _ = scanned(path)
    found = sum(np.prod(array.shape) for array in pixels(group).values())
    assert found == planes.size


def levels_of(series):
    """Return axes and pixels of every level of tifffile's series, without axes of length 1."""
    letters = {"i": "page"}
    for level in series.levels:
        shape, axes = shape_and_axes(level)
        kept = [(letter, n) for letter, n in zip(axes.lower(), shape, strict=True) if n != 1]
        names = [letters.get(letter, letter) for letter, _ in kept]
        yield names, level.asarray().reshape([n for _, n in kept])


@pytest.mark.parametrize("layout", ["native", "auto"])
@pytest.mark.parametrize("name", vendor_files.FILES)
def test_axes_and_pixels_are_those_of_tifffile(tmp_path, name, layout):
    path = tmp_path / f"{name}.tif"
    vendor_files.FILES[name](path)
    group, report = scanned(path, **{"tiff-axes": layout})
    z = open_stock(group)
    found = [(list(one.dimension_names), z[at][...]) for at, one in pixels(group).items()]
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].kind == name.partition("_")[0]
        true = [level for series in tif.series for level in levels_of(series)]
    for names, values in true:
        # Samples beside an axis of channels, or instead of one.
        mine = [
            np.moveaxis(image, [own.index(one) for one in order], range(len(order)))
            for own, image in found
            for order in (names, ["s" if one == "c" else one for one in names],
                          ["c" if one == "s" else one for one in names])
            if sorted(own) == sorted(order)
        ]  # fmt: skip
        assert any(np.array_equal(image, values) for image in mine), (name, names)
    assert len(found) == len(true)
    assert not report.warnings
    assert not [row for row in report.rows if row.outcome is Outcome.SKIPPED]


@pytest.mark.parametrize("name", ["lsm", "stk", "scn"])
def test_remote_files_have_the_same_layout(tmp_path, name):
    path = tmp_path / f"{name}.tif"
    vendor_files.FILES[name](path)
    CountingFileSystem.install(**{path.name: path.read_bytes()})
    far, report = scanned(f"counting://{path.name}")
    here, _ = scanned(path)
    assert not report.warnings
    assert list(pixels(far)) == list(pixels(here))
    for at, array in pixels(here).items():
        assert far[at].dimension_names == array.dimension_names
        assert far[at].chunks.with_urls(array.chunks.urls).same(array.chunks)


def test_transformed_values_are_kept_as_stored_with_a_word(tmp_path):
    vendor_files.mdgel(tmp_path / "a.gel")
    group, report = scanned(tmp_path / "a.gel")
    with tifffile.TiffFile(tmp_path / "a.gel") as tif:
        stored = tif.pages.first.asarray()
    assert np.array_equal(open_stock(group)["image"][...], stored)
    assert "transformed" in group["image"].attributes["stored_values"]
    assert any("transformed" in text for text in report.warnings)


def test_voxels_of_lsm_have_a_size(tmp_path):
    vendor_files.lsm(tmp_path / "a.lsm", voxel=(2e-7, 3e-7, 1e-6), interval=1.5)
    group, _ = scanned(tmp_path / "a.lsm")
    (multiscale,) = group["0"].attributes["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == list("tczyx")
    (scale,) = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == pytest.approx([1.5, 1, 1, 0.3, 0.2])
    units = [axis.get("unit") for axis in multiscale["axes"]]
    assert units == ["second", None, *["micrometer"] * 3]


@pytest.mark.parametrize("name", ["lsm_plain", "ndpi", "fluoview"])
def test_offsets_that_may_have_wrapped_around_are_not_believed(tmp_path, name):
    path = tmp_path / f"{name}.tif"
    vendor_files.FILES[name](path)
    before = list(pixels(scanned(path)[0]))
    # As sparse as can be.
    os.truncate(path, 2**32)
    group, report = scanned(path)
    lost = [row for row in report.rows if row.outcome is Outcome.SKIPPED]
    if name == "fluoview":
        assert list(pixels(group)) == before
    else:
        assert not pixels(group)
        assert lost
        assert {row.code for row in lost} == {"offsets"}

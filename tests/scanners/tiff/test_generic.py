import numpy as np
import pytest
import rasterio
import tifffile

from refmaker.scanners.tiff.coordinates import axis_coordinate
from refmaker.scanners.tiff.image_model import Axis
from tests.scanners.tiff.meaning_files import noise, pixels, scanned, stock


def write(path, *parts):
    """Write pages, each given with its options."""
    with tifffile.TiffWriter(path) as tif:
        for data, options in parts:
            tif.write(data, metadata=None, **options)
    return path


def test_equal_pages_are_stacked(tmp_path):
    data = noise(5, 32, 24)
    z = stock(write(tmp_path / "a.tif", (data, {"compression": "zlib"})))
    assert z["image"].attrs["_ARRAY_DIMENSIONS"] == ["page", "y", "x"]
    assert np.array_equal(z["image"][...], data)


def test_pages_that_differ_are_images_of_their_own(tmp_path):
    parts = [
        (noise(32, 24), {}), (noise(32, 24, seed=1), {"compression": "zlib"}),
        (noise(9, 7, seed=2), {}), (noise(32, 24, seed=3), {}),
    ]  # fmt: skip
    z = stock(write(tmp_path / "a.tif", *parts))
    assert np.array_equal(z["0/image"][...], np.stack([parts[0][0], parts[3][0]]))
    assert np.array_equal(z["1/image"][...], parts[1][0])
    assert np.array_equal(z["2/image"][...], parts[2][0])


@pytest.mark.parametrize("flag", [0, 1])
def test_smaller_copies_are_levels(tmp_path, flag):
    data = noise(201, 150)
    parts = [(data, {}), (data[::2, ::2], {"subfiletype": flag}), (data[::4, ::4], {})]
    path = write(tmp_path / "a.tif", *parts)
    group, _ = scanned(path)
    assert list(pixels(group)) == ["0/image", "1/image", "2/image"]
    with tifffile.TiffFile(path) as tif:
        want = [level.shape for level in tif.series[0].levels]
    assert [array.shape for array in pixels(group).values()] == want
    z = stock(path)
    for at, (level, _) in enumerate(parts):
        assert np.array_equal(z[f"{at}/image"][...], level)
    assert z.attrs["multiscales"][0]["datasets"][2]["path"] == "2/image"


def test_levels_without_a_common_step_need_the_flag(tmp_path):
    data = noise(400, 300)
    small = data[::8, ::8]
    group, _ = scanned(write(tmp_path / "a.tif", (data, {}), (small, {"subfiletype": 1})))
    assert list(pixels(group)) == ["0/image", "1/image"]
    group, _ = scanned(write(tmp_path / "b.tif", (data, {}), (small, {})))
    assert list(pixels(group)) == ["0/image", "1/image"]
    assert "multiscales" not in group.attributes


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_masks_stand_beside_their_level(tmp_path):
    path = tmp_path / "a.tif"
    data, mask = noise(1, 128, 128, dtype=np.uint8), np.zeros((128, 128), np.uint8)
    mask[:64] = 255
    profile = {"driver": "GTiff", "width": 128, "height": 128, "count": 1, "dtype": "uint8"}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as file:
        file.write(data)
        file.write_mask(mask)
    z = stock(path)
    assert np.array_equal(z["image"][...], data[0])
    assert np.array_equal(z["mask"][...].astype(bool), mask > 0)


def test_palette_is_kept_with_the_indices(tmp_path):
    colormap = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256)
    data = noise(16, 16, dtype=np.uint8)
    path = write(tmp_path / "a.tif", (data, {"photometric": "palette", "colormap": colormap}))
    z = stock(path)
    assert np.array_equal(z["image"][...], data)
    assert z["image"].attrs["photometric"] == "palette"
    assert np.array_equal(z["image"].attrs["colormap"], colormap)


def test_orientation_is_told(tmp_path):
    path = write(tmp_path / "a.tif", (noise(16, 8), {"extratags": [(274, 3, 1, 6, True)]}))
    z = stock(path)
    assert z["image"].shape == (16, 8)
    assert z["image"].attrs["orientation"] == 6


def test_other_tags_are_kept(tmp_path):
    raw = bytes(range(256)) + bytes(44)
    tags = [
        (65000, 2, None, "private", True),
        (65001, 5, 1, (1, 4), True),
        (65002, 7, 300, raw, True),
    ]
    path = write(tmp_path / "a.tif", (noise(16, 16), {"extratags": tags, "software": "me"}))
    z = stock(path)
    assert z["tiff"].attrs["tag_65000"] == "private"
    assert z["tiff"].attrs["tag_65001"] == 0.25
    assert z["tiff"].attrs["Software"] == "me"
    assert bytes(z["tiff/tag_65002"][...]) == raw


def test_tags_that_vary_are_arrays_over_the_pages(tmp_path):
    parts = [
        (noise(16, 16, seed=at), {"extratags": [(65003, 12, 1, at / 8, True)],
                                  "description": f"page {at}"})
        for at in range(5)
    ]  # fmt: skip
    z = stock(write(tmp_path / "a.tif", *parts))
    assert z["image"].shape == (5, 16, 16)
    assert z["tiff/tag_65003"][...].tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert z["tiff/tag_65003"].attrs["_ARRAY_DIMENSIONS"] == ["page"]
    assert z["tiff/ImageDescription"][...].tolist() == [f"page {at}" for at in range(5)]


def test_one_bad_image_does_not_cost_the_others(tmp_path):
    path = write(
        tmp_path / "a.tif", (noise(16, 16), {}), (noise(8, 8, seed=1), {"compression": "zlib"})
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[1].tags[259].overwrite(64999)
    group, report = scanned(path)
    assert list(pixels(group)) == ["0/image"]
    (row,) = report.skipped
    assert row.path == "/1/image"
    assert row.code == "compression"


def test_coordinates_too_long_to_inline_are_left_out():
    axis = Axis("x", 0, 0.25, "micrometer")
    assert axis_coordinate(axis, 2**18 + 1) is None
    assert axis_coordinate(axis, 2**18) is not None
    assert axis_coordinate(Axis("x"), 10) is None


def masked(path, data, mask, planar):
    """Write an image and a mask of several samples, which tifffile does not write as such."""
    options = {"photometric": "minisblack", "planarconfig": planar, "subfiletype": 1}
    write(path, (data, {"photometric": "rgb"}), (mask, options))
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[1].tags[254].overwrite(4)
        tif.pages[1].tags[262].overwrite(4)
    return path


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_masks_may_have_a_sample_for_each_of_the_image(planar, tmp_path):
    data, mask = noise(20, 24, 3, dtype=np.uint8), noise(20, 24, 3, seed=1, dtype=np.uint8)
    if planar == "separate":
        mask = np.moveaxis(mask, -1, 0)
    z = stock(masked(tmp_path / "a.tif", data, mask, planar))
    assert np.array_equal(z["image"][...], data)
    assert np.array_equal(z["mask"][...], mask)


def test_masks_of_other_samples_are_refused(tmp_path):
    data, mask = noise(20, 24, 3, dtype=np.uint8), noise(20, 24, 2, seed=1, dtype=np.uint8)
    group, report = scanned(masked(tmp_path / "a.tif", data, mask, "contig"))
    assert list(pixels(group)) == ["image"]
    assert any(row.path == "/mask" and "2 samples" in row.reason for row in report.rows)

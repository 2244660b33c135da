import numpy as np
import pytest
import tifffile

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

"""Ordinary series with one thing wrong each, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.scanners.dicom.image_files import instance, numbers, save, uid, with_pixels
from tests.scanners.dicom.test_mosaics import equal_to_pydicom
from tests.scanners.dicom.test_volumes import collect, opened

SLOPE = "1.23456789"
"""Stands where a slope of its own is put in."""


def image(number, z, value=0, name=None, **elements):
    """Return an instance of 4 x 4 pixels of one value."""
    data = instance(number=number, **elements)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid(f"{name or number}")
    data.FrameOfReferenceUID = elements.get("FrameOfReferenceUID", uid("frame"))
    data.ImagePositionPatient = numbers((0, 0, z))
    data.ImageOrientationPatient = numbers((1, 0, 0, 0, 1, 0))
    data.PixelSpacing = numbers((1, 1))
    return with_pixels(data, np.full((4, 4), value, np.uint16))


def counted(count):
    """Return one instance that does not say how many frames its pixels are."""
    data = image(1, 0)
    data.PixelData = np.arange(count, dtype=np.uint16).tobytes()
    return [data]


def slopes(text):
    return [
        image(n + 1, n, n, RescaleSlope=SLOPE if n == 1 and text else "1.5", RescaleIntercept="0")
        for n in range(3)
    ]


def one_without_a_slope():
    made = slopes(None)
    del made[1].RescaleSlope, made[1].RescaleIntercept
    return made


def stopped(order):
    """Return frames of 5 places, numbered in an order of (time, place)."""
    return [image(k + 1, 3 * z, k + 1) for k, (_, z) in enumerate(order)]


BY_VOLUME = [(t, z) for t in range(4) for z in range(5) if t < 3 or z < 2]
BY_SLICE = [(t, z) for z in range(5) for t in range(4 if z < 2 else 3)]
SERIES = {
    "copy": lambda: [image(min(n, 4) + 1, 2 * min(n, 4), min(n, 4)) for n in range(6)],
    "conflict": lambda: [image(n + 1, 2 * min(n, 3), n, name=min(n, 3)) for n in range(5)],
    "stopped": lambda: stopped(BY_VOLUME),
    "stopped by slice": lambda: stopped(BY_SLICE),
    "two frames of reference": lambda: [
        image(n + 1, 2 * (n % 3), n, FrameOfReferenceUID=uid(f"frame {n // 3}")) for n in range(6)
    ],
    "frames untold": lambda: counted(48),
    "frames untold, odd": lambda: counted(40),
    "slope zero": lambda: [
        image(n + 1, n, n, RescaleSlope="0", RescaleIntercept="5") for n in range(4)
    ],
    "slope 1,5": lambda: slopes("1,5"),
    "slope 1.5\\": lambda: slopes("1.5\\"),
    "slope 1.5\\2.5": lambda: slopes("1.5\\2.5"),
    "slope 1_5": lambda: slopes("1_5"),
    "slope NaN": lambda: slopes("NaN"),
    "slope missing in one": one_without_a_slope,
}
RIGHT = {
    "copy": ({"image": (5,)}, ()),
    "conflict": ({"image": (2, 4)}, ("SOP Instance UID of another file and differ",)),
    "stopped": ({"image": (4, 5)}, ("last volume is not complete",)),
    "stopped by slice": ({"image": (17,)}, ("17 frames at 5 positions",)),
    "two frames of reference": ({"image": (3,), "image_1": (3,)}, ("frames of reference",)),
    "frames untold": ({"image": (3,)}, ("NumberOfFrames is missing",)),
    "frames untold, odd": ({"image": (1,)}, ("48 bytes more",)),
    "slope zero": ({"image": (4,)}, ("(0028,1053) of 4 frames is 0",)),
    "slope 1,5": ({"image": (3,)}, ()),
    "slope 1.5\\": ({"image": (3,)}, ()),
    "slope 1.5\\2.5": ({"image": (3,)}, ("(0028,1053)", "001.dcm")),
    "slope 1_5": ({"image": (3,)}, ("(0028,1053)", "001.dcm")),
    "slope NaN": ({"image": (3,)}, ("(0028,1053)", "001.dcm")),
    "slope missing in one": ({"image": (3,)}, ("1 of 3 frames tell no rescaling",)),
}
"""Leading extents of each array, and what warnings say: nothing where all is well."""


def scanned(folder, name):
    paths = []
    for k, data in enumerate(SERIES[name]()):
        path = Path(save(data, folder / f"{k:03}.dcm"))
        text = name.removeprefix("slope ").encode().ljust(len(SLOPE))
        path.write_bytes(path.read_bytes().replace(SLOPE.encode(), text))
        paths.append(str(path))
    return paths, *collect(paths)


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.filterwarnings("ignore")
def test_shapes_warnings_and_pixels(tmp_path, name):
    paths, group, report = scanned(tmp_path, name)
    shapes, told = RIGHT[name]
    images = {n: a for n, a in group.arrays() if n.startswith("image")}
    assert {n: a.shape[:-2] for n, a in images.items()} == shapes
    assert all(any(part in text for text in report.warnings) for part in told)
    assert bool(report.warnings) == bool(told)
    equal_to_pydicom(paths, group)


def test_a_copy_is_told_of_in_its_row(tmp_path):
    _, group, report = scanned(tmp_path, "copy")
    (row,) = [row for row in report.rows if row.code == "duplicate"]
    assert row.path.endswith("005.dcm")
    assert "004.dcm" in row.reason
    assert opened(group)["image"][:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_what_was_not_acquired_is_absent(tmp_path):
    _, group, _ = scanned(tmp_path, "stopped")
    values = opened(group)["image"][..., 0, 0]
    assert group["image"].chunks.absent == 3
    assert values.tolist() == [
        [5 * t + z + 1 if (t, z) in BY_VOLUME else 0 for z in range(5)] for t in range(4)
    ]


def test_frames_of_reference_hold_their_own_slices(tmp_path):
    _, group, _ = scanned(tmp_path, "two frames of reference")
    assert opened(group)["image"][:, 0, 0].tolist() == [0, 1, 2]
    assert opened(group)["image_1"][:, 0, 0].tolist() == [3, 4, 5]


@pytest.mark.parametrize(("name", "count"), [("frames untold", 48), ("frames untold, odd", 16)])
def test_frames_that_pixels_tell(tmp_path, name, count):
    _, group, _ = scanned(tmp_path, name)
    assert opened(group)["image"][...].reshape(-1).tolist() == list(range(count))


@pytest.mark.parametrize("name", [name for name in SERIES if name.startswith("slope")])
def test_slopes_are_right_or_none(tmp_path, name):
    _, group, _ = scanned(tmp_path, name)
    attributes = group["image"].attributes
    if name in ("slope 1,5", "slope 1.5\\"):
        assert (attributes["scale_factor"], attributes["add_offset"]) == (1.5, 0)
        return
    assert "scale_factor" not in attributes
    if name == "slope zero":
        assert "rescale_slope" not in group.members
        return
    slope = opened(group)["rescale_slope"][...]
    assert np.array_equal(slope, [1.5, np.nan, 1.5], equal_nan=True)
    assert attributes["rescale_incomplete"] == [1]

"""What segments are called, of which kind they are, and in which colour they are shown."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from refmaker.scanners.dicom.segments import srgb
from tests.scanners.dicom.image_files import group, save, with_pixels
from tests.scanners.dicom.test_volumes import collect, opened, segmentation


def code(scheme, value, meaning="x"):
    return group(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def described(number, label, kind=("SCT", "10200004"), colour=None):
    """Return an item of the sequence of segments."""
    item = Dataset()
    item.SegmentedPropertyCategoryCodeSequence = code("SCT", "91772007")
    item.SegmentNumber = number
    item.SegmentLabel = label
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentedPropertyTypeCodeSequence = code(*kind)
    if colour is not None:
        item.RecommendedDisplayCIELabValue = colour
    return item


RED, BLUE = [34886, 53484, 50172], [21170, 53250, 5175]


def written(folder, items, order=((1, 0), (1, 1), (2, 1)), **size):
    data, masks = segmentation(list(order), **size)
    data.SegmentSequence = Sequence(items)
    return save(data, folder / "seg"), masks


def test_segments_have_labels_codes_and_colours(tmp_path):
    items = [
        described(2, "Left spleen", ("SRT", "T-C3000"), BLUE),
        described(1, "Liver", colour=RED),
    ]
    found, report = collect([written(tmp_path, items)[0]])
    stock = opened(found)
    assert stock["segment"][...].tolist() == [1, 2]
    assert stock["segment_label"][...].tolist() == ["Liver", "Left spleen"]
    assert stock["segment_type"][...].tolist() == ["SCT:10200004", "SRT:T-C3000"]
    assert stock["segment_category"][...].tolist() == ["SCT:91772007"] * 2
    assert stock["segment_algorithm_type"][...].tolist() == ["AUTOMATIC"] * 2
    assert stock["segment_rgb"][...].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert found["segment_label"].dimension_names == ("segment",)
    assert not any("segment" in told for told in report.warnings)


def test_a_single_segment(tmp_path):
    path, _ = written(tmp_path, [described(7, "Tumour")], order=((7, 0), (7, 1)))
    found, _ = collect([path])
    assert opened(found)["segment_label"][...].tolist() == ["Tumour"]
    assert "segment_rgb" not in found.members


def test_segments_of_frames_in_a_row(tmp_path):
    items = [described(1, "Liver"), described(2, "Spleen")]
    path, _ = written(tmp_path, items, ((2, 0), (1, 1), (1, 0)), rows=5, columns=5)
    found, _ = collect([path])
    assert found["segment_label"].dimension_names == ("frame",)
    assert opened(found)["segment_label"][...].tolist() == ["Spleen", "Liver", "Liver"]


@pytest.mark.parametrize(
    ("label", "kind", "shown", "coded"),
    [
        ("Dr. M\u00fcller's view of it, 12:30", ("99LOCAL", "x1"), "", ""),
        ("Liver", ("99LOCAL", "Sentinel"), "Liver", ""),
        ("Liver", ("SCT", "Dr Patricia"), "Liver", ""),
        ("x" * 60, ("DCM", "113132"), "", "DCM:113132"),
    ],
)
def test_only_what_identifies_nobody_is_written(tmp_path, label, kind, shown, coded):
    path, _ = written(tmp_path, [described(1, label, kind), described(2, "b")])
    found, _ = collect([path])
    stock = opened(found)
    assert stock["segment_label"][...].tolist() == [shown, "b"]
    assert stock["segment_type"][...].tolist() == [coded, "SCT:10200004"]


@pytest.mark.parametrize("items", [[], [described(1, "Liver")]])
def test_segments_that_nobody_describes(tmp_path, items):
    path, masks = written(tmp_path, items)
    found, _ = collect([path])
    assert np.array_equal(opened(found)["image"][0, 0], masks[0])
    if items:
        assert opened(found)["segment_label"][...].tolist() == ["Liver", ""]
    else:
        assert "segment_label" not in found.members


def test_none_are_written_where_none_are_wanted(tmp_path):
    path, _ = written(tmp_path, [described(1, "Liver"), described(2, "b")])
    found, _ = collect([path], metadata="none")
    assert "segment_label" not in found.members


@pytest.mark.parametrize("colours", [None, [RED, BLUE]])
def test_label_maps(tmp_path, colours):
    data, _ = segmentation([(1, 0), (1, 1)])
    for frame in data.PerFrameFunctionalGroupsSequence:
        del frame.SegmentIdentificationSequence
    values = np.random.default_rng(0).choice([3, 5], (2, 6, 5)).astype(np.uint8)
    with_pixels(data, values, 8)
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
    data.SegmentationType = "LABELMAP"
    shown = colours or [None, None]
    data.SegmentSequence = Sequence(
        [described(3, "Left lung", colour=shown[0]), described(5, "Liver", colour=shown[1])]
    )
    found, _ = collect([save(data, tmp_path / "map")])
    attributes = found["image"].attributes
    assert attributes["flag_values"] == [3, 5]
    assert attributes["flag_meanings"] == "Left_lung Liver"
    assert attributes["segment_type"] == ["SCT:10200004"] * 2
    assert ("segment_rgb" in attributes) is (colours is not None)
    assert np.array_equal(opened(found)["image"][...], values)


@pytest.mark.parametrize(
    ("cielab", "rgb"),
    [
        ((41661, 41167, 40792), [221, 130, 101]),  # a liver as 3D Slicer shows it
        (RED, [255, 0, 0]),
        (BLUE, [0, 0, 255]),
        ((0, 32896, 32896), [0, 0, 0]),
        ((65535, 32896, 32896), [255, 255, 255]),
    ],
)
def test_colours(cielab, rgb):
    assert np.abs(np.array(srgb(cielab)) - rgb).max() <= 1

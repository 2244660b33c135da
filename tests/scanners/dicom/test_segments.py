"""What segments are called, of which kind they are, and in which colour they are shown."""

from __future__ import annotations

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from refmaker.scanners.dicom.declared import SALT
from refmaker.scanners.dicom.segments import srgb
from tests.scanners.dicom.image_files import group, save, slice_of, uid, with_pixels
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


def highdicom_segmentation(folder, kind):
    """Write a segmentation as highdicom does, and return its path and the masks."""
    sources = []
    for k in range(4):
        data = with_pixels(slice_of((0, 0, 2.0 * k), k + 1), np.zeros((8, 8), np.uint16))
        for name in ("AccessionNumber", "StudyID", "ReferringPhysicianName", "PatientBirthDate"):
            setattr(data, name, "")
        data.PatientSex, data.StudyDate, data.StudyTime = "O", "", ""
        data.FrameOfReferenceUID = uid("frame")
        data.Manufacturer, data.SeriesNumber = "x", 1
        data.PositionReferenceIndicator, data.SliceThickness = None, "2"
        sources.append(data)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="a", version="1", family=codes.cid7162.ArtificialIntelligence
    )
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=what,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=uid(label),
            tracking_id=f"SENTINEL {label}",
            display_color=highdicom.color.CIELabColor.from_string(colour),
        )
        for number, label, what, colour in (
            (1, "Liver", codes.SCT.Liver, "red"),
            (2, "Spleen", codes.SCT.Spleen, "blue"),
        )
    ]
    masks = np.zeros((4, 8, 8, 2), bool)
    masks[1:3, 2:5, 2:5, 0] = True
    masks[2:, 5:8, 3:8, 1] = True
    data = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=masks * 0.5 if kind == "FRACTIONAL" else masks,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=uid("series"),
        series_number=2,
        sop_instance_uid=uid("instance"),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    )
    return save(data, folder / "seg"), masks


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("uids", ["none", "hash", "keep"])
def test_segmentations_of_highdicom(tmp_path, monkeypatch, kind, uids):
    path, masks = highdicom_segmentation(tmp_path, kind)
    monkeypatch.setenv(SALT, "secret")
    found, _ = collect([path], uids=uids)
    stock, attributes = opened(found), found["image"].attributes
    read = stock["image"][...]
    # The first place has no frame: nothing is segmented there.
    present = masks[1:]
    if kind == "LABELMAP":
        assert np.array_equal(read, present[..., 0] + 2 * present[..., 1].astype(np.uint8))
        assert attributes["flag_values"] == [0, 1, 2]
        assert attributes["flag_meanings"] == "Background Liver Spleen"
        assert attributes["segment_rgb"][1:] == [[255, 0, 0], [0, 0, 255]]
        return
    level = 128 if kind == "FRACTIONAL" else 1
    assert np.array_equal(read, np.moveaxis(present, -1, 0) * np.uint8(level))
    assert stock["segment"][...].tolist() == [1, 2]
    assert stock["segment_label"][...].tolist() == ["Liver", "Spleen"]
    assert stock["segment_category"][...].tolist() == ["SCT:91772007"] * 2
    assert stock["segment_type"][...].tolist() == ["SCT:10200004", "SCT:78961009"]
    assert stock["segment_rgb"][...].tolist() == [[255, 0, 0], [0, 0, 255]]
    if kind == "FRACTIONAL":
        assert attributes["segmentation_fractional_type"] == "PROBABILITY"
        assert attributes["maximum_fractional_value"] == 255
        assert "scale_factor" not in attributes
    tracked = ("segment_tracking_uid" in found.members) and stock["segment_tracking_uid"][...]
    if uids == "none":
        assert tracked is False
    elif uids == "keep":
        assert tracked.tolist() == [uid("Liver"), uid("Spleen")]
    else:
        assert all(text.startswith("2.25.") for text in tracked.tolist())
        assert uid("Liver") not in tracked.tolist()
    assert not any("SENTINEL" in str(values[...]) for _, values in stock.arrays())

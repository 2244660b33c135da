"""Planes that lie in axes of their own: doses, volumes of ultrasound, tomographies of the eye."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.scanners.dicom.image_files import (
    AXIAL,
    RT_DOSE,
    SAGITTAL,
    enhanced,
    instance,
    numbers,
    pixels,
    save,
    with_pixels,
)
from tests.scanners.dicom.test_mosaics import equal_to_pydicom
from tests.scanners.dicom.test_volumes import SHARED, affine_of, collect, opened

US_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
OCT = "1.2.840.10008.5.1.4.1.1.77.1.5.4"


def dose(offsets, position=(1, 2, 10), orientation=AXIAL, **elements):
    data = instance(RT_DOSE, Modality="RTDOSE", **elements)
    data.ImagePositionPatient = numbers(position)
    data.ImageOrientationPatient = numbers(orientation)
    data.PixelSpacing = numbers((2, 3))
    data.GridFrameOffsetVector = numbers(offsets)
    data.DoseGridScaling = "0.00123"
    data.DoseUnits = "GY"
    values = np.stack([pixels(k, np.uint32) for k in range(len(offsets))])
    return with_pixels(data, values, 32), values


@pytest.mark.parametrize(
    ("offsets", "orientation", "position", "last", "turned"),
    [
        ((0, 3, 6), AXIAL, (1, 2, 10), (1, 2, 16), False),
        ((0, -3, -6), AXIAL, (1, 2, 10), (1, 2, 4), True),
        ((10, 13, 16), AXIAL, (1, 2, 10), (1, 2, 16), False),
        ((10, 7, 4), AXIAL, (1, 2, 10), (1, 2, 4), True),
        ((0, 3, 6), SAGITTAL, (1, 2, 10), (-5, 2, 10), False),
        ((0, 3, 6), (1, 0, 0, 0, -1, 0), (1, 2, 10), (1, 2, 4), False),
        ((10, 13, 16), (1, 0, 0, 0, -1, 0), (1, 2, 10), (1, 2, 16), True),
    ],
)
def test_planes_of_dose_lie_where_their_vector_says(
    tmp_path, offsets, orientation, position, last, turned
):
    data, values = dose(offsets, position, orientation)
    path = save(data, tmp_path / "dose")
    group, report = collect([path])
    read = opened(group)["image"][...]
    assert np.array_equal(read, values[::-1] if turned else values)
    ends = [2, 0] if turned else [0, 2]
    for k, true in zip(ends, (position, last), strict=True):
        assert np.allclose(affine_of(group) @ [k, 0, 0, 1], [*true, 1])
    attributes = group["image"].attributes
    assert (attributes["scale_factor"], attributes["add_offset"]) == (0.00123, 0.0)
    assert attributes["units"] == "Gy"
    assert report.warnings == []
    equal_to_pydicom([path], group)


def test_uneven_planes_of_dose_have_no_affine(tmp_path):
    data, values = dose((0, 3, 9))
    group, report = collect([save(data, tmp_path / "dose")])
    assert group["image"].attributes["affine"] is None
    assert opened(group)["z"][...].tolist() == [0, 3, 9]
    assert np.array_equal(opened(group)["image"][...], values)
    assert any("evenly" in told for told in report.warnings)


@pytest.mark.parametrize(
    ("offsets", "orientation"),
    [((5, 8, 11), AXIAL), ((10, 13, 16), SAGITTAL), ((0, 3), AXIAL)],
)
def test_planes_of_dose_that_nobody_can_place(tmp_path, offsets, orientation):
    data, _ = dose((0, 3, 6), orientation=orientation)
    data.GridFrameOffsetVector = numbers(offsets)
    group, report = collect([save(data, tmp_path / "dose")])
    array = group["image"]
    assert array.dimension_names == ("frame", "y", "x")
    assert array.attributes["affine"] is None
    assert np.array_equal(opened(group)["image"][...], np.stack([pixels(k) for k in range(3)]))
    assert any("(3004,000C)" in told for told in report.warnings)


def test_relative_doses_have_no_units(tmp_path):
    data, _ = dose((0, 3, 6), DoseUnits="RELATIVE")
    data.DoseUnits = "RELATIVE"
    group, _ = collect([save(data, tmp_path / "dose")])
    assert "units" not in group["image"].attributes
    assert group["image"].attributes["dose_units"] == "RELATIVE"


def test_volumes_of_ultrasound_lie_in_axes_of_their_own(tmp_path):
    frames = [
        {
            "PlanePositionVolumeSequence": {"ImagePositionVolume": [1.0, 2.0, 5.0 - 0.5 * k]},
            "FrameContentSequence": {"TemporalPositionIndex": t + 1},
        }
        for t in range(2)
        for k in range(3)
    ]
    shared = {
        "PlaneOrientationVolumeSequence": {"ImageOrientationVolume": list(AXIAL)},
        "PixelMeasuresSequence": {"PixelSpacing": [0.2, 0.3]},
    }
    data = enhanced(frames, shared, sop_class=US_VOLUME)
    path = save(data, tmp_path / "us")
    group, report = collect([path])
    array = group["image"]
    assert array.dimension_names == ("temporal_position", "z", "y", "x")
    true = data.pixel_array.reshape(2, 3, 6, 5)[:, ::-1]
    assert np.array_equal(opened(group)["image"][...], true)
    # No place in a patient is invented.
    assert array.attributes["affine"] is None
    assert array.attributes["affine_ras"] is None
    matrix = np.array(array.attributes["affine_volume"])
    assert np.allclose(matrix @ [2, 1, 1, 1], [1.3, 2.2, 5, 1])
    assert group["position"].attributes["axes"] == "volume"
    assert report.warnings == []
    equal_to_pydicom([path], group)


def test_frames_of_the_eye_say_where_they_cross_their_reference(tmp_path):
    frames = [
        {"OphthalmicFrameLocationSequence": {"ReferenceCoordinates": [10.0 * k, 0, 10.0 * k, 99]}}
        for k in range(3)
    ]
    data = enhanced(frames, {"PixelMeasuresSequence": {"PixelSpacing": [0.004, 0.01]}})
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = OCT
    data.ImageLaterality = "R"
    path = save(data, tmp_path / "oct")
    group, _ = collect([path])
    assert group["image"].dimension_names == ("frame", "y", "x")
    true = [[10.0 * k, 0, 10.0 * k, 99] for k in range(3)]
    assert opened(group)["reference_coordinates"][...].tolist() == true
    assert group["image"].attributes["image_laterality"] == "R"
    equal_to_pydicom([path], group)


def test_frames_of_the_eye_with_places_are_a_volume(tmp_path):
    frames = [
        {"PlanePositionSequence": {"ImagePositionPatient": numbers((0, 0.12 * k, 0))}}
        for k in range(4)
    ]
    shared = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": numbers((1, 0, 0, 0, 0, -1))},
        "PixelMeasuresSequence": {"PixelSpacing": numbers((0.004, 0.01))},
    }
    data = enhanced(frames, shared, sop_class=OCT)
    path = save(data, tmp_path / "oct")
    group, report = collect([path])
    assert group["image"].dimension_names == ("z", "y", "x")
    assert np.allclose(affine_of(group) @ [3, 2, 1, 1], [0.01, 0.36, -0.008, 1])
    assert report.warnings == []
    equal_to_pydicom([path], group)


def test_respiratory_gates_are_a_dimension(tmp_path):
    frames = [
        {
            "PlanePositionSequence": {"ImagePositionPatient": numbers((0, 0, 3.0 * z))},
            "RespiratorySynchronizationSequence": {
                "NominalPercentageOfRespiratoryPhase": 25.0 * gate,
            },
        }
        for gate in range(4)
        for z in range(2)
    ]
    data = enhanced(frames, SHARED, sop_class="1.2.840.10008.5.1.4.1.1.130")
    path = save(data, tmp_path / "pet")
    group, report = collect([path])
    assert group["image"].dimension_names == ("respiratory_phase", "z", "y", "x")
    assert opened(group)["respiratory_phase"][...].tolist() == [0, 25, 50, 75]
    assert group["respiratory_phase"].attributes["units"] == "percent"
    assert np.array_equal(opened(group)["image"][...], data.pixel_array.reshape(4, 2, 6, 5))
    assert report.warnings == []
    equal_to_pydicom([path], group)
    json.dumps(dict(group["image"].attributes))

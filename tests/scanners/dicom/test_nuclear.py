"""Frames of nuclear medicine and PET, numbered by vectors or by an index."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.sequence import Sequence

from tests.scanners.dicom.image_files import AXIAL, PET, group, instance, numbers, save, with_pixels
from tests.scanners.dicom.test_mosaics import equal_to_pydicom
from tests.scanners.dicom.test_volumes import affine_of, collect, opened

NM = "1.2.840.10008.5.1.4.1.1.20"
TAGS = {
    "EnergyWindowVector": 0x00540010,
    "DetectorVector": 0x00540020,
    "PhaseVector": 0x00540030,
    "RotationVector": 0x00540050,
    "RRIntervalVector": 0x00540060,
    "TimeSlotVector": 0x00540070,
    "SliceVector": 0x00540080,
    "AngularViewVector": 0x00540090,
    "TimeSliceVector": 0x00540100,
}


def nuclear(kind, vectors, frames=None, **elements):
    """Return an instance with vectors, and its pixels in the order of the file."""
    count = frames or len(next(iter(vectors.values())))
    data = instance(NM, Modality="NM", **elements)
    data.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    values = np.arange(count * 64, dtype=np.uint16).reshape(count, 8, 8)
    with_pixels(data, values)
    data.PixelSpacing = numbers((4, 4))
    data.FrameIncrementPointer = [TAGS[name] for name in vectors]
    for name, value in vectors.items():
        setattr(data, name, list(value))
    return data, values


def nested(*extents):
    """Return the numbers of each dimension, nested in their order."""
    grid = np.indices(extents).reshape(len(extents), -1) + 1
    return [row.tolist() for row in grid]


@pytest.mark.parametrize(
    ("kind", "names", "extents", "dimensions"),
    [
        (
            "DYNAMIC",
            ("EnergyWindowVector", "DetectorVector", "PhaseVector", "TimeSliceVector"),
            (2, 2, 1, 3),
            ("energy_window", "detector", "time_slice"),
        ),
        (
            "GATED",
            ("EnergyWindowVector", "DetectorVector", "RRIntervalVector", "TimeSlotVector"),
            (1, 2, 1, 4),
            ("detector", "time_slot"),
        ),
        (
            "GATED",
            ("EnergyWindowVector", "DetectorVector", "RRIntervalVector", "TimeSlotVector"),
            (2, 2, 2, 3),
            ("energy_window", "detector", "rr_interval", "time_slot"),
        ),
        (
            "TOMO",
            ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector"),
            (1, 2, 1, 3),
            ("detector", "angular_view"),
        ),
        ("RECON TOMO", ("SliceVector",), (5,), ("slice",)),
    ],
)
def test_vectors_are_dimensions_in_their_order(tmp_path, kind, names, extents, dimensions):
    data, values = nuclear(kind, dict(zip(names, nested(*extents), strict=True)))
    path = save(data, tmp_path / "a.dcm")
    found, report = collect([path])
    assert found["image"].dimension_names == (*dimensions, "y", "x")
    shape = [extent for extent in extents if extent > 1]
    assert np.array_equal(opened(found)["image"][...], values.reshape(*shape, 8, 8))
    assert opened(found)[dimensions[0]][...].tolist() == list(range(1, shape[0] + 1))
    assert found["image"].attributes["affine"] is None
    assert report.warnings == []
    equal_to_pydicom([path], found)


def test_frames_go_where_their_vectors_say(tmp_path):
    detectors, slices = nested(2, 3)
    order = [4, 0, 5, 2, 1, 3]
    vectors = {
        "DetectorVector": [detectors[k] for k in order],
        "TimeSliceVector": [slices[k] for k in order],
    }
    data, values = nuclear("DYNAMIC", vectors)
    path = save(data, tmp_path / "a.dcm")
    found, _ = collect([path])
    read = opened(found)["image"][...].reshape(6, 8, 8)
    assert np.array_equal(read[order], values)
    equal_to_pydicom([path], found)


@pytest.mark.parametrize("step", [4.0, -4.0])
@pytest.mark.parametrize("gates", [1, 3])
def test_reconstructed_slices_are_a_volume(tmp_path, step, gates):
    slots, slices = nested(gates, 5)
    kind, vectors = "RECON TOMO", {"SliceVector": slices}
    if gates > 1:
        kind, vectors = "RECON GATED TOMO", {"TimeSlotVector": slots, "SliceVector": slices}
    data, values = nuclear(kind, vectors)
    data.SpacingBetweenSlices = step
    data.SliceThickness = 4
    data.DetectorInformationSequence = group(
        ImagePositionPatient=numbers((-16, -16, 10)), ImageOrientationPatient=numbers(AXIAL)
    )
    path = save(data, tmp_path / "a.dcm")
    found, report = collect([path])
    array = found["image"]
    assert array.dimension_names == (*("time_slot",) * (gates > 1), "z", "y", "x")
    read = opened(found)["image"][...].reshape(gates, 5, 8, 8)
    true = values.reshape(gates, 5, 8, 8)
    assert np.array_equal(read, true if step > 0 else true[:, ::-1])
    # The first slice of the file, wherever it lies in the array.
    first = 0 if step > 0 else 4
    assert np.allclose(affine_of(found) @ [first, 0, 0, 1], [-16, -16, 10, 1])
    assert np.allclose(affine_of(found) @ [4 - first, 0, 0, 1], [-16, -16, 10 + 4 * step, 1])
    assert report.warnings == []
    equal_to_pydicom([path], found)


@pytest.mark.parametrize("missing", ["SpacingBetweenSlices", "ImagePositionPatient"])
def test_slices_without_a_place_are_no_stack(tmp_path, missing):
    data, values = nuclear("RECON TOMO", {"SliceVector": [1, 2, 3]})
    item = {"ImageOrientationPatient": numbers(AXIAL)}
    if missing == "SpacingBetweenSlices":
        item["ImagePositionPatient"] = numbers((0, 0, 0))
    else:
        data.SpacingBetweenSlices = 4
    data.DetectorInformationSequence = group(**item)
    found, _ = collect([save(data, tmp_path / "a.dcm")])
    assert found["image"].dimension_names == ("slice", "y", "x")
    assert np.array_equal(opened(found)["image"][...], values)
    assert found["image"].attributes["affine"] is None


@pytest.mark.parametrize(
    ("vectors", "told"),
    [
        ({"DetectorVector": [1, 1, 2, 2], "TimeSliceVector": [1, 2, 1]}, "(0054,0100) has no"),
        ({"DetectorVector": [1, 1, 2, 2], "TimeSliceVector": [1, 2, 1, 1]}, "do not fill"),
        ({"DetectorVector": [1, 1, 2, 2], "TimeSliceVector": [0, 1, 0, 1]}, "count from 1"),
        ({"DetectorVector": [1, 1, 3, 3], "TimeSliceVector": [1, 2, 1, 2]}, "count from 1"),
        ({"DetectorVector": [1, 1, 1, 2], "TimeSliceVector": [1, 2, 3, 1]}, "do not fill"),
        ({}, "is missing"),
        (None, "(0018,1063) is no vector"),
    ],
)
def test_vectors_that_tell_no_grid_leave_a_row(tmp_path, vectors, told):
    data, values = nuclear("DYNAMIC", vectors or {}, frames=4)
    if vectors is None:
        data.FrameIncrementPointer = 0x00181063
        data.FrameTime = "100"
    elif not vectors:
        del data.FrameIncrementPointer
    path = save(data, tmp_path / "a.dcm")
    found, report = collect([path])
    assert found["image"].dimension_names == ("frame", "y", "x")
    assert np.array_equal(opened(found)["image"][...], values)
    assert any(told in warning and "stay in a row" in warning for warning in report.warnings)
    equal_to_pydicom([path], found)


def test_energy_windows_and_phases_are_described(tmp_path):
    windows, slices = nested(2, 3)
    vectors = {
        "EnergyWindowVector": windows,
        "PhaseVector": [1] * 6,
        "TimeSliceVector": slices,
    }
    data, _ = nuclear("DYNAMIC", vectors)
    data.EnergyWindowInformationSequence = Sequence(
        [
            group(
                EnergyWindowRangeSequence=group(
                    EnergyWindowLowerLimit=str(low), EnergyWindowUpperLimit=str(low + 28)
                )
            )[0]
            for low in (126, 240)
        ]
    )
    data.PhaseInformationSequence = group(
        PhaseDelay="50",
        ActualFrameDuration="1000",
        PauseBetweenFrames="10",
        NumberOfFramesInPhase=3,
    )
    found, _ = collect([save(data, tmp_path / "a.dcm")])
    stock = opened(found)
    assert stock["energy_window_lower"][...].tolist() == [126, 240]
    assert stock["energy_window_upper"][...].tolist() == [154, 268]
    assert found["energy_window_lower"].attributes["units"] == "keV"
    assert stock["time"][...].tolist() == [50, 1060, 2070]
    assert found["time"].dimension_names == ("time_slice",)


def pet(number, z, **elements):
    data = instance(PET, number=number, Modality="PT", **elements)
    data.ImagePositionPatient = numbers((0, 0, z))
    data.ImageOrientationPatient = numbers(AXIAL)
    data.PixelSpacing = numbers((2, 2))
    data.RescaleSlope, data.RescaleIntercept = "0.5", "0"
    data.Units = "BQML"
    data.DecayCorrection = "START"
    return with_pixels(data, np.full((4, 4), number, np.uint16))


@pytest.mark.parametrize("shuffled", [False, True])
def test_gates_of_pet_are_told_apart_by_the_image_index(tmp_path, shuffled):
    beats, slots, slices = 2, 3, 4
    paths = []
    for index in range(1, beats * slots * slices + 1):
        data = pet(index, 3.0 * ((index - 1) % slices))
        data.SeriesType = ["GATED", "IMAGE"]
        data.NumberOfRRIntervals, data.NumberOfTimeSlots = beats, slots
        data.NumberOfSlices = slices
        data.ImageIndex = index
        if shuffled:
            # Instance numbers that follow another order tell nothing.
            data.InstanceNumber = (index * 7) % 25
        paths.append(save(data, tmp_path / f"{index:03}.dcm"))
    found, report = collect(paths)
    array = found["image"]
    assert array.dimension_names == ("rr_interval", "time_slot", "z", "y", "x")
    true = np.arange(1, 25, dtype=np.uint16).reshape(beats, slots, slices)
    assert np.array_equal(opened(found)["image"][..., 0, 0], true)
    assert opened(found)["time_slot"][...].tolist() == [1, 2, 3]
    assert array.attributes["units"] == "Bq/ml"
    assert array.attributes["decay_correction"] == "START"
    assert not any("instance numbers" in warning for warning in report.warnings)
    equal_to_pydicom(paths, found)


def test_an_image_index_of_another_series_is_no_gate(tmp_path):
    paths = []
    for index in range(1, 9):
        data = pet(index, 3.0 * ((index - 1) % 4))
        data.SeriesType = ["GATED", "IMAGE"]
        data.NumberOfRRIntervals, data.NumberOfTimeSlots, data.NumberOfSlices = 1, 2, 4
        data.ImageIndex = index + 100
        paths.append(save(data, tmp_path / f"{index:03}.dcm"))
    found, report = collect(paths)
    assert found["image"].dimension_names == ("repeat", "z", "y", "x")
    assert any("instance numbers" in warning for warning in report.warnings)


@pytest.mark.parametrize("told", ["time", "index"])
def test_time_frames_of_pet(tmp_path, told):
    starts, durations, decay = [0.0, 15000.0, 60000.0], [10000, 20000, 60000], [1.01, 1.05, 1.2]
    paths = []
    for t in range(3):
        for z in range(4):
            index = 4 * t + z + 1
            data = pet(index, 3.0 * z)
            data.SeriesType = ["DYNAMIC", "IMAGE"]
            data.NumberOfSlices, data.NumberOfTimeSlices = 4, 3
            data.ImageIndex = index
            data.ActualFrameDuration = str(durations[t])
            data.DecayFactor = str(decay[t])
            data.RescaleSlope = str(0.5 + t)
            if told == "time":
                data.FrameReferenceTime = str(starts[t])
            paths.append(save(data, tmp_path / f"{index:03}.dcm"))
    found, _ = collect(paths)
    name = "frame_reference_time" if told == "time" else "time_slice"
    array, stock = found["image"], opened(found)
    assert array.dimension_names == (name, "z", "y", "x")
    assert np.array_equal(stock["image"][..., 0, 0], np.arange(1, 13).reshape(3, 4))
    assert stock[name][...].tolist() == (starts if told == "time" else [1, 2, 3])
    assert stock["actual_frame_duration"][...].tolist() == durations
    assert stock["decay_factor"][...].tolist() == decay
    assert stock["rescale_slope"][...].tolist() == [0.5, 1.5, 2.5]
    assert array.attributes["rescaled_units"] == "Bq/ml"
    if told == "time":
        assert found[name].attributes["units"] == "ms"
        assert stock["time_slice"][...].tolist() == [1, 2, 3]
    equal_to_pydicom(paths, found)

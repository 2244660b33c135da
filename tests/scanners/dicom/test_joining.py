"""Multi-frame instances of a series as the volumes of one array."""

from __future__ import annotations

import numpy as np
import pytest

import refmaker
from refmaker.scanners.dicom import DICOMScanner
from tests.scanners.dicom.image_files import SEG, enhanced, numbers, save, with_pixels
from tests.scanners.dicom.test_volumes import SHARED, collect, opened, plane


def volume(number, places=4, *, first=0.0, frame=None, shared=SHARED, **elements):
    """Return one instance with a frame for each place, its pixels different from any other's."""
    frames = [plane(first + 3.0 * z, **(frame(z) if frame else {})) for z in range(places)]
    data = enhanced(frames, shared, number=number)
    values = np.random.default_rng(number).integers(0, 4000, (places, 6, 5)).astype(np.uint16)
    with_pixels(data, values)
    for name, value in elements.items():
        setattr(data, name, value)
    return data, values


def written(folder, made):
    return [save(data, folder / f"{k:03d}.dcm") for k, (data, _) in enumerate(made)]


def timed(k):
    return lambda z: {
        "FrameContentSequence": {
            "TemporalPositionIndex": k + 1,
            "FrameAcquisitionDateTime": f"2019031412{k:02d}{z:02d}.16",
        }
    }


KINDS = {
    "temporal position": lambda k: (timed(k), {}, "temporal_position"),
    "acquisition number": lambda k: (None, {"AcquisitionNumber": k + 1}, "acquisition_number"),
    "echo time": lambda k: (
        lambda _: {"MREchoSequence": {"EffectiveEchoTime": 2.5 * (k + 1)}},
        {},
        "echo_time",
    ),
    "time": lambda k: (None, {"ContentTime": f"1200{k:02d}"}, "time"),
    "nothing but the file": lambda k: (None, {}, "volume"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 5])
def test_instances_are_volumes(tmp_path, kind, count):
    made = []
    for k in range(count):
        frame, elements, name = KINDS[kind](k)
        made.append(volume(k + 1, frame=frame, **elements))
    paths = written(tmp_path, made)
    group, report = collect(paths[::-1])
    array = group["image"]
    assert (array.dimension_names, array.shape) == ((name, "z", "y", "x"), (count, 4, 6, 5))
    assert [n for n, _ in group.arrays() if n.startswith("image")] == ["image"]
    assert np.array_equal(opened(group)["image"][...], [values for _, values in made])
    assert np.allclose(np.array(array.attributes["affine"])[:3, 0], [0, 0, 3])
    assert report.warnings == []
    with DICOMScanner().native_collection(paths, None) as native:
        whole = tuple(slice(0, n) for n in array.shape)
        assert np.array_equal(native.read("image", array, whole), [v for _, v in made])


def test_times_of_frames_are_exact(tmp_path):
    made = [volume(k + 1, frame=timed(k)) for k in range(3)]
    group, _ = collect(written(tmp_path, made))
    times = opened(group)["acquisition_time"][...]
    assert np.array_equal(times, np.arange(3)[:, None] * 60.0 + np.arange(4))


def test_instances_that_continue_one_another_are_one_stack(tmp_path):
    made = [volume(k + 1, first=12.0 * k) for k in range(2)]
    group, _ = collect(written(tmp_path, made))
    assert group["image"].shape == (8, 6, 5)
    assert np.array_equal(opened(group)["image"][...], np.concatenate([v for _, v in made]))


OTHER = {**SHARED, "PixelMeasuresSequence": {"PixelSpacing": numbers((4, 3))}}


@pytest.mark.parametrize(
    "second",
    [
        {"places": 3},
        {"shared": OTHER},
        {"first": 1.0},
        {"FrameOfReferenceUID": "1.2.3.9"},
    ],
)
def test_instances_that_fill_no_grid_are_apart(tmp_path, second):
    made = [
        volume(1, FrameOfReferenceUID="1.2.3.8"),
        volume(2, **{"FrameOfReferenceUID": "1.2.3.8"} | second),
    ]
    group, _ = collect(written(tmp_path, made))
    found = [np.asarray(opened(group)[name][...]) for name in ("image", "image_1")]
    assert sorted(len(part) for part in found) == sorted(len(values) for _, values in made)
    for _, values in made:
        assert any(part.shape == values.shape and np.array_equal(part, values) for part in found)


def test_other_classes_stay_apart(tmp_path):
    made = [volume(k + 1) for k in range(2)]
    for data, _ in made:
        data.SOPClassUID = SEG
    group, _ = collect(written(tmp_path, made))
    assert group["image"].shape == group["image_1"].shape == (4, 6, 5)


def test_damaged_groups_of_one_instance_cost_only_its_places(tmp_path):
    made = [volume(k + 1, frame=timed(k)) for k in range(4)]
    del made[2][0].PerFrameFunctionalGroupsSequence[-1]
    group, report = collect(written(tmp_path, made))
    assert group["image"].shape == (3, 4, 6, 5)
    assert group["image_1"].shape == (4, 6, 5)
    assert np.array_equal(opened(group)["image_1"][...], made[2][1])
    assert any("functional groups" in told for told in report.warnings)


def test_encodings_that_differ_keep_instances_apart(tmp_path):
    import imagecodecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLSLossless

    made = [volume(k + 1, frame=timed(k)) for k in range(2)]
    for k, (data, values) in enumerate(made):
        frames = [imagecodecs.jpegls_encode(frame) for frame in values]
        data.file_meta.TransferSyntaxUID = JPEGLSLossless
        data.PixelData = encapsulate(frames, fragments_per_frame=k + 1)
        data["PixelData"].is_undefined_length = True
    group, report = collect(written(tmp_path, made))
    assert report.skipped == []
    stock = opened(group)
    assert np.array_equal(stock["image"][...], made[0][1])
    assert np.array_equal(stock["image_1"][...], made[1][1])


def test_numbers_of_frames_count_before_those_of_instances(tmp_path):
    """A coordinate has one meaning: that of the frames, as the library reads it."""
    once = {"FrameContentSequence": {"FrameAcquisitionNumber": 1}}
    made = [volume(k + 1, frame=lambda _: once, AcquisitionNumber=k) for k in range(3)]
    refs = refmaker.scan(written(tmp_path, made))
    assert refs.group["image"].shape[:2] == (3, 4)
    assert "acquisition_number" not in refs.group.members
    assert refs.group["image"].attributes["acquisition_number"] == 1
    assert all(check.ok for check in refmaker.verify(refs, isolate="never"))

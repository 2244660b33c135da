"""What counts as the same: spacings, instances, systems of coordinates, numbers of frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from refmaker.errors import FormatError
from refmaker.model.report import Outcome
from refmaker.scanners.dicom import DICOMScanner
from tests.scanners.dicom.dicom_files import encapsulated, image, random_pixels, write
from tests.scanners.dicom.image_files import save, save_all, slice_of
from tests.scanners.dicom.test_volumes import collect, opened


@pytest.mark.parametrize(
    "texts", [("0.5", ".50"), ("0.5", "5E-1"), ("0.50000001", "0.5"), ("0.5", "0,5 ")]
)
def test_spacings_are_compared_as_numbers(tmp_path, texts):
    made = []
    for k in range(6):
        data = slice_of((0, 0, 2.5 * k), k + 1, spacing=(0.5, 0.75))
        data["PixelSpacing"] = pydicom.DataElement(
            0x00280030, "LO", [texts[k % 2], "0.75"], already_converted=True
        )
        made.append(data)
    paths = save_all(tmp_path, made)
    for path in paths:
        written = Path(path).read_bytes()
        Path(path).write_bytes(written.replace(b"\x28\x00\x30\x00LO", b"\x28\x00\x30\x00DS"))
    group, _ = collect(paths)
    assert group["image"].shape[0] == 6
    assert np.allclose(group["image"].attributes["spacing"], [2.5, 0.5, 0.75])


def test_spacings_that_differ_are_apart(tmp_path):
    made = [slice_of((0, 0, k), k + 1, spacing=(0.5 + 0.01 * (k % 2), 1)) for k in range(6)]
    group, _ = collect(save_all(tmp_path, made))
    assert [group[name].shape[0] for name in ("image", "image_1")] == [3, 3]


def eleven(folder):
    return [save(slice_of((0, 0, 2.5 * k), k + 1), folder / f"{k:03d}.dcm") for k in range(10)]


def test_an_exact_copy_counts_once(tmp_path):
    paths = eleven(tmp_path)
    copy = str(tmp_path / "004 (1).dcm")
    shutil.copy(paths[4], copy)
    group, report = collect([*paths, copy])
    assert group["image"].shape[0] == 10
    (row,) = report.having(Outcome.DUPLICATED)
    assert row.path == "/004 (1).dcm"
    assert "004.dcm" in row.reason
    assert report.skipped == []


@pytest.mark.parametrize("change", ["writer", "padding"])
def test_a_copy_by_another_writer_is_one(tmp_path, change):
    paths = eleven(tmp_path)
    data = pydicom.dcmread(paths[3])
    if change == "writer":
        data.file_meta.ImplementationVersionName = "OTHER"
    else:
        data.ImageType = "ORIGINAL\\PRIMARY "
        other = pydicom.dcmread(paths[3])
        other.ImageType = "ORIGINAL\\PRIMARY"
        save(other, paths[3])
    copy = save(data, tmp_path / "x.dcm")
    group, report = collect([*paths, copy])
    assert group["image"].shape[0] == 10
    assert len(report.having(Outcome.DUPLICATED)) == 1


@pytest.mark.parametrize("change", ["pixels", "position", "length"])
def test_what_claims_to_be_a_copy_and_differs_is_kept(tmp_path, change):
    paths = eleven(tmp_path)
    data = pydicom.dcmread(paths[9])
    if change == "pixels":
        data.PixelData = data.PixelData[:-1] + b"\xff"
    elif change == "position":
        data.ImagePositionPatient = [0, 0, 25]
    else:
        data.PixelData = data.PixelData + bytes(2)
    other = save(data, tmp_path / "x.dcm")
    group, report = collect([*paths, other])
    assert not report.having(Outcome.DUPLICATED)
    used = {url for _, array in group.arrays() for url in array.chunks.urls}
    assert used == {*paths, other}
    assert any("SOP Instance UID" in told for told in report.warnings)


def test_copies_of_many_places(tmp_path):
    paths = eleven(tmp_path)
    copies = [str(shutil.copy(path, f"{path}.copy")) for path in paths]
    group, report = collect([*copies, *paths])
    assert group["image"].shape[0] == 10
    assert len(report.having(Outcome.DUPLICATED)) == 10


@pytest.mark.parametrize("clock", [None, "AcquisitionTime"])
@pytest.mark.parametrize("last", [1, 2, 4])
def test_an_acquisition_that_was_stopped(tmp_path, clock, last):
    made, values = [], {}
    for number in range(15 + last):
        t, z = divmod(number, 5)
        extra = {clock: f"1200{number:02d}"} if clock else {}
        made.append(slice_of((0, 0, 3 * z), number + 1, **extra))
        values[t, z] = made[-1].pixel_array
    group, report = collect(save_all(tmp_path, made))
    array = group["image"]
    assert array.shape[:2] == (4, 5)
    assert array.dimension_names[0] == ("time" if clock else "repeat")
    assert array.chunks.absent == 5 - last
    read = opened(group)["image"][...]
    for (t, z), true in values.items():
        assert np.array_equal(read[t, z], true)
    assert any("last volume is not complete" in told for told in report.warnings)


def test_slice_after_slice_nobody_can_tell_what_is_missing(tmp_path):
    made = []
    for z in range(5):
        for _ in range(4 if z < 2 else 3):
            made.append(slice_of((0, 0, 3 * z), len(made) + 1))
    group, report = collect(save_all(tmp_path, made))
    assert group["image"].dimension_names[0] == "frame"
    assert any("no attribute tells them apart" in told for told in report.warnings)


@pytest.mark.parametrize("places", [[0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 2, 4, 1, 3, 5]])
def test_frames_of_reference_are_apart(tmp_path, places):
    made = [
        slice_of((0, 0, 2 * z), k + 1, FrameOfReferenceUID=f"1.2.{3 + k // 3}")
        for k, z in enumerate(places)
    ]
    group, report = collect(save_all(tmp_path, made))
    assert [group[name].shape[0] for name in ("image", "image_1")] == [3, 3]
    assert any("frames of reference" in told for told in report.warnings)
    for name, part in (("image", made[:3]), ("image_1", made[3:])):
        ordered = sorted(part, key=lambda data: data.ImagePositionPatient[2])
        assert np.array_equal(opened(group)[name][...], [data.pixel_array for data in ordered])


def test_frames_without_a_place_need_no_frame_of_reference(tmp_path):
    made = [slice_of(None, k + 1, FrameOfReferenceUID=f"1.2.{k}") for k in range(4)]
    group, _ = collect(save_all(tmp_path, made))
    assert group["image"].shape[0] == 4


def untold(folder, values, **elements):
    made = image(values, NumberOfFrames=len(values), **elements)
    del made.NumberOfFrames
    return str(write(made, folder / "a.dcm"))


@pytest.mark.parametrize("shape", [(5, 16, 16), (2, 8, 9), (3, 5, 5), (2, 4, 4, 3)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_frames_that_no_header_counts(tmp_path, shape, dtype):
    values = random_pixels(shape, np.dtype(dtype), 1)
    path = untold(tmp_path, values)
    group, report = collect([path])
    assert np.array_equal(opened(group)["image"][...], values)
    assert any(f"hold {len(values)} frames" in told for told in report.warnings)
    with DICOMScanner().native_collection([path], None) as native:
        everything = tuple(slice(0, n) for n in shape)
        assert np.array_equal(native.read("image", group["image"], everything), values)


def test_half_a_frame_is_none(tmp_path):
    values = random_pixels((1, 8, 8), np.dtype("u2"))
    path = untold(tmp_path, values, raw=values.tobytes() * 2 + bytes(64))
    group, report = collect([path])
    assert np.array_equal(opened(group)["image"][...].reshape(8, 8), values[0])
    assert any("more than their 1 frames" in told for told in report.warnings)
    with DICOMScanner().native_collection([path], None) as native:
        whole = tuple(slice(0, n) for n in group["image"].shape)
        true = native.read("image", group["image"], whole)
    assert np.array_equal(true.reshape(8, 8), values[0])


@pytest.mark.parametrize(("told", "reason"), [(7, "5 "), (3, "more than their 3 frames")])
def test_frames_that_a_header_miscounts(tmp_path, told, reason):
    values = random_pixels((5, 8, 8), np.dtype("u2"))
    path = str(write(image(values, NumberOfFrames=told), tmp_path / "a.dcm"))
    if told > 5:
        with pytest.raises(FormatError, match="7 frames take"):
            collect_one(path)
        return
    group, report = collect([path])
    assert np.array_equal(opened(group)["image"][...], values[:3].reshape(group["image"].shape))
    assert any(reason in text for text in report.warnings)


def collect_one(path):
    from refmaker.io.source import Source
    from refmaker.scanning.options import ScanOptions

    with Source(path) as source:
        return DICOMScanner().scan(source, ScanOptions())


@pytest.mark.parametrize("table", [True, False])
def test_encapsulated_frames_that_no_header_counts(tmp_path, table):
    import imagecodecs

    values = random_pixels((4, 8, 8), np.dtype("u1"))
    frames = [imagecodecs.jpegls_encode(frame) for frame in values]
    raw = encapsulated(frames, table=table)
    made = image(values, str(JPEGLSLossless), raw=raw)
    del made.NumberOfFrames
    path = str(write(made, tmp_path / "a.dcm"))
    if not table:
        with pytest.raises(FormatError, match="NumberOfFrames is missing"):
            collect_one(path)
        return
    group, report = collect([path])
    assert np.array_equal(opened(group)["image"][...], values)
    assert any("hold 4 frames" in told for told in report.warnings)

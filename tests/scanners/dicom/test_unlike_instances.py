"""Series in which one instance is not what the others are: it costs itself, or stands apart."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLossless, JPEGLSLossless

from tests.scanners.dicom.image_files import (
    ENHANCED_MR,
    enhanced,
    numbers,
    save,
    save_all,
    slice_of,
    slide_level,
    with_pixels,
)
from tests.scanners.dicom.test_volumes import collect, opened

RAW_ENCAPSULATED = "1.2.840.10008.1.2.1.98"


def j2k(values, **settings):
    return imagecodecs.jpeg2k_encode(
        values, level=0, codecformat="J2K", reversible=True, **settings
    )


def jpeg(values):
    return imagecodecs.ljpeg_encode(values)


def compressed(syntax, k, values, stream, bits=16):
    """Return one plane of a series, compressed."""
    data = with_pixels(slice_of((0, 0, k), k + 1), values)
    data.BitsStored, data.HighBit = bits, bits - 1
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([stream])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    return data


def random(seed, low=0, high=4000, dtype=np.uint16):
    return np.random.default_rng(seed).integers(low, high, (16, 16)).astype(dtype)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEGLSLossless, imagecodecs.jpegls_encode),
        (JPEGLossless, jpeg),
        (JPEG2000Lossless, j2k),
        (RAW_ENCAPSULATED, lambda values: values.tobytes()[: values.shape[0] * 32]),
    ],
    ids=["jpegls", "jpeg", "jpeg2k", "raw"],
)
@pytest.mark.parametrize("odd", [0, 1, 3])
def test_a_frame_of_another_size_costs_itself(tmp_path, syntax, encode, odd):
    planes = [random(k) for k in range(4)]
    made = [
        compressed(syntax, k, plane, encode(plane.reshape(8, 32) if k == odd else plane))
        for k, plane in enumerate(planes)
    ]
    paths = [save(data, tmp_path / f"{k}.dcm") for k, data in enumerate(made)]
    found, report = collect(paths)
    rest = [plane for k, plane in enumerate(planes) if k != odd]
    np.testing.assert_array_equal(opened(found)["image"][...], rest)
    assert [row.path for row in report.skipped] == [f"/{odd}.dcm"]


def test_streams_that_are_decoded_otherwise_stand_apart(tmp_path):
    """Streams with a sign and streams without one, whose samples have one all the same."""
    planes = [random(k, -2000, 2000, np.int16) for k in range(4)]
    made = []
    for k, plane in enumerate(planes):
        told = plane.view(np.uint16) & 0xFFF if k == 1 else plane
        stream = j2k(told, bitspersample=12)
        made.append(compressed(JPEG2000Lossless, k, plane, stream, bits=12))
    found, report = collect(save_all(tmp_path, made))
    stock = opened(found)
    np.testing.assert_array_equal(stock["image"][...], [planes[0], planes[2], planes[3]])
    np.testing.assert_array_equal(stock["image_1"][...], [planes[1]])
    assert report.lossless
    assert [round(float(z), 6) for z in stock["z"][...]] == [0, 2, 3]


@pytest.mark.parametrize("spacing", [(0, 0), (0, 1), (-1, 1)])
def test_a_spacing_that_is_no_distance_makes_no_geometry(tmp_path, spacing):
    made = [slice_of((0, 0, k), k + 1, spacing=spacing) for k in range(3)]
    found, report = collect(save_all(tmp_path, made))
    attributes = found["image"].attributes
    assert attributes["affine"] is None
    assert attributes["spacing"] == [1.0, None, None]
    assert "y" not in found.members
    assert "x" not in found.members
    assert any("(0028,0030) of 3 frames is not above 0" in text for text in report.warnings)


@pytest.mark.parametrize(("stored", "high"), [(12, 15), (12, 12), (8, 15)])
def test_stored_bits_that_are_not_the_lowest_have_two_readings(tmp_path, stored, high):
    made = slice_of((0, 0, 0), 1)
    made.BitsStored, made.HighBit = stored, high
    found, report = collect([save(made, tmp_path / "a.dcm")])
    assert not found.members
    (row,) = report.skipped
    assert row.code == "pixel-layout"
    assert f"High Bit {high}" in row.reason


def test_a_stream_says_itself_which_bits_it_has(tmp_path):
    plane = random(1)
    made = compressed(JPEGLSLossless, 0, plane, imagecodecs.jpegls_encode(plane), bits=12)
    made.HighBit = 15
    found, _ = collect([save(made, tmp_path / "a.dcm")])
    np.testing.assert_array_equal(opened(found)["image"][...], [plane])


def parts(total):
    """Return the three parts of a concatenation of two frames each."""
    shared = {
        "PixelMeasuresSequence": {"PixelSpacing": numbers((1, 1))},
        "PlaneOrientationSequence": {"ImageOrientationPatient": numbers((1, 0, 0, 0, 1, 0))},
    }
    made = []
    for k in range(3):
        places = [
            {"PlanePositionSequence": {"ImagePositionPatient": numbers((0, 0, 2 * k + n))}}
            for n in range(2)
        ]
        data = enhanced(places, shared, sop_class=ENHANCED_MR, number=k + 1)
        data.ConcatenationUID = "1.2.3.4"
        data.ConcatenationFrameOffsetNumber = 2 * k
        data.InConcatenationNumber = k + 1
        if total:
            data.InConcatenationTotalNumber = 3
        made.append(data)
    return made


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("gone", [0, 1])
def test_parts_of_a_concatenation_that_are_not_there_are_told(tmp_path, total, gone):
    made = parts(total)
    found, report = collect(save_all(tmp_path, [d for k, d in enumerate(made) if k != gone]))
    assert found["image"].shape[0] in (4, 6)
    expected = "2 of 3 parts of the concatenation" if total else "frames are missing between"
    assert any(expected in text for text in report.warnings)


@pytest.mark.parametrize("total", [True, False])
def test_a_whole_concatenation_lacks_nothing(tmp_path, total):
    found, report = collect(save_all(tmp_path, parts(total)))
    assert found["image"].shape[0] == 6
    assert not [text for text in report.warnings if "concatenation" in text]


def test_parts_of_a_slide_that_are_not_there_are_told(tmp_path):
    matrix = np.random.default_rng(1).integers(0, 255, (16, 8, 3)).astype(np.uint8)
    made = slide_level(matrix, (8, 8))
    made.ConcatenationUID, made.ConcatenationFrameOffsetNumber = "1.2.3.4", 0
    made.InConcatenationNumber, made.InConcatenationTotalNumber = 1, 2
    _, report = collect([save(made, tmp_path / "a.dcm")])
    assert any("1 of 2 parts of the concatenation" in text for text in report.warnings)


def test_more_frames_than_a_file_can_hold_are_refused_at_once(tmp_path):
    made = slice_of((0, 0, 0), 1)
    made.NumberOfFrames = 2_000_000_000
    found, report = collect([save(made, tmp_path / "a.dcm")])
    assert not found.members
    assert [row.reason for row in report.skipped] == [
        "2000000000 frames are more than the file can hold"
    ]


def test_a_length_that_lies_beyond_the_file_counts_no_frames(tmp_path):
    path = save(slice_of((0, 0, 0), 1), tmp_path / "a.dcm")
    data = bytearray((tmp_path / "a.dcm").read_bytes())
    at = data.rindex(b"\xe0\x7f\x10\x00OW") + 8
    data[at : at + 4] = (0xFFFFFF00).to_bytes(4, "little")
    (tmp_path / "a.dcm").write_bytes(data)
    found, report = collect([path])
    assert found["image"].shape == (1, 6, 5)
    assert any("bytes more than their 1 frames" in text for text in report.warnings)

"""What no decoder takes is refused while scanning, by name, and costs nothing else."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from tests.scanners.dicom.image_files import save, slice_of
from tests.scanners.dicom.test_volumes import collect, opened

ENCODE = {
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: lambda values: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k"),
}


def series(folder, syntax, damaged):
    """Write slices, the streams of some of which are damaged behind their headers."""
    paths, values = [], []
    for k in range(4):
        data = slice_of((0, 0, k), k + 1)
        values.append(data.pixel_array)
        stream = bytearray(ENCODE[syntax](data.pixel_array))
        if k in damaged:
            half = len(stream) // 2
            stream[half:] = b"\xff\xd9" * ((len(stream) - half) // 2)
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = encapsulate([bytes(stream)])
        data["PixelData"].is_undefined_length = True
        paths.append(save(data, folder / f"{k}.dcm"))
    return paths, values


@pytest.mark.parametrize("syntax", list(ENCODE))
@pytest.mark.parametrize("mode", ["auto", "all", "none"])
def test_sound_frames_are_referenced(tmp_path, syntax, mode):
    paths, values = series(tmp_path, syntax, ())
    group, report = collect(paths, probe=mode)
    assert report.skipped == []
    assert np.array_equal(opened(group)["image"][...], values)


@pytest.mark.parametrize(
    ("mode", "damaged", "refused"),
    [("auto", (0,), ["/0.dcm"]), ("all", (2,), ["/2.dcm"]), ("all", (0, 3), ["/0.dcm", "/3.dcm"]),
     ("auto", (2,), []), ("none", (0,), [])],
)  # fmt: skip
def test_frames_that_cannot_be_decoded_are_refused(tmp_path, mode, damaged, refused):
    paths, values = series(tmp_path, JPEGLSLossless, damaged)
    group, report = collect(paths, probe=mode)
    assert [row.path for row in report.skipped] == refused
    assert all(row.code == "undecodable" for row in report.skipped)
    assert all("cannot be decoded" in row.reason for row in report.skipped)
    if refused:
        kept = [v for k, v in enumerate(values) if k not in damaged]
        read = np.asarray(opened(group)["image"][...])
        used = [v for v in read.reshape(-1, 6, 5) if v.any()]
        assert np.array_equal(used, kept)


def test_nothing_left_is_no_image(tmp_path):
    paths, _ = series(tmp_path, JPEGLSLossless, (0, 1, 2, 3))
    group, report = collect(paths, probe="all")
    assert "image" not in group.members
    assert len(report.skipped) == 4

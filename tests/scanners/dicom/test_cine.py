"""Times of the frames of runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.scanners.dicom.image_files import instance, save, with_pixels
from tests.scanners.dicom.test_volumes import collect, opened

US, XA, RF = (f"1.2.840.10008.5.1.4.1.1.{rest}" for rest in ("3.1", "12.1", "12.2"))


def run(folder, sop_class=US, frames=4, **elements):
    data = instance(sop_class, **elements)
    with_pixels(data, np.arange(frames * 16, dtype=np.uint16).reshape(frames, 4, 4))
    return save(data, folder / "run")


@pytest.mark.parametrize("sop_class", [US, XA, RF])
@pytest.mark.parametrize(
    ("elements", "true"),
    [
        ({"FrameTime": "33.3"}, [0, 33.3, 66.6, 99.9]),
        ({"FrameTime": "33.3", "FrameIncrementPointer": 0x00181063}, [0, 33.3, 66.6, 99.9]),
        ({"FrameTime": "33.3", "FrameDelay": "100"}, [100, 133.3, 166.6, 199.9]),
        ({"FrameTimeVector": ["0", "10", "20", "5"]}, [0, 10, 30, 35]),
        ({"FrameTimeVector": ["7", "10", "20", "5"]}, [0, 10, 30, 35]),
        (
            {
                "FrameTime": "1",
                "FrameTimeVector": ["0", "10", "20", "5"],
                "FrameIncrementPointer": 0x00181065,
                "FrameDelay": "2.5",
            },
            [2.5, 12.5, 32.5, 37.5],
        ),
        (
            {"FrameTime": "1", "FrameTimeVector": ["0"], "FrameIncrementPointer": 0x00181063},
            [0, 1, 2, 3],
        ),
    ],
)
def test_times_of_frames(tmp_path, sop_class, elements, true):
    found, report = collect([run(tmp_path, sop_class, **elements)])
    assert found["time"].dimension_names == ("frame",)
    assert found["time"].attributes["units"] == "ms"
    assert np.allclose(opened(found)["time"][...], true, rtol=1e-12)
    assert report.warnings == []


@pytest.mark.parametrize(
    ("elements", "told"),
    [
        ({"FrameTimeVector": ["0", "10", "20"]}, "(0018,1065)"),
        ({"FrameTimeVector": ["0", "10", "20", "77.75"]}, "(0018,1065)"),
        ({"FrameTime": "77.75"}, "(0018,1063)"),
        ({"FrameTime": "33", "FrameDelay": "77.75"}, "(0018,1066)"),
    ],
)
def test_times_without_a_reading_are_left_out(tmp_path, elements, told):
    path = Path(run(tmp_path, **elements))
    path.write_bytes(path.read_bytes().replace(b"77.75", b"77_75"))
    found, report = collect([str(path)])
    assert "time" not in found.members
    assert any(told in warning for warning in report.warnings)


@pytest.mark.parametrize("name", ["RecommendedDisplayFrameRate", "CineRate"])
def test_a_rate_of_display_is_no_time_of_acquisition(tmp_path, name):
    found, _ = collect([run(tmp_path, **{name: 25})])
    assert "time" not in found.members
    assert opened(found)["display_time"][...].tolist() == [0, 40, 80, 120]
    key = {"CineRate": "cine_rate"}.get(name, "recommended_display_frame_rate")
    assert found["image"].attributes[key] == 25


def test_a_rate_beside_frame_times_is_an_attribute(tmp_path):
    found, _ = collect([run(tmp_path, FrameTime="10", RecommendedDisplayFrameRate=25)])
    assert "display_time" not in found.members
    assert found["image"].attributes["recommended_display_frame_rate"] == 25


def test_single_frames_have_no_run(tmp_path):
    paths = []
    for number in (1, 2):
        data = instance(US, number=number, FrameTime="10", CineRate=30)
        with_pixels(data, np.full((4, 4), number, np.uint16))
        paths.append(save(data, tmp_path / str(number)))
    found, _ = collect(paths)
    assert not {"time", "display_time"} & found.members.keys()
    assert "time" not in found["image"].attributes

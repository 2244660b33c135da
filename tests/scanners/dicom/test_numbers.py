"""Numbers in text: one reading of each, or none, and never a default in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import FormatError
from refmaker.scanners.dicom.decimals import decimals, integers, only
from tests.scanners.dicom.image_files import CT, save, slice_of
from tests.scanners.dicom.test_volumes import collect, opened

MARK = "1.2345678901234"
"""Stands where a test wants a text of its own: as long as any of them."""

READ = {
    "1.5": 1.5, "1,5": 1.5, "1.5 ": 1.5, " 1.5": 1.5, "1.5\0": 1.5, "1.5E0": 1.5, "15E-1": 1.5,
    "+1.5": 1.5, "1.5\\1.5": 1.5, "1.5\\1.50": 1.5, "1.5\\": 1.5, "1.5\\ ": 1.5, "0": 0.0,
    ".5": 0.5, "5.": 5.0, "1,5E1": 15.0, "5.e-002": 0.05, "030": 30.0, "-0,25": -0.25,
    "1.50000000000000000000000000001": 1.5, "": None, "  ": None, "\\": None,
}  # fmt: skip
REFUSED = [
    "1.5\\2.5", "\\1.5", "NaN", "nan", "inf", "-Infinity", "1.5x", "1_5", "1_0.5", "1e400", "1.5.0",
    "1 500", "1,500.5", "1.500,5", "1,500,5", "\xb11.5", "1.5D0", "-", "e5", "0x10", "1.5\n",
    "1'500", "1\\\\2", "--1", "9" * 70,
]  # fmt: skip


@pytest.mark.parametrize("text", READ)
def test_one_reading(text):
    assert only(decimals(text.encode("latin-1"))) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_no_reading(text):
    with pytest.raises(FormatError) as raised:
        only(decimals(text.encode("latin-1")))
    assert text not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), (" 3 ", 3), ("3.0", 3), ("+7", 7), ("1e2", 100)]
)
def test_integers(text, value):
    found = integers(text.encode())
    assert found == [value]
    assert isinstance(found[0], int)


@pytest.mark.parametrize("text", ["3.5", "1_0", "x", "3,5", "NaN", "12\\\\13"])
def test_no_integers(text):
    with pytest.raises(FormatError):
        integers(text.encode())


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=5))
def test_what_writers_print_is_read(values):
    text = "\\".join(f"{value:.17g}" for value in values)
    assert decimals(text.encode()) == [float(f"{value:.17g}") for value in values]


@given(st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(raw):
    try:
        found = decimals(raw)
    except FormatError:
        return
    assert all(np.isfinite(found))


def series(folder, keyword, texts, places=None, **elements):
    """Write a slice for each text of one attribute, None for the usual value."""
    usual = {"RescaleSlope": "1.5", "RescaleIntercept": "-4"} | elements
    paths = []
    for k, text in enumerate(texts):
        chosen = dict(usual)
        if text is not None and keyword not in ("PixelSpacing", "ImagePositionPatient"):
            chosen[keyword] = MARK
        place = (0, 0, 2.5 * (k if places is None else places[k]))
        data = slice_of(place, k + 1, sop_class=CT, **chosen)
        if text is not None and keyword == "PixelSpacing":
            data.PixelSpacing = [MARK, "3"]
        if text is not None and keyword == "ImagePositionPatient":
            data.ImagePositionPatient = [MARK, "0", str(place[2])]
        path = Path(save(data, folder / f"{k}.dcm"))
        if text is not None:
            raw = text.encode("latin-1").ljust(len(MARK), b" ")
            written = path.read_bytes()
            assert written.count(MARK.encode()) == 1
            path.write_bytes(written.replace(MARK.encode(), raw))
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("text", [t for t in READ if READ[t] and len(t) <= len(MARK)])
def test_slopes_that_have_a_reading(tmp_path, text):
    group, report = collect(series(tmp_path, "RescaleSlope", [text] * 3))
    attributes = group["image"].attributes
    assert (attributes["scale_factor"], attributes["add_offset"]) == (READ[text], -4.0)
    assert report.warnings == []


@pytest.mark.parametrize("text", [t for t in REFUSED if len(t) <= len(MARK)])
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_one_slice_without_a_reading(tmp_path, keyword, text):
    group, report = collect(series(tmp_path, keyword, [None, text, None]))
    attributes = group["image"].attributes
    assert not {"scale_factor", "add_offset", "units"} & attributes.keys()
    assert attributes["rescale_incomplete"] == [1]
    stock = opened(group)
    assert np.array_equal(stock["rescale_slope"][...], [1.5, np.nan, 1.5], equal_nan=True)
    assert np.array_equal(stock["rescale_intercept"][...], [-4, np.nan, -4], equal_nan=True)
    tag = "(0028,1053)" if keyword == "RescaleSlope" else "(0028,1052)"
    assert any(tag in told and "1.dcm" in told for told in report.warnings)
    assert not any("1.dcm" in text for text in attributes["oddities"])


@pytest.mark.parametrize("texts", [["1_5"] * 3, ["", "", ""], ["0", "0", "0"]])
def test_no_slice_with_a_reading(tmp_path, texts):
    group, report = collect(series(tmp_path, "RescaleSlope", texts))
    attributes = group["image"].attributes
    assert not {"scale_factor", "add_offset", "units", "rescale"} & attributes.keys()
    assert attributes["rescale_incomplete"] == [0, 1, 2]
    assert report.warnings
    assert "rescale_slope" not in group.members


def test_a_slice_that_tells_no_rescaling_gets_none(tmp_path):
    group, report = collect(series(tmp_path, "RescaleSlope", [None, " ", None]))
    slope = opened(group)["rescale_slope"][...]
    assert np.array_equal(slope, [1.5, np.nan, 1.5], equal_nan=True)
    assert any("1 of 3 frames" in told for told in report.warnings)


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagePositionPatient"])
@pytest.mark.parametrize("text", ["1_5", "2\\", "inf", "x"])
def test_planes_without_a_reading_are_apart(tmp_path, keyword, text):
    group, report = collect(series(tmp_path, keyword, [None, None, text, None]))
    assert group["image"].shape[0] == 3
    assert group["image_1"].shape[-3:][0] == 1 or len(group["image_1"].shape) == 2
    assert group["image_1"].attributes.get("affine") is None
    tag = "(0028,0030)" if keyword == "PixelSpacing" else "(0020,0032)"
    assert any(tag in told and "2.dcm" in told for told in report.warnings)


def test_commas_in_planes_are_decimal(tmp_path):
    group, report = collect(series(tmp_path, "PixelSpacing", ["2,0", "2.0", "2"]))
    assert group["image"].attributes["spacing"] == [2.5, 2.0, 3.0]
    assert report.warnings == []


@pytest.mark.parametrize("text", ["1_0", "1.5x", "nan", "1,500.5"])
@pytest.mark.parametrize("keyword", ["EchoTime", "SliceThickness", "KVP"])
def test_attributes_without_a_reading_are_named(tmp_path, keyword, text):
    group, report = collect(series(tmp_path, keyword, [None, text, None], **{keyword: "10"}))
    assert report.warnings
    assert any("1.dcm" in told for told in report.warnings)
    for name, array in group.arrays():
        if array.dtype.kind == "f" and name != "image":
            values = opened(group)[name][...]
            assert not np.isin(values, [15.0]).any()
    assert group["image"].shape[0] == 3


def test_numbers_of_instances_have_no_second_reading(tmp_path):
    paths = series(tmp_path, "RescaleSlope", [None] * 3)
    path = Path(paths[1])
    old = b"\x20\x00\x13\x00IS\x02\x00\x32\x20"
    assert path.read_bytes().count(old) == 1
    path.write_bytes(path.read_bytes().replace(old, b"\x20\x00\x13\x00IS\x04\x001_0 "))
    group, report = collect(paths)
    numbers = opened(group)["instance_number"][...]
    assert np.array_equal(numbers, [1, np.nan, 3], equal_nan=True)
    assert any("(0020,0013)" in told for told in report.warnings)

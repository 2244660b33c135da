"""Descriptions and tags that lie: an error of ours or a warning, never more, never wrong pixels."""

import re
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import FormatError, LimitError, RefmakerError
from refmaker.model.report import ScanReport
from refmaker.scanners.tiff import crs, imagej, markup, shaped, units
from refmaker.scanners.tiff.geo import read_keys
from refmaker.scanners.tiff.ome_xml import read_document
from refmaker.testing import open_stock
from tests.scanners.tiff.meaning_files import noise, ome_xml, pixels, scanned, write_pages

XML = ome_xml(
    [
        '<TiffData FirstZ="1" IFD="1" PlaneCount="1"/>',
        '<Plane TheZ="0" TheC="0" TheT="0" DeltaT="1"/>',
    ]
)


@st.composite
def mutated(draw, text):
    """Draw a text with some of its attribute values, or some characters, replaced."""
    spots = [match.span(1) for match in re.finditer(r'="([^"]*)"', text)]
    values = st.sampled_from(
        ["", "0", "-1", "1e999", "nan", "99999999999999999999", "x", "2147483648", "0.5", "1048577"]
    )
    for _ in range(draw(st.integers(1, 4))):
        start, stop = draw(st.sampled_from(spots))
        text = text[:start] + draw(values) + text[stop:]
        spots = [match.span(1) for match in re.finditer(r'="([^"]*)"', text)]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(["<", ">", '"', "\0", "&", ""])) + text[at + 1 :]
    return text


@given(mutated(XML))
def test_ome_xml_gives_a_document_or_an_error_of_ours(text):
    try:
        document = read_document(text)
    except RefmakerError:
        return
    for image in document.images:
        assert all(axis.size >= 1 for axis in image.axes)


@given(mutated(XML))
def test_files_with_such_xml_keep_their_pages(tmp_path, text):
    data = noise(2, 24, 32)
    path = write_pages(tmp_path / "a.ome.tif", data, text.encode("utf-8", "replace"))
    try:
        group, _ = scanned(path)
    except RefmakerError as error:
        assert str(path) in str(error)  # noqa: PT017 - other errors fail by themselves
        return
    pages = {plane.tobytes() for plane in data}
    z = open_stock(group)
    seen = set()
    for where, array in pixels(group).items():
        assert array.shape[0] <= 2 * 4096 or len(array.shape) == 2
        for plane in z[where][...].reshape(-1, 24, 32):
            assert not plane.any() or plane.tobytes() in pages
            seen.add(plane.tobytes())
    assert pages <= seen


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;&b;&b;&b;">]><OME>&d;</OME>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><OME/>',
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY % b SYSTEM "http://localhost/x"> %b;]><OME/>',
    ],
)
def test_entities_are_refused(text):
    with pytest.raises(FormatError, match="entities"):
        markup.parse(text, "it")


def test_xml_is_bounded(monkeypatch):
    monkeypatch.setattr(markup, "_LIMIT", 100)
    with pytest.raises(LimitError):
        markup.parse("<a>" + "x" * 200 + "</a>", "it")


def test_deep_xml_is_no_trouble():
    deep = "<OME>" + "<a>" * 20000 + "</a>" * 20000 + "</OME>"
    assert read_document(deep).images == ()


@pytest.mark.parametrize("size", [2**31 - 1, 2**22 + 1, 2**20])
def test_absurd_numbers_of_planes_leave_the_pages(tmp_path, size):
    text = ome_xml(["<TiffData/>"]).replace('SizeZ="2"', f'SizeZ="{size}"')
    data = noise(2, 24, 32)
    group, report = scanned(write_pages(tmp_path / "a.ome.tif", data, text))
    assert np.array_equal(open_stock(group)["image"][...], data)
    assert any("planes" in warning for warning in report.warnings)
    if size > 2**22:
        with pytest.raises(LimitError):
            read_document(text)


@given(st.binary(max_size=200), st.lists(st.integers(-(2**31), 2**31), max_size=8))
def test_imagej_metadata_of_any_bytes(raw, counts):
    found = imagej.extra_metadata(b"IJIJ" + raw, np.array(counts, np.int64), "<")
    assert set(found) <= {"labels", "luts", "ranges", "info"}


@pytest.mark.parametrize(
    "line", ["images=1e9", "slices=-4", "frames=x", "channels=0", "images=99999999999999999999"]
)
def test_imagej_counts_that_lie_leave_the_pages(tmp_path, line):
    data = noise(24, 32)
    path = write_pages(tmp_path / "a.tif", [data], f"ImageJ=1.0\n{line}\n")
    group, _ = scanned(path)
    assert np.array_equal(open_stock(group)["image"][...], data)


@given(st.text(max_size=60))
def test_shaped_descriptions_of_any_text(text):
    found = shaped._described('{"shape":' + text)
    assert found is None or all(extent >= 1 for extent in found["shape"])


def test_stacks_that_the_file_cannot_hold_are_no_stacks(tmp_path):
    text = '{"shape": [1099511627776, 24, 32], "truncated": true}'
    path = write_pages(tmp_path / "a.tif", [noise(24, 32)], text)
    group, _ = scanned(path)
    assert group["image"].shape == (24, 32)


@given(st.lists(st.integers(0, 2**16 - 1), max_size=40), st.lists(st.floats(), max_size=4))
def test_geo_keys_of_any_numbers(tmp_path, numbers, doubles):
    path = tmp_path / "a.tif"
    directory = [1, 1, 0, len(numbers) // 4, *numbers]
    tags = [(34735, 3, len(directory), directory, True)]
    if doubles:
        tags.append((34736, 12, len(doubles), doubles, True))
    tifffile.imwrite(path, noise(8, 8), metadata=None, extratags=tags)
    group, _ = scanned(path)
    assert group["image"].shape == (8, 8)
    assert open_stock(group)["image"].shape == (8, 8)


@given(
    st.dictionaries(
        st.sampled_from(sorted(crs.KEY_NAMES)),
        st.one_of(st.sampled_from([0, 1, 2, 3, 8, 15, 4326, 32618, 32767, 9001]), st.floats()),
        max_size=8,
    )
)  # fmt: skip
def test_reference_systems_of_any_keys(keys):
    attributes, problem = crs.grid_mapping(keys)
    assert attributes or problem or not keys


class FakePages:
    """Tags of one page."""

    def __init__(self, **tags):
        self.tags = {int(name[1:]): value for name, value in tags.items()}

    def tag(self, page, code, default=None):
        return self.tags.get(code, default)


def test_keys_that_point_outside_of_their_values_are_empty():
    directory = np.array([1, 1, 0, 3, 1026, 34737, 9, 5, 2057, 34736, 1, 7, 2050, 34735, 2, 60000])
    report = ScanReport("a.tif")
    found = read_keys(FakePages(t34735=directory, t34737="abc|"), 0, report)
    assert found == {1026: "", 2057: (), 2050: ()}


@pytest.mark.parametrize("value", ["", "x", None, b"1", [1], "1e999", "nan", float("inf")])
def test_numbers_that_are_none(value):
    assert units.number(value) is None


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("µm", "micrometer"), ("μm", "micrometer"), ("um", "micrometer"), ("micron", "micrometer"),
        ("\\u00B5m", "micrometer"), ("nm", "nanometer"), ("Å", "angstrom"), ("mm", "millimeter"),
        ("inch", "inch"), ("pixel", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_units(symbol, name):
    assert units.unit_name(symbol) == name


def test_a_tag_of_nan_is_kept_as_text(tmp_path):
    path = tmp_path / "a.tif"
    raw = struct.unpack("<d", b"\0\0\0\0\0\0\xf8\x7f")[0]
    tifffile.imwrite(path, noise(8, 8), metadata=None, extratags=[(65010, 12, 1, raw, True)])
    group, _ = scanned(path)
    assert group["tiff"].attributes["tag_65010"] == "NaN"

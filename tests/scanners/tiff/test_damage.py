"""Files some pages of which are damaged: the rest stays readable, and nothing is made up."""

import numpy as np
import pytest
import tifffile

from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.tiff.directory import read_directory
from refmaker.testing import open_stock
from tests.scanners.tiff.meaning_files import noise, pixels, scanned, write_pyramid


def damage(path, *numbers, code=273):
    """Let the data of some pages of the main chain, or of SubIFDs behind it, lie nowhere."""
    with Source(path) as source:
        directory = read_directory(source)
        places = [int(directory.place(code, np.array([number]))[0][0]) for number in numbers]
    with open(path, "r+b") as file:
        for place in places:
            file.seek(place)
            file.write(b"\xf0\xff\xff\x7f")


def write(path, planes, **options):
    with tifffile.TiffWriter(path) as file:
        for plane in planes:
            file.write(plane, metadata=None, contiguous=False, **options)
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("bad", [[0], [9], [3, 4, 8], [0, 2, 4, 6, 8]])
def test_a_stack_does_without_its_damaged_pages_and_counts_them(tmp_path, bad, compression):
    planes = noise(10, 32, 24)
    path = write(tmp_path / "a.tif", planes, compression=compression)
    damage(path, *bad)
    group, report = scanned(path)
    z = open_stock(group)
    left = [page for page in range(10) if page not in bad]
    assert z["page"][...].tolist() == left
    assert np.array_equal(z["image"][...], planes[left])
    lost = {row.path: row for row in report.rows if row.outcome is Outcome.SKIPPED}
    assert set(lost) == {f"/page/{page}" for page in bad}
    assert all("end at byte" in row.reason for row in lost.values())
    (warning,) = report.warnings
    assert f"{len(bad)} of 10 pages are damaged" in warning


def test_of_two_pages_one_is_left_with_its_number(tmp_path):
    planes = noise(2, 32, 24)
    path = write(tmp_path / "a.tif", planes)
    damage(path, 0)
    z = open_stock(scanned(path)[0])
    assert z["page"][...].tolist() == [1]
    assert np.array_equal(z["image"][...], planes[1:])


def test_a_stack_of_nothing_but_damaged_pages_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", noise(3, 32, 24))
    damage(path, 0, 1, 2)
    group, report = scanned(path)
    assert not pixels(group)
    (row,) = [row for row in report.rows if row.outcome is Outcome.SKIPPED]
    assert row.path == "/image"
    assert row.code == "truncated"


def test_an_image_with_axes_is_refused_unless_absent_chunks_are_asked_for(tmp_path):
    data = noise(2, 3, 64, 64)
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(data, metadata={"axes": "CZYX"}, compression="zlib")
        file.write(data[0, 0], metadata={"axes": "YX"}, compression="zlib")
    damage(path, 4)
    group, report = scanned(path)
    # The other image loses nothing.
    assert list(pixels(group)) == ["1/image"]
    (row,) = [row for row in report.rows if row.outcome is Outcome.SKIPPED]
    assert row.path == "/0/image"
    assert "1 of 6 pages are damaged, the first /page/4" in row.reason
    assert "`settings={'damaged-pages': 'absent'}`" in row.reason

    group, report = scanned(path, **{"damaged-pages": "absent"})
    z = open_stock(group)
    there = np.ones(6, bool)
    there[4] = False
    found = z["0/image"][...].reshape(6, 64, 64)
    assert np.array_equal(found[there], data.reshape(6, 64, 64)[there])
    assert group["0/image"].chunks.get(4) is None
    assert any("fill value" in text for text in report.warnings)
    (row,) = [row for row in report.rows if row.outcome is Outcome.SKIPPED]
    assert row.path == "/page/4"


def test_other_levels_of_a_pyramid_stay(tmp_path):
    data = noise(4, 128, 128)
    path = write_pyramid(tmp_path / "a.ome.tif", data, "ZYX", levels=1)
    with Source(path) as source:
        below = np.flatnonzero(read_directory(source).parent == 2)
    damage(path, int(below[0]), code=324)
    group, report = scanned(path)
    assert list(pixels(group)) == ["0/image"]
    assert any("/page/2/0" in row.reason for row in report.rows if row.path == "/1/image")


@pytest.mark.parametrize("kind", ["ome", "shaped", "imagej"])
def test_a_chain_that_breaks_off_makes_no_planes_up(tmp_path, kind):
    data = noise(6, 64, 64)
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    how = {"ome": kind == "ome", "imagej": kind == "imagej", "shaped": kind == "shaped"}
    with tifffile.TiffWriter(path, **how) as file:
        named = {"compression": "zlib"} if kind != "imagej" else {}
        file.write(data, metadata={"axes": "ZYX"}, photometric="minisblack", **named)
    with Source(path) as source:
        offset = int(read_directory(source).offset[3])
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xff\xff")
    group, report = scanned(path)
    for name, array in pixels(group).items():
        assert array.chunks.absent == 0, name
        planes = open_stock(group)[name][...].reshape(-1, 64, 64)
        assert np.array_equal(planes, data[: len(planes)])
    assert any(row.path == "/page/3" and row.code == "damaged" for row in report.rows)
    if kind == "ome":
        z = open_stock(scanned(path, **{"damaged-pages": "absent"})[0])
        assert z["image"].shape == data.shape
        assert np.array_equal(z["image"][:3], data[:3])

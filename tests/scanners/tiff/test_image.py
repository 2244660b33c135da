"""Arrays from pages: every order of dimensions, absent pages, several files, data that follow."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from refmaker.errors import MetadataError, TruncatedError, UnsupportedError
from refmaker.io.source import Source
from refmaker.model import Group
from refmaker.scanners.tiff.directory import read_directory
from refmaker.scanners.tiff.image import following_array, image_array
from refmaker.scanners.tiff.pages import Pages
from refmaker.scanning.options import ScanOptions
from refmaker.testing import open_stock
from tests.scanners.tiff import flavours

STACK = flavours.rng.integers(0, 255, (6, 40, 30, 3)).astype("u1")
"""Pages, rows, columns, samples."""


def write(path, data, *, separate=False, **how):
    planes = np.moveaxis(data, -1, 1) if separate else data
    config = "separate" if separate else "contig"
    with tifffile.TiffWriter(path) as file:
        for page in planes:
            file.write(page, photometric="rgb", planarconfig=config, metadata=None,
                       contiguous=False, **how)  # fmt: skip


def pages_of(*paths):
    return Pages.join([Pages([read_directory(Source(path))]) for path in paths])


def values(array):
    return np.asarray(open_stock(Group({"image": array}))["image"][...])


HOWS = [
    {}, {"rowsperstrip": 7}, {"rowsperstrip": 7, "compression": "zlib"},
    {"tile": (16, 16)}, {"tile": (16, 16), "compression": "zlib", "predictor": True},
    {"rowsperstrip": 8, "compression": "png"},
]  # fmt: skip


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("separate", [False, True])
class TestOrders:
    @pytest.fixture
    def pages(self, tmp_path, how, separate):
        if separate and how.get("compression") == "png":
            how = how | {"compression": "lzw"}
        write(tmp_path / "a.tif", STACK, separate=separate, **how)
        return pages_of(tmp_path / "a.tif")

    def made(self, pages, numbers=range(6), prefix=(6,), **options):
        rank = len(prefix) + 2 + (not options.get("merge_samples"))
        names = [f"d{i}" for i in range(rank)]
        numbers = np.array(list(numbers))
        return values(image_array(pages, numbers, prefix, names, {}, ScanOptions(), **options))

    def test_samples_last(self, pages):
        assert np.array_equal(self.made(pages), STACK)

    def test_samples_before_rows(self, pages):
        found = self.made(pages, prefix=(2, 3), sample_axis=2)
        assert np.array_equal(found, np.moveaxis(STACK.reshape(2, 3, 40, 30, 3), -1, 2))

    def test_samples_first(self, pages):
        found = self.made(pages, prefix=(2, 3), sample_axis=0)
        assert np.array_equal(found, np.moveaxis(STACK.reshape(2, 3, 40, 30, 3), -1, 0))

    @pytest.mark.parametrize("axis", [0, 1])
    def test_samples_multiply_a_dimension(self, pages, axis):
        found = self.made(pages, prefix=(2, 3), sample_axis=axis, merge_samples=True)
        true = np.moveaxis(STACK.reshape(2, 3, 40, 30, 3), -1, axis + 1)
        shape = [2, 3, 40, 30]
        shape[axis] *= 3
        assert np.array_equal(found, true.reshape(shape))

    def test_pages_in_any_order_and_some_absent(self, pages):
        found = self.made(pages, [5, -1, 0, 3], (2, 2), fill_value=9)
        assert np.array_equal(found[0, 0], STACK[5])
        assert (found[0, 1] == 9).all()
        assert np.array_equal(found[1], STACK[[0, 3]])


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_pages_of_several_files(tmp_path, how):
    for i in range(3):
        write(tmp_path / f"{i}.tif", STACK[2 * i : 2 * i + 2], **how)
    pages = pages_of(*(tmp_path / f"{i}.tif" for i in range(3)))
    assert pages.file.tolist() == [0, 0, 1, 1, 2, 2]
    assert pages.path(3) == "/page/1"
    order = np.array([4, 1, 2, -1, 0, 5])
    array = image_array(pages, order, (6,), ["p", "y", "x", "s"], {}, ScanOptions())
    found = values(array)
    assert array.chunks.urls == pages.urls
    for number, one in zip(order, found, strict=True):
        assert np.array_equal(one, STACK[number] if number >= 0 else 0 * one)


def test_files_whose_offsets_run_on_are_not_joined(tmp_path):
    # What one file's data end at is where another's begin.
    data = flavours.rng.integers(0, 255, (2, 16, 16)).astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", data[0], metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start = file.pages[0].dataoffsets[0]
    whole = (tmp_path / "a.tif").read_bytes()
    moved = whole[:start] + bytes(256) + data[1].tobytes()
    (tmp_path / "b.tif").write_bytes(moved)
    with tifffile.TiffFile(tmp_path / "b.tif", mode="r+b") as file:
        file.pages[0].tags[273].overwrite(start + 256)
    pages = pages_of(tmp_path / "a.tif", tmp_path / "b.tif")
    array = image_array(pages, np.array([0, 1]), (2,), ["p", "y", "x"], {}, ScanOptions())
    assert array.chunk_shape[0] == 1
    assert np.array_equal(values(array), data)


def test_contiguous_pages_are_joined_towards_the_target(tmp_path):
    data = flavours.rng.integers(0, 255, (12, 16, 16)).astype("u2")
    tifffile.imwrite(tmp_path / "a.tif", data)
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for page in data:
            file.write(page, metadata=None)
    pages = pages_of(tmp_path / "b.tif")
    for target, rows in ((None, 1), (512, 1), (2048, 4), (10**6, 12)):
        options = ScanOptions(chunk_bytes=target)
        array = image_array(pages, np.arange(12), (12,), ["p", "y", "x"], {}, options)
        assert np.array_equal(values(array), data)
        contiguous = np.diff(array.chunks.offset.astype(int)).tolist() in (
            [],
            [512 * rows] * (12 // rows - 1),
        )
        assert array.chunk_shape[0] == rows or not contiguous


class TestFollowing:
    def test_images_that_follow_the_first_page(self, tmp_path):
        data = flavours.rng.integers(0, 255, (2, 5, 16, 16)).astype(">u2")
        tifffile.imwrite(
            tmp_path / "a.tif", data, imagej=True, byteorder=">", metadata={"axes": "TZYX"}
        )
        pages = pages_of(tmp_path / "a.tif")
        array = following_array(pages, 0, (2, 5), ["t", "z", "y", "x"], {}, ScanOptions())
        assert array.dtype == np.dtype(">u2")
        assert np.array_equal(values(array), data)
        with pytest.raises(TruncatedError):
            following_array(pages, 0, (2, 50), ["t", "z", "y", "x"], {}, ScanOptions())

    def test_compressed_data_do_not_follow(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", flavours.GRAY, compression="zlib")
        with pytest.raises(UnsupportedError, match="/page/0"):
            following_array(
                pages_of(tmp_path / "a.tif"), 0, (1,), ["p", "y", "x"], {}, ScanOptions()
            )


def test_pages_that_differ_are_refused_by_name(tmp_path):
    flavours.pages((flavours.GRAY, {}), (flavours.GRAY[:50], {}))(tmp_path / "a.tif")
    pages = pages_of(tmp_path / "a.tif")
    with pytest.raises(UnsupportedError, match=r"/page/0 and /page/1") as told:
        image_array(pages, np.array([0, 1]), (2,), ["p", "y", "x"], {}, ScanOptions())
    assert told.value.code == "pages-differ"
    with pytest.raises(MetadataError):
        image_array(pages, np.array([-1]), (1,), ["p", "y", "x"], {}, ScanOptions())

"""The directory reader: chains, runs, SubIFDs, values, and files that lie about them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import FormatError, RefmakerError, TruncatedError
from refmaker.io import block_cache
from refmaker.io.source import Source
from refmaker.scanners.tiff.declared import is_tiff
from refmaker.scanners.tiff.directory import read_directory
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing.http import RangeServer
from tests.scanners.tiff import flavours


def directories(path, **options):
    with Source(path) as source:
        return read_directory(source, **options)


def stack(path, count, *, gap=lambda i: 0, **options):
    """Write pages with a directory each, at distances that `gap` decides."""
    with tifffile.TiffWriter(path, **options) as file:
        for i in range(count):
            file.write(
                np.full((8, 8 + gap(i)), i, "u2"), metadata=None, contiguous=False,
                description=f"page {i:04}", photometric="minisblack",
            )  # fmt: skip


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("gap", [lambda i: 0, lambda i: i % 7 == 6, lambda i: i == 40])
def test_same_as_tifffile(tmp_path, big, order, gap):
    stack(tmp_path / "a.tif", 100, gap=gap, bigtiff=big, byteorder=order)
    with Source(tmp_path / "a.tif") as source, tifffile.TiffFile(tmp_path / "a.tif") as file:
        found = read_directory(source)
        pages = [file.pages.get(i) for i in range(len(file.pages))]
        true = [tifffile.TiffPage(file, 0) for page in pages if file.filehandle.seek(page.offset)]
        assert found.offset.tolist() == [page.offset for page in true]
        assert found.main == len(true)
        assert found.troubles == []
        for code in (256, 258, 273, 279):
            values = [np.atleast_1d(page.tags[code].value)[0] for page in true]
            assert found.column(code).tolist() == values
        texts = found.values(270, np.arange(100))
        assert texts == [page.tags[270].value for page in true]
        assert found.value(99, 282) == 1.0
        differing = found.differing(np.arange(100), frozenset({273}))
        assert 270 in differing
        assert 282 not in differing
        assert (256 in differing) == any(gap(i) for i in range(100))


def test_subifds_hang_below_their_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(3):
            file.write(flavours.GRAY, subifds=2, metadata=None)
            file.write(flavours.GRAY[::2], subfiletype=1, metadata=None)
            file.write(flavours.GRAY[::4], subfiletype=1, metadata=None)
    found = directories(tmp_path / "a.tif")
    assert found.main == 3
    assert found.parent.tolist() == [-1, -1, -1, 0, 0, 1, 1, 2, 2]
    assert found.column(257).tolist() == [96, 96, 96, 48, 24, 48, 24, 48, 24]


def chain(*entries_and_next, byteorder="<"):
    """Return a classic TIFF whose directories are given as (offset, entries, next)."""
    data = bytearray(b"II" + struct.pack("<HI", 42, entries_and_next[0][0]))
    for offset, entries, after in entries_and_next:
        body = struct.pack("<H", len(entries))
        body += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
        body += struct.pack("<I", after)
        data = data.ljust(offset + len(body), b"\0")
        data[offset : offset + len(body)] = body
    return bytes(data)


GOOD = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 16)]


def scanned(tmp_path, data):
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    return scan(path)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_cycles_end(tmp_path, length):
    at = [100 * (i + 1) for i in range(length)]
    data = chain(*((offset, GOOD, at[(i + 1) % length]) for i, offset in enumerate(at)))
    _, report = scanned(tmp_path, data)
    assert [(row.path, row.code) for row in report.skipped] == [(f"/page/{length}", "cycle")]


def test_a_long_cycle_of_regular_pages_ends(tmp_path):
    at = [100 * (i + 1) for i in range(300)]
    data = chain(*((offset, GOOD, at[(i + 1) % 300]) for i, offset in enumerate(at)))
    _, report = scanned(tmp_path, data)
    assert [(row.path, row.code) for row in report.skipped] == [("/page/300", "cycle")]


def test_a_chain_that_leads_into_a_run_ends(tmp_path):
    at = [100 * (i + 1) for i in range(300)]
    data = chain(*((offset, GOOD, [*at[1:], at[150]][i]) for i, offset in enumerate(at)))
    found = scanned(tmp_path, data)[1]
    assert [(row.path, row.code) for row in found.skipped] == [("/page/300", "cycle")]


def test_overlapping_directories_end(tmp_path):
    # Each entry is a directory of its own: more bytes of directories than the file has.
    word = struct.pack("<H", 1)
    data = bytearray(b"II" + struct.pack("<HI", 42, 8) + word * 3000)
    for i in range(0, 2000, 2):
        struct.pack_into("<I", data, 8 + i + 14, 8 + i + 2) if i % 16 == 0 else None
    try:
        _, report = scanned(tmp_path, bytes(data))
    except RefmakerError:
        return
    assert report.skipped


@pytest.mark.parametrize("entry", [
    (273, 4, 2**32 - 1, 8), (273, 4, 2**31, 8), (330, 4, 2**32 - 1, 8), (330, 4, 1000, 8),
    (258, 3, 2**32 - 1, 8), (270, 2, 2**32 - 1, 8), (257, 4, 1, 2**32 - 1),
    (256, 4, 1, 2**32 - 1), (277, 3, 1, 65535), (278, 4, 1, 0), (322, 4, 1, 1), (347, 7, 2**31, 8),
    (273, 5, 1, 8), (279, 12, 1, 8), (273, 99, 1, 8), (34665, 4, 1, 8),
])  # fmt: skip
def test_absurd_entries_cost_one_image_at_most(tmp_path, entry):
    entries = [one for one in GOOD if one[0] != entry[0]]
    entries += [(323, 4, 1, 1)] if entry[0] == 322 else []
    sound = [(256, 4, 1, 8), (257, 4, 1, 2), *GOOD[2:]]
    group, _ = scanned(tmp_path, chain((100, [*entries, entry], 300), (300, sound, 0)))
    assert (2, 8) in [array.shape for _, array in group.arrays()]


def test_the_first_directory_decides(tmp_path):
    for data in (chain((100, [], 0)), chain((100, GOOD, 0))[:120], b"II*\0\0\0\0\0", b"II*\0"):
        with pytest.raises(FormatError) as told:
            scanned(tmp_path, data)
        assert "a.tif" in str(told.value)
    with pytest.raises(TruncatedError):
        scanned(tmp_path, chain((100, GOOD, 0))[:110])


def test_a_last_page_that_is_cut_off_costs_itself(tmp_path):
    stack(tmp_path / "whole.tif", 30)
    data = (tmp_path / "whole.tif").read_bytes()
    last = int(directories(tmp_path / "whole.tif").offset[-1])
    group, report = scanned(tmp_path, data[: last + 30])
    assert [row.path for row in report.skipped] == ["/page/29"]
    assert [array.shape for _, array in group.arrays() if array.dtype == "u2"] == [(29, 8, 8)]


@given(st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=4)), max_size=6))
def test_any_bytes_are_read_or_refused(tmp_path_factory, changes):
    folder = tmp_path_factory.getbasetemp() / "changed"
    folder.mkdir(exist_ok=True)
    if not (folder / "whole.tif").exists():
        stack(folder / "whole.tif", 12)
    data = bytearray((folder / "whole.tif").read_bytes())
    for at, new in changes:
        start = at % len(data)
        data[start : start + len(new)] = new
    (folder / "a.tif").write_bytes(data)
    try:
        group, _ = scan(folder / "a.tif", format="tiff")
    except RefmakerError:
        return
    for _, array in group.arrays():
        if array.chunks.referenced:
            assert int((array.chunks.offset + array.chunks.length).max()) <= len(data)


def test_sniffing():
    assert is_tiff(b"II*\0" + bytes(8))
    assert is_tiff(b"MM\0+\0\x08\0\0" + bytes(8))
    assert not is_tiff(b"II+\0\x04\0\0\0")
    assert not is_tiff(b"II")


class TestRemote:
    @pytest.fixture
    def served(self, tmp_path):
        # Large enough not to be fetched at once: pages of 16 KiB.
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            data = np.zeros((64, 128), "u2")
            for _ in range(1300):
                file.write(data, metadata=None, contiguous=False)
        with RangeServer(tmp_path) as server:
            yield tmp_path / "a.tif", server

    def scan(self, server, **chosen):
        return scan(server.url("a.tif"), options=ScanOptions(settings=chosen))

    def test_trusted_stride_reads_a_sample(self, served):
        path, server = served
        here, _ = scan(path)
        far, report = self.scan(server, **{"infer-ifds": "yes"})
        assert far["image"].chunks.with_urls([str(path)]).same(here["image"].chunks)
        assert report.requests <= 100
        assert report.bytes_read < 2e6
        assert any("inferred" in text for text in report.warnings)

    def test_otherwise_every_directory_is_read(self, served):
        path, server = served
        here, _ = scan(path)
        far, report = self.scan(server)
        assert far["image"].chunks.with_urls([str(path)]).same(here["image"].chunks)
        assert not report.warnings

    def test_directories_below_scattered_pages_cost_a_request_each(self, tmp_path, monkeypatch):
        # Not to be fetched at once, as larger files are not.
        monkeypatch.setattr(block_cache, "WHOLE_FILE", 0)
        monkeypatch.setattr(block_cache, "FIRST", 8192)
        monkeypatch.setattr(block_cache, "LATENCY", 0.0)
        planes = np.random.default_rng(0).integers(0, 200, (60, 256, 256)).astype("u1")
        how = {"tile": (64, 64), "compression": "zlib", "compressionargs": {"level": 1}}
        with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True, ome=True) as file:
            file.write(planes, subifds=1, metadata={"axes": "ZYX"}, **how)
            file.write(planes[:, ::2, ::2], subfiletype=1, **how)
        with RangeServer(tmp_path) as server:
            far, report = self.scan(server)
        here, _ = scan(tmp_path / "a.tif")
        for name, array in here.arrays():
            found = far[name].chunks.with_urls(array.chunks.urls)
            assert found.same(array.chunks)
        assert report.requests <= 120 + 6
        assert report.rounds <= 60 + 6
        assert report.bytes_read <= 120 * 5 * 1024 + 64 * 1024
        assert report.bytes_read < (tmp_path / "a.tif").stat().st_size / 2

    @pytest.mark.parametrize("where", [900, 1299])
    def test_a_page_out_of_line_is_noticed_at_the_end_or_in_the_sample(self, served, where):
        path, server = served
        with tifffile.TiffFile(path, mode="r+b") as file:
            file.pages.get(0)
            offsets = directories(path).offset
            file.filehandle.seek(int(offsets[where]))
            page = tifffile.TiffPage(file, 0)
            page.tags[262].overwrite(0)
        far, report = self.scan(server, **{"infer-ifds": "yes"})
        if not report.warnings:
            here, _ = scan(path)
            assert [name for name, _ in far.arrays()] == [name for name, _ in here.arrays()]
        else:
            # Outside of the sample nobody looks: that is what trust means.
            assert where == 900

"""Frames of encapsulated pixel data: byte for byte those of pydicom, however they are cut."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from refmaker.codecs.dicom_pixels import join_fragments
from refmaker.errors import FormatError, MetadataError, TruncatedError
from refmaker.io.source import Source
from refmaker.scanners.dicom import items as items_module
from refmaker.scanners.dicom.frames import instance_array, stack
from refmaker.scanners.dicom.header import read_header, read_headers
from refmaker.scanners.dicom.items import locate
from refmaker.scanners.dicom.pixel_bytes import PixelBytes
from refmaker.scanning.options import ScanOptions
from tests.scanners.dicom.dicom_files import extended, image, items, offsets, refusal, write

J2K, JPEG = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.50"
PIXELS = np.zeros((1, 8, 8), np.uint8)
END = b"\xfe\xff\xdd\xe0\0\0\0\0"
MARKED = b"\xff\xd8\xff\xe0", b"\xff\xd9"


def instance(path, value, frames, syntax=JPEG, **elements):
    """Write an instance whose encapsulated pixel data are given, and return its path."""
    # The delimiter is written by pydicom.
    made = image(PIXELS, syntax, raw=value.removesuffix(END), **elements)
    made.NumberOfFrames = frames
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write(made, path)


def located(path, frames):
    """Return where the frames are, and their bytes without headers of items."""
    data = path.read_bytes()
    with Source(path) as source:
        header = read_header(source)
        with PixelBytes(header, source) as pixels:
            found = locate(header, pixels, frames)
    parts = [
        np.frombuffer(data[at : at + n], np.uint8)
        for at, n in zip(found.offset.tolist(), found.length.tolist(), strict=True)
    ]
    return found, [join_fragments(part).tobytes() for part in parts]


def theirs(value, frames, **tables):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(generate_frames(value, number_of_frames=frames, **tables))


def even(size):
    return st.binary(min_size=size, max_size=120).map(lambda data: data + b"\0" * (len(data) % 2))


plain_frames = st.lists(st.lists(even(2), min_size=1, max_size=5), min_size=1, max_size=8)


@given(groups=plain_frames, delimiter=st.booleans())
def test_frames_by_the_basic_offset_table(tmp_path, groups, delimiter):
    value = items(groups, table=offsets(groups), delimiter=delimiter)
    path = instance(tmp_path / "a.dcm", items(groups, table=offsets(groups)), len(groups))
    if not delimiter:
        path.write_bytes(path.read_bytes()[:-8])
    found, frames = located(path, len(groups))
    assert frames == theirs(value, len(groups))
    assert frames == [b"".join(group) for group in groups]
    assert found.single == all(len(group) == 1 for group in groups) or len(groups) == 1


@given(frames=st.lists(even(2), min_size=1, max_size=12))
def test_frames_by_their_number(tmp_path, frames):
    groups = [[frame] for frame in frames]
    value = items(groups)
    path = instance(tmp_path / "a.dcm", value, len(frames))
    found, ours = located(path, len(frames))
    assert ours == theirs(value, len(frames)) == frames
    assert found.single


@given(group=st.lists(even(2), min_size=1, max_size=20), table=st.booleans())
def test_one_frame_in_any_number_of_fragments(tmp_path, group, table):
    value = items([group], table=[0] if table else None)
    path = instance(tmp_path / "a.dcm", value, 1)
    found, ours = located(path, 1)
    assert ours == theirs(value, 1) == [b"".join(group)]
    assert found.single == (len(group) == 1)


@given(
    bodies=st.lists(
        st.lists(st.binary(min_size=10, max_size=60), min_size=1, max_size=5),
        min_size=2,
        max_size=6,
    ),
    pad=st.integers(0, 4),
)
def test_frames_by_markers(tmp_path, bodies, pad):
    groups = [[part.replace(b"\xff", b"\xfe") for part in group] for group in bodies]
    for group in groups:
        group[0] = MARKED[0] + group[0]
        group[-1] = group[-1] + MARKED[1] + b"\0" * pad
        group[:] = [part + b"\0" * (len(part) % 2) for part in group]
    value = items(groups)
    path = instance(tmp_path / "a.dcm", value, len(groups))
    _, ours = located(path, len(groups))
    assert ours == [b"".join(group) for group in groups]
    assert ours == theirs(value, len(groups))


def test_frames_by_the_extended_offset_table(tmp_path):
    frames = [bytes([i]) * (2 * i + 2) for i in range(20)]
    value, table, lengths = extended(frames)
    path = instance(
        tmp_path / "a.dcm", value, 20, ExtendedOffsetTable=table, ExtendedOffsetTableLengths=lengths
    )
    found, ours = located(path, 20)
    assert ours == theirs(value, 20, extended_offsets=(table, lengths)) == frames
    assert found.warnings == ()


@pytest.mark.parametrize("entries", [[0, 4, 8], [0, 10**9, 2 * 10**9], [0, 0, 0], [24, 12, 0]])
def test_a_wrong_table_is_not_believed(tmp_path, entries):
    groups = [[b"\1" * 4], [b"\2" * 4], [b"\3" * 4]]
    path = instance(tmp_path / "a.dcm", items(groups, table=entries), 3)
    found, ours = located(path, 3)
    assert ours == [b"".join(group) for group in groups]
    assert found.warnings == ("the basic offset table does not point to fragments",)


def test_a_table_of_other_length_is_not_believed(tmp_path):
    groups = [[b"\1" * 4], [b"\2" * 4], [b"\3" * 4]]
    path = instance(tmp_path / "a.dcm", items(groups, table=[0, 12]), 3)
    found, ours = located(path, 3)
    assert ours == [b"".join(group) for group in groups]
    assert found.warnings == ("the basic offset table has 2 entries",)


def test_a_table_that_skips_bytes_is_not_believed(tmp_path):
    # A second fragment that no entry names belongs to the frame before it.
    groups = [[b"\1" * 4, b"\2" * 4], [b"\3" * 4]]
    path = instance(tmp_path / "a.dcm", items(groups, table=[0, 24]), 2)
    found, ours = located(path, 2)
    assert ours == [b"\1" * 4 + b"\2" * 4, b"\3" * 4]
    assert not found.single


@pytest.mark.parametrize(
    ("groups", "frames", "words"),
    [
        ([[b"\1\1"], [b"\2\2"], [b"\3\3"]], 2, "3 fragments for 2 frames"),
        ([[b"\1\1"]], 3, "1 fragments for 3 frames"),
        ([[MARKED[0] * 4 + MARKED[1]]] * 3, 2, "markers of 3 images"),
        ([[MARKED[0] * 4], [MARKED[0] * 4 + MARKED[1]], [b"\0" * 12]], 2, "markers of 0 images"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(tmp_path, groups, frames, words):
    path = instance(tmp_path / "a.dcm", items(groups), frames)
    with Source(path) as source, pytest.raises(FormatError, match=words) as raised:
        instance_array(read_header(source), ScanOptions(), source)
    assert str(path) in str(raised.value)


def test_pixel_data_cut_anywhere_are_refused(tmp_path):
    groups = [[b"\1" * 6, b"\2" * 4], [b"\3" * 8]]
    whole = instance(tmp_path / "a.dcm", items(groups, table=offsets(groups)), 2).read_bytes()
    path = tmp_path / "cut.dcm"
    with Source(tmp_path / "a.dcm") as source:
        start = read_header(source).pixels.offset
    # Without the delimiter nothing is missing; without a part of it the file is cut.
    for length in range(start, len(whole)):
        path.write_bytes(whole[:length])
        with Source(path) as source:
            header = read_header(source)
            if length == len(whole) - 8:
                told = instance_array(header, ScanOptions(), source).warnings
                assert "the pixel data have no delimiter" in told
                continue
            with pytest.raises(TruncatedError):
                instance_array(header, ScanOptions(), source)


@given(at=st.integers(0, 200), value=st.integers(0, 255))
def test_damaged_items_never_lead_out_of_the_file(tmp_path, at, value):
    groups = [[b"\1" * 6, b"\2" * 4], [b"\3" * 8], [b"\4" * 2]]
    data = bytearray(
        instance(tmp_path / "a.dcm", items(groups, table=offsets(groups)), 3).read_bytes()
    )
    with Source(tmp_path / "a.dcm") as source:
        start = read_header(source).pixels.offset
    data[start + at % (len(data) - start)] = value
    path = tmp_path / "damaged.dcm"
    path.write_bytes(data)
    tables = []

    def read():
        with Source(path) as source:
            header = read_header(source)
            tables.append(instance_array(header, ScanOptions(), source).array.chunks)

    error = refusal(read)
    if error is not None:
        assert str(path) in str(error)
        return
    (table,) = tables
    assert int((table.offset + table.length).max()) <= len(data)


@pytest.mark.parametrize("frames", [10**6, 2**31 - 1])
def test_a_hostile_number_of_frames_is_refused_at_once(tmp_path, frames):
    path = instance(tmp_path / "a.dcm", items([[b"\1\1"]]), frames)
    with Source(path) as source, pytest.raises(TruncatedError, match="frames"):
        instance_array(read_header(source), ScanOptions(), source)
    made = image(PIXELS)
    made.NumberOfFrames = frames
    path = write(made, tmp_path / "b.dcm")
    with Source(path) as source, pytest.raises(TruncatedError, match="frames"):
        instance_array(read_header(source), ScanOptions(), source)


@pytest.mark.parametrize("fragments", [1, 3])
def test_a_stack_points_where_its_instances_do(tmp_path, fragments):
    for i in range(5):
        group = [bytes([i]) * 8 for _ in range(fragments if i == 3 else 1)]
        instance(tmp_path / f"{i}.dcm", items([group]), 1, RLELossless)
    urls = [str(tmp_path / f"{i}.dcm") for i in range(5)]
    headers = list(read_headers(urls))
    array = stack(headers, ScanOptions()).array
    assert array.shape == (5, 8, 8)
    codec = array.compressor["id"]
    assert codec == ("imagecodecs_dicomrle" if fragments == 1 else "refmaker.dicom")
    for i, header in enumerate(headers):
        url, offset, length = array.chunks.get(i)
        one = instance_array(header, ScanOptions()).array.chunks.get(0)
        assert url == header.url == urls[i]
        extra = 8 if fragments > 1 and i != 3 else 0
        assert (offset, length) == (one.offset - extra, one.length + extra)


def test_a_stack_wants_slices_of_one_layout(tmp_path):
    write(image(np.zeros((1, 4, 4), np.uint8)), tmp_path / "a.dcm")
    write(image(np.zeros((1, 4, 4), np.uint16)), tmp_path / "b.dcm")
    write(image(np.zeros((2, 4, 4), np.uint8)), tmp_path / "c.dcm")
    a, b, c = read_headers([str(tmp_path / f"{name}.dcm") for name in "abc"])
    with pytest.raises(MetadataError):
        stack([a, b], ScanOptions())
    with pytest.raises(MetadataError):
        stack([a, c], ScanOptions())
    with pytest.raises(MetadataError):
        stack([], ScanOptions())
    assert stack([a, a], ScanOptions()).array.shape == (2, 4, 4)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("true", [True, False])
def test_frames_by_the_tiles_of_a_dual_file(tmp_path, monkeypatch, big, true):
    frames = [bytes([i]) * (6 + 2 * i) for i in range(30)]
    groups = [[frame] for frame in frames]
    path = instance(tmp_path / "a.dcm", items(groups), 30)
    with Source(path) as source:
        first = read_header(source).pixels.offset + 8
    starts = first + offsets(groups) + 8
    data = path.read_bytes()
    # The directory behind the pixel data, in an element of its own as such files have it.
    tiff = tiff_directory(
        len(data) + 12, starts if true else starts + 2, [len(f) for f in frames], big
    )
    trailing = b"\xfc\xff\xfc\xffOB\0\0" + len(tiff).to_bytes(4, "little") + tiff
    order = b"MM\0*" if big else b"II*\0"
    at = (len(data) + 12).to_bytes(4, "big" if big else "little")
    path.write_bytes(order + at + data[8:] + trailing)
    with Source(path) as source:
        header = read_header(source)
        assert header.tiff
        if true:
            monkeypatch.setattr(items_module, "_from_items", None)
        with PixelBytes(header, source) as pixels:
            found = locate(header, pixels, 30)
    assert found.single
    np.testing.assert_array_equal(found.offset, starts - 8)
    np.testing.assert_array_equal(found.length, [8 + len(frame) for frame in frames])


def tiff_directory(at, starts, lengths, big):
    """Return a TIFF directory that stands at byte `at`, with its tables behind it."""
    order = "big" if big else "little"
    entries = [(256, 3, 1, 8), (257, 3, 1, 240), (322, 3, 1, 8), (323, 3, 1, 8)]
    behind = at + 2 + 12 * 6 + 4
    entries += [(324, 4, len(starts), behind), (325, 4, len(starts), behind + 4 * len(starts))]
    out = [len(entries).to_bytes(2, order)]
    for code, kind, count, value in entries:
        # Short values stand at the beginning of the field.
        field = value.to_bytes(2, order) + b"\0\0" if kind == 3 else value.to_bytes(4, order)
        out.append(code.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order))
        out.append(field)
    out.append(bytes(4))
    out += [np.asarray(table, ">u4" if big else "<u4").tobytes() for table in (starts, lengths)]
    return b"".join(out)

"""Every message is found, whatever lies around it, and nothing else is taken for one."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.grib import GRIBScanner, reader, walk
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanning.options import ScanOptions
from tests.scanners.grib.messages import count, joined, message, sections

ONE = message()
TWO = message(shortName="u", level=500)
OLD = message(1)


def walked(path):
    with Source(path) as source, reader.HeaderReader(source) as headers:
        found = FieldList()
        it = walk.MessageWalk(headers, found)
        it.all()
    return found, it


def written(folder, data):
    path = folder / "file.grib"
    path.write_bytes(data)
    return path


def scan(path):
    with Source(path) as source:
        return GRIBScanner().scan(source, ScanOptions())


def starts(path):
    found, _ = walked(path)
    return found.column("message").tolist()


NOISE = b"GRIB" + bytes([0, 0, 60, 2, 0, 0, 0, 0, 0, 0, 0, 90]) + b"GRIBGRIB\0\0\x7f\x01GRI"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([ONE, TWO], 2),
        ([ONE, bytes(7)], 1),
        ([ONE, bytes(2000)], 1),
        ([b"SXXX01 KWBC 220300\r\r\n" + b" " * 20, ONE, OLD], 2),
        ([ONE, np.random.default_rng(0).bytes(5000) + NOISE + bytes(5000), TWO, OLD, b"7777"], 3),
        ([OLD, ONE, OLD, TWO], 4),
        ([NOISE * 20, ONE], 1),
        ([joined(ONE, TWO, message(shortName="v")), OLD], 4),
    ],
)
def test_messages_between_other_bytes(tmp_path, parts, expected):
    path = written(tmp_path, b"".join(parts))
    found, it = walked(path)
    assert found.mark() == expected == count(path)
    gaps = sum(length for _, length in it.gaps)
    assert gaps == sum(len(part) for part in parts if part not in MESSAGES)
    assert not [damage for damage in it.damage if damage.length]


MESSAGES = [ONE, TWO, OLD, joined(ONE, TWO, message(shortName="v"))]


@pytest.mark.parametrize(("block", "first"), [(64, 0), (100, 1), (4096, 2)])
def test_marks_across_every_edge_of_what_is_read_together(tmp_path, monkeypatch, block, first):
    monkeypatch.setattr(walk, "_SEARCH", block)
    monkeypatch.setattr(reader, "_BLOCK", {True: 700, False: 700})
    for before in range(first, 1100, 3):
        path = written(tmp_path, b"x" * before + ONE + OLD)
        assert starts(path) == [before, before + len(ONE)]


@pytest.mark.parametrize("edge", [walk._SEARCH, reader._BLOCK[True], 2 * reader._BLOCK[True]])
@pytest.mark.parametrize("fill", [b"x" * 64, ONE], ids=["noise", "messages"])
def test_messages_across_the_edges_of_real_windows(tmp_path, edge, fill):
    count = edge // len(fill) - 4
    for shift in (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 20, 511, 512, 513, len(ONE) - 4, len(ONE)):
        room = edge - count * len(fill) - shift
        data = fill * count + b"y" * max(0, room)
        path = written(tmp_path, data + OLD + ONE)
        found = starts(path)
        assert found[-2:] == [len(data), len(data) + len(OLD)]
        assert len(found) == 2 + (count if fill == ONE else 0)


def test_truncation_anywhere(tmp_path):
    data = OLD + joined(ONE, TWO)
    for end in range(len(data)):
        path = written(tmp_path, data[:end])
        found, it = walked(path)
        assert found.mark() == (end >= len(OLD))
        at = 0 if end < len(OLD) else len(OLD)
        if end - at > 16:
            assert [damage.offset for damage in it.damage] == [at]
            assert it.damage[0].code == "truncated"


def test_a_truncated_message_is_a_row_and_the_rest_is_read(tmp_path):
    _, report = scan(written(tmp_path, ONE + TWO[:-30]))
    assert [(row.path, row.code) for row in report.skipped] == [
        (f"/_damaged/byte_{len(ONE)}", "truncated")
    ]


@pytest.mark.parametrize("length", [0, 15, 20, len(ONE) - 1, len(ONE) + 1, 2**40, 2**64 - 1])
def test_bad_lengths(tmp_path, length):
    bad = ONE[:8] + length.to_bytes(8, "big") + ONE[16:]
    path = written(tmp_path, bad + TWO)
    found, _ = walked(path)
    assert found.column("message").tolist() == [len(bad)]


@pytest.mark.parametrize("number", [1, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("length", [0, 4, 2**31, 2**32 - 1])
def test_bad_sections(tmp_path, number, length):
    bad = bytearray(ONE)
    at = 16
    for part in sections(ONE):
        if part[4] == number:
            break
        at += len(part)
    bad[at : at + 4] = length.to_bytes(4, "big")
    path = written(tmp_path, bytes(bad) + TWO)
    found, it = walked(path)
    assert found.column("message").tolist() == [len(bad)]
    assert [damage.offset for damage in it.damage] == [0]
    assert "byte" in it.damage[0].reason


def test_large_messages_of_edition_1(tmp_path):
    # The length counts 120 bytes at a time, and that of the data says what is too many.
    data = bytearray(OLD)
    flags = data[15]
    at = 8 + int.from_bytes(data[8:11], "big")
    if flags & 0x80:
        at += int.from_bytes(data[at : at + 3], "big")
    head = bytes(data[: at + 3])
    body = bytes(data[at + 3 : at + 11]) + bytes(9 * 1024**2)
    total = len(head) + len(body) + 4
    units = -(-(total - 4) // 120)
    rest = units * 120 - total + 4
    large = bytearray(head + body + b"7777")
    large[4:7] = (units | 0x800000).to_bytes(3, "big")
    large[at : at + 3] = rest.to_bytes(3, "big")
    path = written(tmp_path, bytes(large) + ONE)
    assert starts(path) == [0, total]


def test_offsets_beyond_4_gib(tmp_path):
    path = tmp_path / "sparse.grib"
    with path.open("wb") as file:
        # A message of 5 GiB, whose section 7 is longer than a section can say, and so damaged.
        file.write(ONE[:8] + (5 * 1024**3).to_bytes(8, "big") + ONE[16:])
        file.seek(5 * 1024**3 - 4)
        file.write(b"7777" + TWO)
    started = time.process_time()
    found, it = walked(path)
    assert found.column("message")[-1] == 5 * 1024**3
    assert [damage.offset for damage in it.damage] == [0]
    assert time.process_time() - started < 60


def test_a_small_message_that_claims_many_values(tmp_path):
    parts = [bytearray(part) for part in sections(ONE)]
    huge = (2**32 - 2).to_bytes(4, "big")
    for part in parts:
        if part[4] == 3:
            part[6:10] = part[30:34] = huge
            part[34:38] = (1).to_bytes(4, "big")
        if part[4] == 5:
            part[5:9] = huge
    body = b"".join(parts)
    data = ONE[:8] + (len(body) + 20).to_bytes(8, "big") + body + b"7777"
    group, report = scan(written(tmp_path, data + TWO))
    assert group.attributes["refmaker:fields"] == {
        "found": 2, "placed": 1, "duplicates": 0, "unsorted": 1,
    }  # fmt: skip
    assert group["_unsorted/message_00000"].shape == (len(data),)
    assert [row.code for row in report.rows if "_unsorted" in row.path] == ["unsorted"]


@pytest.mark.parametrize("data", [b"", b"GRIB", b"7777", bytes(5000), b"GRIB" * 500])
def test_no_message_at_all(tmp_path, data):
    with pytest.raises(RefmakerError):
        scan(written(tmp_path, data))


def test_many_marks_cost_no_more_than_few(tmp_path):
    noise = (b"GRIB\xff\xff\xff\x01" + bytes([0, 0, 40]) + bytes(5)) * 60_000
    path = written(tmp_path, noise + ONE)
    with Source(path) as source, reader.HeaderReader(source) as headers:
        it = walk.MessageWalk(headers, FieldList())
        it.all()
        assert it.messages == 1
        assert source.bytes_read < 200 * len(noise)


@given(
    st.lists(
        st.one_of(
            st.sampled_from([ONE, TWO, OLD]),
            st.binary(max_size=60).filter(lambda noise: b"G" not in noise),
        ),
        max_size=8,
    )
)
def test_any_mixture(tmp_path_factory, parts):
    path = written(tmp_path_factory.mktemp("mixture"), b"".join(parts))
    at, expected = 0, []
    for part in parts:
        if part in MESSAGES:
            expected.append(at)
        at += len(part)
    assert starts(path) == expected


@given(st.data())
def test_flipped_bytes(tmp_path_factory, data):
    flipped(tmp_path_factory, data)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.data())
def test_many_flipped_bytes(tmp_path_factory, data):
    flipped(tmp_path_factory, data)


def flipped(tmp_path_factory, data):
    whole = bytearray(joined(ONE, TWO) + OLD)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.mktemp("flips"), bytes(whole))
    try:
        group, report = scan(path)
    except RefmakerError:
        return
    counts = group.attributes["refmaker:fields"]
    assert counts["found"] == counts["placed"] + counts["duplicates"] + counts["unsorted"]
    assert all(row.reason for row in report.having(Outcome.SKIPPED))

"""Results of scans as bytes: exact, and safe to read whatever they hold."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import MetadataError
from refmaker.model import Group
from refmaker.model.report import Fingerprint, ObjectReport, Outcome, ScanReport
from refmaker.model.zarr_v2 import documents
from refmaker.scanning.serialized import deserialize, serialize
from refmaker.storage import json_writer
from refmaker.testing.strategies import groups, urls

TEXT = st.text(max_size=8)
ROWS = st.lists(st.builds(ObjectReport, TEXT, st.sampled_from(Outcome), TEXT, TEXT), max_size=4)
PRINTS = st.builds(
    Fingerprint,
    st.integers(0, 2**60),
    st.none() | st.floats(0, 2**32),
    st.none() | TEXT.filter(bool),
)
REPORTS = st.builds(
    ScanReport,
    urls(),
    TEXT,
    ROWS,
    st.lists(TEXT, max_size=3),
    st.dictionaries(urls(), PRINTS, max_size=3),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.floats(0, 1e6),
)


def written(group):
    file = io.BytesIO()
    json_writer.write(group, file)
    return file.getvalue()


@given(groups(), REPORTS)
def test_a_set_survives(group, report):
    again, told = deserialize(serialize(group, report))
    assert list(documents(again)) == list(documents(group))
    assert written(again) == written(group)
    assert {slot: getattr(told, slot) for slot in ScanReport.__slots__} == {
        slot: getattr(report, slot) for slot in ScanReport.__slots__
    }
    for (path, one), (other_path, other) in zip(group.arrays(), again.arrays(), strict=True):
        assert path == other_path
        assert one.dtype == other.dtype
        for name in ("offset", "length", "url", "index"):
            before, after = getattr(one.chunks, name), getattr(other.chunks, name)
            assert (before is None) == (after is None)
            if before is not None:
                assert before.dtype == after.dtype
                assert (before == after).all()


@given(groups(), st.data())
def test_damaged_bytes_are_refused_or_read(group, data):
    packed = bytearray(serialize(group, ScanReport("u")))
    cut = data.draw(st.integers(0, len(packed)))
    at = data.draw(st.integers(0, len(packed) - 1))
    flipped = bytearray(packed)
    flipped[at] ^= data.draw(st.integers(1, 255))
    for broken in (bytes(packed[:cut]), bytes(flipped)):
        if broken == bytes(packed):
            continue
        with suppress(MetadataError):
            deserialize(broken)


def test_a_bomb_stays_small():
    packed = bytearray(serialize(Group({}, {"a": "x" * 10_000_000}), ScanReport("u")))
    packed[16:24] = (100).to_bytes(8, "little")
    with pytest.raises(MetadataError, match="size"):
        deserialize(bytes(packed))


def test_what_json_cannot_say_is_an_error():
    with pytest.raises(MetadataError):
        serialize(Group({}, {"a": float("nan")}), ScanReport("u"))


def test_undecodable_names_survive():
    report = ScanReport("/a\udc80b")
    report.add("/\udcff", Outcome.SKIPPED, "r", "c")
    _, told = deserialize(serialize(Group(), report))
    assert told.url == report.url
    assert told.rows == report.rows

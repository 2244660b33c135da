"""The directory of ZIP archives by columns: what the library finds, or nothing at all."""

import io
import warnings
import zipfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refmaker.io.zip_directory import library_directory, plain_directory

NAMES = st.text("ab/.0é", min_size=1, max_size=6)
MEMBERS = st.lists(
    st.tuples(NAMES, st.binary(max_size=40), st.booleans(), st.binary(max_size=9)), max_size=8
)


def packed(members, comment=b""):
    """Return an archive; of each member the name, content, whether it is packed, and a comment."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)
        archive.comment = comment
        for name, data, deflate, said in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            info.comment = said
            info.extra = b"ux\x02\x00\x01\x02" if said else b""
            archive.writestr(info, data)
    return file.getvalue()


def plain(data):
    return plain_directory(lambda at, size: data[at : at + size], len(data))


def of_library(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return library_directory(archive)


def same(one, other):
    return list(one.names) == list(other.names) and all(
        np.array_equal(a, b) for a, b in zip(one[1:], other[1:], strict=True)
    )


@given(MEMBERS)
def test_as_the_library_finds_it(members):
    data = packed(members)
    found = plain(data)
    usual = bool(members) and all(name.isascii() for name, *_ in members)
    assert (found is not None) == usual
    assert found is None or same(found, of_library(data))


@given(MEMBERS.filter(bool), st.data())
def test_damage_is_left_to_the_library(members, data):
    raw = bytearray(packed(members))
    first = raw.find(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(first, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 3))
    raw = bytes(raw[: len(raw) - cut])
    found = plain(raw)
    if found is None:
        return
    try:
        expected = of_library(raw)
    except zipfile.BadZipFile as error:
        if "extra field" not in str(error):
            raise
    else:
        assert same(found, expected)


def test_surprises_are_left_to_the_library():
    members = [("a/0", b"x", False, b""), ("a/1", b"yy", False, b"")]
    assert plain(packed(members)) is not None
    for data in (packed(members, b"said"), b"#!/bin/sh\n" + packed(members)):
        assert plain(data) is None
        assert of_library(data).names == ["a/0", "a/1"]


def test_a_name_with_the_mark_of_entries_is_left_to_the_library():
    assert plain(packed([(name, b"", False, b"") for name in ("aPK\x01\x02b", "c")])) is None


def test_a_member_of_another_name_is_left_to_the_library():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.extra = b"\x75\x70\x06\x00\x01\x00\x00\x00\x00b"
        archive.writestr(info, b"x")
    assert plain(file.getvalue()) is None


def test_more_members_than_the_first_record_of_the_end_can_count():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(1 << 16):
            archive.writestr(zipfile.ZipInfo(str(number)), b"")
    data = file.getvalue()
    found = plain(data)
    assert found is not None
    assert len(found.names) == 1 << 16
    assert same(found, of_library(data))


def test_offsets_that_an_extra_field_tells_are_left_to_the_library(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in "ab":
            archive.writestr(zipfile.ZipInfo(name), bytes(20))
    data = file.getvalue()
    assert plain(data) is None
    assert of_library(data).size.tolist() == [20, 20]

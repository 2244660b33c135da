"""Large remote files whose messages are of different lengths: walked from many places at a time."""

from __future__ import annotations

import random

import pytest

from refmaker.io.source import Source
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.reader import HeaderReader
from refmaker.scanners.grib.spans import fetch_headers, message_length
from refmaker.scanners.grib.walk import MessageWalk
from refmaker.testing.counting import CountingFileSystem
from refmaker.testing.http import RangeServer
from tests.scanners.grib.messages import message, sections

SPANS = 32


def long_message(more, edition=2, **keys):
    """Return the beginning of a message with `more` bytes of data more, and its whole length."""
    data = message(edition, **keys)
    if edition == 1:
        total = len(data) + more
        at = len(data) - 4 - int.from_bytes(data[-8:-5], "big")
        return data[:4] + total.to_bytes(3, "big") + data[7:-4], total, at
    body = b"".join(sections(data)[:-1])
    last = sections(data)[-1]
    last = (len(last) + more).to_bytes(4, "big") + last[4:]
    total = len(data) + more
    return data[:8] + total.to_bytes(8, "big") + body + last, total, 0


def write(path, lengths, gaps=(), noise=b"", **keys):
    """Write a file of long messages, whose data are holes; return where messages begin."""
    offsets, at = [], 0
    with path.open("wb") as file:
        for number, more in enumerate(lengths):
            if number in gaps:
                file.write(noise)
                at += len(noise)
            head, total, _ = long_message(more, level=number + 1, **keys)
            file.seek(at)
            file.write(head)
            if number % 3 == 1:
                # What looks like a message and is none.
                file.seek(at + total // 2)
                file.write(b"GRIB" + bytes(3) + b"\2" + (10**6).to_bytes(8, "big"))
                file.write((21).to_bytes(4, "big") + b"\1")
            file.seek(at + total - 4)
            file.write(b"7777")
            offsets.append(at)
            at += total
    return offsets


def lengths_of(count, mean, seed=0):
    chance = random.Random(seed)
    return [mean // 2 + chance.randrange(mean) for _ in range(count)]


def walked(source):
    found = FieldList()
    with HeaderReader(source) as reader:
        walk = MessageWalk(reader, found)
        walk.all()
    return found.column("message").tolist(), walk


def test_unequal_messages_over_http(tmp_path):
    path = tmp_path / "f.grib2"
    offsets = write(path, lengths_of(282, 600_000))
    size = path.stat().st_size
    with RangeServer(tmp_path) as server, Source(server.url(path.name)) as source:
        found, walk = walked(source)
        assert found == offsets
        assert not walk.damage
        assert not walk.gaps
        assert server.requests <= len(offsets) + 4 * SPANS
        assert server.counts.bodies < size / 10
        # Not one after the other: as many as a span has, and its search.
        assert source.rounds < 30
        assert source.bytes_read == server.counts.bodies


def test_every_store(tmp_path):
    path = tmp_path / "f.grib2"
    offsets = write(path, lengths_of(100, 400_000, 3))
    CountingFileSystem.install(**{path.name: path.read_bytes()})
    with Source(f"counting://{path.name}") as source:
        found, _ = walked(source)
        assert found == offsets
        assert source.rounds < 30
        assert source.bytes_read < path.stat().st_size / 5


def test_equal_messages_cost_no_search(tmp_path):
    path = tmp_path / "f.grib2"
    offsets = write(path, [600_000] * 100)
    with RangeServer(tmp_path) as server, Source(server.url(path.name)) as source:
        found, _ = walked(source)
        assert found == offsets
        assert server.requests <= len(offsets) + 10
        assert server.counts.bodies < 600_000 + 2048 * len(offsets)


def test_equal_messages_and_then_others(tmp_path):
    path = tmp_path / "f.grib2"
    offsets = write(path, [400_000] * 10 + lengths_of(150, 500_000, 1))
    with RangeServer(tmp_path) as server, Source(server.url(path.name)) as source:
        found, _ = walked(source)
        assert found == offsets
        assert source.rounds < 45
        assert server.counts.bodies < path.stat().st_size / 8


def test_noise_between_messages(tmp_path):
    path = tmp_path / "f.grib2"
    noise = random.Random(5).randbytes(3000) + b"GRIB" + random.Random(6).randbytes(3000)
    offsets = write(path, lengths_of(80, 500_000, 2), gaps=(0, 9, 40, 41), noise=noise)
    with RangeServer(tmp_path) as server, Source(server.url(path.name)) as source:
        found, walk = walked(source)
        assert found == offsets
        assert [length for _, length in walk.gaps] == [len(noise)] * 4


def test_a_file_that_is_cut(tmp_path):
    path = tmp_path / "f.grib2"
    offsets = write(path, lengths_of(81, 500_000, 4))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)
    with RangeServer(tmp_path) as server, Source(server.url(path.name)) as source:
        found, walk = walked(source)
        assert found == offsets[:-1]
        assert [damage.code for damage in walk.damage] == ["truncated"]


@pytest.mark.parametrize("spread", [(0, 10**9), (10**6, 10)])
def test_a_mean_that_is_wrong_costs_little(tmp_path, spread):
    path = tmp_path / "f.grib2"
    offsets = write(path, lengths_of(60, 900_000, 7))
    with RangeServer(tmp_path) as server, Source(server.url(path.name)) as source:
        source.sparse(512)
        before = server.counts.bodies
        fetch_headers(source, *spread)
        assert server.counts.bodies - before < path.stat().st_size / 4
        assert walked(source)[0] == offsets


def test_what_looks_like_a_message():
    data = message()
    assert message_length(data) == len(data)
    assert message_length(message(1)) == len(message(1))
    assert message_length(data[:20]) == 0
    assert message_length(b"GRIB" + bytes(100)) == 0
    assert message_length(b"") == 0

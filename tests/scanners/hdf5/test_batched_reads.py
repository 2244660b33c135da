from __future__ import annotations

import numpy as np
import pytest

from refmaker.errors import FormatError, SourceError, TruncatedError, UnsupportedError
from refmaker.scanners.hdf5.batched_reads import Request, batches, fetch, run_readers

DATA = np.arange(1000, dtype=np.uint32).astype(np.uint8)


class Recorder:
    def __init__(self, size=1000):
        self.calls = []
        self.size = size

    def __call__(self, offsets, length):
        self.calls.append((offsets.tolist(), length))
        if len(offsets) and int(offsets.max()) + length > self.size:
            raise TruncatedError("past the end")
        return np.stack([DATA[int(at) : int(at) + length] for at in offsets])


def chain(start, length, rounds):
    """Read a block a round, one behind the other; returns their first bytes."""
    firsts = []
    for number in range(rounds):
        blocks = yield from fetch([start + number * length], length, len(DATA), "block")
        firsts.append(int(blocks[0, 0]))
    return firsts


def test_a_round_is_one_call_for_each_length():
    source = Recorder()
    found = run_readers([chain(0, 4, 2), chain(100, 4, 3), chain(200, 8, 1)], source)
    assert found == [[0, 4], [100, 104, 108], [200]]
    assert source.calls == [([0, 100], 4), ([200], 8), ([4, 104], 4), ([108], 4)]


def test_several_requests_of_one_round():
    def reader():
        replies = yield (
            Request(np.array([1, 2], np.uint64), 3),
            Request(np.array([9], np.uint64), 2),
            Request(np.array([], np.uint64), 3),
        )
        return [reply.tolist() for reply in replies]

    assert run_readers([reader()], Recorder()) == [[[[1, 2, 3], [2, 3, 4]], [[9, 10]], []]]


def test_no_readers():
    assert run_readers([], Recorder()) == []


def test_errors_stay_with_their_reader():
    def broken():
        yield from fetch([0], 1, len(DATA), "block")
        message = "broken"
        raise FormatError(message)

    def clumsy():
        yield from fetch([0], 1, len(DATA), "block")
        return {}[1]

    found = run_readers(
        [chain(0, 4, 2), broken(), chain(990, 8, 3), clumsy(), chain(5, 4, 2)], Recorder()
    )
    assert found[0] == [0, 4]
    assert found[4] == [5, 9]
    assert isinstance(found[1], FormatError)
    assert isinstance(found[2], TruncatedError)
    assert found[2].offset == 998
    assert isinstance(found[3], KeyError)


def test_a_source_that_is_shorter_than_believed():
    """Only the readers whose own blocks are missing are told."""
    found = run_readers([chain(0, 4, 2), chain(490, 4, 3), chain(100, 4, 3)], Recorder(size=500))
    assert found[0] == [0, 4]
    assert isinstance(found[1], TruncatedError)
    assert found[2] == [100, 104, 108]


def test_a_source_that_fails_ends_the_run():
    def failing(offsets, length):
        message = "no such host"
        raise SourceError(message)

    with pytest.raises(SourceError):
        run_readers([chain(0, 4, 2)], failing)


def test_a_source_that_returns_too_little():
    with pytest.raises(FormatError, match="came back"):
        run_readers([chain(0, 4, 2)], lambda offsets, length: np.empty((0, length), np.uint8))


def test_waves_bound_what_is_held():
    source = Recorder()
    found = run_readers([chain(10 * i, 10, 2) for i in range(9)], source, wave_bytes=35)
    assert found == [[10 * i, 10 * i + 10] for i in range(9)]
    assert {len(offsets) for offsets, _ in source.calls} == {3}


def test_batches_cover_everything():
    for count, length in ((0, 5), (1, 1 << 30), (100_000, 1000), (7, 0)):
        parts = list(batches(count, length))
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(count))


def test_absurd_blocks_are_refused():
    with pytest.raises(UnsupportedError):
        next(fetch([0], 1 << 30, 1 << 40, "block"))
    with pytest.raises(TruncatedError):
        next(fetch([0], 1 << 30, 1 << 20, "block"))

"""Servers that are busy are waited for, and asked for less: never for the whole file."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from refmaker.errors import SourceError
from refmaker.io import block_cache, retries
from refmaker.io.retries import CONCURRENT, Gate, may_pass, pause
from refmaker.io.source import Source
from refmaker.testing.http import RangeServer

KIB = 1024
DATA = np.random.default_rng(3).integers(0, 256, 600 * KIB, np.uint8).tobytes()


class StatusError(Exception):
    """As aiohttp's."""

    def __init__(self, status, **headers):
        super().__init__(status)
        self.status = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


@pytest.fixture
def server(tmp_path):
    (tmp_path / "data.bin").write_bytes(DATA)
    with RangeServer(tmp_path) as running:
        yield running


def test_what_the_server_asks_for_is_waited():
    assert pause(StatusError(429, Retry_After="7"), 0) == 7
    soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 25 < pause(StatusError(503, Retry_After=soon), 0) <= 30
    gone = "Wed, 21 Oct 2015 07:28:00 GMT"
    for text in (gone, "", "nonsense", "-1", "1e3"):
        assert pause(StatusError(503, Retry_After=text), 0) <= retries.PAUSE


def test_pauses_grow_and_differ():
    for attempt in range(3):
        waits = {pause(TimeoutError(), attempt) for _ in range(20)}
        assert len(waits) > 10
        whole = retries.PAUSE * 2**attempt
        assert whole / 2 <= min(waits) <= max(waits) <= whole


def test_what_may_pass():
    assert all(may_pass(StatusError(n)) for n in (408, 425, 429, 500, 502, 503, 504))
    assert not any(may_pass(StatusError(n)) for n in (400, 401, 403, 404, 410, 416))
    assert may_pass(TimeoutError())
    assert not may_pass(ValueError())
    assert not may_pass(asyncio.CancelledError())
    # Nobody waits for an hour; the error says that the server is busy.
    assert not may_pass(StatusError(429, Retry_After="3600"))


def test_a_server_that_asks_for_patience_gets_it(server, monkeypatch):
    monkeypatch.setattr(retries, "PAUSE", 0.001)
    slept = []
    inner = asyncio.sleep

    async def sleep(seconds, *args):
        slept.append(seconds)
        await inner(0, *args)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    server.behaviour.status, server.behaviour.failures = 429, 2
    server.behaviour.retry_after = "5"
    with Source(server.url("data.bin")) as source:
        assert source.read(0, 10) == DATA[:10]
    assert [round(seconds) for seconds in slept if seconds > 1] == [5] * len(
        [seconds for seconds in slept if seconds > 1]
    )
    assert sum(seconds > 1 for seconds in slept) >= 2
    server.behaviour.failures, server.behaviour.retry_after = None, "3600"
    server.reset()
    with pytest.raises(SourceError, match="429"):
        Source(server.url("data.bin"))
    assert server.requests == 1


def test_a_throttled_server_is_not_asked_for_the_whole_file(server, monkeypatch):
    monkeypatch.setattr(retries, "PAUSE", 0.001)
    monkeypatch.setattr(block_cache, "FIRST", 4 * KIB)
    # A round that costs so much that ten of them would be dearer than the whole file.
    monkeypatch.setattr(block_cache, "LATENCY", len(DATA) / block_cache.BANDWIDTH / 10)
    with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as source:
        for at in range(100 * KIB, 400 * KIB, 100 * KIB):
            server.behaviour.status, server.behaviour.failures = 429, 3
            source.prefetch([(at, 10)])
            assert source.read(at, 10) == DATA[at : at + 10]
    assert server.counts.bodies < len(DATA) // 4


def run(work):
    return asyncio.run(work)


def test_a_gate_lets_through_what_it_may():
    async def work():
        gate, most, inside = Gate(), 0, 0

        async def one():
            nonlocal most, inside
            async with gate:
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(3 * CONCURRENT)))
        return most, gate.limit

    assert run(work()) == (CONCURRENT, CONCURRENT)


def test_a_gate_is_halved_once_for_those_that_were_refused_together():
    async def work():
        gate = Gate()

        async def one(asked, refused):
            async with gate:
                await asyncio.sleep(0.01)
                gate.throttled(asked, StatusError(429)) if refused else gate.served()

        asked = time.monotonic()
        await asyncio.gather(*(one(asked, True) for _ in range(64)))
        first = gate.limit
        await asyncio.gather(*(one(time.monotonic(), True) for _ in range(4)))
        second = gate.limit
        for _ in range(40):
            await asyncio.gather(*(one(time.monotonic(), False) for _ in range(30)))
        return first, second, gate.limit

    first, second, last = run(work())
    assert first == 32
    assert 1 <= second < first
    assert second < last <= CONCURRENT


def test_a_gate_never_closes_for_good():
    async def work():
        gate = Gate()
        for _ in range(20):
            async with gate:
                gate.throttled(time.monotonic(), StatusError(503))
        async with gate:
            # Who gives up while waiting costs the others nothing.
            waiting = [asyncio.create_task(gate.__aenter__()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        await asyncio.wait_for(waiting[1], 1)
        return gate.limit

    assert run(work()) == 1


def test_requests_to_a_host_that_throttles_are_fewer(server, monkeypatch):
    monkeypatch.setattr(retries, "PAUSE", 0.001)
    monkeypatch.setattr(block_cache, "FIRST", 4 * KIB)
    monkeypatch.setattr(block_cache, "LATENCY", 0.0)
    server.behaviour.latency = 0.02
    ranges = [(at * KIB, 1) for at in range(10, 600, 10)]
    with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as source:
        server.reset()
        source.prefetch(ranges)
        at_first = server.counts.most
    with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as source:
        server.behaviour.status, server.behaviour.failures = 429, 200
        with pytest.raises(SourceError, match="429"):
            source.prefetch(ranges)
        server.behaviour.status = None
        server.reset()
        source.prefetch(ranges)
        assert server.counts.most < at_first
        assert source.read(10 * KIB, 1) == DATA[10 * KIB : 10 * KIB + 1]

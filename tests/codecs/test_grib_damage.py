"""The codec ``refmaker.grib`` on flipped bits, and in many threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import numpy as np
import pytest

from refmaker.codecs.grib import GRIB
from refmaker.errors import CodecError, RefmakerError
from tests.codecs import grib_messages as grib

RANDOM = np.random.default_rng(4)
FIELD = 280 + RANDOM.normal(size=(37, 53)).cumsum(1)
GAPS = np.where(RANDOM.random(FIELD.shape) < 0.2, np.nan, FIELD)
PACKINGS = [
    (1, "grid_simple", 12),
    (1, "grid_second_order", 12),
    (2, "grid_simple", 12),
    (2, "grid_simple", 16),
    (2, "grid_ieee", None),
    (2, "grid_complex", 12),
    (2, "grid_complex_spatial_differencing", 12),
    (2, "grid_ccsds", 12),
    (2, "grid_jpeg", 12),
    (2, "grid_png", 16),
]
IDS = [f"{name}-{bits}-{edition}" for edition, name, bits in PACKINGS]


def headers(data):
    """Return where everything begins but the packed values, which may hold anything."""
    if data[7] == 1:
        return list(range(min(len(data), 140)))
    last = grib.sections(data)[-1]
    return [*range(len(data) - 4 - len(last) + 60), *range(len(data) - 4, len(data))]


@pytest.mark.parametrize(("edition", "packing", "bits"), PACKINGS, ids=IDS)
@pytest.mark.parametrize("field", [FIELD, GAPS], ids=["full", "bitmap"])
def test_flipped_bits(edition, packing, bits, field):
    """Decoding ends with values of the right shape, or with an error of this package."""
    data = grib.message(field, packing, bits, edition=edition)
    codec = GRIB("<f8", FIELD.shape)
    refused = 0
    places = RANDOM.permutation(headers(data))[:120]
    for place in (*places, *RANDOM.integers(0, len(data), 60)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(RANDOM.integers(8))
        try:
            assert codec.decode(bytes(damaged)).shape == FIELD.shape
        except RefmakerError:
            refused += 1
    assert refused


@pytest.mark.parametrize(("edition", "packing", "bits"), PACKINGS, ids=IDS)
def test_bytes_of_any_value_in_the_headers(edition, packing, bits):
    data = grib.message(FIELD, packing, bits, edition=edition)
    codec = GRIB("<f8", FIELD.shape)
    for place in headers(data)[::2]:
        for value in (0, 255):
            damaged = bytearray(data)
            damaged[place : place + 2] = bytes([value, value])
            with suppress(RefmakerError):
                assert codec.decode(bytes(damaged[: len(data)])).shape == FIELD.shape


@pytest.mark.parametrize("block", [0, 1, 33, 255])
def test_blocks_that_would_end_the_process(block):
    """libaec writes outside its buffers when a block is an odd number of samples."""
    parts = grib.sections(grib.message(FIELD, "grid_ccsds", 12))
    section = bytearray(parts[3])
    section[22] = block
    parts[3] = bytes(section)
    with pytest.raises(CodecError, match="blocks of"):
        GRIB("<f8", FIELD.shape).decode(grib.join(parts))


def test_the_same_messages_in_many_threads_at_once():
    """Eight threads decode the same message together, then each another one."""
    messages = [
        grib.message(field, name, bits, edition=edition)
        for edition, name, bits in PACKINGS
        for field in (FIELD, GAPS)
    ]
    codec = GRIB("<f8", FIELD.shape)
    expected = [codec.decode(data) for data in messages]
    barrier = Barrier(8)

    def work(thread):
        wrong = 0
        for round_ in range(4):
            barrier.wait()
            for index in range(len(messages)):
                number = (index + thread * (round_ % 2)) % len(messages)
                found = codec.decode(messages[number])
                wrong += not np.array_equal(found, expected[number], equal_nan=True)
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 0


@pytest.mark.parametrize("packing", ["grid_jpeg", "grid_ccsds", "grid_png"])
def test_libraries_let_other_threads_run(packing):
    """While one thread decodes, another one gets to count: the lock is not held throughout."""
    field = 280 + np.random.default_rng(1).normal(size=(900, 1200))
    data = grib.message(field, packing, 16)
    codec = GRIB("<f8", field.shape)
    counts, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counts[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        # Enough turns for any machine that is not stopped altogether.
        for _ in range(50):
            before = counts[0]
            codec.decode(data)
            if counts[0] > before + 1:
                break
        assert counts[0] > before + 1
    finally:
        done.set()
        thread.join()

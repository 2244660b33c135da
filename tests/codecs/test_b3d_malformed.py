"""B3D: truncated, corrupt and hostile chunks end in a CodecError or in a chunk's size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.codecs.b3d import B3D
from refmaker.errors import CodecError
from tests.codecs import b3d_encoder as b3d
from tests.codecs import b3d_vectors as vectors


def sample():
    image = np.arange(60, dtype=np.uint16).reshape(6, 10)
    return image, b3d.parameters(image)


def survives(codec, chunk):
    """Decode to the right size or fail as documented; says which."""
    try:
        decoded = codec.decode(chunk)
    except CodecError as error:
        caught = error
    else:
        assert len(decoded) == codec.nbytes
        return True
    assert caught.hint
    assert caught.offset is None or 0 <= caught.offset <= memoryview(chunk).nbytes
    return False


def truncate(path):
    encoded, values, _ = vectors.vector(path)
    codec = B3D(values)
    for end in range(0, encoded.size, 4):
        assert not survives(codec, encoded[:end])
    assert not survives(codec, encoded[:-1])
    assert not survives(codec, np.concatenate([encoded, np.zeros(4, np.uint8)]))


def corrupt(path, rounds):
    encoded, values, _ = vectors.vector(path)
    codec = B3D(values)
    words = encoded.view("<u4")
    rng = np.random.default_rng(encoded.size)
    hostile = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, words.size * 32]
    for index in range(min(words.size, 8)):
        for value in hostile:
            damaged = words.copy()
            damaged[index] = value
            survives(codec, damaged)
    for _ in range(rounds):
        damaged = encoded.copy()
        at = rng.integers(0, damaged.size, rng.integers(1, 4))
        damaged[at] ^= (1 << rng.integers(0, 8, at.size)).astype(np.uint8)
        survives(codec, damaged)
        survives(codec, np.delete(words, rng.integers(0, words.size)))
        survives(codec, np.insert(words, rng.integers(0, words.size), rng.integers(1 << 32)))


@pytest.mark.parametrize("path", vectors.named(vectors.SHIPPED))
def test_truncated_shipped_chunk(path):
    truncate(path)


@pytest.mark.parametrize("path", vectors.named(vectors.SHIPPED))
def test_corrupt_shipped_chunk(path):
    corrupt(path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("path", vectors.further(vectors.FURTHER))
def test_truncated_further_chunk(path):
    truncate(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", vectors.further(vectors.FURTHER))
def test_corrupt_further_chunk(path):
    corrupt(path, 200)


def one(symbol):
    return b3d.table([0], [symbol])


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (b"", "32 bits expected, 0 left"),
        (b"abc", "3 bytes is no whole number"),
        (b3d.number(61), "61 symbols for 60 pixels"),
        (b3d.number(0xFFFFFFFF), "4294967295 symbols"),
        (b3d.number(1) + b"\xff" * 4, "bits expected"),
        (b3d.number(1) + b3d.table([1, 1, 1], [1, 2, 3]), "overlap"),
        (b3d.number(1) + b3d.pack(b3d.join_bits(np.array([0, 2, 1, 5], np.uint64), [5, 16, 4, 7])),
         "2 symbols has no codes"),
        (b3d.number(1) + b3d.pack(b3d.join_bits(np.array([1, 1, 2, 1], np.uint64), [5, 16, 16, 4])),
         "2 symbols has 1 codes"),
        (b3d.number(1) + one(1) + b3d.number(0xFFFFFFFF), "bits expected"),
        (b3d.container(np.array([1]), np.array([60])), "61 residuals for 60 pixels"),
        (b3d.number(1) + (b3d.table([], []) + bytes(8)) * 2, "cannot decode anything"),
        (b3d.number(1) + one(1) + b3d.number(1) + bytes(8) + b3d.part(np.array([0])),
         "cannot decode anything"),
        (b3d.number(1) + one(1) + bytes(4) + b3d.number(1) + b3d.part(np.array([0])),
         "listed lengths"),
        (b3d.number(1) + b3d.table([1], [1]) + b3d.number(1) + b3d.pack(np.ones(1, np.uint8))
         + bytes(4) + b3d.part(np.array([0])), "block 0 of codewords cannot"),
        (b3d.number(1) + b3d.table([14], [1]) + b3d.number(14) + b3d.pack(np.ones(14, np.uint8))
         + bytes(4) + b3d.part(np.array([0])), "block 0 of codewords cannot"),
        (b3d.number(1) + b3d.table([1], [1]) + b3d.number(2) + b3d.pack(np.zeros(2, np.uint8))
         + bytes(4) + b3d.part(np.array([0])), "block 0 of codewords cannot"),
        # The second codeword would begin where the block ends, and is none.
        (b3d.number(2) + b3d.table([1], [1]) + b3d.number(1) + b"\xff\xff\xff\x7f"
         + bytes(4) + b3d.part(np.array([0, 0])), "block 0 of codewords cannot"),
        # Codewords that would lie far behind the end of the chunk.
        (b3d.number(60) + b3d.part(np.ones(60, int)) + b3d.table([31, 31], [0, 1]) + bytes(8),
         "block 0 of codewords cannot"),
    ],
)  # fmt: skip
def test_contradictions_are_named(chunk, message):
    with pytest.raises(CodecError, match=message):
        B3D(sample()[1]).decode(chunk)


def test_blocks_must_end_where_the_next_begins():
    symbols = np.tile(np.array([1, 2, 3, 4], np.uint16), 64)  # codes of 2 bits, 2 blocks
    chunk = bytearray(b3d.container(symbols, np.zeros_like(symbols)))
    codec = B3D(b3d.parameters(symbols.reshape(16, 16)))
    assert survives(codec, chunk)
    # The list of lengths is the last word before the 3 words of the runs.
    assert chunk[-16:-12] == bytes([0, 0, 0, 1])
    chunk[-16:-12] = bytes([0, 0, 254, 0])
    with pytest.raises(CodecError, match="block 0 of codewords") as caught:
        codec.decode(chunk)
    assert 0 < caught.value.offset < len(chunk)


def test_memory_is_bounded_by_the_chunk():
    # A chunk that claims a gigapixel and is not there must not cost anything.
    _, values = sample()
    values[7:10] = [(1 << 15) - 1, 1 << 15, 1]
    codec = B3D(values)
    claims = [
        b3d.number((1 << 30) - (1 << 15)) + one(1) + bytes(4),
        b3d.number(1 << 20) + b3d.table([1, 1], [1, 2]) + b3d.number((1 << 32) - 1),
        b3d.number(5) + one(1) + bytes(4 + 4) + one(1) + bytes(4),
    ]
    tracemalloc.start()
    try:
        for chunk in claims:
            assert not survives(codec, chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_memory_grows_with_the_chunk_only():
    image = np.random.default_rng(8).integers(0, 1 << 16, (256, 256)).astype(np.uint16)
    for step in (0, 1000):
        values = b3d.parameters(image, step=step)
        chunk = b3d.encode(image, values)
        codec = B3D(values)
        tracemalloc.start()
        try:
            codec.decode(chunk)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 16 * (image.nbytes + len(chunk)) + (1 << 20)


@given(st.binary(max_size=200).map(lambda data: data[: len(data) // 4 * 4]))
def test_any_bytes(data):
    survives(B3D(sample()[1]), b3d.number(len(data) % 61) + data)

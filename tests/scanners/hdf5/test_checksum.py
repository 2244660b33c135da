from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import FormatError
from refmaker.scanners.hdf5.checksum import check_blocks, lookup3, lookup3_blocks


def test_published_values():
    """The values in the comments of Jenkins' own test driver."""
    assert lookup3(b"Four score and seven years ago") == 0x17770551
    assert lookup3(b"") == 0xDEADBEEF


@given(
    count=st.integers(1, 40),
    width=st.integers(1, 70),
    seed=st.integers(0, 2**32 - 1),
    equal=st.booleans(),
)
def test_many_at_once_equal_one_by_one(count, width, seed, equal):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (count, width), dtype=np.uint8)
    lengths = width if equal else rng.integers(1, width + 1, count)
    each = np.broadcast_to(lengths, count)
    expected = [lookup3(row[:size].tobytes()) for row, size in zip(blocks, each, strict=True)]
    assert lookup3_blocks(blocks, lengths).tolist() == expected


@pytest.mark.parametrize("equal", [True, False])
def test_the_first_wrong_block_is_named(equal):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (30, 64), dtype=np.uint8)
    lengths = np.full(30, 60) if equal else rng.integers(1, 61, 30)
    for row, size in zip(blocks, lengths.tolist(), strict=True):
        row[size : size + 4] = np.frombuffer(
            lookup3(row[:size].tobytes()).to_bytes(4, "little"), np.uint8
        )
    offsets = np.arange(30, dtype=np.uint64) * 1000
    given_lengths = 60 if equal else lengths
    check_blocks(blocks, given_lengths, offsets, "thing")
    blocks[[17, 21], 0] ^= 1
    with pytest.raises(FormatError, match="thing") as caught:
        check_blocks(blocks, given_lengths, offsets, "thing")
    assert caught.value.offset == 17_000
    check_blocks(blocks[:0], given_lengths, offsets[:0], "thing")

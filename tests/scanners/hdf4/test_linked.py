"""Linked blocks, by short tables and by long ones, beside a loop over single bytes."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import FormatError, TruncatedError
from refmaker.scanners.hdf4 import linked
from refmaker.scanners.hdf4.descriptors import NOWHERE, Descriptor

BLOCK, SIZE = 4, 64


class Known:
    """Blocks by their numbers, as descriptors of a file have them."""

    def __init__(self, blocks):
        self._blocks = blocks
        rows = list(blocks.values())
        self.offset, self.length, self.special = (
            np.array([row[at] for row in rows], np.int64).astype(kind)
            for at, kind in ((0, np.int64), (1, np.int64), (2, bool))
        )
        self.written = np.array([row.written for row in rows], bool)

    def find(self, _tag, ref):
        return self._blocks.get(ref)

    def rows(self, keys):
        known = list(self._blocks)
        refs = (keys & 0xFFFF).tolist()
        return np.array([known.index(ref) if ref in known else -1 for ref in refs], np.int64)


def file_of(blocks, tables):
    def read(_tag, ref):
        return np.array(tables[ref], ">u2").tobytes()

    return SimpleNamespace(descriptors=Known(blocks), source=SimpleNamespace(size=SIZE), read=read)


def ranges(blocks, tables, total, few):
    old, linked._FEW = linked._FEW, few
    try:
        offset, length = linked.linked_blocks(file_of(blocks, tables), (total, BLOCK, 4), 100)
    finally:
        linked._FEW = old
    return list(zip(offset.tolist(), length.tolist(), strict=True))


def places(found):
    """Return the place of every byte."""
    return [
        linked.HOLE if start == linked.HOLE else start + at
        for start, size in found
        for at in range(size)
    ]


BLOCKS = st.dictionaries(
    st.integers(1, 6),
    st.builds(
        Descriptor,
        st.one_of(st.integers(0, 15).map(lambda at: at * BLOCK), st.just(NOWHERE)),
        st.sampled_from([BLOCK, BLOCK, BLOCK, 2, 7]),
        st.just(False),
    ),
    min_size=1,
)


@given(BLOCKS, st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(1, 30), st.data())
def test_short_tables_say_the_same_as_long_ones(blocks, refs, total, data):
    cut = data.draw(st.integers(0, len(refs)))
    tables = {100: [101 if cut < len(refs) else 0, *refs[:cut]], 101: [0, *refs[cut:]]}
    wanted = _expected(blocks, refs, total, cut)
    if isinstance(wanted, type):
        for few in (-1, 32):
            with pytest.raises((FormatError, TruncatedError)):
                ranges(blocks, tables, total, few)
        return
    for few in (-1, 32):
        short = few > 0 and cut == len(refs)
        if short or not _damaged(blocks, refs):
            assert places(ranges(blocks, tables, total, few)) == wanted[:total]


def _expected(blocks, refs, total, cut):
    """Return the place of every byte, or what is raised."""
    wanted = []
    for number, ref in enumerate(refs):
        if ref and ref not in blocks:
            return FormatError
        one = blocks.get(ref)
        hole = one is None or not one.written
        size = BLOCK if hole else one.length
        # Only the first block of the first table may have another size than all others.
        if (number or not cut) and size != BLOCK and len(wanted) + size < total:
            return FormatError
        if not hole and one.offset + one.length > SIZE:
            return TruncatedError
        wanted += [linked.HOLE if hole else one.offset + at for at in range(size)]
        if len(wanted) >= total:
            return wanted
    return FormatError


def _damaged(blocks, refs):
    """Tell whether any block is not there: long tables are looked at as a whole."""
    known = [blocks.get(ref) for ref in refs if ref]
    return any(one is None or (one.written and one.offset + one.length > SIZE) for one in known)


def test_ranges_that_follow_each_other_are_one():
    blocks = {n: Descriptor(n * BLOCK, BLOCK, False) for n in range(1, 6)}
    tables = {100: [0, 1, 2, 0, 0, 5]}
    for few in (-1, 32):
        assert ranges(blocks, tables, 18, few) == [(4, 8), (linked.HOLE, 8), (20, 2)]


def test_a_block_that_is_special_itself_is_refused():
    blocks = {1: Descriptor(0, BLOCK, True)}
    for few in (-1, 32):
        with pytest.raises(FormatError, match="special"):
            ranges(blocks, {100: [0, 1]}, 3, few)

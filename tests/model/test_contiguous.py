"""Pieces of contiguous data cover them exactly; their sizes keep to the target."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import FormatError
from refmaker.model import Array, Reference
from refmaker.model.contiguous import contiguous_table, piece_shape, strided_table

SHAPES = st.lists(st.integers(0, 40), max_size=4)
TARGETS = st.none() | st.integers(1, 5000)
STRAY = 16


@given(SHAPES, st.sampled_from([1, 2, 8, 12]), TARGETS)
def test_piece_shape(shape, itemsize, target):
    pieces = piece_shape(shape, itemsize, target)
    whole = tuple(max(1, n) for n in shape)
    assert len(pieces) == len(shape)
    assert all(n % part == 0 for n, part in zip(whole, pieces, strict=True))
    # One dimension is cut; before it single elements, behind it all of them.
    cut = [axis for axis, (n, part) in enumerate(zip(whole, pieces, strict=True)) if n != part]
    if cut:
        assert all(part == 1 for part in pieces[: cut[-1]])
        assert pieces[cut[-1] + 1 :] == whole[cut[-1] + 1 :]
    nbytes = math.prod(pieces) * itemsize
    total = math.prod(whole) * itemsize
    if target is None or total <= target:
        assert pieces == whole
    else:
        assert nbytes <= max(target, itemsize) * STRAY or any(
            pieces[axis] == n and n > 1 for axis, n in enumerate(whole)
        )


def best(extent, wanted):
    """Return what `piece_shape` promises of one dimension, found by trying everything."""
    divisors = [n for n in range(1, extent + 1) if extent % n == 0]
    below = max(n for n in divisors if n <= wanted)
    above = min((n for n in divisors if n > wanted), default=extent)
    if below * STRAY >= wanted:
        return below
    return above if above <= wanted * STRAY else extent


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_the_best_divisor(extent, target):
    (piece,) = piece_shape((extent,), 1, target)
    assert piece == (extent if extent <= target else best(extent, target))


@pytest.mark.parametrize(
    ("shape", "itemsize", "target", "pieces"),
    [
        ((), 4, 1, ()),
        ((100,), 4, 40, (10,)),
        ((97,), 1, 16, (1,)),
        ((97,), 1, 17, (97,)),
        ((9973,), 1, 100, (9973,)),
        ((6, 100, 10), 4, 4000, (1, 100, 10)),
        ((6, 100, 10), 4, 8000, (2, 100, 10)),
        ((6, 100, 10), 4, 2000, (1, 50, 10)),
        ((1000, 1000), 8, 1, (1, 1)),
        ((2**40,), 1, 2**22, (2**22,)),
    ],
)
def test_examples(shape, itemsize, target, pieces):
    assert piece_shape(shape, itemsize, target) == pieces


def test_absurd_extents_end():
    assert piece_shape((2**61 - 1,), 8, 2**22) == (2**61 - 1,)
    assert piece_shape((2**62,), 8, 2**22) == (2**19,)


def bytes_by_table(chunk, table, data):
    """Assemble elements from the references, as a reader does."""
    shape = tuple(n * part for n, part in zip(table.grid, chunk, strict=True))
    values = np.empty(shape, np.uint16)
    for place in itertools.product(*map(range, table.grid)):
        reference = table.get(place)
        assert isinstance(reference, Reference)
        block = np.frombuffer(data, np.uint16, math.prod(chunk), reference.offset)
        assert reference.length == block.nbytes
        box = tuple(slice(at * n, (at + 1) * n) for at, n in zip(place, chunk, strict=True))
        values[box] = block.reshape(chunk)
    return values


@given(st.lists(st.integers(0, 12), max_size=3), TARGETS, st.integers(0, 9).map(lambda n: 2 * n))
def test_contiguous_data_come_back(shape, target, offset):
    values = np.arange(math.prod(shape), dtype=np.uint16).reshape(shape)
    chunk, table = contiguous_table(shape, 2, offset, "u", target)
    Array(tuple(shape), chunk, values.dtype, table)
    found = bytes_by_table(chunk, table, b"\xee" * offset + values.tobytes())
    np.testing.assert_array_equal(found, values)
    # Neither a gap nor an overlap.
    if values.size:
        ends = np.append(table.offset[1:], offset + values.nbytes)
        np.testing.assert_array_equal(table.offset + table.length, ends)
    assert int(table.length.sum()) == values.nbytes


@given(
    st.integers(0, 5),
    st.lists(st.integers(1, 8), max_size=2),
    st.integers(0, 3).map(lambda n: 2 * n),
    TARGETS,
)
def test_records_come_back(count, shape, gap, target):
    values = np.arange(count * math.prod(shape), dtype=np.uint16).reshape(count, *shape)
    block = math.prod(shape) * 2
    data = b"\xaa" * 6 + b"".join(record.tobytes() + b"\xff" * gap for record in values)
    chunk, table = strided_table(count, block + gap, shape, 2, 6, "u", target)
    Array((count, *shape), chunk, values.dtype, table)
    np.testing.assert_array_equal(bytes_by_table(chunk, table, data), values)
    if gap and count:
        assert chunk[0] == 1
    if not gap and (target is None or values.nbytes <= target):
        assert table.size == bool(count)


@pytest.mark.parametrize(
    ("count", "stride", "offset"), [(1, 8, -1), (2**60, 2**10, 0), (1, 8, 2**63), (2, -9, 100)]
)
def test_data_that_no_file_holds(count, stride, offset):
    with pytest.raises(FormatError):
        strided_table(count, stride, (3,), 2, offset, "u", None)

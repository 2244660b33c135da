"""The first elements of padded chunks, and ranges of bytes: nothing else comes out."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zarr.buffer import cpu
from zarr.core.buffer import default_buffer_prototype

from refmaker.codecs.crop import Crop, corner, stored_shape
from refmaker.codecs.zarr3 import Crop as Cropped
from refmaker.errors import CodecError, MetadataError, UnsupportedError


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=4),
       st.sampled_from(["u1", "<i2", "<f8", "V3"]))  # fmt: skip
def test_corners(extents, dtype):
    shape = tuple(n for n, _ in extents)
    stored = tuple(n + more for n, more in extents)
    raw = np.arange(np.prod(stored) * np.dtype(dtype).itemsize).astype("u1")
    values = raw.view(dtype).reshape(stored)
    found = corner(raw, stored, shape, values.dtype.itemsize)
    assert found.tobytes() == values[tuple(slice(0, n) for n in shape)].tobytes()


def test_ranges_of_bytes():
    codec = Crop(3, 4)
    assert bytes(codec.decode(b"abcdefgh")) == b"defg"
    with pytest.raises(CodecError, match="its data end at 7"):
        codec.decode(b"abcdef")


def decode(chunk_shape, data, shape, dtype="<i4"):
    native = np.dtype(dtype)
    spec = SimpleNamespace(
        shape=shape,
        dtype=SimpleNamespace(to_native_dtype=lambda: native),
        prototype=default_buffer_prototype(),
    )
    codec = Cropped.from_dict(
        {"name": "refmaker.crop", "configuration": {"chunk_shape": chunk_shape}}
    )
    assert Cropped.from_dict(codec.to_dict()) == codec
    found = asyncio.run(codec._decode_single(cpu.Buffer.from_bytes(data.tobytes()), spec))
    return np.frombuffer(found.to_bytes(), native).reshape(shape)


def test_the_grid_says_how_much_counts():
    values = np.arange(60, dtype="<i4").reshape(5, 4, 3)
    for shape in ((5, 4, 3), (2, 4, 3), (5, 1, 2)):
        wanted = values[tuple(slice(0, n) for n in shape)]
        np.testing.assert_array_equal(decode([5, 4, 3], values, shape), wanted)
    np.testing.assert_array_equal(decode([None, 4, 3], values, (5, 2, 3)), values[:, :2])
    # Which of the lengths a chunk has is seen by its bytes.
    np.testing.assert_array_equal(decode([[[7, 9], 5], 4, 3], values, (2, 4, 3)), values[:2])


@pytest.mark.parametrize(
    ("chunk_shape", "shape"),
    [([4, 4, 3], (4, 4, 3)), ([5, 4, 2], (5, 4, 2)), ([5, 4, 3], (6, 4, 3)), ([5, 4], (5, 4, 3)),
     ([[5, 10], [4, 2], 3], (1, 1, 3))],
)  # fmt: skip
def test_chunks_of_other_sizes_are_errors(chunk_shape, shape):
    with pytest.raises(CodecError):
        decode(chunk_shape, np.arange(60, dtype="<i4"), shape)


def test_no_size_is_guessed():
    assert stored_shape(40, (2, 5), ((2, 3), (5,)), 4) == (2, 5)
    with pytest.raises(CodecError, match="are no chunk"):
        stored_shape(24, (2, 3), ((2, 4), (3, 6)), 2)


@pytest.mark.parametrize(
    "configuration",
    [None, {}, {"chunk_shape": 3}, {"chunk_shape": [0]}, {"chunk_shape": [3], "more": 1},
     {"chunk_shape": ["3"]}, {"chunk_shape": [[]]}, {"chunk_shape": [[[1, 10**12]]]}],
    ids=str,
)  # fmt: skip
def test_configurations_that_are_none(configuration):
    with pytest.raises(MetadataError):
        Cropped.from_dict({"name": "refmaker.crop", "configuration": configuration})


def test_it_only_decodes():
    codec = Cropped((3,))
    with pytest.raises(UnsupportedError, match="only decodes"):
        asyncio.run(codec._encode_single(None, None))
    assert codec.most((2,), 4) == 12

"""Chunks of different lengths: what they hold, and the documents that say so."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import MetadataError, UnsupportedError
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.edges import Edges, runs_document, runs_from_document
from refmaker.model.zarr_v2 import array_document
from refmaker.model.zarr_v3 import array_document_v3, zarr_format_of
from refmaker.model.zarr_v3_reader import array_from_document_v3


def uneven(*alongs, dtype="<f4", **more):
    """Return an array that is cut by edges, or by extents of (size, chunk)."""
    shape = tuple(a.size if isinstance(a, Edges) else a[0] for a in alongs)
    chunks = tuple(a.largest if isinstance(a, Edges) else a[1] for a in alongs)
    grid = tuple(a.count if isinstance(a, Edges) else -(-a[0] // a[1]) for a in alongs)
    edges = tuple(a if isinstance(a, Edges) else None for a in alongs)
    edges = edges if any(isinstance(a, Edges) for a in alongs) else None
    table = ChunkTable.empty(grid)
    return Array(shape, chunks, np.dtype(dtype), table, edges=edges, **more)


def test_regions_and_what_chunks_decode_to():
    along = Edges(np.array([10, 10, 1, 8]), np.array([10, 10, 10, 10]))
    array = uneven(along, (5, 2))
    assert array.shape == (29, 5)
    assert array.chunks.grid == (4, 3)
    assert array.region((2, 2)) == (slice(20, 21), slice(4, 5))
    assert array.decoded_shape((2, 2)) == (10, 2)
    assert array.starts(0).tolist() == [0, 10, 20, 21]
    assert array.starts(1).tolist() == [0, 2, 4]
    assert array.chunk_numbers(0, [0, 9, 10, 20, 21, 28]).tolist() == [0, 0, 1, 2, 3, 3]
    assert array.chunk_numbers(1, [0, 3, 4]).tolist() == [0, 1, 2]
    assert along.padded
    assert not Edges(np.array([10, 8]), np.array([10, 10])).padded
    assert Edges(np.array([10, 8]), np.array([10, 10])).regular
    assert not Edges(np.array([10, 8])).regular


@pytest.mark.parametrize(
    ("lengths", "stored"),
    [([0], None), ([3, -1], None), ([3], [2]), ([3, 3], [3]), ([2**62, 2**62], None),
     ([1.5], None)],
)  # fmt: skip
def test_what_are_no_edges(lengths, stored):
    with pytest.raises(MetadataError):
        Edges(np.array(lengths), None if stored is None else np.array(stored))


def test_arrays_that_contradict_their_edges():
    array = uneven(Edges(np.array([3, 2])), (4, 2))
    for change in (
        {"shape": (6, 4)},
        {"chunk_shape": (4, 2)},
        {"edges": (array.edges[0],)},
        {"shape": (3, 4), "chunk_shape": (2, 2), "edges": (None, None)},
        {"chunks": ChunkTable.empty((3, 2))},
    ):
        with pytest.raises(MetadataError):
            replace(array, **change)


def test_version_2_has_none():
    array = uneven(Edges(np.array([3, 2])))
    with pytest.raises(UnsupportedError) as caught:
        array_document(array)
    assert caught.value.code == "zarr2-uneven"
    assert zarr_format_of(Group({"a": array})) == 3
    assert zarr_format_of(Group()) == 2


@given(st.lists(st.integers(1, 5), max_size=40))
def test_runs(values):
    document = runs_document(np.array(values, np.int64))
    assert runs_from_document(json.loads(json.dumps(document))).tolist() == values


@st.composite
def arrays(draw):
    """Return an array cut anyhow along some dimensions."""
    alongs = []
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            alongs.append((draw(st.integers(1, 9)), draw(st.integers(1, 4))))
            continue
        lengths = np.array(draw(st.lists(st.integers(1, 6), min_size=1, max_size=6)))
        padding = st.integers(0, 3) if draw(st.booleans()) else st.just(0)
        more = [draw(padding) for _ in lengths]
        alongs.append(Edges(lengths, lengths + more))
    return uneven(*alongs, order=draw(st.sampled_from("CF")))


@given(arrays())
def test_documents_there_and_back(array):
    try:
        document = array_document_v3(array)
    except UnsupportedError as error:
        assert error.code == "zarr3-crop"  # noqa: PT017 - several lengths along several dimensions
        return
    again = array_from_document_v3(json.loads(json.dumps(document)))
    assert (again.shape, again.chunk_shape) == (array.shape, array.chunk_shape)
    assert again.order == array.order or len(array.shape) == 1
    assert again.chunks.grid == array.chunks.grid
    for at in np.ndindex(*array.chunks.grid):
        assert again.region(at) == array.region(at)
        assert again.decoded_shape(at) == array.decoded_shape(at)
    assert array_document_v3(again)["shape"] == document["shape"]


def document(shapes, shape=(29,), crop=None):
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}]
    if crop is not None:
        codecs.append({"name": "refmaker.crop", "configuration": {"chunk_shape": crop}})
    return {
        "zarr_format": 3, "node_type": "array", "shape": list(shape), "data_type": "float32",
        "chunk_grid": {"name": "rectilinear",
                       "configuration": {"kind": "inline", "chunk_shapes": shapes}},
        "chunk_key_encoding": {"name": "default"}, "fill_value": 0, "codecs": codecs,
    }  # fmt: skip


def test_numbers_alone_lists_and_runs():
    array = array_from_document_v3(document([[[10, 2], 1, 8]]))
    assert array.edges[0].lengths.tolist() == [10, 10, 1, 8]
    assert array_from_document_v3(document([10])).edges is None
    assert array_from_document_v3(document([[[10, 3]]])).edges is None
    cropped = array_from_document_v3(document([[[10, 2], 1, 8]], crop=[[[12, 3], 9]]))
    assert cropped.edges[0].stored.tolist() == [12, 12, 12, 9]
    assert array_from_document_v3(document([10], crop=[12])).edges[0].stored.tolist() == [12] * 3
    assert array_from_document_v3(document([[3]], shape=(0,))).chunks.grid == (0,)


@pytest.mark.parametrize(
    "shapes",
    [
        [[[1, 10**12]]],
        [[[10**12, 10**12]]],
        [[1] * 28],
        [[10, 19, 1]],
        [[10, -1, 20]],
        [[0, 29]],
        [[10.0, 19]],
        [[[10, 2, 3], 9]],
        [["10", 19]],
        [[True, 28]],
        [[]],
        [{}],
        [[29], [1]],
        "29",
    ],
    ids=str,
)
def test_grids_that_are_none_are_refused_before_they_are_expanded(shapes):
    with pytest.raises(MetadataError):
        array_from_document_v3(document(shapes))


@pytest.mark.parametrize("crop", [[9], [0], [[10, 10]], ["10"], [[[1, 10**12]]], [], [10, 10], 10])
def test_crops_that_are_none(crop):
    with pytest.raises(MetadataError):
        array_from_document_v3(document([[[10, 2], 1, 8]], crop=crop))


def test_several_lengths_along_several_dimensions_are_told_apart_or_refused():
    one = Edges(np.array([1, 1, 1]), np.array([2, 4, 1]))
    other = Edges(np.array([1, 1, 1]), np.array([4, 2, 1]))
    with pytest.raises(UnsupportedError, match="equally many") as caught:
        array_document_v3(uneven(one, other))
    assert caught.value.code == "zarr3-crop"
    primes = Edges(np.array([1, 1, 1]), np.array([3, 5, 1]))
    codecs = array_document_v3(uneven(one, primes))["codecs"]
    assert codecs[1]["configuration"]["chunk_shape"] == [[2, 4, 1], [3, 5, 1]]


def test_texts_are_not_cropped():
    along = Edges(np.array([3, 2]), np.array([4, 2]))
    array = uneven(along, dtype="O", filters=({"id": "vlen-utf8"},))
    with pytest.raises(UnsupportedError, match="texts in padded chunks"):
        array_document_v3(array)

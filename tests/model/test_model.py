"""Chunk tables against dictionaries, and the checks of frozen values."""

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, Group, Reference, chunk_grid
from refmaker.testing.strategies import arrays, chunk_tables, grids, groups

MIB = 1024**2


def as_dict(table):
    """Return what the table says of each position, read row by row."""
    said = {}
    places = list(itertools.product(*(range(extent) for extent in table.grid)))
    for row, number in enumerate(table.numbers().tolist()):
        file = 0 if table.url is None else int(table.url[row])
        said[places[number]] = Reference(
            table.urls[file], int(table.offset[row]), int(table.length[row])
        )
    for number, data in table.inlined.items():
        assert places[number] not in said
        said[places[number]] = data
    return said


def columns(n=3, **changed):
    given_columns = {
        "offset": np.arange(n, dtype=np.uint64),
        "length": np.ones(n, np.uint32),
        "url": None,
        "index": None,
    }
    return {**given_columns, **changed}


@given(chunk_tables())
def test_get_agrees_with_a_dict(table):
    oracle = as_dict(table)
    for number, place in enumerate(itertools.product(*map(range, table.grid))):
        assert table.get(place) == table.get(number) == oracle.get(place)
    assert table.size == math.prod(table.grid)
    assert table.present == len(oracle)
    assert table.absent == table.size - len(oracle)
    assert table.referenced == sum(isinstance(value, Reference) for value in oracle.values())


@given(chunk_tables())
def test_coordinates_are_places_of_rows(table):
    places = list(itertools.product(*map(range, table.grid)))
    expected = [places[number] for number in table.numbers().tolist()]
    found = list(zip(*(axis.tolist() for axis in table.coordinates()), strict=True))
    assert found == (expected if table.grid else [])


@given(chunk_tables(), st.data())
def test_window_holds_its_part(table, data):
    start = [data.draw(st.integers(0, extent)) for extent in table.grid]
    stop = [data.draw(st.integers(a, n)) for a, n in zip(start, table.grid, strict=True)]
    part = table.window(start, stop)
    box = set(itertools.product(*map(range, start, stop)))
    expected = {
        tuple(x - a for x, a in zip(place, start, strict=True)): value
        for place, value in as_dict(table).items()
        if place in box
    }
    assert as_dict(part) == expected
    assert part.grid == tuple(b - a for a, b in zip(start, stop, strict=True))


@given(chunk_tables().filter(lambda table: table.grid), st.data())
def test_windows_joined_are_the_table(table, data):
    axis = data.draw(st.integers(0, len(table.grid) - 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, table.grid[axis]), max_size=3)))
    edges = [0, *cuts, table.grid[axis]]
    parts = []
    for a, b in itertools.pairwise(edges):
        start, stop = [0] * len(table.grid), list(table.grid)
        start[axis], stop[axis] = a, b
        parts.append(table.window(start, stop))
    joined = ChunkTable.concatenate(parts, axis)
    assert joined.same(table)
    assert as_dict(joined) == as_dict(table)


@given(st.lists(grids(), min_size=1, max_size=3), st.data())
def test_concatenate_of_strangers(shapes, data):
    rank = len(shapes[0])
    if rank == 0:
        with pytest.raises(MetadataError):
            ChunkTable.concatenate([ChunkTable.empty(()), ChunkTable.empty(())], 0)
        return
    axis = data.draw(st.integers(0, rank - 1))
    lengths = [data.draw(st.integers(0, 3)) for _ in shapes]
    same = [(*shapes[0][:axis], n, *shapes[0][axis + 1 :]) for n in lengths]
    tables = [data.draw(chunk_tables(grid)) for grid in same]
    expected, shift = {}, 0
    for table in tables:
        for place, value in as_dict(table).items():
            expected[(*place[:axis], place[axis] + shift, *place[axis + 1 :])] = value
        shift += table.grid[axis]
    assert as_dict(ChunkTable.concatenate(tables, axis)) == expected


def test_concatenate_refuses():
    a, b = ChunkTable.empty((2, 3)), ChunkTable.empty((2, 4))
    for tables, axis in [([a, b], 0), ([a], 2), ([a], -1), ([], 0)]:
        with pytest.raises(MetadataError):
            ChunkTable.concatenate(tables, axis)
    huge = ChunkTable.empty((2**61, 1))
    with pytest.raises(MetadataError, match="numbered"):
        ChunkTable.concatenate([huge, huge, huge], 0)


@given(chunk_tables(), st.randoms(use_true_random=False))
def test_from_columns_sorts(table, random):
    order = list(range(table.referenced))
    random.shuffle(order)
    url = np.zeros(table.referenced, int) if table.url is None else table.url
    made = ChunkTable.from_columns(
        table.grid,
        table.urls,
        offset=table.offset[order].astype(np.int64),
        length=table.length[order].astype(np.int64),
        index=table.numbers()[order].astype(np.int64),
        url=url[order].astype(np.int16),
        inlined=table.inlined,
    )
    assert made.same(table)
    assert as_dict(made) == as_dict(table)


@given(chunk_tables())
def test_narrow(table):
    assert table.offset.dtype == np.uint64
    if table.referenced and int(table.length.max()) < 2**32:
        assert table.length.dtype == np.uint32
        assert table.nbytes <= 24 * table.referenced
    assert table.url is None or len(set(table.url.tolist())) > 1
    if table.referenced == table.size:
        assert table.index is None


def test_memory_of_a_million_chunks_in_two_files():
    n = 1_000_000
    table = ChunkTable.from_columns(
        (2, n),
        ("a" * 200, "b" * 200),
        offset=np.arange(n) * 100,
        length=np.full(n, 100),
        index=np.arange(n) * 2,
        url=np.arange(n) % 2,
    )
    assert table.nbytes == 24 * n
    assert len(pickle.dumps(table)) < 25 * n
    assert ChunkTable.from_columns(
        (n,), ("a",), offset=table.offset, length=table.length
    ).nbytes == (12 * n)


def test_a_length_that_needs_eight_bytes():
    table = ChunkTable.from_columns((2,), ("u",), offset=[0, 2**33], length=[2**33, 1])
    assert table.get(0) == Reference("u", 0, 2**33)
    assert table.length.dtype == np.uint64


@pytest.mark.parametrize("kind", ["i1", ">i2", "i4", ">i4", "i8", ">i8"])
@pytest.mark.parametrize("name", ["offset", "length", "url", "index"])
def test_columns_of_any_integers(kind, name):
    columns = {"offset": [0, 5], "length": [5, 6], "url": [0, 1], "index": [0, 2]}
    given = {key: np.array(value, kind) for key, value in columns.items()}
    table = ChunkTable.from_columns((3,), ("a", "b"), **given)
    for key, value in columns.items():
        assert getattr(table, key).tolist() == value
    with pytest.raises(MetadataError, match=f"column {name} holds -1"):
        ChunkTable.from_columns((3,), ("a", "b"), **given | {name: np.array([0, -1], kind)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": [-1, 0, 0]},
        {"offset": [2**63, 0, 0]},
        {"offset": [0.5, 1.0, 2.0]},
        {"offset": [0, 1]},
        {"offset": np.zeros((3, 1), int)},
        {"length": [-1, 1, 1]},
        {"length": [1.5, 1, 1]},
        {"length": ["1", "1", "1"]},
        {"index": [0, 1, 1]},
        {"index": [0, 1, 3]},
        {"index": [0, 1, -1]},
        {"index": [0, 1]},
        {"index": [0.0, 1.0, 2.0]},
        {"url": [0, 1, 2]},
        {"url": [0, -1, 0]},
        {"url": [2**32, 0, 0]},
        {"url": [0, 0]},
        {"urls": ()},
        {"grid": (2,)},
        {"grid": (4,)},
        {"grid": (-3,)},
        {"inlined": {0: b""}},
        {"inlined": {-1: b""}, "grid": (4,), "index": [0, 1, 2]},
        {"inlined": {4: b""}, "grid": (4,), "index": [0, 1, 2]},
        {"inlined": {2: b""}, "grid": (4,), "index": [0, 1, 2]},
    ],
    ids=str,
)
def test_from_columns_refuses(wrong):
    right = {"grid": (3,), "urls": ("a", "b"), "offset": [0, 1, 2], "length": [1, 1, 1]}
    ChunkTable.from_columns(**right)
    with pytest.raises(MetadataError):
        ChunkTable.from_columns(**{**right, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"index": np.array([2, 1, 0], np.uint64)},
        {"index": np.array([0, 0, 1], np.uint64)},
        {"index": np.array([0, 1, 3], np.uint64)},
        {"index": np.arange(3)},
        {"offset": np.arange(3)},
        {"length": np.ones(3, np.int64)},
        {"length": np.ones(2, np.uint32)},
        {"url": np.array([0, 1, 2], np.int32)},
        {"url": np.array([0, 0, -1], np.int32)},
        {"url": np.zeros(3, np.int64)},
    ],
    ids=str,
)
def test_the_constructor_refuses(wrong):
    ChunkTable((3,), ("a", "b"), **columns())
    with pytest.raises(MetadataError):
        ChunkTable((3,), ("a", "b"), **columns(**wrong))


@pytest.mark.parametrize("place", [-1, 6, (0, 3), (2, 0), (-1, 0), (0,), (0, 0, 0), np.int64(6)])
def test_get_outside_the_grid(place):
    table = ChunkTable.from_columns((2, 3), ("u",), offset=range(6), length=[1] * 6)
    with pytest.raises(MetadataError):
        table.get(place)
    assert table.get(np.int64(5)) == table.get((1, 2)) == Reference("u", 5, 1)


def test_window_outside_the_grid():
    table = ChunkTable.empty((2, 3))
    for start, stop in [((0, 0), (3, 3)), ((-1, 0), (2, 3))]:
        with pytest.raises(MetadataError):
            table.window(start, stop)


@given(chunk_tables())
def test_same_tells_apart(table):
    assert table.same(table)
    if table.referenced:
        offset = table.offset.copy()
        offset[-1] += np.uint64(1)
        columns = {"index": table.numbers(), "inlined": table.inlined, "length": table.length}
        other = ChunkTable.from_columns(
            table.grid, table.urls, offset=offset, url=table.url, **columns
        )
        assert not table.same(other)
        renamed = table.with_urls([f"{url}x" for url in table.urls])
        assert not table.same(renamed)
    if table.absent:
        filled = dict(table.inlined)
        filled[next(n for n in range(table.size) if table.get(n) is None)] = b""
        assert not table.same(
            ChunkTable.from_columns(
                table.grid,
                table.urls,
                offset=table.offset,
                length=table.length,
                index=table.numbers(),
                url=table.url,
                inlined=filled,
            )
        )
    with pytest.raises(MetadataError):
        table.with_urls([*table.urls, "more"])


@given(arrays())
def test_arrays_pickle(array):
    back = pickle.loads(pickle.dumps(array))
    assert back.chunks.same(array.chunks)
    assert (back.shape, back.dtype, back.attributes) == (array.shape, array.dtype, array.attributes)
    assert chunk_grid(array.shape, array.chunk_shape) == array.chunks.grid
    assert array.nbytes == math.prod(array.shape) * array.dtype.itemsize


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (4, 4)},
        {"shape": (-4,)},
        {"shape": (5,)},
        {"chunk_shape": (0,)},
        {"chunk_shape": (-2,)},
        {"dimension_names": ("x", "y")},
        {"order": "K"},
    ],
    ids=str,
)
def test_arrays_are_validated(wrong):
    right = {
        "shape": (4,),
        "chunk_shape": (2,),
        "dtype": np.dtype("f4"),
        "chunks": ChunkTable.empty((2,)),
    }
    assert Array(**right).codecs == ()
    with pytest.raises(MetadataError):
        Array(**{**right, **wrong})


def test_codecs_in_the_order_in_which_they_encode():
    shuffle, zlib = {"id": "shuffle"}, {"id": "zlib"}
    empty = ChunkTable.empty(())
    array = Array((), (), np.dtype("f4"), empty, filters=(shuffle,), compressor=zlib)
    assert array.codecs == (shuffle, zlib)


@pytest.mark.parametrize("name", ["", "a/b", ".", ".."])
def test_names_that_no_key_can_hold(name):
    with pytest.raises(MetadataError):
        Group({name: Group()})


def recursive_walk(group, path=""):
    yield path, group
    for name, node in group.members.items():
        below = f"{path}/{name}" if path else name
        if isinstance(node, Group):
            yield from recursive_walk(node, below)
        else:
            yield below, node


@given(groups())
def test_walk(group):
    walked = list(group.walk())
    assert walked == list(recursive_walk(group))
    assert list(group.arrays()) == [pair for pair in walked if isinstance(pair[1], Array)]
    for path, node in walked[1:]:
        assert group[path] is node
        assert group[f"/{path}/"] is node
    for path in ["", "no such thing", "a/b/c/d/e/f"]:
        with pytest.raises(KeyError):
            group[path]


def test_walk_goes_deeper_than_the_interpreter_recurses():
    group = Group()
    for _ in range(3000):
        group = Group({"g": group})
    assert sum(1 for _ in group.walk()) == 3001

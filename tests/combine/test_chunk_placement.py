"""Chunk tables of many inputs to one: every chunk arrives where it belongs, of many or of few."""

from __future__ import annotations

import numpy as np
import pytest

from refmaker.combine import chunk_placement
from refmaker.combine.chunk_placement import VariableGrid, place
from refmaker.combine.concat_dimensions import ConcatDimension
from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable


def table(rng, number, grid, share, *, long=False):
    """Return chunks of which `share` are there; every fifth of those is inlined."""
    there = np.flatnonzero(rng.random(int(np.prod(grid))) < share)
    kept = {int(n): bytes([number, n % 256]) for n in there[::5]} if share < 1 else {}
    rows = np.setdiff1d(there, list(kept))
    urls = (f"/a{number}", f"/b{number}")
    return ChunkTable.from_columns(
        grid, urls, index=rows, offset=rng.integers(0, 1000, rows.size),
        length=rng.integers(1, 99, rows.size) + (2**33 if long else 0),
        url=rng.integers(0, 2, rows.size), inlined=kept,
    )  # fmt: skip


def inputs(tables, order):
    """Return arrays that lie one after another along the first dimension, in some order."""
    count = tables[0].grid[0]
    items = [
        (i, Array(t.grid, (1,) * len(t.grid), np.dtype("u1"), t)) for i, t in enumerate(tables)
    ]
    start = np.array(order) * count
    size = count * len(tables)
    axis = ConcatDimension("time", size, start, np.full(len(tables), count))
    rest = tables[0].grid[1:]
    layout = VariableGrid(
        ("time", "x"), (axis, None), (0, 1), (size, *rest), (1,) * (1 + len(rest))
    )  # fmt: skip
    return items, layout


@pytest.mark.parametrize("share", [0, 0.02, 0.3, 0.8, 1])
@pytest.mark.parametrize("at_once", [1, 40, 1 << 12])
def test_every_chunk_is_in_its_place(monkeypatch, share, at_once):
    monkeypatch.setattr(chunk_placement, "_AT_ONCE", at_once)
    rng = np.random.default_rng(int(share * 100))
    order = rng.permutation(9).tolist()
    tables = [table(rng, k, (3, 7), share, long=k == 4) for k in range(9)]
    items, layout = inputs(tables, order)
    made = place(items, layout)
    assert made.present == sum(t.present for t in tables)
    for one, at in zip(tables, order, strict=True):
        for row, column in np.ndindex(3, 7):
            assert made.get((at * 3 + row, column)) == one.get((row, column))


@pytest.mark.parametrize("share", [0.1, 1])
def test_what_an_input_gives_up_comes_from_the_other(share):
    rng = np.random.default_rng(1)
    tables = [table(rng, k, (3, 70), share) for k in range(2)]
    items, layout = inputs(tables, [0, 0])
    made = place(items, layout, np.array([(0, 1), (1, 0), (1, 2)]))
    for row, column in np.ndindex(3, 70):
        keeper = tables[1 if row == 1 else 0]
        assert made.get((row, column)) == keeper.get((row, column))


@pytest.mark.parametrize("grid", [(3, 7), (300, 7)])
def test_a_chunk_that_two_inputs_have_is_an_error(grid):
    chunks = ChunkTable.from_columns(grid, ("/a",), index=[0, 8], offset=[5, 6], length=[1, 1])
    items, layout = inputs([chunks, chunks], [0, 0])
    with pytest.raises(MetadataError, match="twice"):
        place(items, layout)

"""Other people's files through the parser: every array equal to what refmaker itself reads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import zarr

import refmaker
from refmaker.errors import RefmakerError
from refmaker.reading.open import open_arrays
from refmaker.virtualizarr import Parser, from_store
from tests.corpora import CORPUS

LARGEST, ELEMENTS, EVERY = 600_000, 500_000, 11
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not there; see REFMAKER_CORPUS"),
]
FILES = sorted(
    path
    for path in (CORPUS.rglob("*") if CORPUS.exists() else ())
    if path.is_file() and path.suffix not in (".tsv", ".json", ".md", ".txt")
)
SMALL = [path for path in FILES if path.stat().st_size < LARGEST]


def read(group, path, **how):
    """Return an array's values, or what keeps them from being read."""
    try:
        return np.asarray(zarr.open_array(group, path=path, mode="r", **how)[...])
    except Exception as error:  # noqa: BLE001 - whatever codecs raise
        return error


def compared(path, registry):
    """Return how many arrays of a file were compared; None of one that is not scanned."""
    try:
        refs = refmaker.scan(path)
    except RefmakerError:
        return None
    parser = Parser()
    try:
        store = parser(f"file://{path}", registry)
    except RefmakerError as error:
        pytest.fail(f"{path}: {error}")
    lost = {row.path for row in parser.report.skipped}
    native = open_arrays(refs)
    back = dict(from_store(store, strict=True).group.arrays())
    count = 0
    for where, array in refs.group.arrays():
        if where in lost:
            continue
        assert back[where].chunks.same(array.chunks), (path, where)
        assert back[where].dtype == array.dtype, (path, where)
        if math.prod(array.shape) > ELEMENTS:
            continue
        true = read(native, where, zarr_format=2)
        if isinstance(true, Exception):
            continue
        mine = read(store, where, zarr_format=3)
        if isinstance(mine, Exception):
            pytest.fail(f"{path}: {where}: {mine!r}")
        same = true.tobytes() == mine.tobytes() or true.tolist() == mine.tolist()
        assert true.shape == mine.shape, (path, where)
        assert same or np.array_equal(true, mine, equal_nan=True), (path, where)
        count += 1
    return count


def test_some_files(registry, summary):
    found = [compared(path, registry) for path in SMALL[::EVERY]]
    arrays = sum(filter(None, found))
    summary.append(f"VirtualiZarr's parser: {arrays} arrays of {len(found)} files are equal")
    assert arrays > 100


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_files(registry, summary):
    found = [compared(path, registry) for path in FILES]
    arrays = sum(filter(None, found))
    scanned = sum(count is not None for count in found)
    summary.append(f"VirtualiZarr's parser: {arrays} arrays of {scanned} files are equal")
    assert arrays > 1000

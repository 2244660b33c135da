"""What a scan costs: processor time against HDF5's own listing, rounds against a counting store.

Times are ratios of two things done in one process, and the best of several tries each: no clock
of any machine is known here.
"""

from __future__ import annotations

import time
import tracemalloc

import h5py
import numpy as np
import pytest

from refmaker.io import block_cache
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.testing.counting import CountingFileSystem

CHUNKS = 100_000
TABLES = ScanOptions(inline_threshold=0)


@pytest.fixture(scope="module", params=["earliest", "latest"])
def many(tmp_path_factory, request):
    """A hundred thousand chunks, in a version 1 B-tree or a fixed array."""
    path = tmp_path_factory.mktemp("many") / "f.h5"
    with h5py.File(path, "w", libver=request.param) as file:
        dataset = file.create_dataset("x", (CHUNKS // 100, 100 * 8), "u1", chunks=(1, 8))
        for row in range(CHUNKS // 100):
            for column in range(100):
                dataset.id.write_direct_chunk((row, 8 * column), bytes(8))
    return path


def least(action, tries=3):
    """Processor time of the quickest of some tries."""
    times = []
    for _ in range(tries):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def listed(path):
    rows = []
    with h5py.File(path) as file:
        file["x"].id.chunk_iter(rows.append)
    assert len(rows) == CHUNKS


def test_a_whole_scan_takes_less_than_listing_the_chunks(many):
    scan(many, options=TABLES)
    assert least(lambda: scan(many, options=TABLES)) < least(lambda: listed(many)) / 3


def test_a_chunk_takes_no_object(many):
    scan(many, options=TABLES)
    tracemalloc.start()
    try:
        group, _ = scan(many, options=TABLES)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert group["x"].chunks.referenced == CHUNKS
    assert kept < 24 * CHUNKS + 200_000
    # A batch of nodes is held besides, however many chunks there are.
    assert peak < 48 * CHUNKS + 12 * 2**20


def rounds(path, monkeypatch):
    """Scan a file behind a store that counts; every round trip is a batch of ranges."""
    monkeypatch.setattr(block_cache, "WHOLE_FILE", 0)
    CountingFileSystem.install(file=path.read_bytes())
    group, report = scan("counting://file", options=TABLES)
    assert report.lossless
    assert report.bytes_read == sum(b - a for batch in CountingFileSystem.batches for a, b in batch)
    return group, len(CountingFileSystem.batches), report.bytes_read


def fill(file, number, size=160):
    rng = np.random.default_rng(number)
    data = rng.random((size, 50, 50)).astype("f4")
    dataset = file.create_dataset(f"v{number}", data=data, chunks=(2, 50, 50), compression="gzip",
                                  compression_opts=1)  # fmt: skip
    for key in range(9):
        dataset.attrs[f"attribute{key}"] = np.bytes_(f"value {key} of {number}")


def test_metadata_together_take_two_rounds(tmp_path, monkeypatch):
    path = tmp_path / "f.nc"
    with h5py.File(path, "w", libver="v110") as file:
        sets = [
            file.create_dataset(f"v{number}", (160, 50, 50), "f4", chunks=(2, 50, 50))
            for number in range(12)
        ]
        for number, dataset in enumerate(sets):
            dataset.attrs["units"] = np.bytes_("K")
            dataset[...] = np.random.default_rng(number).random(dataset.shape)
    group, count, nbytes = rounds(path, monkeypatch)
    assert len(list(group.arrays())) == 12
    assert count <= 3
    assert nbytes < path.stat().st_size / 4


def test_scattered_metadata_take_few_rounds(tmp_path, monkeypatch):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(20):
            fill(file, number)
    group, count, nbytes = rounds(path, monkeypatch)
    assert len(list(group.arrays())) == 20
    assert count <= 8
    assert nbytes < path.stat().st_size / 4


def test_pages_are_fetched_as_pages(tmp_path, monkeypatch):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w", fs_strategy="page", fs_page_size=2**20, libver="latest") as file:
        for number in range(20):
            fill(file, number)
    _, count, _ = rounds(path, monkeypatch)
    assert count <= 8


def test_a_file_that_is_all_metadata_is_read_once(tmp_path, monkeypatch):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        for number in range(1500):
            file.create_dataset(f"v{number}", data=np.arange(30.0), chunks=(10,))
    _, _, nbytes = rounds(path, monkeypatch)
    assert nbytes <= 1.2 * path.stat().st_size

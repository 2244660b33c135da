"""Chunks that are kept on disk."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from refmaker.io.disk_cache import ChunkCache
from refmaker.model.report import Fingerprint
from refmaker.reading.open import open_group, open_store


def size(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def test_what_was_read_is_not_fetched_again(made, server, tmp_path):
    refs, values = made(30, 1000, url=server.url("data.bin"))
    np.testing.assert_array_equal(open_group(refs, cache=tmp_path / "kept")["x"][:], values)
    server.reset()
    np.testing.assert_array_equal(open_group(refs, cache=tmp_path / "kept")["x"][:], values)
    np.testing.assert_array_equal(open_group(refs, cache=tmp_path / "kept")["g/y"][:], values)
    assert server.requests == 0
    np.testing.assert_array_equal(open_group(refs)["x"][:], values)
    assert server.requests > 0


def test_other_selections_of_the_same_chunks(made, server, tmp_path):
    """Requests are merged in another way, and the chunks are the same."""
    refs, values = made(30, 1000, url=server.url("data.bin"))
    array = open_group(refs, cache=tmp_path / "kept")["x"]
    np.testing.assert_array_equal(array[3000:9000], values[3000:9000])
    server.reset()
    np.testing.assert_array_equal(array[5000:6000], values[5000:6000])
    assert server.requests == 0
    np.testing.assert_array_equal(array[:], values)
    assert server.requests <= 10


def test_another_state_of_a_file_is_another_file(made, server, tmp_path):
    url = server.url("data.bin")
    refs, values = made(30, 1000, url=url, known=Fingerprint(30_000, etag="1"))
    open_group(refs, cache=tmp_path / "kept", verify_sources="off")["x"][:]
    (tmp_path / "data.bin").write_bytes(bytes(30_000))
    changed, _ = made(30, 1000, url=url, known=Fingerprint(30_000, etag="2"))
    (tmp_path / "data.bin").write_bytes(bytes(30_000))
    got = open_group(changed, cache=tmp_path / "kept", verify_sources="off")["x"][:]
    assert not got.any()
    got = open_group(refs, cache=tmp_path / "kept", verify_sources="off")["x"][:]
    np.testing.assert_array_equal(got, values)


def test_damaged_entries_are_fetched_again(made, server, tmp_path):
    refs, values = made(30, 1000, url=server.url("data.bin"))
    open_group(refs, cache=tmp_path / "kept")["x"][:]
    for number, path in enumerate(sorted((tmp_path / "kept").rglob("*.chunk"))):
        data = path.read_bytes()
        path.write_bytes([data[:-1], b"", bytes(len(data))][number % 3])
    np.testing.assert_array_equal(open_group(refs, cache=tmp_path / "kept")["x"][:], values)


def test_the_folder_stays_small(made, server, tmp_path):
    refs, values = made(100, 1000, url=server.url("data.bin"))
    array = open_group(refs, cache=tmp_path / "kept", cache_bytes=20_000)["x"]
    for start in range(0, 100_000, 5000):
        np.testing.assert_array_equal(array[start : start + 5000], values[start : start + 5000])
    assert 0 < size(tmp_path / "kept") <= 20_000 * 1.6


def test_what_is_used_is_kept(tmp_path):
    cache = ChunkCache(str(tmp_path), 10_000, {})
    for i in range(40):
        cache.put("f", i * 1000, i * 1000 + 1000, bytes(1000))
        assert cache.get("f", 0, 1000) == bytes(1000)
        for path in tmp_path.rglob("*.chunk"):
            state = path.stat()
            # Time passes.
            os.utime(path, (state.st_atime - 10, state.st_mtime - 10))
    assert cache.get("f", 1000, 2000) is None


def test_trouble_with_the_folder_costs_only_speed(made, server, tmp_path, caplog):
    refs, values = made(30, 1000, url=server.url("data.bin"))
    (tmp_path / "kept").write_text("a file")
    np.testing.assert_array_equal(open_group(refs, cache=tmp_path / "kept")["x"][:], values)
    assert "cannot keep chunks" in caplog.text


def read(arguments):
    name, folder, start = arguments
    part = open_group(name, cache=folder, cache_bytes=30_000)["x"][start : start + 20_000]
    return int(part.astype("i8").sum())


def test_many_processes_and_threads_share_a_folder(made, server, tmp_path):
    refs, values = made(100, 1000, url=server.url("data.bin"))
    refs.write(tmp_path / "a.json")
    tasks = [(tmp_path / "a.json", tmp_path / "kept", i * 5000) for i in range(16)]
    expected = [int(values[start : start + 20_000].astype("i8").sum()) for _, _, start in tasks]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(read, tasks) == expected
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, tasks)) == expected
    assert not list((tmp_path / "kept").rglob("*.part"))


def test_local_files_are_not_copied(made, tmp_path):
    refs, values = made(10, 1000)
    np.testing.assert_array_equal(open_group(refs, cache=tmp_path / "kept")["x"][:], values)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("cache", [None, "kept"])
def test_options_travel(made, tmp_path, cache):
    import pickle

    refs, _ = made(10, 1000)
    store = pickle.loads(pickle.dumps(open_store(refs, cache=cache)))
    assert store.reader.options.cache == (cache and os.path.abspath(cache))

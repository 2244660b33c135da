"""Sources against plain bytes: local files, files in memory, and a real web server."""

import io
import os
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import (
    LimitError,
    MissingDependencyError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    TruncatedError,
)
from refmaker.io import block_cache, local_file
from refmaker.io import retries as ranges
from refmaker.io.local_file import local_path
from refmaker.io.source import Source
from refmaker.model.report import Fingerprint
from refmaker.testing.counting import CountingFileSystem
from refmaker.testing.http import Behaviour, RangeServer

KIB = 1024
DATA = np.random.default_rng(7).integers(0, 256, 300 * KIB + 123, np.uint8).tobytes()
SIZE = len(DATA)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("served")
    (path / "data.bin").write_bytes(DATA)
    (path / "empty").write_bytes(b"")
    (path / "a b%é.bin").write_bytes(b"named")
    return path


@pytest.fixture
def server(folder):
    with RangeServer(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(ranges, "PAUSE", 0.001)


@pytest.fixture
def small_first(monkeypatch):
    monkeypatch.setattr(block_cache, "LATENCY", 0.0)
    monkeypatch.setattr(block_cache, "FIRST", 4 * KIB)
    monkeypatch.setattr(block_cache, "WINDOW", KIB)


@pytest.fixture(scope="module", params=["local", "memory", "counting", "counting, small cache"])
def opener(request, folder):
    """Return a function that opens the same bytes by one of several ways."""
    kind = request.param
    MemoryFileSystem.store.clear()
    MemoryFileSystem().pipe_file("/data.bin", DATA)

    @contextmanager
    def opening():
        with pytest.MonkeyPatch.context() as patch:
            if kind == "counting, small cache":
                patch.setattr(block_cache, "CACHE", 8 * KIB)
                patch.setattr(block_cache, "WINDOW", 4 * KIB)
            if kind.startswith("counting"):
                CountingFileSystem.install(**{"data.bin": DATA})
                opened = Source("counting://data.bin", block_size=KIB, whole_file=0)
            elif kind == "memory":
                opened = Source("memory://data.bin")
            else:
                opened = Source(folder / "data.bin")
            with opened:
                yield opened

    return opening


@st.composite
def spans(draw, most=20 * KIB):
    offset = draw(st.integers(0, SIZE))
    return offset, draw(st.integers(0, min(most, SIZE - offset)))


@given(spans=st.lists(spans(), max_size=8))
def test_reads_are_the_bytes(opener, spans):
    expected = [DATA[a : a + n] for a, n in spans]
    with opener() as opened:
        assert opened.size == SIZE
        assert opened.read_many(spans) == expected
        opened.prefetch(spans)
        opened.prefetch((a, n + SIZE) for a, n in spans)
        assert [opened.read(a, n) for a, n in spans] == expected
        assert [opened.read_upto(a, n + 10) for a, n in spans] == [
            DATA[a : a + n + 10] for a, n in spans
        ]


@given(
    offsets=st.lists(st.integers(0, SIZE - 100), max_size=20),
    runs=st.lists(st.integers(0, 2000), max_size=3),
    length=st.integers(0, 100),
)
def test_read_blocks(opener, offsets, runs, length):
    for start in runs:
        offsets += [start + i * length for i in range(5)]
    with opener() as opened:
        found = opened.read_blocks(np.array(offsets, np.uint64), length)
    assert found.shape == (len(offsets), length)
    assert found.dtype == np.uint8
    for row, offset in zip(found, offsets, strict=True):
        assert row.tobytes() == DATA[offset : offset + length]


@given(steps=st.lists(st.tuples(st.integers(0, SIZE + 50), st.integers(-1, 5000)), max_size=10))
def test_the_view_is_a_file(opener, steps):
    oracle = io.BytesIO(DATA)
    with opener() as opened:
        view = opened.open()
        assert view.readable()
        assert view.seekable()
        for position, count in steps:
            for whence, at in ((0, position), (1, 3), (2, -position)):
                try:
                    expected = oracle.seek(at, whence)
                except ValueError:
                    continue
                if oracle.tell() != SIZE + at * (whence == 2) and whence == 2:
                    # BytesIO stops at its start, where files refuse.
                    with pytest.raises(ValueError, match="before"):
                        view.seek(at, whence)
                    oracle.seek(view.tell())
                    continue
                assert view.seek(at, whence) == expected
                assert view.read(count) == oracle.read(count)
                assert view.tell() == oracle.tell()


def test_view_refuses(opener):
    with opener() as opened:
        view = opened.open()
        with pytest.raises(ValueError, match="before"):
            view.seek(-1)
        with pytest.raises(ValueError, match="whence"):
            view.seek(0, 7)


@pytest.mark.parametrize("span", [(0, SIZE + 1), (SIZE, 1), (SIZE + 1, 0), (-1, 2), (0, -1)])
def test_ranges_outside_the_file(opener, span):
    with opener() as opened:
        before = opened.requests
        for ask in (
            lambda: opened.read(*span),
            lambda: opened.read_many([(0, 1), span]),
            lambda: opened.read_blocks(np.array([0, span[0]], np.int64), span[1]),
        ):
            with pytest.raises(TruncatedError) as caught:
                ask()
            assert caught.value.url == opened.url
        assert opened.requests == before
        opened.prefetch([span])


def test_far_more_than_the_file_is_refused_before_it_is_allocated(opener):
    with opener() as opened, pytest.raises(LimitError):
        opened.read_blocks(np.zeros(10**6, np.uint64), SIZE)


def test_read_upto_at_the_end(opener):
    with opener() as opened:
        assert opened.read_upto(SIZE - 3, 10) == DATA[-3:]
        assert opened.read_upto(SIZE, 10) == b""
        assert opened.read_upto(SIZE + 10, 10) == b""


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/a/b.nc", "/a/b.nc"),
        ("b.nc", "b.nc"),
        ("file:///a/b%20c.nc", "/a/b%20c.nc"),
        ("local:///a", "/a"),
        ("file:/a/b", "/a/b"),
        ("s3://b/k", None),
        ("zip://a.nc::file:///b.zip", None),
        ("file:///a::zip", None),
        ("simplecache::file:///b", None),
    ],
)
def test_local_path(url, path):
    assert local_path(url) == path


def test_a_local_name_with_colons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a::b.nc").write_bytes(b"here")
    with Source("a::b.nc") as opened:
        assert opened.read(0, 4) == b"here"
        assert opened.url == os.fspath(tmp_path / "a::b.nc")


class TestLocal:
    def test_what_is_not_a_file(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(SourceError, match="directory"):
            Source(tmp_path)
        with pytest.raises(SourceError, match="regular"):
            Source(tmp_path / "pipe")
        with pytest.raises(SourceError, match="null"):
            Source("a\0b")
        with pytest.raises(FileNotFoundError) as caught:
            Source(tmp_path / "none")
        assert isinstance(caught.value, SourceNotFoundError)
        assert caught.value.url == os.fspath(tmp_path / "none")
        (tmp_path / "file").touch()
        with pytest.raises(SourceNotFoundError):
            Source(tmp_path / "file" / "below")

    def test_counters(self, folder):
        with Source(folder / "data.bin") as opened:
            opened.read(0, 100)
            opened.read_blocks(np.arange(10, dtype=np.uint64) * 8, 8)
            assert (opened.requests, opened.bytes_read, opened.rounds) == (2, 180, 0)

    def test_a_file_that_shrinks(self, tmp_path):
        path = tmp_path / "f"
        path.write_bytes(DATA)
        with Source(path) as opened:
            os.truncate(path, 1000)
            assert opened.read(0, 1000) == DATA[:1000]
            for ask in (
                lambda: opened.read(900, 200),
                lambda: opened.read_blocks(np.array([900], np.uint64), 200),
            ):
                with pytest.raises(TruncatedError, match="shorter") as caught:
                    ask()
                assert caught.value.offset == 1000
            with pytest.raises(SourceChangedError):
                opened.check_unchanged()

    def test_a_file_that_is_written_to(self, tmp_path):
        path = tmp_path / "f"
        path.write_bytes(DATA)
        with Source(path) as opened:
            opened.check_unchanged()
            os.utime(path, (1, 1))
            with pytest.raises(SourceChangedError):
                opened.check_unchanged()
            path.unlink()
            with pytest.raises(SourceNotFoundError):
                opened.check_unchanged()

    def test_short_system_calls(self, folder, monkeypatch):
        monkeypatch.setattr(
            local_file, "positioned_read", lambda fd, n, at: os.pread(fd, min(n, 7), at)
        )
        monkeypatch.setattr(
            local_file, "_positioned_fill", lambda fd, v, at: os.preadv(fd, [v[0][:7]], at)
        )
        with Source(folder / "data.bin") as opened:
            assert opened.read(5, 50) == DATA[5:55]

    def test_errors_of_the_system(self, folder, monkeypatch):
        def broken(*_):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(local_file, "positioned_read", broken)
        with (
            Source(folder / "data.bin") as opened,
            pytest.raises(SourceError, match="Input/output") as caught,
        ):
            opened.read(5, 50)
        assert caught.value.offset == 5

    def test_systems_without_pread(self, folder, monkeypatch):
        from concurrent.futures import ThreadPoolExecutor

        monkeypatch.setattr(local_file, "positioned_read", local_file._seek_and_read)
        monkeypatch.setattr(local_file, "_positioned_fill", local_file._fill_by_copy)
        monkeypatch.setattr(local_file, "_COPIED", 9)
        with Source(folder / "data.bin") as opened, ThreadPoolExecutor(8) as threads:
            # All of them move the one place that a handle has.
            found = list(threads.map(lambda at: opened.read(at, 30), list(range(60)) * 20))
            assert found == [DATA[at : at + 30] for at in range(60)] * 20
            view = bytearray(40)
            local_file.LocalFile(str(folder / "data.bin")).fill(memoryview(view), 3)
            assert bytes(view) == DATA[3:43]

    def test_handles_are_given_back_when_python_ends(self, folder, monkeypatch):
        opened = local_file.LocalFile(str(folder / "data.bin"))
        before = len(os.listdir("/proc/self/fd"))
        # Python takes modules apart before it lets go the last of their objects.
        monkeypatch.setattr(local_file, "os", None)
        opened.close()
        monkeypatch.undo()
        assert len(os.listdir("/proc/self/fd")) == before - 1
        # What was never made whole is let go without a word.
        local_file.LocalFile.__new__(local_file.LocalFile).close()

    def test_closed(self, folder):
        opened = Source(folder / "data.bin")
        opened.close()
        opened.close()
        with pytest.raises(SourceError, match="closed"):
            opened.read(0, 1)

    def test_handles_are_given_back(self, folder):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            with Source(folder / "data.bin") as opened:
                opened.read(0, 1)
        assert len(os.listdir("/proc/self/fd")) == before


class TestCache:
    """How the cache of remote blocks spends requests."""

    @pytest.fixture(autouse=True)
    def exact(self, monkeypatch):
        """Fetch blocks only, no windows around them; weigh bytes, not rounds."""
        monkeypatch.setattr(block_cache, "LATENCY", 0.0)
        monkeypatch.setattr(block_cache, "WINDOW", KIB)
        monkeypatch.setattr(block_cache, "FIRST", KIB)

    @pytest.fixture
    def opened(self):
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=0) as opened:
            yield opened

    @pytest.fixture
    def stingy(self, monkeypatch):
        """Never worth fetching the whole file."""
        monkeypatch.setattr(block_cache.BlockCache, "_worth_all", lambda *_: False)

    def test_opening_costs_a_request(self, opened):
        assert (opened.requests, opened.bytes_read, opened.rounds) == (1, 0, 1)
        assert opened.fingerprint.size == SIZE
        assert opened.fingerprint.mtime is not None

    def test_one_batch_is_one_round(self, opened, stingy):
        opened.prefetch([(0, 10), (2 * KIB, 10), (3 * KIB, 10), (100 * KIB, KIB + 1)])
        assert CountingFileSystem.batches == [
            [(0, KIB), (2 * KIB, 4 * KIB), (100 * KIB, 102 * KIB)]
        ]
        assert (opened.requests, opened.rounds) == (4, 2)
        assert opened.read(3 * KIB, 5) == DATA[3 * KIB : 3 * KIB + 5]
        assert opened.read_many([(0, 2), (101 * KIB, 3)]) == [
            DATA[:2],
            DATA[101 * KIB : 101 * KIB + 3],
        ]
        assert (opened.requests, opened.rounds) == (4, 2)

    @given(order=st.randoms(use_true_random=False))
    def test_each_byte_is_fetched_once(self, order):
        CountingFileSystem.install(f=DATA)
        pieces = [(at, min(700, SIZE - at)) for at in range(0, SIZE, 700)]
        order.shuffle(pieces)
        with Source("counting://f", block_size=KIB, whole_file=0) as opened:
            for at, n in pieces:
                assert opened.read(at, n) == DATA[at : at + n]
            assert opened.bytes_read == SIZE
            asked = [span for batch in CountingFileSystem.batches for span in batch]
            assert opened.requests == len(asked) + 1
            assert sum(b - a for a, b in asked) == SIZE

    def test_small_files_come_whole(self):
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=SIZE) as opened:
            opened.read(SIZE // 2, 1)
            assert CountingFileSystem.batches == [[(0, SIZE)]]

    def test_large_requests_are_split(self, opened, monkeypatch):
        monkeypatch.setattr(block_cache, "PART", 64 * KIB)
        assert opened.read(0, SIZE) == DATA
        (batch,) = CountingFileSystem.batches
        assert max(b - a for a, b in batch) == 64 * KIB
        assert opened.rounds == 2

    def test_very_large_fetches_come_in_waves(self, opened, monkeypatch):
        monkeypatch.setattr(block_cache, "PART", 8 * KIB)
        monkeypatch.setattr(block_cache, "WAVE", 64 * KIB)
        assert opened.read(0, SIZE) == DATA
        asked = [sum(b - a for a, b in batch) for batch in CountingFileSystem.batches]
        assert asked == [64 * KIB] * 4 + [SIZE - 256 * KIB]
        assert opened.rounds == 6

    def test_a_quarter_of_the_file_is_worth_the_rest(self):
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=0) as opened:
            for at in range(0, 150 * KIB, 2 * KIB):
                opened.read(at, 1)
            assert opened.bytes_read == 75 * KIB
            opened.read(150 * KIB, 3 * KIB)
            assert opened.bytes_read == SIZE
            assert opened.rounds == 77
            assert opened.read(0, SIZE) == DATA
            assert opened.rounds == 77

    def test_waiting_costs_more_than_reading(self, monkeypatch):
        monkeypatch.setattr(block_cache, "LATENCY", 1.0)
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=0) as opened:
            opened.read(0, 1)
            assert opened.bytes_read == SIZE

    @given(spans=st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 3000)), max_size=9))
    def test_sparse_reading_keeps_what_is_there(self, spans):
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=0) as opened:
            opened.prefetch(spans[::2])
            before = opened.bytes_read
            opened.sparse(100)
            assert opened.at_hand((at, min(length, SIZE - at)) for at, length in spans[::2])
            assert opened.bytes_read == before
            for at, length in spans:
                assert opened.read_upto(at, length) == DATA[at : at + length]

    def test_sparse_reading_fetches_small_blocks(self, opened):
        opened.sparse(100)
        opened.prefetch([(10, 10), (5 * KIB, 65)])
        assert CountingFileSystem.batches == [[(0, 64), (5 * KIB, 5 * KIB + 128)]]

    def test_sparse_reading_waits_longer_before_all_is_fetched(self, monkeypatch):
        CountingFileSystem.install(f=DATA)
        # A round costs what an eighth of the file does; so do ten requests.
        monkeypatch.setattr(block_cache, "LATENCY", SIZE / 8 / block_cache.BANDWIDTH)
        rounds = {}
        for sparse in (False, True):
            with Source("counting://f", block_size=KIB, whole_file=0) as opened:
                if sparse:
                    opened.sparse(KIB)
                while opened.bytes_read < SIZE // 4:
                    opened.read(opened.rounds * 3 * KIB, 1)
                rounds[sparse] = opened.rounds
                assert opened.bytes_read == SIZE
        assert rounds[False] == 9
        assert 2 * rounds[False] < rounds[True] < 4 * rounds[False]

    def test_very_many_requests_of_sparse_reading_are_not_worth_it(self, opened, monkeypatch):
        monkeypatch.setattr(block_cache, "LATENCY", SIZE / 8 / block_cache.BANDWIDTH)
        opened.sparse(64)
        opened.prefetch([(at, 1) for at in range(0, SIZE, 4 * KIB)])
        assert opened.bytes_read < SIZE // 4
        opened.prefetch([(at, 1) for at in range(KIB, SIZE, KIB)])
        assert opened.bytes_read == SIZE

    def test_small_and_local_files_know_no_sparse_reading(self, folder):
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=SIZE) as opened:
            opened.sparse(64)
            opened.read(SIZE // 2, 1)
            assert CountingFileSystem.batches == [[(0, SIZE)]]
        with Source(folder / "data.bin") as opened:
            opened.sparse(64)
            assert opened.read(5, 6) == DATA[5:11]

    def test_files_beyond_the_cache_never_come_whole(self, monkeypatch):
        monkeypatch.setattr(block_cache, "CACHE", 16 * KIB)
        CountingFileSystem.install(f=DATA)
        with Source("counting://f", block_size=KIB, whole_file=0) as opened:
            for at in range(0, SIZE, 3 * KIB):
                opened.read(at, 1)
                assert len(opened._store._blocks) <= 16
            assert opened.bytes_read <= 110 * KIB

    def test_what_was_unused_for_longest_is_dropped(self, opened, stingy, monkeypatch):
        monkeypatch.setattr(block_cache, "CACHE", 4 * KIB)
        for block in (0, 1, 2, 3):
            opened.read(block * KIB, 1)
        opened.read(0, 1)
        opened.read(9 * KIB, 1)
        assert sorted(opened._store._blocks) == [0, 2, 3, 9]

    def test_ranges_larger_than_the_cache(self, opened, stingy, monkeypatch):
        monkeypatch.setattr(block_cache, "CACHE", 4 * KIB)
        assert opened.read(100, 50 * KIB) == DATA[100 : 100 + 50 * KIB]
        many = [(at, 3000) for at in range(0, 60 * KIB, 5000)]
        assert opened.read_many(many) == [DATA[a : a + n] for a, n in many]
        offsets = np.arange(0, 60 * KIB, 2000, dtype=np.uint64)
        blocks = opened.read_blocks(offsets, 1500)
        assert [row.tobytes() for row in blocks] == [DATA[a : a + 1500] for a in offsets.tolist()]
        before = opened.bytes_read
        opened.prefetch([(0, SIZE)])
        assert opened.bytes_read - before <= 4 * KIB
        assert len(opened._store._blocks) == 4

    def test_reading_again_without_end(self, opened, stingy, monkeypatch):
        monkeypatch.setattr(block_cache, "CACHE", KIB)
        monkeypatch.setattr(Fingerprint, "revisit_limit", property(lambda self: self.size))
        for at in range(SIZE // KIB + 1):
            opened.read((at % 2) * 5 * KIB, 1)
        with pytest.raises(LimitError, match="without end"):
            opened.read((SIZE // KIB + 1) % 2 * 5 * KIB, 1)
        assert opened.bytes_read <= SIZE + 2 * KIB

    def test_windows_of_reads_that_were_not_announced(self, opened, stingy, monkeypatch):
        opened.cluster(8 * KIB)
        opened.read(21 * KIB, 10)
        opened.read(47 * KIB, 2 * KIB)
        opened.prefetch([(65 * KIB, 1)])
        assert opened.at_hand([(65 * KIB, 1), (20 * KIB, 4)])
        assert not opened.at_hand([(65 * KIB, 1), (81 * KIB, 1)])
        opened.prefetch([(81 * KIB, 1), (65 * KIB, 1)])
        opened.read(SIZE - 1, 1)
        assert CountingFileSystem.batches == [
            [(16 * KIB, 24 * KIB)],
            [(40 * KIB, 56 * KIB)],
            [(65 * KIB, 66 * KIB)],
            [(81 * KIB, 82 * KIB)],
            [(SIZE // KIB // 8 * 8 * KIB, SIZE)],
        ]
        opened.cluster(1)
        assert opened.read(100 * KIB, 5) == DATA[100 * KIB : 100 * KIB + 5]
        assert CountingFileSystem.batches[-1] == [(100 * KIB, 101 * KIB)]

    def test_the_head_comes_at_once(self, opened, stingy, monkeypatch):
        monkeypatch.setattr(block_cache, "FIRST", 16 * KIB)
        opened.read(100, 5)
        assert CountingFileSystem.batches == [[(0, 16 * KIB)]]

    def test_threads(self, opened, monkeypatch):
        monkeypatch.setattr(block_cache, "CACHE", 8 * KIB)
        wrong = []

        def reading(seed):
            offsets = np.random.default_rng(seed).integers(0, SIZE - 3000, 60).tolist()
            wrong.extend(at for at in offsets if opened.read(at, 3000) != DATA[at : at + 3000])

        threads = [threading.Thread(target=reading, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_faults_that_pass(self, opened, stingy):
        CountingFileSystem.faults += [ConnectionError("reset"), TimeoutError(), RuntimeError("?")]
        spans = [(0, 10), (9 * KIB, 10), (20 * KIB, 10), (30 * KIB, 10)]
        assert opened.read_many(spans) == [DATA[a : a + n] for a, n in spans]
        assert [len(batch) for batch in CountingFileSystem.batches] == [4, 3]
        assert opened.requests == 8
        # Asking again is no round: nothing is cheaper whole because a server is busy.
        assert opened.rounds == 2

    @pytest.mark.parametrize(
        ("fault", "kind", "words"),
        [
            (FileNotFoundError("f"), SourceNotFoundError, "no such file"),
            (PermissionError("no"), SourceError, "access denied"),
            (ValueError("bad option"), SourceError, "bad option"),
        ],
    )
    def test_faults_that_last(self, opened, fault, kind, words):
        CountingFileSystem.faults += [None, TimeoutError(), fault]
        with pytest.raises(kind, match=words) as caught:
            opened.read_many([(0, 1), (9 * KIB, 1), (20 * KIB, 1), (40 * KIB, 1)])
        assert caught.value.url == "counting://f"
        assert caught.value.__cause__ is fault
        assert len(CountingFileSystem.batches) == 1

    def test_faults_without_end(self, opened):
        CountingFileSystem.faults += [RuntimeError("again")] * 100
        with pytest.raises(SourceError, match="RuntimeError: again"):
            opened.read(0, 1)
        assert len(CountingFileSystem.batches) == ranges.RETRIES + 1

    def test_a_file_that_shrinks(self, opened):
        CountingFileSystem().pipe_file("/f", DATA[: 10 * KIB])
        with pytest.raises(TruncatedError):
            opened.read(9 * KIB, 10 * KIB)
        with pytest.raises(SourceChangedError):
            opened.check_unchanged()


class TestRemoteErrors:
    def test_nothing_there(self):
        MemoryFileSystem.store.clear()
        with pytest.raises(SourceNotFoundError) as caught:
            Source("memory://none")
        assert caught.value.url == "memory://none"

    def test_a_directory(self):
        MemoryFileSystem().pipe_file("/folder/file", b"x")
        with pytest.raises(SourceError, match="directory"):
            Source("memory://folder")

    def test_no_such_protocol(self):
        with pytest.raises(SourceError, match="nonsense"):
            Source("nonsense://x/y")

    def test_a_package_that_is_missing(self, monkeypatch):
        def missing(*_, **__):
            raise ImportError("Install s3fs to access S3")

        monkeypatch.setattr("fsspec.core.url_to_fs", missing)
        with pytest.raises(MissingDependencyError, match=r"refmaker\[s3\]") as caught:
            Source("s3://bucket/key")
        assert isinstance(caught.value, ImportError)

    def test_options_that_do_not_fit(self, monkeypatch):
        def wrong(*_, **__):
            raise TypeError("unexpected keyword argument 'anonn'")

        monkeypatch.setattr("fsspec.core.url_to_fs", wrong)
        with pytest.raises(SourceError, match="anonn"):
            Source("s3://bucket/key", {"anonn": True})

    def test_size_not_known(self, monkeypatch):
        monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, **__: {"size": None})
        with pytest.raises(SourceError, match="size"):
            Source("memory://f")


class TestHttp:
    """Against the real server: what arrives, and what it costs by the server's own count."""

    def test_bytes_and_counts(self, server, small_first):
        spans = [(5, 10), (100 * KIB, 5000), (SIZE - 10, 10)]
        with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as opened:
            assert opened.size == SIZE
            assert opened.requests == server.requests == 1
            assert opened.read_many(spans) == [DATA[a : a + n] for a, n in spans]
            assert opened.read(0, SIZE) == DATA
            assert opened.requests == server.requests
            assert opened.bytes_read == server.counts.bodies == SIZE
            assert opened.rounds == 3
        assert set(server.counts.requests) == {"GET"}

    def test_one_request_for_a_small_file(self, server):
        with Source(server.url("data.bin")) as opened:
            assert opened.read(0, SIZE) == DATA
            assert opened.fingerprint.mtime == int((server.folder / "data.bin").stat().st_mtime)
            assert "-" in opened.fingerprint.etag
        assert server.requests == 1

    def test_an_empty_file(self, server):
        with Source(server.url("empty")) as opened:
            assert opened.size == 0
            assert opened.read_upto(0, 10) == b""
            with pytest.raises(TruncatedError):
                opened.read(0, 1)

    def test_names(self, server):
        with Source(server.url("a b%é.bin")) as opened:
            assert opened.read(0, 5) == b"named"

    def test_a_batch_is_concurrent(self, server, small_first):
        server.behaviour.latency = 0.05
        with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as opened:
            opened.prefetch((at * KIB, 1) for at in range(10, 60, 5))
        assert server.requests == 11
        assert server.counts.most > 5

    def test_headers_of_the_user(self, server):
        with Source(server.url("data.bin"), {"headers": {"X-Key": "secret"}}) as opened:
            opened.read(0, 1)
        (headers,) = server.counts.headers
        assert headers["x-key"] == "secret"
        assert headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize("when", ["open", "read"])
    def test_busy_for_a_while(self, server, small_first, when):
        busy = Behaviour(status=503, failures=2)
        if when == "open":
            server.behaviour = busy
        with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as opened:
            server.behaviour = busy
            assert opened.read(50 * KIB, 10) == DATA[50 * KIB : 50 * KIB + 10]
            assert opened.requests == server.requests == 4
            assert opened.bytes_read == server.counts.bodies

    @pytest.mark.parametrize(
        ("status", "kind", "words", "requests"),
        [
            (404, SourceNotFoundError, "no such file", 1),
            (410, SourceNotFoundError, "no such file", 1),
            (401, SourceError, "access denied", 1),
            (403, SourceError, "access denied", 1),
            (400, SourceError, "400", 1),
            (503, SourceError, "503", ranges.RETRIES + 1),
            (429, SourceError, "429", ranges.RETRIES + 1),
        ],
    )
    @pytest.mark.parametrize("when", ["open", "read"])
    def test_refusals(self, server, small_first, status, kind, words, requests, when):
        url = server.url("data.bin")
        opened = None if when == "open" else Source(url, block_size=KIB, whole_file=0)
        server.reset()
        server.behaviour.status = status
        with pytest.raises(kind, match=words) as caught:
            opened.read(100 * KIB, 1) if opened else Source(url)
        assert caught.value.url == url
        assert server.requests == requests

    def test_nobody_listens(self, folder):
        with RangeServer(folder) as server:
            url = server.url("data.bin")
        with pytest.raises(SourceError) as caught:
            Source(url)
        assert caught.value.url == url

    @pytest.mark.parametrize("content_length", [True, False])
    def test_ranges_ignored(self, server, monkeypatch, content_length):
        server.behaviour = Behaviour(ranges=False, content_length=content_length)
        if content_length:
            with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as opened:
                assert opened.read(100 * KIB, 10) == DATA[100 * KIB : 100 * KIB + 10]
                assert opened.read(0, SIZE) == DATA
            assert server.requests == 1
        else:
            with pytest.raises(SourceError, match="size"):
                Source(server.url("data.bin"))

    def test_ranges_ignored_of_a_large_file(self, server, monkeypatch):
        monkeypatch.setattr(block_cache, "CACHE", 100 * KIB)
        server.behaviour = Behaviour(ranges=False)
        with pytest.raises(SourceError, match="ignores byte ranges"):
            Source(server.url("data.bin"))

    def test_ranges_ignored_later(self, server, small_first):
        with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as opened:
            server.behaviour = Behaviour(ranges=False)
            assert opened.read(100 * KIB, 10) == DATA[100 * KIB : 100 * KIB + 10]
            assert opened.bytes_read == server.counts.bodies

    @pytest.mark.parametrize("honest", [True, False])
    def test_bodies_cut_short(self, server, small_first, honest):
        with Source(server.url("data.bin"), block_size=KIB, whole_file=0) as opened:
            server.behaviour = Behaviour(truncate=100, honest=honest)
            with pytest.raises(TruncatedError) as caught:
                opened.read(100 * KIB, 200)
            assert caught.value.url == opened.url

    def test_the_first_body_cut_short(self, server):
        server.behaviour = Behaviour(truncate=100)
        with Source(server.url("data.bin")) as opened:
            server.behaviour = Behaviour()
            assert opened.read(0, SIZE) == DATA

    @pytest.mark.parametrize("how", ["size", "etag"])
    def test_a_file_that_changes(self, tmp_path, small_first, how):
        path = tmp_path / "f"
        path.write_bytes(DATA)
        os.utime(path, (1, 1))
        with RangeServer(tmp_path, etag=how == "etag") as server:
            opened = Source(server.url("f"), block_size=KIB, whole_file=0)
            opened.check_unchanged()
            path.write_bytes(DATA if how == "etag" else DATA + b"x")
            with pytest.raises(SourceChangedError):
                opened.read(100 * KIB, 10)
            with pytest.raises(SourceChangedError):
                opened.check_unchanged()

    def test_a_file_that_shrinks(self, tmp_path, small_first):
        path = tmp_path / "f"
        path.write_bytes(DATA)
        with RangeServer(tmp_path) as server:
            opened = Source(server.url("f"), block_size=KIB, whole_file=0)
            os.truncate(path, 10 * KIB)
            with pytest.raises(SourceChangedError):
                opened.read(100 * KIB, 10)

    def test_ranges_of_nothing_sensible(self, server, monkeypatch):
        from refmaker.testing import http

        def send(self, name, text):
            text = "bytes 7-9/x" if name == "Content-Range" else text
            return http.BaseHTTPRequestHandler.send_header(self, name, text)

        monkeypatch.setattr(http._Handler, "send_header", send)
        with pytest.raises(SourceError, match="without saying which"):
            Source(server.url("data.bin"))


def test_the_server_keeps_to_its_folder(folder):
    with RangeServer(folder) as server:
        outside = server.url("x").removesuffix("x") + "..%2f..%2fetc/passwd"
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(outside)  # noqa: S310 - the server above
        caught.value.close()


def test_opening_a_local_file_loads_nothing_for_remote_ones(folder):
    import subprocess
    import sys

    code = (
        "import sys; from refmaker.io.source import Source; Source(sys.argv[1]).read(0, 1);"
        "assert not {'fsspec', 'asyncio', 'aiohttp', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, folder / "data.bin"], check=True)


def test_limits_are_sane():
    assert block_cache.FIRST % block_cache.BLOCK == 0
    assert block_cache.PART % block_cache.BLOCK == 0
    assert Fingerprint(0).revisit_limit > 0

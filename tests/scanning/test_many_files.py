"""Many files: in processes, on executors and on Dask, with files that misbehave in every way."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
import pytest

import refmaker
from refmaker.errors import (
    FormatError,
    MissingDependencyError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    UnknownFormatError,
    WorkerError,
)
from refmaker.io.inputs import Inputs
from refmaker.scanning.cache import ScanCache
from refmaker.scanning.many_files import default_jobs, scan_many
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.pool import Queue, _Throughput
from refmaker.scanning.task import Task, TaskResult
from refmaker.scanning.worker import Worker
from refmaker.testing.http import RangeServer
from tests.wild import site, wild

__all__ = ["site", "wild"]

DEEDS = {
    "good": None,
    "abort": WorkerError,
    "refuse": FormatError,
    "touch": SourceChangedError,
    "exit": WorkerError,
    "memory": WorkerError,
    "hang": WorkerError,
    "raise": WorkerError,
    "again good": None,
}


@pytest.fixture
def troubled(wild, tmp_path):
    """Return names of files that do all that can be done, and what is to become of each."""
    found = {}
    for number, (deed, kind) in enumerate(DEEDS.items()):
        found[str(wild(deed, f"{number}.wild"))] = kind
        found[str(wild("good", f"{number}-good.wild"))] = None
    found[str(tmp_path / "vanished")] = SourceNotFoundError
    (tmp_path / "folder").mkdir()
    found[str(tmp_path / "folder")] = SourceError
    os.mkfifo(tmp_path / "pipe")
    found[str(tmp_path / "pipe")] = SourceError
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found[str(tmp_path / "loop")] = SourceError
    (tmp_path / "strange").write_bytes(b"what is this")
    found[str(tmp_path / "strange")] = UnknownFormatError
    found[str(wild("good", "last.wild"))] = None
    return found


def check(found, troubled):
    assert [file.url for file in found] == list(troubled)
    assert [file.number for file in found] == list(range(len(troubled)))
    for file in found:
        kind = troubled[file.url]
        if kind is None:
            assert file.error is None, file
            refs = file.references()
            assert refs.report.url == file.url
            assert "pid" in refs.group.attributes
        else:
            assert isinstance(file.error, kind), file
            assert file.error.url == file.url
            with pytest.raises(kind):
                file.references()


@contextmanager
def dask_cluster():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture
def paths(troubled):
    """Return the inputs as a list in which a directory stands for itself."""
    return Inputs(tuple(troubled), frozenset())


def run(inputs, **how):
    how = {"retries": 0, "timeout": 6, "cache": False, **how}
    return list(scan_many(inputs, **how))


class TestTrouble:
    """Every file of a troubled lot ends as it must, wherever it is scanned."""

    def test_in_processes(self, troubled, paths):
        check(run(paths, jobs=2), troubled)

    def test_in_one_process(self, troubled, paths):
        check(run(paths, jobs=1), troubled)

    def test_on_threads(self, troubled, paths):
        with ThreadPoolExecutor(2) as executor:
            found = run(paths, executor=executor)
        check(found, troubled)
        pids = {f.references().group.attributes["pid"] for f in found if f.error is None}
        assert os.getpid() not in pids

    def test_on_a_pool_of_processes(self, troubled, paths):
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
            check(run(paths, executor=executor), troubled)

    def test_on_dask(self, troubled, paths):
        from distributed import Client

        with dask_cluster() as cluster:
            check(run(paths, dask=cluster.scheduler_address), troubled)
            with Client(cluster) as client:
                # What is touched for a second time does not change any more.
                again = {url: kind for url, kind in troubled.items() if "3.wild" not in url}
                check(run(Inputs(tuple(again), frozenset()), dask=client), again)
                assert len(client.nthreads()) == 2

    def test_here(self, wild):
        urls = [str(wild(deed, deed)) for deed in ("good", "refuse", "raise", "memory")]
        good, refused, raised, _ = run(urls, jobs=0, timeout=None)
        assert good.references().group.attributes["pid"] == os.getpid()
        assert isinstance(refused.error, FormatError)
        assert isinstance(raised.error, WorkerError)


def test_workers_that_are_killed_from_outside(wild, monkeypatch):
    """As the system does when memory is short: each costs the file that it was at."""
    urls = [str(wild("hang", "hang.wild")), *(str(wild("good", f"{n}.wild")) for n in range(9))]
    killed, workers = [], []
    start = Worker._start
    monkeypatch.setattr(Worker, "_start", lambda self, n: workers.append(self) or start(self, n))

    def kill(progress):
        if progress.done == 9:
            killer.start()

    def deed():
        for worker in {id(worker): worker for worker in workers}.values():
            killed.append(worker._process.pid)
            os.kill(worker._process.pid, 9)

    killer = threading.Thread(target=deed)
    found = list(scan_many(urls, jobs=2, cache=False, timeout=30, on_progress=kill))
    killer.join()
    assert killed
    assert isinstance(found[0].error, WorkerError)
    assert "lack of memory" in str(found[0].error)
    assert [file.error for file in found[1:]] == [None] * 9


class TestOrder:
    def test_in_order_or_as_they_come(self, wild, monkeypatch):
        urls = [str(wild("hang", "a.wild")), str(wild("good", "b.wild"))]
        kept = [file.number for file in run(urls, jobs=2, timeout=4)]
        assert kept == [0, 1]
        come = [file.number for file in run(urls, jobs=2, timeout=4, ordered=False)]
        assert come == [1, 0]

    def test_a_run_that_is_given_up_leaves_no_process(self, wild):
        urls = [str(wild("good", "a.wild")), str(wild("hang", "b.wild"))]
        running = scan_many(urls, jobs=2, cache=False, ordered=False)
        pid = next(running).references().group.attributes["pid"]
        running.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_progress(self, wild):
        told = []
        urls = [str(wild(deed, deed)) for deed in ("good", "refuse", "again good")]
        run(urls, on_progress=told.append)
        assert [progress.done for progress in told] == [1, 2, 3]
        assert (told[-1].total, told[-1].failed, told[-1].cached) == (3, 1, 0)


class TestPace:
    def test_a_second_process_has_to_be_worth_it(self):
        pace = _Throughput(eager=False)
        assert pace.worth(10**6, 0)
        assert not pace.worth(10**6, 1)
        pace.note(answered=False)
        for _ in range(10):
            pace.note(answered=True)
        # Ten files in no time: few more are not worth it, very many are.
        assert not pace.worth(1, 1)
        assert pace.worth(10**12, 1)
        assert _Throughput(eager=True).worth(1, 1)

    def test_files_are_counted_down(self):
        queue = Queue([Task(0, "a", None, None, ScanOptions())], 0)
        assert queue.left == 1
        assert queue.next() is not None
        assert queue.left == 0
        assert queue.next() is None


class TestRetries:
    def tasks(self, count):
        return [Task(n, str(n), None, None, ScanOptions()) for n in range(count)]

    def test_errors_that_may_pass_are_tried_again_later(self, monkeypatch):
        monkeypatch.setattr("refmaker.scanning.pool._PAUSE", 0.01)
        queue = Queue(self.tasks(2), 2)
        first = queue.next()
        passing = TaskResult(error=SourceError("busy"), passing=True)
        assert queue.wait is None
        assert queue.again(first, passing)
        assert 0 < queue.wait <= 0.01
        assert queue.next().number == 1
        assert queue.next() is None
        time.sleep(0.011)
        again = queue.next()
        assert (again.number, again.attempts) == (0, 1)
        assert queue.again(again, passing)
        assert queue.wait > 0.011
        time.sleep(0.03)
        assert not queue.again(queue.next(), passing)
        assert not queue.again(first, TaskResult(error=SourceError("lasting")))

    @pytest.mark.parametrize("jobs", [0, 1])
    def test_a_file_that_is_written_to(self, wild, monkeypatch, jobs):
        monkeypatch.setattr("refmaker.scanning.pool._PAUSE", 0.01)
        path = wild("touch")
        (file,) = scan_many([path], jobs=jobs, cache=False, retries=3)
        # Its time is set to the same as before from the second time on.
        assert file.error is None
        assert file.attempts == 2

    def test_a_server_that_is_ill_for_a_while(self, toy, tmp_path, monkeypatch):
        monkeypatch.setattr("refmaker.scanning.pool._PAUSE", 0.01)
        monkeypatch.setattr("refmaker.io.retries.PAUSE", 0.001)
        toy.write_toy(tmp_path / "a.toy", {"x": np.arange(4)})
        with RangeServer(tmp_path, status=503, failures=5) as server:
            (file,) = scan_many([server.url("a.toy")], jobs=0, cache=False)
            assert file.error is None
            assert file.attempts == 2
            server.behaviour.status, server.behaviour.failures = 404, None
            (gone,) = scan_many([server.url("a.toy")], jobs=0, cache=False)
            assert (gone.attempts, type(gone.error)) == (1, SourceNotFoundError)


class TestCache:
    def test_only_what_changed_is_scanned(self, wild, tmp_path):
        urls = [str(wild("good", f"{n}.wild")) for n in range(4)]
        time.sleep(0.05)
        first = list(scan_many(urls))
        assert not any(file.cached for file in first)
        second = list(scan_many(urls))
        assert all(file.cached for file in second)
        assert [file.packed for file in second] == [file.packed for file in first]
        wild("good, but longer", "2.wild")
        os.utime(urls[3])
        os.unlink(urls[1])
        third = list(scan_many(urls))
        assert [file.cached for file in third] == [True, False, False, False]
        assert isinstance(third[1].error, SourceNotFoundError)
        assert not any(file.cached for file in scan_many(urls, inline_threshold=5))
        assert not any(file.cached for file in scan_many(urls, cache=False))
        assert not any(file.cached for file in scan_many(urls, cache=tmp_path / "own"))
        assert sum(file.cached for file in scan_many(urls, cache=tmp_path / "own")) >= 1

    def test_failures_are_tried_every_time(self, wild):
        url = str(wild("refuse"))
        time.sleep(0.05)
        for _ in range(2):
            (file,) = scan_many([url])
            assert isinstance(file.error, FormatError)
            assert not file.cached

    def test_remote_files(self, toy, tmp_path):
        for name in "ab":
            toy.write_toy(tmp_path / f"{name}.toy", {"x": np.arange(4)})
        with RangeServer(tmp_path) as server:
            urls = [server.url(f"{name}.toy") for name in "ab"]
            assert not any(file.cached for file in scan_many(urls, jobs=0))
            server.reset()
            assert all(file.cached for file in scan_many(urls, jobs=0))
            # One small request each: whether it is still the same.
            assert server.requests == 2
            assert server.counts.bodies == 2
            toy.write_toy(tmp_path / "a.toy", {"x": np.arange(5)})
            assert [file.cached for file in scan_many(urls, jobs=0)] == [False, True]

    def test_what_was_found_before_a_run_was_given_up(self, wild):
        urls = [str(wild("good", f"{n}.wild")) for n in range(6)]
        time.sleep(0.05)
        running = scan_many(urls, jobs=1)
        for _ in range(3):
            next(running)
        running.close()
        assert 3 <= sum(file.cached for file in scan_many(urls, jobs=1)) < 6


def pid_of(group, report):
    """Make something of a set where it was scanned: which process that was, and the file."""
    if report.url.endswith("3.wild"):
        raise SourceError("it does not fit on the page")
    return os.getpid(), group.attributes["pid"], report.url


class TestMadeWhereItWasScanned:
    """`finish` is called in the process that scanned, and what it returns comes back."""

    def test_without_a_cache_nothing_else_is_sent(self, wild):
        urls = [str(wild("good", f"{n}.wild")) for n in range(3)]
        found = list(scan_many(urls, jobs=2, cache=False, finish=pid_of))
        assert [file.packed for file in found] == [None] * 3
        for file, url in zip(found, urls, strict=True):
            here, scanned, named = file.made
            assert here == scanned != os.getpid()
            assert named == url

    def test_the_process_that_scanned_keeps_the_set_itself(self, wild, monkeypatch):
        urls = [str(wild("good", f"{n}.wild")) for n in range(3)]
        time.sleep(0.05)

        def never(*_):
            raise AssertionError("kept by the wrong process")

        noted = []
        with monkeypatch.context() as patched:
            patched.setattr(ScanCache, "put", never)
            patched.setattr(ScanCache, "note_written", lambda _, nbytes: noted.append(nbytes))
            first = list(scan_many(urls, jobs=2, finish=pid_of))
        assert [file.packed for file in first] == [None] * 3
        assert all(file.made for file in first)
        assert len(noted) == 3
        assert min(noted) > 0
        assert all(file.cached for file in scan_many(urls, jobs=1))

    def test_the_cache_keeps_the_set_also_of_what_nothing_could_be_made_of(self, wild):
        urls = [str(wild("good", f"{n}.wild")) for n in range(2, 5)]
        time.sleep(0.05)
        first = list(scan_many(urls, jobs=1, finish=pid_of))
        assert [file.made is None for file in first] == [False, True, False]
        assert isinstance(first[1].error, SourceError)
        assert first[1].error.url == urls[1]
        second = list(scan_many(urls, jobs=1, finish=pid_of))
        assert all(file.cached and file.error is None and file.made is None for file in second)
        assert [file.references().report.url for file in second] == urls

    def test_in_this_process_and_on_threads(self, wild):
        urls = [str(wild("good", f"{n}.wild")) for n in range(2)]
        (file, _) = scan_many(urls, jobs=0, cache=False, finish=pid_of)
        assert file.made[0] == os.getpid()
        with ThreadPoolExecutor(1) as executor:
            found = list(scan_many(urls, executor=executor, cache=False, finish=pid_of))
        assert all(file.made[0] != os.getpid() for file in found)


def test_what_was_sent_to_a_worker_that_died_is_scanned_all_the_same(wild, monkeypatch):
    monkeypatch.setattr("refmaker.scanning.pool._QUICK", 60.0)
    deeds = {31: "abort", 32: "exit", 50: "raise", 51: "abort", 60: "refuse"}
    urls = [str(wild(deeds.get(n, "good"), f"{n:03d}.wild")) for n in range(80)]
    sent = []
    post = Worker.post
    monkeypatch.setattr(
        Worker, "post", lambda *args, **kwargs: (sent.append(args[1]), post(*args, **kwargs))[1]
    )
    found = list(scan_many(urls, jobs=1, cache=False, retries=0))
    assert [file.number for file in found if file.error is not None] == sorted(deeds)
    # The one behind each that died was on its way to it, and is sent to the next worker.
    assert len(sent) > 80
    assert set(sent) == set(urls)


class TestReadingAhead:
    def test_requests_of_several_files_are_under_way_together(self, toy, tmp_path):
        values = np.arange(40)
        for number in range(24):
            toy.write_toy(tmp_path / f"{number:02d}.toy", {"x": values + number})
        with RangeServer(tmp_path, latency=0.05) as server:
            urls = [server.url(f"{number:02d}.toy") for number in range(24)]
            found = list(scan_many(urls, jobs=1, cache=False))
            assert server.counts.most >= 4
            assert server.requests == 24
        assert [file.error for file in found] == [None] * 24
        for number, file in enumerate(found):
            refs = file.references()
            assert list(refs.report.sources) == [urls[number]]
            here = refmaker.scan(tmp_path / f"{number:02d}.toy")
            assert refs.group["x"].chunks.offset.tolist() == here.group["x"].chunks.offset.tolist()

    def test_what_another_process_has_opened_is_left_to_it(self, tmp_path, wild, monkeypatch):
        monkeypatch.setattr("refmaker.scanning.pool._LATE", 60.0)
        for number in range(20):
            wild("slow" if number == 1 else "good", f"{number:02d}.wild")
        with RangeServer(tmp_path) as server:
            urls = [server.url(f"{number:02d}.wild") for number in range(20)]
            found = list(scan_many(urls, jobs=2, cache=False))
            assert server.requests == 20
        pids = [file.references().group.attributes["pid"] for file in found]
        assert set(pids[:9]) == {pids[0]}

    def test_it_is_taken_away_where_it_would_wait_for_long(self, tmp_path, wild, monkeypatch):
        monkeypatch.setattr("refmaker.scanning.pool._LATE", 0.5)
        for number in range(12):
            wild("hang" if number == 1 else "good", f"{number:02d}.wild")
        with RangeServer(tmp_path) as server:
            urls = [server.url(f"{number:02d}.wild") for number in range(12)]
            scanned = scan_many(urls, jobs=2, cache=False, ordered=False)
            # All but the one that never ends.
            assert sorted(next(scanned).number for _ in range(11)) == [0, *range(2, 12)]
            scanned.close()

    def test_a_file_that_dies_costs_none_of_those_opened_ahead(self, toy, site, tmp_path, wild):
        for number in range(12):
            wild("abort" if number in (1, 5) else "good", f"{number:02d}.wild")
        with RangeServer(tmp_path) as server:
            urls = [server.url(f"{number:02d}.wild") for number in range(12)]
            found = list(scan_many([*urls, server.url("none.wild")], jobs=2, cache=False))
        lost = [file.number for file in found if file.error is not None]
        assert lost == [1, 5, 12]


def test_jobs(monkeypatch):
    monkeypatch.setattr(sys.modules["refmaker.scanning.many_files"], "_cores", lambda: 4)
    assert default_jobs(["a"] * 100) == 4
    assert default_jobs(["a"] * 3) == 3
    assert default_jobs(["s3://b/a"] * 100) == 4
    assert default_jobs(["s3://b/a"] * 10_000) == 8


@pytest.mark.parametrize(
    "how",
    [{"jobs": 2, "dask": "tcp://h:1"}, {"jobs": -1}, {"jobs": 0, "timeout": 3.0}],
)
def test_contradictions(how, wild):
    with pytest.raises(ValueError, match="jobs"):
        scan_many([wild("good")], **how)


def test_dask_is_optional(wild, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"refmaker\[dask\]"):
        scan_many([wild("good")], dask="tcp://127.0.0.1:1")


def test_directories_hold_other_things_too(toy, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    toy.write_toy(folder / "a.toy", {"x": np.arange(4)})
    (folder / "README").write_text("read me")
    (folder / "broken.toy").write_text("zeros")
    found = {os.path.basename(file.url): file for file in refmaker.scan_many(folder, jobs=1)}
    assert found["a.toy"].error is None
    assert found["README"].foreign
    assert not found["broken.toy"].foreign
    (named,) = refmaker.scan_many(folder / "README", jobs=1)
    assert not named.foreign


def test_settings_reach_the_scanner(toy, tmp_path):
    path = toy.write_toy(tmp_path / "a.toy", {"x": np.arange(4)})
    loud = {"tone": "loud"}
    for how in ({"settings": loud}, {"options": ScanOptions(settings=loud)}):
        (file,) = refmaker.scan_many([path], jobs=1, **how)
        assert file.references().group.attributes == loud
        assert refmaker.scan(path, **how).group.attributes == loud
    with pytest.raises(refmaker.errors.MetadataError, match="tone is 'shrill'"):
        refmaker.scan(path, settings={"tone": "shrill"})
    with pytest.raises(refmaker.errors.MetadataError, match="no format has a setting"):
        refmaker.scan(path, settings={"colour": "red"})

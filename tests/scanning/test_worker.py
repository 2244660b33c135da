"""The worker, with functions that misbehave in every way, however it is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest

from refmaker.errors import FormatError, WorkerError
from refmaker.model import Group
from refmaker.scanning import worker as module
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.worker import Worker, WorkerNotStartedError
from tests.wild import site, wild

__all__ = ["site", "wild"]


class Scanning(Worker):
    """A worker that scans."""

    def scan(self, path, timeout=None, **how):
        return self.run(scan, path, name=os.fspath(path), timeout=timeout, **how)


@pytest.fixture(scope="module")
def worker(site):
    with Scanning() as running:
        yield running


class TestWorker:
    def test_result(self, worker, wild):
        path = wild("good")
        group, report = worker.scan(path, options=ScanOptions(inline_threshold=7))
        assert isinstance(group, Group)
        assert group.attributes["pid"] not in (os.getpid(), None)
        assert group.attributes["inline"] == 7
        assert report.url == os.fspath(path)
        again, _ = worker.scan(path)
        assert again.attributes["pid"] == group.attributes["pid"]

    @pytest.mark.parametrize(
        ("deed", "words"),
        [("abort", "signal 6"), ("exit", "exit code 3")],
    )
    def test_death(self, worker, wild, deed, words):
        path = wild(deed)
        with pytest.raises(WorkerError, match=words) as caught:
            worker.scan(path)
        assert caught.value.url == os.fspath(path)
        group, _ = worker.scan(wild("good"))
        assert isinstance(group, Group)

    def test_hanging(self, worker, wild):
        path = wild("hang")
        with pytest.raises(WorkerError, match=r"within 0\.1 s") as caught:
            worker.scan(path, timeout=0.1)
        assert caught.value.url == os.fspath(path)
        assert worker.scan(wild("good"), timeout=60)

    @pytest.mark.parametrize(
        ("deed", "kind", "words"),
        [
            ("raise", WorkerError, "KeyError: 'surprise'"),
            ("memory", WorkerError, "out of memory"),
            ("unpicklable", WorkerError, "pickle|local object"),
            ("refuse", FormatError, "not so"),
        ],
    )
    def test_errors_leave_the_worker_alive(self, worker, wild, deed, kind, words):
        pid = worker.scan(wild("good"))[0].attributes["pid"]
        path = wild(deed)
        with pytest.raises(kind, match=words) as caught:
            worker.scan(path)
        assert caught.value.url == os.fspath(path)
        if kind is FormatError:
            assert (caught.value.path, caught.value.offset) == ("/a", 5)
        assert worker.scan(wild("good"))[0].attributes["pid"] == pid

    def test_an_interrupted_wait_leaves_no_stale_answer(self, site, wild, monkeypatch):
        with Scanning() as worker:
            first = worker.scan(wild("good"))[0].attributes["pid"]
            monkeypatch.setattr(
                type(worker._pipe), "poll", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            with pytest.raises(KeyboardInterrupt):
                worker.scan(wild("refuse"))
            monkeypatch.undo()
            monkeypatch.syspath_prepend(site)
            assert worker.scan(wild("good"))[0].attributes["pid"] != first

    def test_closing(self, site, wild):
        worker = Scanning()
        worker.close()
        pid = worker.scan(wild("good"))[0].attributes["pid"]
        worker.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        worker.close()

    def test_its_memory_is_limited(self, worker, monkeypatch):
        worker.close()
        monkeypatch.setenv(module.MEMORY_VARIABLE, str(64 * 1024**2))
        assert worker.run(bytearray, 1024) == bytearray(1024)
        with pytest.raises(WorkerError, match=r"0\.0625 GiB.*REFMAKER_WORKER_MEMORY"):
            worker.run(bytearray, 128 * 1024**2, name="f")
        # It is said of errors that hide it, too, and the worker goes on.
        assert worker.run(bytearray, 8) == bytearray(8)
        worker.close()

    def test_a_bound_that_is_no_number(self, monkeypatch):
        monkeypatch.setenv(module.MEMORY_VARIABLE, "4GiB")
        with Worker() as worker, pytest.raises(WorkerNotStartedError, match="4GiB"):
            worker.run(int)

    def test_what_libraries_print_is_no_result(self, capfd, worker):
        worker.run(print, "words", flush=True)
        assert capfd.readouterr().out == ""

    def test_it_ends_of_itself(self, site):
        with Worker(idle=0.05) as worker:
            worker.run(int)
            assert worker._process.wait(30) == 0

    def test_a_python_that_cannot_be_found(self, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        monkeypatch.setattr(module, "can_fork", lambda: False)
        with Worker() as worker, pytest.raises(WorkerNotStartedError, match="No such file") as told:
            worker.run(int, name="f")
        assert told.value.url == "f"


FORKED = """
import json, os, sys, time
from refmaker.errors import WorkerError
from refmaker.scanning.worker import Worker, can_fork, main

def tell(function, *args, timeout=60):
    try:
        return worker.run(function, *args, name="f", timeout=timeout)
    except WorkerError as error:
        return str(error)

import refmaker.scanning.worker as module
module._child = None
def same_module():
    return [os.getpid(), os.getppid(), "only here" in dir(sys)]

setattr(sys, "only here", 1)
assert can_fork()
other = Worker()
with Worker() as worker:
    other.run(int)
    told = [tell(os.abort), tell(os._exit, 3), tell(time.sleep, 100, timeout=0.1)]
    told += [tell(bytearray, 2**40), tell(len, "abc")]
    pid, parent, copied = worker.run(same_module)
    told += [pid != os.getpid(), parent == os.getpid(), copied]
    # A fork does not hold the pipe of another: that one ends when it is told to.
    second = worker._process
    other._pipe.close()
    told.append(other._process.wait(30))
told.append(second.wait() <= 0)
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many threads there are")
def test_forking():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKED)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stderr == ""
    abort, left, hung, memory, length, *rest = json.loads(done.stdout)
    assert "f: the worker process died (signal 6)" in abort
    assert "exit code 3" in left
    assert "within 0.1 s" in hung
    assert "out of memory" in memory
    assert (length, rest) == (3, [True, True, True, 0, True])


def test_no_fork_beside_other_threads():
    code = (
        "import threading; from refmaker.scanning.worker import can_fork; before = can_fork();"
        "stop = threading.Event(); other = threading.Thread(target=stop.wait); other.start();"
        "print(before, can_fork()); stop.set()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(sys.platform == "linux"), "False"]


COST = """
import resource, sys
import numpy
from refmaker.scanning import worker

def cpu():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in both)

def cost():
    before = cpu()
    with worker.Worker() as running:
        # A child's time counts when it has ended.
        assert running.run(len, "abc") == 3
    return cpu() - before

def least(can_fork):
    worker.can_fork = lambda: can_fork
    return min(cost() for _ in range(5))

assert worker.can_fork()
print(least(True) / least(False))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many threads there are")
def test_a_fork_costs_a_fraction_of_another_python():
    done = subprocess.run(
        [sys.executable, "-c", COST],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert float(done.stdout) < 0.5

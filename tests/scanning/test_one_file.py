"""Scanning here and in worker processes, with scanners that misbehave in every way."""

import os
import pickle
import subprocess
import sys
import textwrap

import pytest

from refmaker.errors import (
    FormatError,
    MetadataError,
    SourceChangedError,
    SourceNotFoundError,
    UnknownFormatError,
    WorkerError,
)
from refmaker.model import Group
from refmaker.scanning.one_file import Worker, scan
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import choose, declarations, scanners
from tests.wild import site, wild

__all__ = ["site", "wild"]


@pytest.fixture(scope="module")
def worker(site):
    with Worker() as running:
        yield running


class TestHere:
    def test_result(self, wild):
        path = wild("good")
        group, report = scan(path, options=ScanOptions(inline_threshold=7))
        assert group.attributes == {"pid": os.getpid(), "inline": 7}
        assert report.url == os.fspath(path)
        assert (report.requests, report.rounds) == (2, 0)
        assert report.bytes_read == 9 + 4
        assert report.seconds > 0
        assert list(report.sources) == [os.fspath(path)]
        assert report.sources[os.fspath(path)].size == 9

    def test_errors_name_the_file(self, wild):
        path = wild("refuse")
        with pytest.raises(FormatError) as caught:
            scan(path)
        assert (caught.value.url, caught.value.path) == (os.fspath(path), "/a")

    def test_a_file_that_is_written_to(self, wild):
        with pytest.raises(SourceChangedError):
            scan(wild("touch"))

    def test_no_file(self, site, tmp_path):
        with pytest.raises(SourceNotFoundError):
            scan(tmp_path / "none")

    @pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"tame file", "tame fil")])
    def test_no_format(self, site, tmp_path, content, words):
        path = tmp_path / "f"
        path.write_bytes(content)
        with pytest.raises(UnknownFormatError, match=words) as caught:
            scan(path)
        assert caught.value.url == os.fspath(path)

    def test_no_such_format(self, wild):
        with pytest.raises(UnknownFormatError, match="tiff9"):
            scan(wild("good"), format="tiff9")

    def test_isolate_is_checked(self, wild):
        with pytest.raises(ValueError, match="sometimes"):
            scan(wild("good"), isolate="sometimes")

    def test_auto_isolates_what_looks_odd(self, wild):
        here, _ = scan(wild("good"), isolate="auto")
        there, report = scan(wild("odd"), isolate="auto", options=ScanOptions(inline_threshold=9))
        assert here.attributes["pid"] == os.getpid()
        assert there.attributes["pid"] != os.getpid()
        assert there.attributes["inline"] == 9
        assert report.requests == 2
        with pytest.raises(WorkerError):
            scan(wild("odd abort"), isolate="auto")


class TestChoice:
    def test_registered_as_class_instance_or_callable(self, site):
        assert {"wild", "shy", "bold"} <= set(scanners())
        assert {type(scanners()[name]).__name__ for name in ("wild", "shy", "bold")} == {
            "Wild",
            "Shy",
            "Bold",
        }

    def test_the_surest(self, site):
        assert choose(b"wild half", "f.shy").name == "wild"

    @pytest.mark.parametrize("name", ["shy", "bold"])
    def test_the_ending_decides_between_equals(self, site, monkeypatch, name):
        known = {n: d for n, d in declarations().items() if n in ("shy", "bold")}
        monkeypatch.setattr("refmaker.scanning.protocol.declarations", lambda: known)
        assert choose(b"wild half", f"https://h/F.{name.upper()}").name == name

    def test_by_name(self, site):
        assert choose(b"anything", "f", "shy").name == "shy"


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
            ("unpicklable", WorkerError, "pickle"),
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
        with Worker() as worker:
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
        worker = Worker()
        worker.close()
        pid = worker.scan(wild("good"))[0].attributes["pid"]
        worker.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        worker.close()

    def test_a_script_without_a_guard(self, site, wild, tmp_path):
        script = tmp_path / "script.py"
        script.write_text(
            textwrap.dedent(
                f"""
                from refmaker.errors import WorkerError
                from refmaker.scanning.one_file import scan
                try:
                    scan({os.fspath(wild("good"))!r}, isolate="always")
                except WorkerError as error:
                    print(error)
                """
            )
        )
        done = subprocess.run(
            [sys.executable, script],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [site, os.getcwd()]))},
        )
        assert "did not start" in done.stdout
        assert "__main__" in done.stdout


def test_the_answer_is_always_pickled(site, wild):
    done, error = pickle.loads(
        sys.modules["refmaker.scanning.one_file"]._answer(wild("unpicklable"), None, None, None)
    )
    assert not done
    assert isinstance(error, WorkerError)


def test_metadata_errors_are_located_too(site, wild, monkeypatch):
    def broken(*_):
        raise MetadataError("m")

    path = wild("good")
    monkeypatch.setattr(type(scanners()["wild"]), "scan", broken)
    with pytest.raises(MetadataError) as caught:
        scan(path)
    assert caught.value.url == os.fspath(path)


def test_importing_is_light():
    code = (
        "import sys, refmaker.scan;"
        "assert not {'numpy', 'fsspec', 'h5py', 'zarr', 'multiprocessing'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Scanning one file, here and apart, with scanners that misbehave in every way."""

import os
import subprocess
import sys

import pytest

from refmaker.errors import (
    FormatError,
    MetadataError,
    SourceChangedError,
    SourceNotFoundError,
    UnknownFormatError,
    WorkerError,
)
from refmaker.scanning.one_file import scan
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import choose, declarations, scanners
from tests.wild import site, wild

__all__ = ["site", "wild"]


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

    @pytest.mark.parametrize(
        ("content", "words"), [(b"", "empty"), (b"tame file", "9 of its first 9 bytes are text")]
    )
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

    def test_a_script_without_a_guard_runs_once(self, site, wild, tmp_path):
        script = tmp_path / "script.py"
        script.write_text(
            "print('begun')\n"
            "from refmaker.scanning.one_file import scan\n"
            f"print(len(scan({os.fspath(wild('odd'))!r}, isolate='auto')[0].members))\n"
        )
        paths = os.pathsep.join([str(site), os.getcwd()])
        for threads in ("1", "2"):
            done = subprocess.run(
                [sys.executable, script],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
                env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": threads},
            )
            assert (done.stdout.split(), done.stderr) == (["begun", "0"], "")


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
        "import sys, refmaker.scanning.one_file;"
        "assert not {'numpy', 'fsspec', 'h5py', 'zarr', 'multiprocessing'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("block", [0, 512, 2048])
def test_a_user_block_is_not_odd(tmp_path, block):
    """Every MATLAB 7.3 file has one."""
    import h5py

    from refmaker.scanners.hdf5.scanner import HDF5Scanner

    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=block) as file:
        file["x"] = range(9)
    data = path.read_bytes()
    assert not HDF5Scanner().suspicious(data[:4096], len(data))
    assert HDF5Scanner().suspicious(data[:4096], len(data) + 5)


def test_what_a_library_reads_is_read_apart_where_that_is_cheap(site, wild, monkeypatch):
    monkeypatch.setattr(type(scanners()["wild"]), "calls_library", True, raising=False)
    monkeypatch.setattr("refmaker.scanning.one_file.can_fork", lambda: True)
    assert scan(wild("good"), isolate="auto")[0].attributes["pid"] != os.getpid()
    monkeypatch.setattr("refmaker.scanning.one_file.can_fork", lambda: False)
    assert scan(wild("good"), isolate="auto")[0].attributes["pid"] == os.getpid()

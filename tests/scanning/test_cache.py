"""What earlier runs found: taken only when nothing can have changed since."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

import refmaker
from refmaker.model.report import Fingerprint, Outcome, ScanReport
from refmaker.scanning.cache import ScanCache, _code, cache_folder, fixed_state, look
from refmaker.scanning.options import ScanOptions

OLD = 1_500_000_000


@pytest.fixture
def cache(tmp_path):
    return ScanCache(str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    # A kernel's clock moves in steps; what is written within one shows the same time.
    time.sleep(0.05)
    return path


def report_of(path, **fields):
    report = ScanReport(str(path), "toy")
    state = os.stat(path)
    report.sources[str(path)] = Fingerprint(state.st_size, state.st_mtime)
    report.add("/a", Outcome.REFERENCED)
    return replace(report, **fields)


def test_an_entry_comes_back(cache):
    key = cache.key("/f", None, None, ScanOptions())
    assert cache.get(key) is None
    cache.put(key, [1, 2, 3], b"packed\nbytes")
    assert cache.get(key) == ([1, 2, 3], b"packed\nbytes")
    assert cache.info()["entries"] == 1
    assert cache.clear() == 1
    assert cache.get(key) is None
    assert cache.info() == {**cache.info(), "entries": 0, "bytes": 0}


def test_everything_that_decides_is_part_of_the_name(cache, toy):
    base = ("/f", {"anon": True}, None, ScanOptions())
    others = [
        ("/g", {"anon": True}, None, ScanOptions()),
        ("/f", {"anon": False}, None, ScanOptions()),
        ("/f", None, None, ScanOptions()),
        ("/f", {"anon": True}, "toy", ScanOptions()),
        ("/f", {"anon": True}, None, ScanOptions(inline_threshold=7)),
        ("/f", {"anon": True}, None, ScanOptions(settings={"grib-grouping": "flat"})),
    ]
    assert len({cache.key(*arguments) for arguments in [base, *others]}) == 7
    assert cache.key("/a/../f", {"anon": True}, None, ScanOptions()) == cache.key(*base)


def test_the_code_that_counts_is_where_it_is_looked_for(monkeypatch):
    looked_at = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda top: looked_at.append(top) or walk(top))
    assert _code() == _code()
    rooms = {"codecs", "io", "model", "scanning", "storage"}
    formats = {"dicom", "envi", "grib", "hdf5", "mrc", "netcdf3", "nifti", "nrrd", "tiff"}
    home = Path(refmaker.__file__).parent
    assert {str(home / room) for room in rooms} <= set(looked_at)
    assert formats <= {os.path.basename(folder) for folder in looked_at}
    assert all(list(walk(folder)) for folder in looked_at)


def test_other_code_makes_other_names(cache, toy, tmp_path):
    before = cache.key("/f", None, None, ScanOptions())
    again = ScanCache(str(tmp_path / "cache"))
    assert again.key("/f", None, None, ScanOptions()) == before
    os.utime(toy.__file__, (OLD, OLD))
    assert ScanCache(again.folder).key("/f", None, None, ScanOptions()) != before


def test_no_secret_is_written(cache):
    key = cache.key("s3://b/f", {"secret": "sesame"}, None, ScanOptions())
    cache.put(key, [], b"")
    names = [os.path.join(base, name) for base, _, files in os.walk(cache.folder) for name in files]
    assert names
    assert not any("sesame" in name for name in names)
    for name in names:
        with open(name, "rb") as entry:
            assert b"sesame" not in entry.read()


def test_the_folder_is_the_user_s_own(cache):
    assert os.stat(cache.folder).st_mode & 0o077 == 0


def test_damage_is_a_miss(cache):
    key = cache.key("/f", None, None, ScanOptions())
    cache.put(key, [1], b"packed" * 100)
    (path,) = [
        os.path.join(base, name) for base, _, files in os.walk(cache.folder) for name in files
    ]
    with open(path, "r+b") as entry:
        entry.seek(60)
        entry.write(b"X")
    assert cache.get(key) is None


def test_it_stays_below_its_limit(tmp_path):
    cache = ScanCache(str(tmp_path / "small"), limit=100_000)
    for number in range(100):
        cache.put(f"{number:064x}", [number], bytes(5000))
    assert 0 < cache.info()["bytes"] <= 130_000


def fill(folder, start):
    cache = ScanCache(folder)
    for number in range(start, start + 200):
        cache.put(f"{number % 250:064x}", [number % 250], bytes([number % 250]) * 1000)


def test_several_processes_share_it(cache):
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=fill, args=(cache.folder, start)) for start in (0, 50, 100)]
    for other in others:
        other.start()
    for number in range(2000):
        found = cache.get(f"{number % 250:064x}")
        assert found is None or found == ([number % 250], bytes([number % 250]) * 1000)
    for other in others:
        other.join()
        assert other.exitcode == 0
    assert cache.info()["entries"] == 250


class TestState:
    def test_a_settled_file_is_fixed(self, file):
        state = look(str(file))
        assert fixed_state(state, report_of(file)) == state
        assert json.loads(json.dumps(state)) == state

    def test_every_change_shows(self, file):
        before = look(str(file))
        times = os.stat(file)
        file.write_bytes(b"54321")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert os.stat(file).st_mtime_ns == times.st_mtime_ns
        assert look(str(file)) != before

    def test_what_was_just_written_is_not(self, tmp_path):
        path = tmp_path / "f"
        path.write_bytes(b"1")
        # Half a second in the future, as another machine's clock may be.
        ahead = time.time_ns() + 10**9
        os.utime(path, ns=(ahead, ahead))
        assert fixed_state(look(str(path)), report_of(path)) is None

    def test_whole_seconds_are_coarse(self, file):
        now = int(time.time()) * 10**9
        os.utime(file, ns=(now, now))
        assert fixed_state(look(str(file)), report_of(file)) is None

    def test_a_file_that_changed_while_it_was_scanned_is_not(self, file):
        before = look(str(file))
        file.write_bytes(b"other")
        time.sleep(0.05)
        assert fixed_state(before, report_of(file)) is None
        assert fixed_state(None, report_of(file)) is None

    def test_what_depends_on_other_files_is_not(self, file, tmp_path):
        state = look(str(file))
        other = report_of(file)
        other.sources["/other"] = Fingerprint(1, 2.0)
        assert fixed_state(state, other) is None
        lacking = report_of(file)
        lacking.missing.append("/other")
        assert fixed_state(state, lacking) is None
        for code in ("external-link", "virtual"):
            lost = report_of(file)
            lost.add("/b", Outcome.SKIPPED, "why", code)
            assert fixed_state(state, lost) is None
        kept = report_of(file)
        kept.add("/b", Outcome.SKIPPED, "why", "filter-unknown")
        assert fixed_state(state, kept) == state

    @pytest.mark.parametrize(
        ("known", "settled"),
        [
            (Fingerprint(5, None, "tag"), True),
            (Fingerprint(5, OLD, None), True),
            (Fingerprint(5, None, None), False),
        ],
    )
    def test_remote_files_need_a_tag_or_a_time(self, known, settled):
        report = ScanReport("s3://b/f", sources={"s3://b/f": known})
        assert (fixed_state(None, report) is not None) == settled

    def test_a_remote_file_of_this_minute_needs_a_tag(self):
        report = ScanReport("s3://b/f", sources={"s3://b/f": Fingerprint(5, time.time() - 1)})
        assert fixed_state(None, report) is None

    def test_nothing_there(self, tmp_path):
        assert look(str(tmp_path / "none")) is None
        assert look("memory://nothing/there") is None
        assert look("http://127.0.0.1:9/nothing") is None


@pytest.mark.parametrize("name", ["linux", "darwin", "win32"])
def test_where_it_lies(monkeypatch, tmp_path, name):
    monkeypatch.delenv("REFMAKER_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", name)
    inside = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}[name]
    assert cache_folder() == str(tmp_path / inside / "refmaker" / "scans")
    monkeypatch.setenv("REFMAKER_CACHE_DIR", "~/mine")
    assert cache_folder() == str(tmp_path / "mine" / "scans")

"""Verifying with a library that aborts, hangs, or takes more memory than there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import refmaker
from refmaker.scanning import worker

DEADLY = '''
import os, time
from contextlib import contextmanager
import numpy as np
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanning.protocol import Tolerance


class Deadly:
    """Names of arrays stand in the file, and say what its library does when it reads them."""

    name = "deadly"
    suffixes = (".deadly",)

    def sniff(self, head, url):
        return 1.0 if head.startswith(b"DEADLY") else 0.0

    def scan(self, source, options):
        report = ScanReport(source.url, self.name)
        report.add("/", Outcome.GROUP)
        found = {}
        for name in source.read(0, source.size).decode().split()[1:]:
            report.add("/" + name, Outcome.REFERENCED)
            chunks = 40 if "long" in name else 1
            size = 2**40 if "vast" in name else 8
            table = ChunkTable.from_columns(
                (chunks,), (source.url,), offset=np.zeros(chunks, int), length=np.full(chunks, 8)
            )
            found[name] = Array(
                (size * chunks,), (size,), np.dtype("u1"), table, dimension_names=("x",)
            )
        report.sources[source.url] = source.fingerprint
        return Group(found), report

    @contextmanager
    def native(self, source):
        yield Library(source.read(0, 8))


class Library:
    def __init__(self, data):
        self.values = np.frombuffer(data, "u1")

    def tolerance(self, path, array):
        return {"near": Tolerance(1), "turn": Tolerance(0, 16)}.get(path)

    def read(self, path, array, region):
        if "abort" in path:
            os.abort()
        if "hang" in path:
            time.sleep(1000)
        if "eat" in path:
            bytearray(2**42)
        off = {"near": 1, "far": 1, "turn": 32, "odd": 33}.get(path, 0)
        return self.values + np.uint8(off)


deadly = Deadly()
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    (folder / "deadly_scanner.py").write_text(DEADLY)
    info = folder / "deadly-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[refmaker.scanners]\ndeadly = deadly_scanner:deadly\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    sys.modules.pop("deadly_scanner", None)


@pytest.fixture
def refs(site, tmp_path):
    def make(names):
        path = tmp_path / "f.deadly"
        path.write_text(f"DEADLY {names}")
        return refmaker.scan(path)

    return make


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_takes_the_library_down_costs_its_array(refs, jobs):
    names = "a abort b eat c abort_long d"
    checks = {c.path: c for c in refmaker.verify(refs(names), jobs=jobs, sample=None)}
    assert list(checks) == names.split()
    verdicts = [check.verdict for check in checks.values()]
    assert verdicts == ["equal", "not compared"] * 3 + ["equal"]
    assert "signal 6" in checks["abort"].reason
    assert "MemoryError" in checks["eat"].reason
    assert (checks["abort_long"].compared, checks["abort_long"].uncompared) == (0, 40)


def test_what_hangs_costs_its_array(refs):
    a, hang, b = refmaker.verify(refs("a hang b"), timeout=2)
    assert (a.verdict, b.verdict) == ("equal", "equal")
    assert (hang.verdict, hang.reason) == ("not compared", "it did not end within 2 s")


def test_a_set_that_takes_everything_down_ends(refs, monkeypatch):
    monkeypatch.setattr("refmaker.verification.run._LOSSES", 2)
    checks = refmaker.verify(refs("a abort abort2 abort3 b"))
    assert [check.verdict for check in checks] == ["equal", *["not compared"] * 4]
    assert "2 workers were lost before" in checks[-1].reason


def test_a_chunk_that_is_too_large(refs):
    (vast,) = refmaker.verify(refs("vast"))
    assert vast.verdict == "not compared"
    assert f"larger than the {worker.memory() // 8:,} that are compared" in vast.reason


def test_tolerances_are_those_of_the_reader(refs):
    checks = refmaker.verify(refs("near far turn odd"), isolate="never")
    assert [check.verdict for check in checks] == ["equal", "different", "equal", "different"]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_command_lives_on(refs, site, tmp_path, threads):
    """As a process with one thread it forks, with others it does not."""
    refs("a abort b").write(tmp_path / "f.json")
    paths = os.pathsep.join([str(site), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-m", "refmaker", "verify", "f.json", "--json", "--no-sources"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": threads},
    )
    assert done.returncode == 1
    *told, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["path"], row["verdict"]) for row in told] == [
        ("a", "equal"), ("abort", "not compared"), ("b", "equal"),
    ]  # fmt: skip
    assert last == {"summary": {"ok": False, "arrays": 3, "equal": 2, "not_compared": 1}}


@pytest.mark.parametrize(
    "how", [{"isolate": "always"}, {"isolate": "never", "timeout": 1}, {"jobs": 0}], ids=str
)
def test_wrong_usage(refs, how):
    with pytest.raises(ValueError, match=r"isolate|jobs"):
        refmaker.verify(refs("a"), **how)

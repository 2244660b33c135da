"""ecCodes is asked in a process of its own, which may die without the scan."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

import pytest

from refmaker.io.source import Source
from refmaker.scanners.grib import GRIBScanner, eccodes_process
from refmaker.scanners.grib.names import Sections, names_of, numeric
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.worker import Worker
from tests.scanners.grib.messages import joined, message

SECTIONS = Sections(2, 0, bytes(21), b"", bytes(72), bytes(34))


def table_of(path):
    with Source(path) as source:
        group, _ = GRIBScanner().scan(source, ScanOptions())
    return {
        where: dict(array.attributes)
        for where, array in group.arrays()
        if (array.compressor or {}).get("id") == "refmaker.grib"
    }


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.grib"
    path.write_bytes(
        joined(message(shortName="u"), message(shortName="v"))
        + message(1, shortName="2t") + message(shortName="10u") + message(shortName="t", level=50)
    )  # fmt: skip
    return path


@pytest.fixture
def elsewhere(monkeypatch):
    """As in a program that has not used ecCodes so far, where the table says nothing."""
    monkeypatch.setattr(eccodes_process, "table_names", lambda _: None)
    monkeypatch.delitem(sys.modules, "eccodes", raising=False)
    eccodes_process.forget()
    eccodes_process._asker.close()
    yield
    eccodes_process._asker.close()
    eccodes_process.forget()


def test_both_ways_give_the_same_names(file, elsewhere, monkeypatch):
    apart = table_of(file)
    assert "eccodes" not in sys.modules
    eccodes_process.forget()
    monkeypatch.setattr(eccodes_process._asker, "ask", lambda _: 1 / 0)
    monkeypatch.setattr(sys, "executable", "")
    assert table_of(file) == apart
    assert {path.rpartition("/")[2] for path in apart} == {"u", "v", "t2m", "u10", "t"}


def test_a_scan_does_not_load_eccodes(file):
    code = (
        "import sys, refmaker; r = refmaker.scan(sys.argv[1]);"
        "print('eccodes' in sys.modules, 'isobaricInhPa' in r.group.members)"
    )
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"True"]


def deadly(sections):
    """Return names, but for one that the process does not survive."""
    if sections.what[9:11] == bytes((2, 3)):
        os._exit(9)
    return names_of(sections)


def dying(sections):
    os._exit(1)


def slow(sections):
    time.sleep(100)


def test_a_template_that_eccodes_does_not_survive_gets_a_number(
    file, elsewhere, monkeypatch, caplog
):
    monkeypatch.setattr(eccodes_process, "_question", deadly)
    with caplog.at_level(logging.WARNING):
        names = {path.rpartition("/")[2] for path in table_of(file)}
    assert names == {"u", "d0c2n3", "t2m", "u10", "t"}
    assert "does not survive" in caplog.text


def test_processes_are_not_started_for_ever(monkeypatch, elsewhere):
    monkeypatch.setattr(eccodes_process, "_question", dying)
    started = []
    start = Worker._start
    monkeypatch.setattr(Worker, "_start", lambda self, name: started.append(1) or start(self, name))
    assert eccodes_process._answers([SECTIONS] * 10) == [numeric(SECTIONS)] * 10
    assert len(started) == 3


def test_patience_ends(monkeypatch, elsewhere, file):
    monkeypatch.setattr(eccodes_process, "_question", slow)
    monkeypatch.setattr(eccodes_process, "_PATIENCE", 0.1)
    assert all("/d0c" in path or "/t128p" in path for path in table_of(file))


def test_an_idle_process_ends_and_another_is_started(monkeypatch, elsewhere):
    monkeypatch.setattr(eccodes_process._asker, "worker", Worker(idle=0.01))
    first = eccodes_process._asker.ask(SECTIONS)
    process = eccodes_process._asker.worker._process
    assert process.wait() == 0
    assert eccodes_process._asker.ask(SECTIONS) == first
    assert eccodes_process._asker.worker._process is not process


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_does_not_use_the_process_of_its_parent(elsewhere):
    first = eccodes_process._asker.ask(SECTIONS)
    process = eccodes_process._asker.worker._process
    child = os.fork()
    if not child:
        eccodes_process._asker.close()
        os._exit(eccodes_process._asker.worker._process is not None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert process.poll() is None
    assert eccodes_process._asker.ask(SECTIONS) == first
    assert eccodes_process._asker.worker._process is process


def test_without_another_process_it_is_asked_here(monkeypatch, elsewhere, file):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert {path.rpartition("/")[2] for path in table_of(file)} == {"u", "v", "t2m", "u10", "t"}

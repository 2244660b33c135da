"""ecCodes is asked in a process of its own, which may die without the scan."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from refmaker.scan import ScanOptions
from refmaker.scanners.grib import GRIBScanner, asking
from refmaker.scanners.grib.names import numeric
from refmaker.source import Source
from tests.scanners.grib.messages import joined, message


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
    """As in a program that has not used ecCodes so far."""
    monkeypatch.delitem(sys.modules, "eccodes", raising=False)
    asking.forget()
    yield
    asking.forget()


def test_both_ways_give_the_same_names(file, elsewhere, monkeypatch):
    apart = table_of(file)
    assert "eccodes" not in sys.modules
    asking.forget()
    monkeypatch.setattr(asking, "_from_process", lambda _: 1 / 0)
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


def test_a_template_that_eccodes_does_not_survive_gets_a_number(
    file, elsewhere, monkeypatch, caplog
):
    # The process ends at the second answer, as if killed there.
    ended = (
        "import json, sys; sys.path[:] = json.loads(sys.stdin.readline());"
        "from refmaker.scanners.grib import asking, names; ask = names.names_of; import os;"
        "asking.names_of = lambda s: os._exit(9) if s.what[9:11] == bytes((2, 3)) else ask(s);"
        "asking.main()"
    )
    monkeypatch.setattr(asking, "_CODE", ended)
    with caplog.at_level(logging.WARNING):
        names = {path.rpartition("/")[2] for path in table_of(file)}
    assert names == {"u", "d0c2n3", "t2m", "u10", "t"}
    assert "does not survive" in caplog.text


def test_processes_are_not_started_for_ever(monkeypatch):
    started = []
    monkeypatch.setattr(asking, "_from_process", lambda asked: started.append(len(asked)) or [])
    monkeypatch.setattr(asking, "find_spec", lambda _: object())
    monkeypatch.delitem(sys.modules, "eccodes", raising=False)
    sections = asking.Sections(2, 0, bytes(21), b"", bytes(72), bytes(34))
    found = asking._answers([sections] * 10)
    assert found == [numeric(sections)] * 10
    assert started == [10, 9, 8]


def test_patience_ends(monkeypatch, elsewhere, file):
    code = "import json, sys, time; sys.path[:] = json.loads(sys.stdin.readline());time.sleep(100)"
    monkeypatch.setattr(asking, "_CODE", code)
    monkeypatch.setattr(asking, "_PATIENCE", 0.2)
    assert all("/d0c" in path or "/t128p" in path for path in table_of(file))


def test_a_line_that_was_cut_off_is_no_answer(monkeypatch):
    line = json.dumps(numeric(asking.Sections(2, 0, bytes(21), b"", bytes(72), bytes(34))))
    code = f"print({line!r}); print({line[:30]!r}, end='')"
    monkeypatch.setattr(asking, "_CODE", code)
    found = asking._from_process([])
    assert len(found) == 1
    assert os.linesep not in found[0].name


def test_without_another_process_it_is_asked_here(monkeypatch, elsewhere, file):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert {path.rpartition("/")[2] for path in table_of(file)} == {"u", "v", "t2m", "u10", "t"}

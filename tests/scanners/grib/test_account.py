"""Every field is accounted for: what is not placed has a row with a reason and a code."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from refmaker.cli import main
from refmaker.io.source import Source
from refmaker.model.report import Outcome
from refmaker.scanners.grib import GRIBScanner
from refmaker.scanning.options import ScanOptions
from tests.corpora import CORPUS
from tests.scanners.grib.messages import joined, message, sections

ETA = CORPUS / "grib/pygrib__eta.grb"


def scan(path):
    with Source(path) as source:
        return GRIBScanner().scan(source, ScanOptions())


def odd():
    """Return a message that claims four thousand million points."""
    parts = [bytearray(part) for part in sections(message())]
    for part in parts:
        if part[4] == 3:
            part[6:10] = part[30:34] = b"\xff\xff\xff\xfe"
            part[34:38] = b"\0\0\0\1"
    body = b"".join(parts)
    return message()[:8] + (len(body) + 20).to_bytes(8, "big") + body + b"7777"


@pytest.fixture
def everything(tmp_path):
    """A file with a field of each fate, and its path."""
    good, again = message(shortName="t", seed=1), message(shortName="t", seed=2)
    damaged = bytearray(message())
    damaged[-4:] = b"8888"
    path = tmp_path / "file.grib2"
    path.write_bytes(
        good + b"between" + again + joined(message(shortName="u"), message(shortName="v"))
        + odd() + bytes(damaged) + message(1) + good[:-40]
    )  # fmt: skip
    return path


def test_every_fate_has_a_reason_and_a_code(everything):
    group, report = scan(everything)
    counts = group.attributes["refmaker:fields"]
    assert counts["found"] == counts["placed"] + counts["duplicates"] + counts["unsorted"]
    assert (counts["placed"], counts["unsorted"]) == (4, 1)
    rows = [row for row in report.rows if row.outcome is not Outcome.GROUP]
    assert all(row.reason and row.code for row in rows)
    assert {row.code for row in rows} == {
        "coordinate", "damaged", "duplicate", "fields", "truncated", "unsorted",
    }  # fmt: skip
    # What is an array has a row, and the other way round, but for what could not be read.
    arrays = {"/" + path.lstrip("/") for path, _ in group.arrays()}
    assert arrays == {row.path for row in rows if row.outcome is not Outcome.SKIPPED}
    assert "7 bytes" in report.warnings[0]


def test_strict_fails_where_a_message_is_lost(tmp_path, everything):
    whole = tmp_path / "whole.grib2"
    whole.write_bytes(message(shortName="t") * 2 + odd())
    for path, strict, code in (
        (everything, [], 0), (everything, ["--strict"], 1), (whole, ["--strict"], 0),
    ):  # fmt: skip
        out = str(tmp_path / "out.json")
        done = CliRunner().invoke(main, ["scan", str(path), "-o", out, "--overwrite", *strict])
        assert done.exit_code == code, done.output


@pytest.mark.skipif(not ETA.exists(), reason="the corpus is not there; see REFMAKER_CORPUS")
def test_fields_of_messages_that_hold_several():
    group, report = scan(ETA)
    assert group.attributes["refmaker:fields"]["found"] == 181
    assert group.attributes["refmaker:fields"]["unsorted"] == 0
    assert report.lossless

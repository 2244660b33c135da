"""The account of a scan."""

import json

import pytest

from refmaker.errors import MetadataError
from refmaker.model.report import Cost, Fingerprint, ObjectReport, Outcome, ScanReport


def a_report():
    report = ScanReport("/data/f.nc", "hdf5")
    report.add("/", Outcome.GROUP)
    report.add("/a", Outcome.REFERENCED)
    report.add("/b", Outcome.SKIPPED, "filter 32000 is not known", "filter-unknown")
    report.extend(
        [ObjectReport("/c", Outcome.INLINED, "small"), ObjectReport("/d", Outcome.REFERENCED)]
    )
    return report


def test_counts():
    report = a_report()
    counts = {outcome: report.count(outcome) for outcome in Outcome}
    assert counts == {
        Outcome.GROUP: 1,
        Outcome.REFERENCED: 2,
        Outcome.INLINED: 1,
        Outcome.DUPLICATED: 0,
        Outcome.METADATA: 0,
        Outcome.SKIPPED: 1,
    }
    assert [row.path for row in report.having(Outcome.REFERENCED, Outcome.SKIPPED)] == [
        "/a",
        "/b",
        "/d",
    ]
    assert [row.path for row in report.skipped] == ["/b"]
    assert not report.lossless
    assert ScanReport("u").lossless


def test_warnings_are_kept_once():
    report = ScanReport("u")
    for words in ("b", "a", "b"):
        report.warn(words)
    assert report.warnings == ["b", "a"]


def test_as_dict_is_json():
    report = a_report()
    report.warn("w")
    report.requests, report.bytes_read, report.rounds, report.seconds = 3, 4096, 2, 0.123456789
    document = json.loads(json.dumps(report.as_dict()))
    assert document == {
        "format": "hdf5",
        "groups": 1,
        "referenced": 2,
        "inlined": 1,
        "duplicated": 0,
        "metadata": 0,
        "skipped": [
            {"path": "/b", "reason": "filter 32000 is not known", "code": "filter-unknown"}
        ],
        "warnings": ["w"],
        "seconds": 0.123457,
        "requests": 3,
        "bytes_read": 4096,
        "rounds": 2,
    }


@pytest.mark.parametrize(
    "fingerprint",
    [Fingerprint(0), Fingerprint(5, 1.5), Fingerprint(5, None, "x"), Fingerprint(1, 0.0)],
)
def test_fingerprints_come_back(fingerprint):
    document = json.loads(json.dumps(fingerprint.as_dict()))
    assert Fingerprint.from_dict(document) == fingerprint
    assert None not in document.values()


@pytest.mark.parametrize(
    "document", [None, 5, [], {}, {"size": "x"}, {"size": None}, {"size": 1, "mtime": "x"}], ids=str
)
def test_documents_that_are_no_fingerprints(document):
    with pytest.raises(MetadataError):
        Fingerprint.from_dict(document)


def test_costs_start_at_nothing():
    cost = Cost()
    assert (cost.requests, cost.bytes_read, cost.rounds) == (0, 0, 0)

"""What reading a remote file costs, and index files beside it."""

from __future__ import annotations

import json
import pickle

import pytest

from refmaker.io.source import Source
from refmaker.scanners.grib import GRIBScanner, reader, sidecars
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.index_lists import listed_offsets
from refmaker.scanners.grib.walk import MessageWalk
from refmaker.scanning.options import ScanOptions
from refmaker.testing.http import RangeServer
from tests.scanners.grib.messages import joined, message


def large(**keys):
    """Return a message whose values are a hundred thousand bytes, and compress to nothing."""
    import numpy as np

    values = np.random.default_rng(1).normal(280, 10, 150 * 300)
    return message(values=values, Ni=300, Nj=150, bitsPerValue=20, **keys)


@pytest.fixture(scope="module")
def parts():
    return [large(shortName="t", level=level) for level in range(1000, 700, -1)]


@pytest.fixture
def served(tmp_path, parts, monkeypatch):
    # As if it were too large to be fetched at once.
    monkeypatch.setattr(reader, "_SPARSE", 0)
    monkeypatch.setattr(reader, "_SMALL", {True: 0, False: 0})
    monkeypatch.setattr(sidecars, "_SMALL", 0)
    monkeypatch.setattr("refmaker.io.block_cache.WHOLE_FILE", 0)
    monkeypatch.setattr("refmaker.io.block_cache.FIRST", 4096)
    (tmp_path / "file.grib2").write_bytes(b"".join(parts))
    with RangeServer(tmp_path) as server:
        yield tmp_path, server


def scan(server, **chosen):
    with Source(server.url("file.grib2")) as source:
        group, report = GRIBScanner().scan(source, ScanOptions(settings=chosen))
        return group, report, source


def offsets_of(parts):
    return [sum(map(len, parts[:i])) for i in range(len(parts))]


def noaa(parts, shift=0):
    lines = [f"{i}:{at + shift}:d=2024010100:TMP:{i} mb:anl:" for i, at in
             enumerate(offsets_of(parts), 1)]  # fmt: skip
    return "\n".join(lines) + "\n"


def test_a_large_file_is_hopped_over(served, parts):
    _, server = served
    group, _, source = scan(server, **{"index-files": "ignore"})
    assert group.attributes["refmaker:fields"]["placed"] == len(parts)
    assert source.bytes_read < 0.05 * source.size
    assert source.requests <= len(parts) + 10
    # Messages of one length are guessed ahead.
    assert source.rounds < len(parts) / 5


def test_a_sidecar_saves_rounds(served, parts):
    folder, server = served
    (folder / "file.grib2.idx").write_text(noaa(parts))
    group, report, source = scan(server)
    assert group.attributes["refmaker:fields"]["placed"] == len(parts)
    assert source.rounds < 12
    assert not report.warnings


@pytest.mark.parametrize("shift", [7, -5, 10**9])
def test_a_stale_sidecar_is_noticed_and_loses_nothing(served, parts, shift):
    folder, server = served
    lines = noaa(parts).split("\n")[:5] + noaa(parts, shift).split("\n")[5:]
    (folder / "file.grib2.idx").write_text("\n".join(lines))
    group, report, _ = scan(server)
    assert group.attributes["refmaker:fields"]["placed"] == len(parts)
    assert any("does not belong" in warning for warning in report.warnings)


def test_a_sidecar_that_lists_less_is_completed(served, parts):
    folder, server = served
    (folder / "file.grib2.idx").write_text(noaa(parts[:10]))
    group, report, _ = scan(server)
    assert group.attributes["refmaker:fields"]["placed"] == len(parts)
    assert any(str(len(parts) - 10) in warning for warning in report.warnings)
    group, _, _ = scan(server, **{"index-files": "trust"})
    assert group.attributes["refmaker:fields"]["placed"] == 10


def test_ecmwf_index_and_rows_of_one_message():
    rows = [{"_offset": 50, "_length": 9}, {"_offset": 0, "_length": 50}]
    text = "\n".join(json.dumps(row) for row in rows).encode()
    assert listed_offsets(text) == [0, 50]
    assert listed_offsets(b"1.1:0:d=1:U:\n1.2:0:d=1:V:\n2:90:d=1:T:\n") == [0, 90]


@pytest.mark.parametrize(
    "data", [b"", pickle.dumps({"index": 1}), b"hello\n", b'{"a": 1}\n', b"1:x:\n", b"\xff" * 50]
)
def test_what_is_no_sidecar_lists_nothing(data):
    assert listed_offsets(data) == []


def test_local_sidecars_are_looked_at_only_when_trusted(tmp_path):
    two = message(shortName="t") + joined(message(shortName="u"), message(shortName="v"))
    path = tmp_path / "file.grib2"
    path.write_bytes(two)
    (tmp_path / "file.grib2.idx").write_text("1:0:d=2024010100:TMP:\n")
    for use, expected in (("trust", 1), ("verify", 3), ("ignore", 3)):
        with Source(path) as source:
            options = ScanOptions(settings={"index-files": use})
            group, _ = GRIBScanner().scan(source, options)
        assert group.attributes["refmaker:fields"]["found"] == expected


def test_a_walk_reads_little_of_large_messages(tmp_path, parts):
    path = tmp_path / "file.grib2"
    path.write_bytes(b"".join(parts[:20]))
    with Source(path) as source, reader.HeaderReader(source) as headers:
        found = FieldList()
        MessageWalk(headers, found).all()
        assert found.mark() == 20
        assert source.bytes_read < 1500 * 20


def test_compressed_files_are_refused_with_the_remedy(tmp_path):
    import bz2
    import gzip

    from refmaker import scan as scan_file
    from refmaker.errors import UnsupportedError

    for name, pack in (("gz", gzip.compress), ("bz2", bz2.compress)):
        path = tmp_path / f"file.grib2.{name}"
        path.write_bytes(pack(message()))
        with pytest.raises(UnsupportedError, match="decompress") as caught:
            scan_file(path)
        assert caught.value.code == "compressed"

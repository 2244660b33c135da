"""What lists say, in the words of real ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.scanners.grib.index_lists import field_texts, listed_offsets, read_list

HOUR = 3600


def said(text, kind="wgrib2"):
    return field_texts(kind, (text,))[0]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("PRMSL:mean sea level:anl:", 0, 0),
        ("TMP:2 m above ground:6 hour fcst:", 6 * HOUR, 6 * HOUR),
        ("TMP:2 m above ground:15 min fcst:", 900, 900),
        ("TMP:2 m above ground:3 day fcst:", 72 * HOUR, 72 * HOUR),
        ("APCP:surface:0-6 hour acc fcst:", 0, 6 * HOUR),
        ("APCP:surface:0-1 day acc fcst:", 0, 24 * HOUR),
        ("APCP:surface:23-24 hour acc fcst:", 23 * HOUR, 24 * HOUR),
        ("DSWRF:surface:0-15 min ave fcst:", 0, 900),
        ("TMAX:2 m above ground:0-0 day max fcst:", 0, 0),
    ],
)
def test_steps_of_wgrib2(text, start, end):
    found = said(text)
    assert (found.start, found.end) == (start, end)
    assert found.key is not None


@pytest.mark.parametrize(
    "text",
    [
        "TMP:2 m above ground:",
        "TMP:2 m above ground:0-6 hour ave anl:",
        "TMP:2 m above ground:6 hour acc fcst:",
        "TMP:2 m above ground:0-6 hour fcst:",
        "TMP:2 m above ground:124@6 hour ave(0-6 hour ave fcst):",
        "TMP:2 m above ground:1 month fcst:",
        "TMP:2 m above ground:-6 hour fcst:",
        "TMP",
        "",
    ],
)
def test_what_is_not_understood_has_no_key(text):
    assert said(text).key is None


def test_keys_tell_kinds_apart_and_not_steps():
    three, six = said("APCP:surface:0-3 hour acc fcst:"), said("APCP:surface:3-6 hour acc fcst:")
    assert three.key == six.key
    assert said("APCP:surface:0-3 hour ave fcst:").key != three.key
    assert said("TMP:surface:anl:").key != said("TMP:surface:0 hour fcst:").key
    lines = field_texts("wgrib2", ("APCP:surface:0-3 hour acc fcst:",) * 2)
    assert lines[0].key != lines[1].key


def test_members():
    plus, minus = said("TMP:10 mb:anl:ENS=+3"), said("TMP:10 mb:anl:ENS=-3")
    assert plus.member == minus.member == 3
    assert plus.key != minus.key
    control = said("TMP:10 mb:anl:ENS=low-res ctl")
    assert control.member is None
    assert control.settled
    assert not said("TMP:10 mb:anl:").settled
    assert said("TMP:10 mb:anl:ens mean").key != said("TMP:10 mb:anl:ens spread").key


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("HGT:kpds5=7:kpds6=100:kpds7=1000:TR=0:P1=0:P2=0:TimeU=1:1000 mb:anl:NAve=0", 0, 0),
        ("HGT:kpds5=7:kpds6=100:kpds7=1000:TR=10:P1=1:P2=4:TimeU=1:x:260hr fcst:NAve=0",
         260 * HOUR, 260 * HOUR),
        ("APCP:kpds5=61:kpds6=1:kpds7=0:TR=4:P1=6:P2=12:TimeU=1:sfc:6-12hr acc:NAve=0",
         6 * HOUR, 12 * HOUR),
        ("TMP:kpds5=11:kpds6=105:kpds7=2:TR=0:P1=2:P2=0:TimeU=11:2 m above gnd:12hr fcst:NAve=0",
         12 * HOUR, 12 * HOUR),
        ("HGT:1000 mb:anl:NAve=0", 0, 0),
        ("HGT:1000 mb:6hr fcst:NAve=0", 6 * HOUR, 6 * HOUR),
        ("APCP:sfc:0-6hr acc:NAve=0", 0, 6 * HOUR),
        ("TMAX:2 m above gnd:valid 0-6hr:NAve=0", 0, 6 * HOUR),
        ("TMAX:2 m above gnd:0-1d ave:NAve=0", 0, 24 * HOUR),
    ],
)  # fmt: skip
def test_steps_of_wgrib(text, start, end):
    found = said(text, "wgrib")
    assert (found.start, found.end) == (start, end)


@pytest.mark.parametrize(
    "text",
    [
        "HGT:kpds5=7:kpds6=100:kpds7=1000:TR=123:P1=0:P2=0:TimeU=1:1000 mb:anl:NAve=124",
        "HGT:kpds5=7:kpds6=100:kpds7=1000:TR=0:P1=1:P2=0:TimeU=3:1000 mb:1mon fcst:NAve=0",
        "HGT:kpds5=7:kpds6=100:TR=0:P1=0:P2=0:TimeU=1:1000 mb:anl:NAve=0",
        "HGT:1000 mb:valid 0-6hr ave:NAve=0",
        "HGT:1000 mb:0-6hr:NAve=0",
        "HGT:1000 mb:ave@6hr:NAve=0",
        "HGT:1000 mb",
    ],
)
def test_what_is_not_understood_of_wgrib(text):
    assert said(text, "wgrib").key is None


def row(**more):
    known = {
        "domain": "g", "date": "20240115", "time": "0000", "expver": "0001", "class": "od",
        "type": "fc", "stream": "oper", "step": "6", "levtype": "sfc", "param": "2t",
        "_offset": 0, "_length": 90,
    }  # fmt: skip
    return {**known, **more}


def rows(*found):
    return "\n".join(json.dumps(one) for one in found).encode()


@pytest.mark.parametrize(
    ("step", "start", "end"),
    [("6", None, 6 * HOUR), (6, None, 6 * HOUR), ("0-6", 0, 6 * HOUR), ("90m", None, 5400)],
)
def test_steps_of_ecmwf(step, start, end):
    lines = read_list(rows(row(step=step)))
    found = field_texts(lines.kind, lines.texts)[0]
    assert (found.start, found.end, found.member) == (start, end, None)


def test_rows_of_ecmwf():
    second = row(number=7, type="pf", time=0, date=20240115, _offset=90, _length=50)
    lines = read_list(rows(second, row()))
    assert lines.offsets.tolist() == [0, 90]
    assert lines.lengths.tolist() == [90, 50]
    assert (lines.date, lines.problem) == ("202401150000", "")
    found = field_texts(lines.kind, lines.texts)
    assert [text.member for text in found] == [None, 7]
    assert [text.settled for text in found] == [True, False]
    assert read_list(rows(row(), row(_offset=91))).problem
    assert read_list(rows(row(), row(_offset=90, time="0600"))).problem
    assert read_list(rows({"offset": 0, "length": 9, "variable": "t"})) is None
    assert read_list(rows(row(), {"_offset": 90, "_length": 9})) is None


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["1:0:d=2024010100:TMP:a:anl:", "2:9:d=2024010100:TMP:b:anl:"], False),
        (["1.1:0:d=2024010100:U:a:anl:", "1.2:0:d=2024010100:V:a:anl:"], False),
        (["1:0:d=24010100:TMP:a:anl:NAve=0", "2:9:d=24010100:TMP:b:anl:NAve=0"], False),
        (["1:41:d=2024010100:TMP:a:anl:"], True),
        (["2:0:d=2024010100:TMP:a:anl:"], True),
        (["1:0:d=2024010100:TMP:a:anl:", "3:9:d=2024010100:TMP:b:anl:"], True),
        (["1:0:d=2024010100:TMP:a:anl:", "2:0:d=2024010100:TMP:b:anl:"], True),
        (["1:0:d=2024010100:TMP:a:anl:", "2:9:d=2024010106:TMP:b:anl:"], True),
        (["1.1:0:d=2024010100:U:a:anl:", "1.3:0:d=2024010100:V:a:anl:"], True),
        (["1:0:d=2024010100:U:a:anl:", "1.2:9:d=2024010100:V:a:anl:"], True),
    ],
)  # fmt: skip
def test_what_cannot_list_every_message(lines, problem):
    assert bool(read_list("\n".join(lines).encode()).problem) == problem


def test_lengths_reach_to_the_next_message():
    lines = read_list(b"1:0:d=2024010100:A:a:anl:\n2.1:9:d=2024010100:U:a:anl:\n"
                      b"2.2:9:d=2024010100:V:a:anl:\n3:30:d=2024010100:B:a:anl:\n")  # fmt: skip
    assert lines.lengths.tolist() == [9, 21, 21, 0]
    assert lines.single == (True, False, False, True)


@given(st.binary(max_size=200) | st.text('1:.d=0{}",_ofset\n', max_size=120).map(str.encode))
def test_any_bytes(data):
    listed_offsets(data)
    lines = read_list(data)
    if lines is not None:
        field_texts(lines.kind, lines.texts)
        assert len(lines.offsets) == len(lines.texts) == len(lines.lengths) == len(lines.single)

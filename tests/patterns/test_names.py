"""Patterns of names, and the values of their fields."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from refmaker.errors import LimitError, MetadataError
from refmaker.patterns.url_pattern import parse_pattern
from refmaker.patterns.values import Values, parse_list, parse_range


def urls(text, **values):
    pattern = parse_pattern(text)
    return pattern.urls({k: Values.of(k, kind, values[k]) for k, kind in pattern.kinds.items()})


def test_names_of_files():
    text = "s3://b/{run:%Y%m%d}/{{x}}/{level:d}/{member:02d}_{kind}.nc"
    found = urls(text, run=["2020-01-01", "2020-12-31"], level=[1000, 5], member=[7], kind=["a"])
    assert found == [
        "s3://b/20200101/{x}/1000/07_a.nc",
        "s3://b/20200101/{x}/5/07_a.nc",
        "s3://b/20201231/{x}/1000/07_a.nc",
        "s3://b/20201231/{x}/5/07_a.nc",
    ]


def test_a_field_may_be_there_twice():
    found = urls("{d:%Y}/{n:d}/{d:%j}-{d:%H%M%S}", d=["2020-02-01T06:30:15"], n=range(2))
    assert found == ["2020/0/032-063015", "2020/1/032-063015"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/b.nc", "no field"),
        ("a{", "brace"),
        ("a}b{x}", "brace"),
        ("{x:5f}", "not known"),
        ("{x:3d}", "not known"),
        ("{x.y}", "brace"),
        ("{0}", "brace"),
        ("{x!r}", "brace"),
        ("{x:%B}", "%B"),
        ("{x:%Y%}", "%"),
        ("{x:d}{x:%Y}", "integer and a date"),
    ],
)
def test_wrong_patterns(text, message):
    with pytest.raises(MetadataError, match=message):
        _ = parse_pattern(text).kinds


def test_names_must_differ():
    with pytest.raises(MetadataError, match=r"2020\.nc is the name of several"):
        urls("{run:%Y}.nc", run=["2020-01-01", "2020-01-02"])
    with pytest.raises(LimitError, match="files"):
        urls("{a:d}_{b:d}", a=range(10_000), b=range(10_000))


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "0:3", [0, 1, 2, 3]),
        ("integer", "0:10:4", [0, 4, 8]),
        ("date", "2020-01-30:2020-02-01", ["2020-01-30", "2020-01-31", "2020-02-01"]),
        ("date", "2020-01-01:2020-01-01T13:6h",
         ["2020-01-01T00", "2020-01-01T06", "2020-01-01T12"]),
        ("date", "2020-01-01T00:30/2020-01-01T01:30/30min",
         ["2020-01-01T00:30", "2020-01-01T01:00", "2020-01-01T01:30"]),
        ("date", "2020-01-01:2020-05-31:2M", ["2020-01", "2020-03", "2020-05"]),
        ("date", "2019:2021:1Y", ["2019", "2020", "2021"]),
        ("date", "2020-01-01:2020-01-15:1W", ["2020-01-01", "2020-01-08", "2020-01-15"]),
    ],
)  # fmt: skip
def test_ranges(kind, text, expected):
    found = parse_range("x", kind, text).array
    if kind == "date":
        expected = np.array(expected, "M8[s]")
    assert found.tolist() == list(np.array(expected).tolist())


@pytest.mark.parametrize(
    ("kind", "text"),
    [("integer", "3:0"), ("integer", "0:3:0"), ("integer", "0:3:-1"), ("integer", "0"),
     ("integer", "a:b"), ("integer", "0:1:2:3"), ("text", "a:b"), ("date", "2020-01-02:2020-01-01"),
     ("date", "x:y"), ("date", "2020-01-01:2020-01-02:1x"), ("date", "2020-01-02:2020-03-02:1M"),
     ("date", "2020-01-01:9999-01-01:1s"), ("date", "NaT:2020")],
)  # fmt: skip
def test_wrong_ranges(kind, text):
    with pytest.raises(MetadataError):
        parse_range("x", kind, text)


def test_vast_ranges():
    with pytest.raises(LimitError):
        parse_range("x", "integer", "0:999999999999")


def test_lists():
    assert parse_list("x", "integer", "1000, 850").array.tolist() == [1000, 850]
    assert parse_list("x", "text", "a,b").array.tolist() == ["a", "b"]
    assert len(parse_list("x", "date", "2020-01-01,2021-01-01")) == 2
    for kind, text in (("integer", "1,x"), ("text", "a,a"), ("text", "a,,b"), ("date", "a")):
        with pytest.raises(MetadataError):
            parse_list("x", kind, text)


@pytest.mark.parametrize(
    "given",
    [["2020-01-01"], [dt.date(2020, 1, 1)], [dt.datetime(2020, 1, 1)],  # noqa: DTZ001
     np.array(["2020-01-01"], "M8[ns]"), [np.datetime64("2020-01-01")]],
    ids=lambda given: type(given[0]).__name__,
)  # fmt: skip
def test_dates_of_python(given):
    values = Values.of("x", "date", given)
    assert values.texts("%Y-%m-%d") == ["2020-01-01"]
    assert values.coordinate("x").attributes["units"] == "days since 1970-01-01"


@pytest.mark.parametrize(
    ("kind", "given"),
    [("integer", [1.5]), ("integer", [True]), ("integer", ["a"]), ("integer", []),
     ("date", ["NaT"]), ("date", ["2020-01-01T00:00:00.5"]), ("text", [3]), ("text", [""]),
     ("integer", [2**70])],
)  # fmt: skip
def test_wrong_values(kind, given):
    with pytest.raises(MetadataError):
        Values.of("x", kind, given)


def test_what_has_no_name():
    with pytest.raises(MetadataError, match="negative"):
        urls("{a:d}", a=[-1])
    with pytest.raises(MetadataError, match="year 1000"):
        urls("{a:%Y}", a=["0900-01-01"])


def test_coordinates():
    times = Values.of("t", "date", ["2020-01-01T06", "2020-01-02"]).coordinate("t")
    assert times.attributes["units"] == "seconds since 1970-01-01"
    expected = np.array(["2020-01-01T06", "2020-01-02"], "M8[s]").astype("<i8").tobytes()
    assert dict(times.chunks.inlined) == {0: expected}
    names = Values.of("t", "text", ["a", "日本"]).coordinate("t")
    assert names.dtype == np.dtype("<U2")

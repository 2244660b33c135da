"""Times as texts: as cftime has them, and without it where numpy knows the calendar."""

from __future__ import annotations

import sys

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import MetadataError, MissingDependencyError
from refmaker.model.times import distance, needs_cftime, time_texts

CALENDARS = ["standard", "gregorian", "proleptic_gregorian", "noleap", "360_day", "julian"]
UNITS = ["days", "hours", "mins", "s", "milliseconds", "microseconds"]


def expected(values, units, calendar):
    return [one.isoformat() for one in cftime.num2date(np.array(values), units, calendar)]


@given(
    values=st.lists(st.integers(-400_000, 400_000), min_size=1, max_size=5),
    unit=st.sampled_from(UNITS),
    date=st.sampled_from(["1582-10-16", "1600-01-01", "1970-01-01", "2000-2-29", "1900-1-1 6:30"]),
    calendar=st.sampled_from(CALENDARS),
)
def test_whole_times_are_those_of_cftime(values, unit, date, calendar):
    date = date.replace("2-29", "2-28")
    units = f"{unit} since {date}"
    assert time_texts(values, units, calendar) == expected(values, units, calendar)


@given(
    value=st.floats(-50_000, 50_000).map(lambda value: round(value * 86_400) / 86_400),
    calendar=st.sampled_from([name for name in CALENDARS if name != "360_day"]),
)
def test_parts_of_days_are_those_of_cftime_to_a_microsecond(value, calendar):
    units = "days since 2000-01-01"
    (found,) = time_texts([value], units, calendar)
    true = cftime.num2date(value, units, calendar)
    apart = np.datetime64(found, "us") - np.datetime64(true.isoformat(), "us")
    assert abs(apart) < np.timedelta64(20, "us")


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("hours since 2000-01-01 06", "2000-01-01T07:00:00"),
        ("hours since 2000-01-01 00:00 -6:00", "2000-01-01T07:00:00"),
        ("hours since 2000-01-01 00:00 +0530", "1999-12-31T19:30:00"),
        ("hours since 2000-01-01T00:00:00Z", "2000-01-01T01:00:00"),
        ("Hours Since 2000-1-1 0:0:0.5", "2000-01-01T01:00:00.500000"),
        ("days since 0001-01-01", "0001-01-02T00:00:00"),
    ],
)
@pytest.mark.parametrize("calendar", ["proleptic_gregorian", "noleap"])
def test_hours_and_zones_of_the_reference_count(units, text, calendar):
    assert time_texts([1], units, calendar) == [text]


@pytest.mark.parametrize(
    "units",
    ["", "m", "days since", "days since noon", "days since 2000-01-01 EST", "days since 2000-13-01",
     "days since 2000-01-32", "days since 2000-01-01 25:00", "fortnights since 2000-01-01"],
)  # fmt: skip
@pytest.mark.parametrize("calendar", ["standard", "noleap", "of the moon", 7])
def test_what_is_no_time_has_no_text(units, calendar):
    assert time_texts([1], units, calendar) is None


def test_times_out_of_all_bounds_have_no_text():
    assert time_texts([1e300], "days since 2000-01-01") is None
    assert time_texts([2**62], "days since 2000-01-01") is None


def test_without_cftime_the_calendar_of_our_days_is_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "cftime", None)
    assert time_texts([1], "days since 1582-10-15") == ["1582-10-16T00:00:00"]
    assert time_texts([1], "days since 0001-01-01", "proleptic_gregorian") is not None
    assert distance("hours since 2000-01-02 -6:00", "days since 2000-01-01", "standard") == (
        30 * 3_600_000_000
    )
    for calendar, units in (("noleap", "days since 2000-01-01"), ("standard", "days since 1-1-1")):
        assert time_texts([1], units, calendar) is None
        assert needs_cftime(units)
        with pytest.raises(MissingDependencyError, match="cftime"):
            distance(units, "days since 2000-01-01", calendar)
    assert not needs_cftime("m")


@pytest.mark.parametrize("calendar", CALENDARS)
def test_distances_are_those_of_cftime(calendar):
    one, other = "hours since 2004-03-01 12:00", "days since 1999-12-30"
    days = cftime.num2date(0, one, calendar) - cftime.num2date(0, other, calendar)
    assert distance(one, other, "standard" if calendar == "gregorian" else calendar) == round(
        days.total_seconds() * 1_000_000
    )


@pytest.mark.parametrize("units", ["m", "days since 2000-01-01 EST", "days since 2000-01-01 +25"])
def test_distances_of_no_times_are_refused(units):
    for calendar in ("standard", "noleap"):
        with pytest.raises(MetadataError):
            distance(units, "days since 2000-01-01", calendar)

"""Octets with another time, step and member are those that ecCodes writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.scanners.grib.index_lists import FieldText
from refmaker.scanners.grib.taught_sections import (
    RecordedField,
    TaughtSections,
    moved,
    read_header,
)
from tests.scanners.grib import archives
from tests.scanners.grib.messages import message

HOUR = 3600


def header(data):
    length, found = read_header(data)
    assert length == len(data)
    return found


def text(begin, end, member=None, key="key", *, settled=False):
    start = None if begin is None else begin * HOUR
    return FieldText(key, start, end * HOUR, member, settled)


DATES = st.tuples(st.integers(20000101, 20000128), st.sampled_from([0, 600, 1830]))
STEPS = st.integers(0, 400)


@given(STEPS, STEPS, DATES, DATES)
def test_forecasts(one, other, date, then):
    def made(when, step):
        return header(message(dataDate=when[0], dataTime=when[1], forecastTime=step))

    like = made(then, 0)
    found = moved(made(date, one), like, (other * HOUR, other * HOUR), text(other, other))
    assert found == made(then, other)


@given(STEPS, STEPS, st.integers(1, 48), st.integers(0, 48), DATES, DATES)
def test_intervals(one, other, length, more, date, then):
    def made(when, begin, end):
        keys = {"dataDate": when[0], "dataTime": when[1]}
        return header(archives.interval(begin, end, **keys))

    step = other * HOUR, (other + more) * HOUR
    found = moved(made(date, one, one + length), made(then, 0, 1), step, text(other, other + more))
    assert found == made(then, other, other + more)


@given(st.integers(1, 50), st.integers(1, 50))
def test_members(one, other):
    def made(number, kind=3):
        return header(
            message(
                productDefinitionTemplateNumber=1, forecastTime=6, typeOfEnsembleForecast=kind,
                perturbationNumber=number,
            )
        )  # fmt: skip

    known, step = made(one), (6 * HOUR, 6 * HOUR)
    assert moved(known, known, step, text(6, 6, other)) == made(other)
    # Which member it is has to be said.
    assert moved(known, known, step, text(6, 6)) is None
    assert moved(known, known, step, text(6, 6, settled=True)) == known
    assert moved(header(message()), known, step, text(6, 6, 3)) is None


@pytest.mark.parametrize("indicator", [0, 10])
@given(one=st.integers(0, 200), other=st.integers(0, 255), date=DATES, then=DATES)
def test_forecasts_of_edition_1(indicator, one, other, date, then):
    def made(when, step):
        period = {"P1": step} if indicator == 0 else {"P1": 0, "P2": step}
        keys = {"dataDate": when[0], "dataTime": when[1], "indicatorOfUnitOfTimeRange": 1}
        return header(message(1, centre=7, timeRangeIndicator=indicator, **keys, **period))

    step = other * HOUR, other * HOUR
    assert moved(made(date, one), made(then, 0), step, text(other, other)) == made(then, other)


def test_steps_that_the_octets_cannot_say():
    known = header(message(forecastTime=6))
    assert moved(known, known, (5400, 5400), text(0, 0)) is None
    assert moved(known, known, (0, 6 * HOUR), text(0, 6)) is None
    assert moved(known, known, (-HOUR, -HOUR), text(0, 0)) is None
    old = header(message(1, centre=7, timeRangeIndicator=0, P1=6))
    assert moved(old, old, (256 * HOUR, 256 * HOUR), text(256, 256)) is None
    assert moved(old, known, (HOUR, HOUR), text(1, 1)) is None


def field(data):
    return RecordedField(header(data), (0, b"", 0, 0, b""), ())


def test_a_key_that_stands_for_two_things_tells_nothing():
    taught = TaughtSections()
    one, other = (
        field(message(forecastTime=6, generatingProcessIdentifier=process)) for process in (96, 105)
    )
    taught.learn(text(6, 6), one, 6 * HOUR, one.header)
    assert taught.told(text(9, 9), one.header) is not None
    taught.learn(text(6, 6), other, 6 * HOUR, one.header)
    assert taught.told(text(9, 9), one.header) is None
    taught.learn(text(6, 6), one, 6 * HOUR, one.header)
    assert taught.told(text(9, 9), one.header) is None


def test_a_line_that_does_not_fit_its_message_teaches_nothing():
    one = field(message(forecastTime=6))
    for line in (text(9, 9), text(0, 6), text(6, 6, 3)):
        taught = TaughtSections()
        taught.learn(line, one, 6 * HOUR, one.header)
        assert taught.told(line, one.header) is None
    taught = TaughtSections()
    later = header(message(forecastTime=6, dataTime=1800))
    taught.learn(text(6, 6), one, 6 * HOUR, later)
    assert taught.told(text(6, 6), later) is None


def test_where_intervals_begin_is_told_by_two():
    def known(begin, end):
        found = field(archives.interval(begin, end))
        return text(None, end), found, begin * HOUR, found.header

    def begin(end):
        told = taught.told(text(None, end), like)
        return None if told is None else int.from_bytes(told[0].what[18:22], "big")

    like = known(0, 3)[1].header
    taught = TaughtSections()
    taught.learn(*known(0, 3))
    # Since the start, or the last three hours?
    assert begin(3) == 0
    assert begin(6) is None
    taught.learn(*known(0, 6))
    assert begin(9) == 0
    taught = TaughtSections()
    taught.learn(*known(0, 3))
    taught.learn(*known(3, 6))
    assert begin(9) == 6
    taught.learn(*known(3, 9))
    assert begin(9) is None


@pytest.mark.parametrize("edition", [1, 2])
def test_every_beginning_of_a_message(edition):
    data = message(edition)
    whole = read_header(data)
    for stop in range(len(data)):
        assert read_header(data[:stop]) in (None, whole)
    assert read_header(data[1:]) is None

"""Inference: the rule behind a table, exactly or not at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fsspec.implementations.reference import ReferenceFileSystem
from hypothesis import given
from hypothesis import strategies as st

from refmaker.templates import ReferenceColumns, Rule, infer


def columns(shape, urls, url, offset, length, *, index=None):
    def unsigned(values):
        return np.array(values, np.uint64) if isinstance(values, list | np.ndarray) else values

    url = np.asarray(url) if isinstance(url, list | np.ndarray) else url
    return ReferenceColumns(shape, urls, url, unsigned(offset), unsigned(length), index)


def references(prefix, table, separator="."):
    """What a table says, one key at a time."""
    count = int(np.prod(table.shape))
    index = np.arange(count) if table.index is None else table.index
    places = np.array(np.unravel_index(index, table.shape)).T.tolist()
    url = np.broadcast_to(table.url, len(places)).tolist()
    keys = [prefix + separator.join(map(str, place)) for place in places]
    urls = [table.urls[number] for number in url]
    if table.offset is None:
        return {key: (url, None, None) for key, url in zip(keys, urls, strict=True)}
    offset = np.broadcast_to(table.offset, len(places)).tolist()
    length = np.broadcast_to(table.length, len(places)).tolist()
    return dict(zip(keys, zip(urls, offset, length, strict=True), strict=True))


def expanded(rule):
    """What the rule says, after a trip through JSON."""
    rule = Rule(json.loads(json.dumps(rule.to_json())))
    return {key: tuple(rule.lookup(key)) for key in rule.iter_keys()}


def check(table, *, prefix="g/a/", separator="."):
    rule = infer(prefix, table, separator)
    assert rule is not None
    expected = references(prefix, table, separator)
    assert expanded(rule) == expected
    # The order of the rows is that of the chunks, so that columns can be compared.
    assert list(rule.iter_keys()) == list(expected)
    return rule


def test_one_contiguous_array():
    rule = check(columns((4, 3), ["s3://b/a.nc"], 0, 4096 + np.arange(12) * 100, 100))
    assert rule.to_json() == {
        "key": "g/a/{{i0}}.{{i1}}",
        "url": "s3://b/a.nc",
        "offset": "{{ 4096 + 300 * i0 + 100 * i1 }}",
        "length": "100",
        "dimensions": {"i0": {"stop": 4}, "i1": {"stop": 3}},
    }


@pytest.mark.parametrize(
    "names",
    [
        [f"s3://b/{n}.nc" for n in range(13)],
        [f"s3://b/{n:02d}.nc" for n in range(95, 108)],
        [f"s3://b/{n:04d}-{2 * n}.nc" for n in range(13)],
        [f"s3://b1/x{n}x" for n in range(1000, 0, -70)],
        [f"run7/f{n:03d}_of_0012_{5}" for n in range(12)],
        [str(10**17 + n) for n in range(5)],
    ],
)
def test_counting_urls(names):
    table = columns((len(names),), names, np.arange(len(names)), None, None)
    check(table)
    check(replace(table, offset=np.full(len(names), 8, np.uint64), length=16))


def at(*fields):
    return datetime(*fields, tzinfo=UTC)


def times(start, step, count):
    return [start + step * n for n in range(count)]


@pytest.mark.parametrize(
    ("pattern", "moments"),
    [
        ("%Y%m%d", times(at(2019, 12, 25), timedelta(days=1), 800)),
        ("%Y/%m/%d/f_%Y%m%d.nc", times(at(2020, 2, 25), timedelta(days=1), 60)),
        ("%Y-%m-%dT%H:%M:%S", times(at(2020, 2, 28), timedelta(minutes=17), 3000)),
        ("%Y%m%d%H", times(at(2021, 12, 30, 6), timedelta(hours=6), 200)),
        ("%Y%m%d_%H%M", times(at(2021, 12, 30, 6), timedelta(minutes=30), 200)),
        ("v2/%Y/%m/%d%H%M%S", times(at(1999, 12, 30), timedelta(seconds=7), 9000)),
        ("%Y/%m", [at(2015 + n // 12, n % 12 + 1, 1) for n in range(3, 200)]),
        ("%Y/%Y%m01", [at(2015 + n // 12, n % 12 + 1, 1) for n in range(0, 200, 5)]),
        ("gfs.%Y%m%d/06/x", times(at(2020, 1, 1), timedelta(days=-10), 300)),
        ("%Y%m%d00", times(at(1996, 2, 1), timedelta(days=7), 3000)),
    ],
)
def test_dates(pattern, moments):
    names = [moment.strftime(pattern) for moment in moments]
    check(columns((len(names),), names, np.arange(len(names)), None, None))


@pytest.mark.parametrize("place", [0, 1, 30, 399])
def test_one_date_out_of_order_is_no_rule(place):
    names = [f"{moment:%Y%m%d}" for moment in times(at(2020, 1, 5), timedelta(days=1), 400)]
    names[place] = "20250101"
    assert infer("a/", columns((400,), names, np.arange(400), None, None)) is None


def test_dates_that_do_not_exist_are_no_rule():
    names = [f"2020{n // 40:02d}{n % 40:02d}" for n in range(200)]
    assert infer("a/", columns((200,), names, np.arange(200), None, None)) is None


def test_files_that_hold_several_chunks():
    """Twenty-four steps a file, the last one short, and four tiles a step."""
    step, tile = (axis.ravel() for axis in np.indices((100, 4)))
    days = [f"s3://b/{m:%Y/%m/%d}.nc" for m in times(at(2020, 2, 27), timedelta(days=1), 5)]
    offset = 800 + (step % 24) * 9000 + tile * 2000
    rule = check(columns((100, 4), days, step // 24, offset, 1999))
    assert "(i0 % 24)" in rule.to_json()["offset"]


def test_two_running_numbers_in_one_url():
    member, level = (axis.ravel() for axis in np.indices((5, 12)))
    names = [f"m{m:02d}/l{v * 50}.nc" for m in range(5) for v in range(12)]
    check(columns((5, 12), names, member * 12 + level, 10 + level, 7))


def test_a_date_and_a_member():
    day, member = (axis.ravel() for axis in np.indices((40, 3)))
    days = times(at(2020, 12, 1), timedelta(days=1), 40)
    names = [f"{m:%Y%m%d}/{k:03d}.nc" for m in days for k in range(3)]
    check(columns((40, 3), names, day * 3 + member, None, None))


@pytest.mark.parametrize(
    "chosen",
    [
        ([0, 1, 2, 3], [2, 3, 4]),
        ([3, 5, 7], [0, 5]),
        ([0, 1, 5], [1, 2, 4]),
        ([4], [0, 1, 2]),
        ([6, 7], [5]),
    ],
)
def test_only_some_chunks_exist(chosen):
    index = np.ravel_multi_index(np.ix_(*map(np.array, chosen)), (8, 6)).ravel()
    offset = 100 + (index // 6) * 64 + (index % 6) * 8
    check(columns((8, 6), ["u"], 0, offset, 8, index=index))
    names = [f"f{number // 6:03d}" for number in range(48)]
    check(columns((8, 6), names, index, offset, 8, index=index))


@pytest.mark.parametrize("index", [[0, 1, 2, 5], [1, 0], [0, 0], [-1, 0], [0, 99], [], [0, 4], [3]])
def test_chunks_that_are_no_product_are_no_rule(index):
    table = columns((3, 3), ["u"], 0, [8] * len(index), 8, index=np.array(index, np.int64))
    assert infer("a/", table) is None


@pytest.mark.parametrize("prefix", ["a/", "", "g/1/2-3/", "a/c/", "{x}/"])
@pytest.mark.parametrize("separator", [".", "/"])
def test_prefixes_and_separators(prefix, separator):
    table = columns((2, 1, 3), ["u{1}"], 0, np.arange(6) * 5, 5)
    check(table, prefix=prefix, separator=separator)


@pytest.mark.parametrize("text", ["{{", "{{i0}}", "{%", "{#", "a{{i1}}b"])
def test_texts_that_look_like_templates_are_no_rule(text):
    assert infer(text + "/", columns((3,), ["u"], 0, [0, 5, 10], 5)) is None
    assert infer("a/", columns((3,), [text], 0, [0, 5, 10], 5)) is None
    names = [f"{text}{n}" for n in range(3)]
    assert infer("a/", columns((3,), names, np.arange(3), [0, 5, 10], 5)) is None


@pytest.mark.parametrize(
    "table",
    [
        columns((3,), ["u"], 0, [0, 5, 11], 5),
        columns((3,), ["u"], 0, [0, 5, 10], [5, 5, 6]),
        columns((3,), ["u"], 0, [0, 5, 2**63], 5),
        columns((2,), ["u"], 0, [2**63 - 1, 0], 5),
        columns((2,), ["u"], 0, [2**63 - 4, 2**63 - 2], 5),
        columns((3,), ["u"], 0, [0, 5, 10], None),
        columns((3,), ["u"], 1, [0, 5, 10], 5),
        columns((3,), ["u"], -1, [0, 5, 10], 5),
        columns((3,), ["u", "v"], [0, 1], [0, 5, 10], 5),
        columns((3,), ["u"], 0, [0, 5], 5),
        columns((3,), ["a", "b", "c"], [0, 1, 2], None, None),
        columns((3,), ["1", "2", "4"], [0, 1, 2], None, None),
        columns((3,), ["1", "02", "3"], [0, 1, 2], None, None),
        columns((3,), ["08", "9", "10"], [0, 1, 2], None, None),
        columns((3,), ["1", "2", "x"], [0, 1, 2], None, None),
        columns((2,), ["1" * 30, "1" * 29 + "2"], [0, 1], None, None),
        columns((4,), ["f1", "f2"], [0, 1, 0, 1], None, None),
        columns((4,), ["f1", "f2", "f3"], [0, 0, 1, 2], None, None),
        columns((2, 2), ["f1", "f2"], [0, 1, 1, 0], None, None),
        columns((1,), ["u"], 0, [0], 5),
        columns((), ["u"], 0, [0], 5),
        columns((0, 3), ["u"], 0, [], 5),
    ],
)
def test_tables_without_a_rule(table):
    assert infer("a/", table) is None


def test_urls_that_are_listed_twice_are_one():
    check(columns((4,), ["u", "u", "u"], [0, 1, 2, 0], np.arange(4), 1))


AFFINE = st.tuples(st.integers(0, 2**40), st.lists(st.integers(0, 2**20), min_size=3, max_size=3))


@st.composite
def regular_tables(draw):
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    grid = [axis.ravel() for axis in np.indices(shape)]
    start, steps = draw(AFFINE)
    period = draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["one", "counter", "padded", "date"]))
    axis = draw(st.integers(0, len(shape) - 1))
    period = shape[axis] if kind == "one" else period
    number = grid[axis] // period
    local = [place % period if n == axis else place for n, place in enumerate(grid)]
    offset = start + sum(step * place for step, place in zip(steps, local, strict=False))
    first, gap = draw(st.integers(0, 120)), draw(st.integers(1, 40))
    day = at(2000, 1, 1)
    texts = {
        "one": lambda n: "mem://one",
        "counter": lambda n: f"mem://{first + n * gap}/x",
        "padded": lambda n: f"mem://{first + n * gap:03d}.nc",
        "date": lambda n: f"mem://{day + timedelta(days=first + n * gap):%Y/%m/%Y%m%d}.nc",
    }
    urls = [texts[kind](n) for n in range(int(number.max()) + 1)]
    return columns(shape, urls, number, offset, draw(st.integers(0, 2**30)))


@given(regular_tables())
def test_tables_made_by_a_rule_have_one(table):
    if np.prod(table.shape) > 1:
        check(table)


@given(regular_tables(), st.data())
def test_one_changed_entry_is_noticed(table, data):
    count = int(np.prod(table.shape))
    place = data.draw(st.integers(0, count - 1))
    change = data.draw(st.sampled_from(["offset", "length", "url"]))
    if change == "offset":
        offset = table.offset.copy()
        offset[place] += np.uint64(data.draw(st.integers(1, 2**21)))
        table = replace(table, offset=offset)
    elif change == "length":
        length = np.full(count, table.length, np.uint64)
        length[place] += np.uint64(1)
        table = replace(table, length=length)
    else:
        url = np.broadcast_to(table.url, count).copy()
        url[place] = len(table.urls)
        table = replace(table, urls=[*table.urls, "mem://another7"], url=url)
    rule = infer("a/", table)
    if rule is not None:
        assert expanded(rule) == references("a/", table)


SMALL = st.integers(0, 3)


@st.composite
def arbitrary_tables(draw):
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    count = int(np.prod(shape))
    index = None
    if draw(st.booleans()):
        chosen = draw(st.lists(st.integers(0, count - 1), unique=True, min_size=1))
        index = np.array(sorted(chosen))
        count = index.size
    rows = st.lists(SMALL, min_size=count, max_size=count)
    pieces = st.sampled_from(["f", "1", "01", "2", "02", "03", "/", "{", "20200131", "20200201"])
    urls = draw(st.lists(st.lists(pieces, max_size=3).map("".join), min_size=4, max_size=4))
    return columns(
        shape,
        urls,
        draw(st.one_of(SMALL, rows)),
        draw(rows),
        draw(st.one_of(SMALL, rows)),
        index=index,
    )


@given(arbitrary_tables())
def test_whatever_rule_is_found_is_exact(table):
    rule = infer("a/", table)
    if rule is not None:
        assert expanded(rule) == references("a/", table)


@given(regular_tables())
def test_rules_are_valid_for_the_reference_implementation(table):
    """What is written is jinja: no extension of this language is used."""
    rule = infer("a/", table)
    if rule is not None and rule.size <= 6:
        document = {"version": 1, "gen": [rule.to_json()], "refs": {}}
        stock = ReferenceFileSystem(
            document, remote_protocol="memory", simple_templates=False, skip_instance_cache=True
        )
        assert {k: tuple(v) for k, v in stock.references.items()} == references("a/", table)


def test_a_large_table():
    shape = (400, 50, 50)
    step = np.repeat(np.arange(400), 2500)
    offset = 5000 + np.arange(1_000_000) % 60_000 * 4096
    rule = infer("a/", columns(shape, [f"f{n:03d}" for n in range(17)], step // 24, offset, 4096))
    assert rule is not None
    assert rule.lookup("a/399.49.49") == ("f016", 5000 + 39_999 * 4096, 4096)

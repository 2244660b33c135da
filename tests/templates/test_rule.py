"""Rules: against the reference implementation, row by row, and at sizes nobody expands."""

import itertools
import tracemalloc

import numpy as np
import pytest
from fsspec.implementations.reference import ReferenceFileSystem
from hypothesis import given
from hypothesis import strategies as st

from refmaker.templates import (
    Limits,
    Rule,
    Rules,
    TemplateError,
    TemplateLimitError,
    Templates,
)

SPECIFICATION = {
    "version": 1,
    "templates": {"u": "server.domain/path", "f": "{{c}}"},
    "gen": [
        {
            "key": "gen_key{{i}}",
            "url": "http://{{u}}_{{i}}",
            "offset": "{{(i + 1) * 1000}}",
            "length": "1000",
            "dimensions": {"i": {"stop": 5}},
        },
        {
            "key": "gen_key{{i}}",
            "url": "http://{{u}}_{{i}}",
            "dimensions": {"i": {"start": 5, "stop": 7}},
        },
    ],
    "refs": {},
}


def entry(key="t/{{i}}", url="u", **members):
    dimensions = members.pop("dimensions", {"i": {"stop": 4}})
    return {"key": key, "url": url, "dimensions": dimensions, **members}


def stock(document):
    """References as the reference implementation expands them (with jinja)."""
    system = ReferenceFileSystem(
        document, remote_protocol="memory", simple_templates=False, skip_instance_cache=True
    )
    return {key: tuple(value) for key, value in system.references.items()}


def expanded(rule):
    """All references of a rule, by its columns."""
    table = rule.table()
    urls = [table.urls[number] for number in table.url]
    if table.offset is None:
        return dict(zip(rule.iter_keys(), ((url,) for url in urls), strict=True))
    rows = zip(urls, table.offset.tolist(), table.length.tolist(), strict=True)
    return dict(zip(rule.iter_keys(), rows, strict=True))


def looked_up(rule):
    """All references of a rule, one by one."""
    found = {key: rule.lookup(key) for key in rule.iter_keys()}
    return {k: tuple(v if v.offset is not None else v[:1]) for k, v in found.items()}


def test_the_specification_example():
    templates = Templates(SPECIFICATION["templates"])
    rules = Rules(SPECIFICATION["gen"], templates)
    expected = stock(SPECIFICATION)
    assert len(expected) == 7
    assert {k: v for rule in rules for k, v in expanded(rule).items()} == expected
    assert {k: v for rule in rules for k, v in looked_up(rule).items()} == expected
    assert rules.size == 7
    assert rules.lookup("gen_key6") == ("http://server.domain/path_6", None, None)
    assert rules.lookup("gen_key7") is None
    assert [rule.to_json() for rule in rules] == SPECIFICATION["gen"]


DIMENSIONS = st.one_of(
    st.builds(
        lambda start, count, step: {"start": start, "stop": start + count * step, "step": step},
        st.integers(-3, 12),
        st.integers(1, 5),
        st.sampled_from([1, 2, 7, -1, -3]),
    ),
    st.lists(st.integers(-4, 40), min_size=1, max_size=5, unique=True),
)
KEYS = st.sampled_from(
    [
        "t/{{i}}.{{j}}",
        "{{i}}/x{{ j + 1 }}",
        "t/{{ 3 * i - 2 }}.{{ -j }}",
        "t/{{'%03d' % i}}{{'%d'|format(j)}}e",
        "t/{{j}}.{{i}}.{{ i // 2 }}.{{ i * j }}",
        "t.{{f(c=i)}}.{{f(c=j)}}",
        "t1{{ i }}.5.{{ j * 2 }}.0",
    ]
)
URLS = st.sampled_from(
    [
        "mem://{{u}}",
        "{{u}}/{{'%02d' % (j % 3)}}.nc",
        "{{f(c=i)}}-{{ i * j }}",
        "{{f(c=u)}}{{ (i + 7) // 3 }}/{{ i % 2 }}",
        "plain",
    ]
)
NUMBERS = st.sampled_from(
    ["0", "1000", "{{ 5000 + 8 * i - j }}", "{{ (i * i + 1) * 9 + j % 5 }}", " {{n}} ", "{{ 7 }}"]
)
RULES = st.fixed_dictionaries(
    {
        "key": KEYS,
        "url": URLS,
        "offset": NUMBERS,
        "length": NUMBERS,
        "dimensions": st.fixed_dictionaries({"i": DIMENSIONS, "j": DIMENSIONS}),
    }
)
TEMPLATES = {"u": "bucket", "f": "<{{c}}>", "n": "77"}


@given(RULES)
def test_columns_and_look_ups_are_what_the_reference_implementation_expands(gen):
    expected = stock({"version": 1, "templates": dict(TEMPLATES), "gen": [gen], "refs": {}})
    gen = {**gen, "key": gen["key"]}
    rule = Rule(gen, Templates(TEMPLATES))
    assert rule.size == len(expected)
    assert expanded(rule) == expected
    assert list(rule.iter_keys()) == list(expected)
    if rule.pattern.obstacle is None:
        assert looked_up(rule) == expected


@given(RULES, st.data())
def test_windows_are_parts_of_the_whole(gen, data):
    rule = Rule(gen, Templates(TEMPLATES))
    start = data.draw(st.integers(0, rule.size))
    stop = data.draw(st.integers(start, rule.size))
    whole, part = rule.table(), rule.table(start, stop)
    urls = [whole.urls[number] for number in whole.url[start:stop]]
    assert [part.urls[number] for number in part.url] == urls
    assert len(set(part.urls)) == len(part.urls) == len(set(urls))
    assert np.array_equal(part.offset, whole.offset[start:stop])
    assert np.array_equal(part.length, whole.length[start:stop])
    assert list(rule.iter_keys(start, stop)) == list(rule.iter_keys())[start:stop]
    columns = zip(rule.key_columns(start, stop), rule.key_columns(), strict=True)
    assert all(np.array_equal(some, every[start:stop]) for some, every in columns)


@given(RULES, st.text(st.sampled_from("0123456789-./txe<>"), max_size=12))
def test_keys_that_are_not_made_are_not_found(gen, key):
    rule = Rule(gen, Templates(TEMPLATES))
    if rule.pattern.obstacle is None:
        made = expanded(rule)
        found = rule.lookup(key)
        assert (found is not None) == (key in made)


SPELLINGS = [
    "007",
    "+7",
    " 7",
    "-0",
    "7 ",
    "7.0",
    "",
    "x",
    "\u0667",
    "-7",
    "8",
    "9" * 70,
    "1" * 10_000,
]


@pytest.mark.parametrize("key", [*(f"t/{text}" for text in SPELLINGS), "s/7", "", "t"])
def test_other_spellings_are_other_keys(key):
    rule = Rule(entry(dimensions={"i": {"stop": 8}}))
    assert rule.lookup("t/7") == ("u", None, None)
    assert rule.lookup(key) is None


def test_columns_of_many_blocks():
    rule = Rule(
        entry(
            "a/{{i}}.{{j}}.{{k}}",
            "f{{ i % 4 }}-{{ k // 30 }}",
            offset="{{ (i * 700 + j) * 90 + k }}",
            length="{{ 1 + k }}",
            dimensions={"i": {"stop": 5}, "j": {"stop": 700}, "k": {"stop": 90}},
        )
    )
    table = rule.table()
    i, j, k = (axis.ravel() for axis in np.indices((5, 700, 90)))
    assert np.array_equal(table.offset, np.arange(5 * 700 * 90))
    assert np.array_equal(table.length, 1 + k)
    expected = [f"f{a % 4}-{b // 30}" for a, b in zip(i.tolist(), k.tolist(), strict=True)]
    assert [table.urls[number] for number in table.url.tolist()] == expected
    assert len(table.urls) == 12
    middle = rule.table(200_000, 200_003)
    assert middle.offset.tolist() == [200_000, 200_001, 200_002]
    assert all(np.array_equal(*pair) for pair in zip(rule.key_columns(), (i, j, k), strict=True))


def test_a_hundred_million_chunks_cost_nothing_until_asked_for():
    gen = entry(
        "deep/group/a/{{t}}.{{y}}.{{x}}",
        "s3://bucket/{{'%06d' % (t // 24)}}.nc",
        offset="{{ 4096 + ((t % 24) * 1000 + y * 10 + x) * 65536 }}",
        length="65536",
        dimensions={"t": {"stop": 100_000}, "y": {"stop": 100}, "x": {"stop": 10}},
    )
    tracemalloc.start()
    rule = Rules([gen])
    found = rule.lookup("deep/group/a/99999.99.9")
    window = rule[0].table(50_000_000, 50_001_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rule.size == 100_000_000
    assert found == ("s3://bucket/004166.nc", 4096 + (15 * 1000 + 999) * 65536, 65536)
    assert window.urls == ("s3://bucket/002083.nc",)
    assert window.offset[0] == 4096 + 8 * 1000 * 65536
    assert peak < 4_000_000


def test_a_million_million_chunks():
    rule = Rule(entry(offset="{{i * 4}}", length="4", dimensions={"i": {"stop": 10**12}}))
    assert rule.lookup(f"t/{10**12 - 1}") == ("u", 4 * (10**12 - 1), 4)
    assert rule.lookup(f"t/{10**12}") is None
    assert rule.table(10**12 - 2, 10**12).offset.tolist() == [4 * (10**12 - 2), 4 * (10**12 - 1)]
    for method in (rule.table, rule.iter_keys, rule.key_columns):
        with pytest.raises(TemplateLimitError, match="references at once"):
            method()


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        ({"start": 5, "stop": 0, "step": -2}, [5, 3, 1]),
        ({"start": -3, "stop": 0}, [-3, -2, -1]),
        ({"stop": 0}, []),
        ({"start": 9, "stop": 3}, []),
        ({"stop": 3, "step": -1}, []),
        ({"start": 2**63 - 3, "stop": 2**63 - 1}, [2**63 - 3, 2**63 - 2]),
        ({"start": -(2**63), "stop": 2**63 - 1, "step": 2**62}, [-(2**63), -(2**62), 0, 2**62]),
        ([4, -1, 2**63 - 1], [4, -1, 2**63 - 1]),
        ([], []),
    ],
)
def test_dimensions(dimension, values):
    rule = Rule(entry(dimensions={"i": dimension}))
    assert rule.shape == (len(values),)
    assert list(rule.iter_keys()) == [f"t/{value}" for value in values]
    assert all(rule.lookup(f"t/{value}") == ("u", None, None) for value in values)
    assert rule.table().url.tolist() == [0] * len(values)
    assert rule.lookup("t/77") is None


@pytest.mark.parametrize(
    ("gen", "words"),
    [
        ({}, "without 'key'"),
        ([], "not an object"),
        ({"key": "k{{i}}", "dimensions": {}}, "without 'url'"),
        ({"key": "k", "url": "u"}, "without 'dimensions'"),
        (entry(offset="1"), "need each other"),
        (entry(length="1"), "need each other"),
        (entry(key=3), "'key' of a gen entry is not a text"),
        (entry(url=None), "'url' of a gen entry is not a text"),
        (entry(offset=1.5, length="1"), "'offset' of a gen entry is not a text"),
        (entry(offset=True, length="1"), "'offset' of a gen entry is not a text"),
        (entry(surprise=1), "unknown member 'surprise'"),
        (entry(dimensions=[]), "not an object"),
        (entry(dimensions={"i": 5}), "neither a range nor a list"),
        (entry(dimensions={"i": {"start": 5}}), "no 'stop'"),
        (entry(dimensions={"i": {"stop": 5, "end": 6}}), "unknown member 'end'"),
        (entry(dimensions={"i": {"stop": 5, "step": 0}}), "step 0"),
        (entry(dimensions={"i": {"stop": 5.0}}), "not a 64-bit integer"),
        (entry(dimensions={"i": {"stop": True}}), "not a 64-bit integer"),
        (entry(dimensions={"i": {"stop": 2**63}}), "not a 64-bit integer"),
        (entry(dimensions={"i": [1, "2"]}), "not a 64-bit integer"),
        (entry(dimensions={"i": [1, 2, 1]}), "a value twice"),
        (entry(dimensions={"i j": {"stop": 3}}), "not an identifier"),
        (entry(dimensions={"": {"stop": 3}}), "not an identifier"),
        (entry(dimensions={"i": {"stop": 3}, "u": {"stop": 3}}), "both a dimension and a template"),
        (entry(dimensions={"i": {"stop": 3}, "j": {"stop": 3}}), "j is not in the key"),
        (entry("t/{{i}}{{n}}"), "n is not known"),
        (entry(url="{{i.x}}"), "attributes"),
        (entry(url="{% for x in y %}"), "statements"),
        (entry(offset="{{i}}{{i}}", length="1"), "offset is not one integer"),
        (entry(offset="{{i}}000", length="1"), "offset is not one integer"),
        (entry(offset="", length="1"), "offset is not one integer"),
        (entry(offset="1", length="-1"), "length is not one integer"),
        (entry(offset="1", length="one"), "length is not one integer"),
        (entry(offset="1", length=str(2**63)), "length is not one integer"),
        (entry(offset="\u0661", length="1"), "offset is not one integer"),
    ],
)
def test_entries_that_are_not_rules(gen, words):
    with pytest.raises(TemplateError, match=words):
        Rule(gen, Templates({"u": "x"}))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("{{i // 2}}.{{i % 2}}.{{j}}", "multiple of i alone"),
        ("{{i * 10 + j}}", "multiple of i alone"),
        ("{{i * i}}.{{j}}", "multiple of i alone"),
        ("{{i}}{{j}}", "number 1 in it has no certain end"),
        ("{{i}}0{{j}}", "number 1 in it has no certain end"),
        ("{{i:01d}}{{j}}", "number 1 in it has no certain end"),
    ],
)
def test_keys_that_cannot_be_read_backwards(key, words):
    dimensions = {"i": {"stop": 12}, "j": {"stop": 3}}
    rule = Rule(entry(key, "u{{i}}", dimensions=dimensions))
    assert words in rule.pattern.obstacle
    with pytest.raises(TemplateError, match=words):
        rule.lookup("1.2")
    assert len(list(rule.iter_keys())) == rule.table().url.size == 36


def test_keys_without_separators_if_their_width_is_certain():
    dimensions = {"i": {"stop": 100}, "j": {"start": 1, "stop": 1000}}
    rule = Rule(entry("t{{i:02d}}{{j:03d}}0", "{{i}}-{{j}}", dimensions=dimensions))
    assert rule.lookup("t070120") == ("7-12", None, None)
    assert rule.lookup("t070000") is None
    assert rule.lookup("t70120") is None


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        ("{{ i - 1 }}", "5"),
        ("5", "{{ 2 - i }}"),
        ("{{ 9223372036854775807 - i }}", "4"),
        ("{{ i * 9223372036854775807 }}", "4"),
        ("{{ 10 // (i - 2) }}", "4"),
        ("{{ 10 % (i - 2) }}", "4"),
        ("{{ 4611686018427387904 + i * 2305843009213693952 }}", "1"),
    ],
)
def test_ranges_are_never_wrong(offset, length):
    rule = Rule(entry(offset=offset, length=length))
    with pytest.raises(TemplateError):
        rule.table()
    wrong = 0
    for key in rule.iter_keys():
        try:
            found = rule.lookup(key)
        except TemplateError:
            wrong += 1
        else:
            assert 0 <= found.offset <= found.offset + found.length < 2**63
    assert wrong


def test_caps_are_counted_first():
    limits = Templates(None, Limits(rows=100, urls=10, characters=200, list_length=5, dimensions=2))
    assert Rule(entry(dimensions={"i": {"stop": 100}}), limits).table().url.size == 100
    for gen, words in [
        (entry(dimensions={"i": {"stop": 101}}), "101 references at once"),
        (entry(url="{{i}}", dimensions={"i": {"stop": 11}}), "11 URLs"),
        (entry(url="long{{i}}", dimensions={"i": {"stop": 9}}), "9 URLs of up to 24 characters"),
        (entry(dimensions={"i": list(range(6))}), "lists 6 values"),
        (entry(dimensions={name: {"stop": 1} for name in "ijk"}), "a rule of 3 dimensions"),
    ]:
        with pytest.raises(TemplateLimitError, match=words):
            Rule(gen, limits).table()
    huge = {name: {"stop": 2**40} for name in "ij"}
    with pytest.raises(TemplateLimitError, match="64 bits can number"):
        Rule(entry("{{i}}.{{j}}", dimensions=huge))


def test_windows_outside_are_index_errors():
    rule = Rule(entry())
    for window in [(-1, 2), (0, 5), (3, 2)]:
        with pytest.raises(IndexError):
            rule.table(*window)
    assert rule.table(4, 4).urls == ()


def test_equal_urls_from_different_numbers_are_one():
    table = Rule(entry(url="{{i % 2}}")).table()
    assert table.urls == ("0", "1")
    assert table.url.tolist() == [0, 1, 0, 1]


def test_the_later_of_two_rules_counts():
    rules = Rules([entry(url="first"), entry(url="second", dimensions={"i": {"stop": 2}})])
    assert rules.lookup("t/1").url == "second"
    assert rules.lookup("t/3").url == "first"
    document = {"version": 1, "gen": [rule.to_json() for rule in rules], "refs": {}}
    expected = stock(document)
    assert {key: (rules.lookup(key).url,) for key in expected} == expected


def test_many_rules_are_told_apart_by_their_beginnings():
    names = ["".join(pair) for pair in itertools.product("abcdefgh", repeat=2)]
    rules = Rules([entry(f"{name}/{{{{i}}}}", name) for name in [*names, "a/b"]])
    assert all(rules.lookup(f"{name}/3").url == name for name in [*names, "a/b"])
    assert rules.lookup("a/3") is None
    assert rules.lookup("") is None
    assert len(rules) == 65


def test_numbers_may_be_json_numbers():
    rule = Rule(entry(offset=10, length=20))
    assert rule.lookup("t/0") == ("u", 10, 20)
    table = rule.table()
    assert table.offset.tolist() == [10] * 4
    assert table.offset.dtype == table.length.dtype == np.uint64

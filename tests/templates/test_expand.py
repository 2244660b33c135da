"""Templates in texts: names, functions, circles and their cost."""

import pickle

import pytest
from fsspec.implementations.reference import ReferenceFileSystem
from hypothesis import given
from hypothesis import strategies as st

from refmaker.templates import Limits, TemplateError, TemplateLimitError, Templates, expand

SPECIFICATION = {"u": "server.domain/path", "f": "{{c}}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://{{u}}", "http://server.domain/path"),
        ("http://{{ u }}/x", "http://server.domain/path/x"),
        ("{{u}}{{u}}", "server.domain/pathserver.domain/path"),
        ("http://{{f(c='text')}}", "http://text"),
        ("http://{{ f( c = 'text' ) }}", "http://text"),
        ("{{f(c=u)}}", "server.domain/path"),
        ('{{f(c=f(c=f(c="q")))}}', "q"),
        ("{{f(c=2 + 3)}}", "5"),
        ("{{f(c='')}}", ""),
        ("{{ 2 * 3 }}", "6"),
        ("{{u}}/{a}/}}", "server.domain/path/{a}/}}"),
        ("{x}/{{u}}", "{x}/server.domain/path"),
        ("no braces", "no braces"),
        ("{% odd %}{", "{% odd %}{"),
        ("", ""),
    ],
)
def test_texts(text, expected):
    assert expand(text, SPECIFICATION) == expected
    assert Templates(SPECIFICATION).expand(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{v}}", "v is not known"),
        ("{{g(c='x')}}", "g is not known"),
        ("{{u(c='x')}}", "u is not a function"),
        ("{{f}}", "c is not known"),
        ("{{f(d='x')}}", "c is not known"),
        ("{{u + 1}}", "u is a text"),
        ("{{u:03d}}", "u is a text"),
        ("{{sum(c='5')}}", "c is a text"),
        ("{{sum(c=5:02d)}}", "c is a text"),
        ("{{1 // 0}}", "division by zero"),
        ("{{ 9223372036854775807 + 1 }}", "64 bits"),
        ("{{u}}{% x %}", "no statements"),
        ("{#{{u}}", "no statements"),
        ("{{u", "the end before"),
        ("{{us", "the end before"),
    ],
)
def test_texts_that_mean_nothing(text, words):
    templates = {**SPECIFICATION, "sum": "{{c + 1}}"}
    with pytest.raises(TemplateError, match=words):
        expand(text, templates)


def test_functions_use_other_templates_and_their_own_arguments_first():
    templates = {
        "base": "s3://bucket",
        "dir": "{{base}}/{{c}}",
        "file": "{{dir(c=c)}}/{{n:03d}}.nc",
        "here": "{{base}}/here",
    }
    assert expand("{{file(c='a', n=7)}}", templates) == "s3://bucket/a/007.nc"
    assert expand("{{here}}", templates) == "s3://bucket/here"
    assert expand("{{dir(c='a', base='x')}}", templates) == "x/a"


def test_a_function_does_not_see_the_names_of_its_caller():
    templates = {"outer": "{{inner(d='x')}}", "inner": "{{d}}{{c}}"}
    with pytest.raises(TemplateError, match="c is not known"):
        expand("{{outer(c='y')}}", templates)


def test_values_are_not_read_again():
    assert expand("{{f(c='{{u}}')}}", SPECIFICATION) == "{{u}}"
    assert expand("{{f(c='{% x %}')}}", SPECIFICATION) == "{% x %}"


@pytest.mark.parametrize(
    "templates",
    [
        {"a": "{{a}}"},
        {"a": "{{b}}", "b": "{{a}}"},
        {"a": "{{b(x=1)}}", "b": "{{c}}", "c": "{{a(y=2)}}"},
    ],
)
def test_circles(templates):
    with pytest.raises(TemplateError, match="need themselves: a -> "):
        expand("{{a}}", templates)


def test_depth_is_capped():
    chain = {f"t{n}": f"{{{{t{n + 1}}}}}" for n in range(30)} | {"t30": "end"}
    assert expand("{{t23}}", chain) == "end"
    with pytest.raises(TemplateLimitError, match="deeper"):
        expand("{{t10}}", chain)


@pytest.mark.parametrize(
    "templates",
    [
        # A thousand thousand thousand ... texts, numbers, arguments, and nothing at all.
        {f"t{n}": f"{{{{t{n + 1}}}}}" * 1000 for n in range(7)}
        | {"t7": "{{x(y=1)}}", "x": "{{y}}"},
        {f"t{n}": "{{t" + str(n + 1) + "(c=" + "+".join(["c"] * 300) + ")}}" for n in range(7)}
        | {"t0": "{{t1(c=1)}}", "t7": "{{c}}"},
        {f"t{n}": f"{{{{t{n + 1}}}}}" * 1000 for n in range(7)}
        | {"t7": "", "t6": "{{e}}", "e": ""},
        {"t0": "{{b}}" * 9000, "b": "{{g(" + ",".join(f"a{n}=1" for n in range(9000)) + ")}}"}
        | {"g": "{{1}}"},
        {"t0": "{{f(c='" + "A" * 60_000 + "')}}", "f": "{{c}}" * 1000},
        {"t0": "{{f(c=" + "+".join(["1"] * 1000) + ")}}", "f": "{{c+1}}" * 500},
    ],
    ids=["texts", "numbers", "empty", "arguments", "long", "operations"],
)
def test_multiplication_of_work_is_capped(templates):
    with pytest.raises(TemplateLimitError):
        expand("{{t0}}", templates)


def test_output_is_capped_on_the_fast_path_too():
    templates = Templates({"u": "x" * 50}, Limits(output_length=60))
    assert templates.expand("{{u}}.nc") == "x" * 50 + ".nc"
    with pytest.raises(TemplateLimitError):
        templates.expand("{{u}}" + "y" * 60)


def test_number_of_templates_is_capped():
    with pytest.raises(TemplateLimitError):
        Templates({"a": "", "b": ""}, Limits(templates=1))


@pytest.mark.parametrize("value", [None, 3, ["x"], b"x", {"a": "b"}])
def test_templates_are_texts(value):
    with pytest.raises(TemplateError, match="not a text"):
        Templates({"u": value})


def test_errors_survive_pickling():
    with pytest.raises(TemplateError) as caught:
        expand("a{{b}}", {})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.text, copy.position, copy.reason) == ("a{{b}}", 3, "b is not known")
    assert str(copy) == str(caught.value) == "b is not known at character 3 of 'a{{b}}'"


def test_errors_quote_only_a_part_of_a_long_text():
    with pytest.raises(TemplateError) as caught:
        expand("x" * 5000 + "{{b}}" + "y" * 5000, {})
    assert len(str(caught.value)) < 200
    assert "{{b}}" in str(caught.value)


SAFE = st.text(st.characters(blacklist_characters="{}", codec="utf-8"), max_size=20)


@given(
    st.dictionaries(st.sampled_from("abcd"), SAFE, min_size=1),
    st.lists(st.one_of(SAFE, st.sampled_from("abcd")), max_size=6),
)
def test_plain_templates_as_the_reference_implementation(templates, pieces):
    url = "".join(
        f"{{{{{piece}}}}}" if piece in templates else piece.replace("\x00", "") for piece in pieces
    )
    document = {"version": 1, "templates": dict(templates), "refs": {"k": [url, 1, 2]}}
    stock = ReferenceFileSystem(document, remote_protocol="memory", skip_instance_cache=True)
    assert expand(url, templates) == stock.references["k"][0]


def test_the_specification_example():
    refs = {"key2": "http://{{u}}", "key3": "http://{{f(c='text')}}"}
    templates = Templates(SPECIFICATION)
    assert {key: templates.expand(url) for key, url in refs.items()} == {
        "key2": "http://server.domain/path",
        "key3": "http://text",
    }

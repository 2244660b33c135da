"""The grammar: what it accepts, what it refuses and where."""

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.templates import Limits, TemplateError, TemplateLimitError, Templates, parse
from refmaker.templates.tree import Call, NumberExpression


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("{{i}}", ("i",)),
        ("{{ (i + 1) * 1000 }}", ("i", 1, "+", 1000, "*")),
        ("{{ -i }}", (0, "i", "-")),
        ("{{ 7 - 3 - 2 }}", (7, 3, "-", 2, "-")),
        ("{{ 2 + 3 * 4 }}", (2, 3, 4, "*", "+")),
        ("{{ -i % 3 }}", (0, "i", "-", 3, "%")),
        ("{{i//10%10}}", ("i", 10, "//", 10, "%")),
        ("{{ i--1 }}", ("i", 0, 1, "-", "-")),
        ("{{9223372036854775807}}", (2**63 - 1,)),
    ],
)
def test_expressions_become_postfix_programs(text, program):
    (field,) = parse(text)
    assert isinstance(field, NumberExpression)
    assert field.program == program
    assert field.width is None


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("{{i:03d}}", 3),
        ("{{ i : 012d }}", 12),
        ("{{ i + 1:02d }}", 2),
        ("{{i:d}}", 1),
        ("{{'%03d' % i}}", 3),
        ('{{ "%03d" % (i + 1) }}', 3),
        ("{{'%d' % i}}", 1),
        ("{{'%03d' | format(i)}}", 3),
        ("{{'%03d'|format(i + 1)}}", 3),
    ],
)
def test_formats(text, width):
    (field,) = parse(text)
    assert field.width == width


def test_calls_keep_their_arguments_in_order():
    (call,) = parse("{{ f(c='text', n = 199, foo =\"bar\", g=h(x=i:02d)) }}")
    assert isinstance(call, Call)
    assert call.name == "f"
    assert [name for name, _ in call.arguments] == ["c", "n", "foo", "g"]
    values = dict(call.arguments)
    assert values["c"] == "text"
    assert values["foo"] == "bar"
    assert values["n"].program == (199,)
    assert values["g"].arguments[0][1].width == 2


@pytest.mark.parametrize(
    "text", ["", "plain", "{", "}", "}}", "a{b}c", "{ {i} }", "%7B{x}", "{a}}"]
)
def test_other_braces_are_literal(text):
    assert parse(text) == ((text,) if text else ())


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("ab{{", 4, "the end before"),
        ("ab{{i", 5, "the end before '}}'"),
        ("{{}}", 2, "instead of a number"),
        ("{{i}", 3, "instead of '}}'"),
        ("{{{i}}}", 2, "'{' instead"),
        ("{{u.x}}", 3, "attributes"),
        ("{{''.__class__}}", 2, "quoted text alone"),
        ("{{u['x']}}", 3, "subscripts"),
        ("{{u|upper}}", 3, "filter"),
        ("{{'%02d'|upper}}", 2, "filter"),
        ("{{'%02d'|upper(i)}}", 2, "filter"),
        ("{{i / 2}}", 4, "use //"),
        ("{{i ** 2}}", 5, "'*' instead"),
        ("{{i ~ 2}}", 4, "joined"),
        ("{{i i}}", 4, "'i' instead"),
        ("{{$ i}}", 2, "'$' instead"),
        ("{{007}}", 2, "plain decimal"),
        ("{{1.5}}", 2, "plain decimal"),
        ("{{1e5}}", 2, "plain decimal"),
        ("{{0x10}}", 2, "plain decimal"),
        ("{{1_000}}", 2, "plain decimal"),
        ("{{9223372036854775808}}", 2, "64 bits"),
        ("{{-i}}", 2, "sign directly"),
        ("{{+i}}", 2, "sign directly"),
        ("{{- i -}}", 2, "sign directly"),
        ("{{ i -}}", 6, "instead of a number"),
        ("{{'text'}}", 2, "quoted text alone"),
        ("{{'%s' % i}}", 2, "number format"),
        ("{{'%3d' % i}}", 2, "number format"),
        ("{{'x%03d' % i}}", 2, "a format must be"),
        ("{{'%03d' % i + 1}}", 13, "instead of '}}'"),
        ("{{i:3d}}", 4, "number format"),
        ("{{i:x}}", 4, "number format"),
        ("{{i:}}", 4, "number format"),
        ("{{i:0d}}", 4, "number format"),
        ("{{i:00d}}", 4, "number format"),
        ("{{f(i)}}", 4, "name=value"),
        ("{{f('x')}}", 4, "name=value"),
        ("{{f(c=1, c=2)}}", 9, "given twice"),
        ("{{f(c=1 d=2)}}", 8, "',' or ')'"),
        ("{{f(c='x}}", 6, "does not end"),
        ("{{f(c='a\\n')}}", 8, "backslash"),
        ("{{1 + f(c=1)}}", 7, "'(' instead"),
        ("{% for i in x %}{{i}}", 0, "statements"),
        ("a{# x #}{{i}}", 1, "comments"),
        ("{{\u0661}}", 2, "instead of a number"),
        ("{{\u00e9}}", 2, "instead of a number"),
    ],
)
def test_errors_say_where(text, position, words):
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert caught.value.text == text
    assert caught.value.position == position
    assert words in caught.value.reason
    assert f"character {position}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{" + "(" * 33 + "i" + ")" * 33 + "}}",
        "{{" + "(" * 60_000,
        "{{" + "f(c=" * 33 + "i" + ")" * 33 + "}}",
        "{{ " + "-" * 60_000 + "i }}",
        "{{" + "1+" * 20_000 + "1}}",
        "{{i:0999d}}",
        "x" * 65_537,
    ],
)
def test_caps_of_the_parser(text):
    with pytest.raises(TemplateLimitError):
        parse(text)


def test_caps_can_be_moved():
    text = "{{" + "(" * 20 + "i" + ")" * 20 + "}}"
    assert len(parse(text)) == 1
    with pytest.raises(TemplateLimitError):
        parse(text, Limits(nesting=19))


WORDS = """{{ }} { } {% {# ( ) ' " % | : 03d i f u = , + - * // / . [ 1 0 \\ format
    99999999999999999999"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\n"])


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_parses_or_is_a_template_error(text):
    position = 0
    try:
        parts = parse(text)
    except TemplateError as error:
        position = error.position
    else:
        assert "{{" in text or "".join(parts) == text
    assert 0 <= position <= len(text)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_what_parses_means_what_jinja_says(text):
    """Where both accept a text the results are equal; ours never accepts more but ``:0Nd``."""
    templates = {"u": "url", "f": "<{{i}}>"}
    try:
        ours = Templates({**templates, "whole": text}).expand("{{whole(i=7)}}")
    except TemplateError:
        return
    if "{{" in text and not any("0" in part.text and ":" in part.text for part in _fields(text)):
        environment = jinja2.Environment(  # noqa: S701 - no HTML here
            undefined=jinja2.StrictUndefined, keep_trailing_newline=True
        )
        function = environment.from_string(templates["f"]).render
        assert ours == environment.from_string(text).render(i=7, u="url", f=function)


def _fields(text):
    return [part for part in parse(text) if isinstance(part, NumberExpression)]

"""Programs: against jinja, scalar against column, and the 64-bit edge."""

import jinja2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.templates import TemplateError, expand, parse
from refmaker.templates.evaluate import affine, evaluate, evaluate_columns, interval

JINJA = jinja2.Environment()  # noqa: S701 - no HTML here
NAMES = ("i", "j", "k")
EDGES = [0, 1, -1, 2, 3, 2**31, -(2**31), 2**32 + 1, 3037000500, 2**62, 2**63 - 1, -(2**63)]
INT64 = st.one_of(st.sampled_from(EDGES), st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9))


def expressions(numbers):
    """Texts of integer expressions."""
    leaves = st.one_of(st.sampled_from(NAMES), numbers.map(str))

    def extend(inner):
        sign = st.sampled_from(["+", "-", "*", "//", "%"])
        return st.one_of(
            st.tuples(inner, sign, inner).map(" ".join),
            inner.map(lambda text: f"({text})"),
            inner.map(lambda text: f"-{text}"),
        )

    return st.recursive(leaves, extend, max_leaves=8)


def program(text):
    (field,) = parse(f"{{{{ {text} }}}}")
    return field


def outcome(function):
    try:
        return function()
    except TemplateError as error:
        return error.reason


@given(
    expressions(st.integers(0, 50)),
    st.fixed_dictionaries({name: st.integers(0, 20) for name in NAMES}),
)
def test_arithmetic_is_that_of_jinja(text, values):
    template = f"<{{{{ {text} }}}}|{{{{ '%05d' % ({text}) }}}}|{{{{ '%02d'|format({text}) }}}}>"
    arguments = ", ".join(f"{name}={value}" for name, value in values.items())

    def ours():
        return expand(f"{{{{ whole({arguments}) }}}}", {"whole": template})

    try:
        expected = JINJA.from_string(template).render(**values)
    except ZeroDivisionError:
        expected = "division by zero"
    assert outcome(ours) == expected


@given(
    expressions(st.one_of(st.integers(0, 9), st.sampled_from([2**31, 2**62, 2**63 - 1]))),
    st.lists(st.tuples(INT64, INT64, INT64), min_size=1, max_size=6),
)
def test_columns_are_right_or_refused(text, rows):
    field = program(text)
    columns = dict(zip(NAMES, np.array(rows, np.int64).T, strict=True))
    single = [
        outcome(lambda row=row: evaluate(field, dict(zip(NAMES, row, strict=True)))) for row in rows
    ]
    got = outcome(lambda: evaluate_columns(field, columns, proven=False))
    if isinstance(got, str):
        assert got in single
    else:
        assert np.broadcast_to(got, len(rows)).tolist() == single


@given(
    expressions(st.integers(0, 9)),
    st.fixed_dictionaries({name: st.tuples(INT64, st.integers(0, 4)) for name in NAMES}),
    st.data(),
)
def test_intervals_contain_every_value(text, spans, data):
    ranges = {name: (low, min(low + more, 2**63 - 1)) for name, (low, more) in spans.items()}
    field = program(text)
    bounds = interval(field.program, ranges)
    if bounds is None:
        return
    values = {name: data.draw(st.integers(*span)) for name, span in ranges.items()}
    exact = evaluate(field, values)
    assert bounds[0] <= exact <= bounds[1]
    columns = {name: np.array([value]) for name, value in values.items()}
    assert np.all(evaluate_columns(field, columns, proven=True) == exact)


@given(
    expressions(st.integers(0, 9)),
    st.fixed_dictionaries({name: st.integers(-50, 50) for name in NAMES}),
)
def test_affine_forms_have_the_same_values(text, values):
    field = program(text)
    form = affine(field.program)
    if form is not None:
        coefficients, constant = form
        expected = constant + sum(factor * values[name] for name, factor in coefficients.items())
        assert evaluate(field, values) == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("i", ({"i": 1}, 0)),
        ("3 * (i + 2) - j", ({"i": 3, "j": -1}, 6)),
        ("-(7 // 2) * i", ({"i": -3}, 0)),
        ("i - i", ({}, 0)),
        ("i * j", None),
        ("i // 2", None),
        ("i % 2", None),
        ("2 % i", None),
        ("2 // 0 + i", None),
    ],
)
def test_affine(text, form):
    assert affine(program(text).program) == form


@pytest.mark.parametrize("sign", ["+", "-", "*", "//"])
@pytest.mark.parametrize("left", EDGES)
def test_every_edge_of_64_bits(sign, left):
    field = program(f"i {sign} j")
    for right in EDGES:
        alone = outcome(lambda right=right: evaluate(field, {"i": left, "j": right}))
        columns = {"i": np.array([left, 0]), "j": np.array([right, 1])}
        got = outcome(lambda columns=columns: evaluate_columns(field, columns, proven=False))
        assert alone == (got if isinstance(got, str) else got[0])
        if not isinstance(alone, str):
            exact = {"+": left + right, "-": left - right, "*": left * right}
            assert alone == (left // right if sign == "//" else exact[sign])

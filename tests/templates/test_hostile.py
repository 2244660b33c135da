"""Documents made to do harm do none: the payloads are harmless, the attempts are real."""

import tracemalloc

import pytest

from refmaker.templates import Rules, TemplateError, TemplateLimitError, Templates, expand

WALKS = [
    "{{''.__class__}}",
    "{{''.__class__.__mro__[1].__subclasses__()}}",
    "{{ self.__init__.__globals__ }}",
    "{{ f.__globals__['os'].environ }}",
    "{{ cycler.__init__.__globals__.os.getcwd() }}",
    "{{ u.__class__ }}",
    "{{ u['__class__'] }}",
    "{{ u|attr('__class__') }}",
    "{{ f(c='x').__class__ }}",
    "{{ f(**u) }}",
    "{{ range(999999999) }}",
    "{{ lipsum() }}",
    "{{ '%s' % u }}",
    "{{ '%c' % 65 }}",
    "{{ 'A' * 200000000 }}",
    "{{ u * 200000000 }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ 1:0999999999d }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 9999999999 * 9999999999 * 9999999999 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{{ u }}{% endfor %}{% endfor %}",
    "{% set x = u %}{{ x }}",
    "{% include '/etc/hostname' %}{{ u }}",
    "{# comment #}{{ u }}",
    "{{ u if u else u }}",
    "{{ namespace }}",
    "{{ u + u }}",
    "{{ lambda: 0 }}",
    "{{ [u, u] }}",
    "{{ {'a': u} }}",
    "{{ `u` }}",
]


@pytest.mark.parametrize("text", WALKS)
def test_expressions_that_are_more_than_arithmetic(text):
    templates = {"u": "https://host.invalid", "f": "{{c}}"}
    with pytest.raises(TemplateError):
        expand(text, templates)
    with pytest.raises(TemplateError):
        expand("{{g(c='x')}}", {**templates, "g": text})
    gen = {"key": "k{{i}}", "url": text, "dimensions": {"i": {"stop": 2}}}
    with pytest.raises(TemplateError):
        Rules([gen], Templates(templates)).lookup("k0")


@pytest.mark.parametrize(
    "text",
    ["{0.__globals__}", "{f.__globals__[os].environ}", "{u}", "{u.__class__}", "%(u)s", "$u"],
)
def test_other_template_languages_are_plain_text(text):
    templates = Templates({"u": "https://host.invalid", "f": "{{c}}"})
    assert templates.expand(text) == text
    assert templates.expand("{{u}}/" + text) == "https://host.invalid/" + text
    assert templates.expand("{{f(c='" + text + "')}}") == text


def test_templates_are_not_evaluated_when_a_document_is_opened():
    templates = Templates({f"t{number}": text for number, text in enumerate(WALKS)} | {"u": "x"})
    assert templates.expand("{{u}}") == "x"


def test_a_rule_of_a_million_million_references_is_not_expanded():
    gen = {
        "key": "a/{{i}}",
        "url": "{{'%064d' % i}}" * 900,
        "offset": "{{i}}",
        "length": "1",
        "dimensions": {"i": {"stop": 10**12}},
    }
    tracemalloc.start()
    (rule,) = Rules([gen])
    for method in (rule.table, rule.iter_keys, rule.key_columns):
        with pytest.raises(TemplateLimitError):
            method()
    with pytest.raises(TemplateLimitError, match="URLs"):
        rule.table(0, 1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rule.lookup("a/3").offset == 3
    assert peak < 100_000_000

"""The reference template language: parse, evaluate, infer.

Version 1 of the reference format lets a document abbreviate. ``templates`` names pieces of text
that URLs use, and ``gen`` describes many references by one pattern over the cartesian product of
some dimensions. The format says that these texts are jinja; what is accepted here is the part of
jinja that such documents need, and nothing that runs code: names, 64-bit integer arithmetic and
zero-padded numbers. There are no attributes, subscripts, statements or comments, and every cost
is counted before it is paid (`Limits`). Whatever the grammar lacks is a `TemplateError` that
says where it stands.

Texts
-----
``{{...}}`` is replaced; all else, single braces and a lone ``}}`` included, stays as it is.

>>> expand("{{u}}/a.nc", {"u": "s3://bucket"})
's3://bucket/a.nc'
>>> expand("{{f(c='x')}}", {"f": "{{u}}/{{c}}.nc", "u": "s3://bucket"})
's3://bucket/x.nc'
>>> expand("{{u.upper()}}", {"u": "s3://bucket"})
Traceback (most recent call last):
    ...
refmaker.templates.errors.TemplateError: '.' instead of '}}' (attributes do not exist here) at \
character 3 of '{{u.upper()}}'

Rules
-----
A rule is never expanded as a whole unless asked to. It looks one key up by reading the key
backwards, and computes columns of any window of its rows:

>>> rule = Rule({
...     "key": "t/{{i}}.{{j}}",
...     "url": "s3://bucket/{{i:03d}}.nc",
...     "offset": "{{4096 + j * 1000}}",
...     "length": "1000",
...     "dimensions": {"i": {"stop": 1000000}, "j": {"stop": 500}},
... })
>>> rule.size
500000000
>>> rule.lookup("t/42.7")
Reference(url='s3://bucket/042.nc', offset=11096, length=1000)
>>> rule.lookup("t/42.500") is None
True
>>> rule.table(499, 502).offset
array([503096,   4096,   5096], dtype=uint64)

The other way round, `infer` finds the rule behind a table of chunks, if there is one:

>>> import numpy as np
>>> columns = ReferenceColumns(
...     shape=(3,), urls=["d_08.nc", "d_09.nc", "d_10.nc"], url=np.arange(3),
...     offset=np.full(3, 512, "u8"), length=4000,
... )
>>> infer("t/", columns).to_json()["url"]
"d_{{ '%02d' % (8 + i0) }}.nc"

Grammar
-------
::

    text       = { literal | "{{" value "}}" } ;
    value      = expression [ ":" format ]
               | call
               | quoted "%" unary                       (* '%03d' % i        *)
               | quoted "|" "format" "(" expression ")" (* '%03d' | format(i) *) ;
    call       = name "(" [ argument { "," argument } ] ")" ;
    argument   = name "=" ( value | quoted ) ;
    expression = product { ( "+" | "-" ) product } ;
    product    = unary { ( "*" | "//" | "%" ) unary } ;
    unary      = { "-" } ( integer | name | "(" expression ")" ) ;
    format     = "d" | "0" digits "d" ;                 (* padded with zeros  *)
    integer    = "0" | nonzero { digit } ;              (* below 2 ** 63      *)
    name       = ( letter | "_" ) { letter | digit | "_" } ;
    quoted     = "'" { any but "'" } "'" | '"' { any but '"' } '"' ;

Space may stand between the tokens of a value, but a sign may not follow ``{{`` directly (jinja
takes it for something else), and there is no backslash in a quoted text. The quoted text before
``%`` or ``|`` is ``%`` and a format. A literal may not hold ``{%`` or ``{#``, unless the text has
no ``{{`` at all and is not part of a rule. ``//`` and ``%`` round towards minus infinity; every
intermediate result must fit into a signed 64-bit integer. ``name:03d`` is an extension: jinja
writes it ``'%03d' % name``.

A name stands for a dimension (in a rule), an argument (in a function) or a template; the
template functions are those whose text holds ``{{``. A function sees its arguments and the other
templates, and is called without parentheses if it needs no arguments. Only dimensions and
arguments given as unformatted numbers can be calculated with.
"""

from __future__ import annotations

from refmaker.templates.dimension import Dimension
from refmaker.templates.errors import TemplateError, TemplateLimitError
from refmaker.templates.expand import Templates, expand
from refmaker.templates.infer import ReferenceColumns, infer
from refmaker.templates.limits import DEFAULT_LIMITS, Limits
from refmaker.templates.parse import parse
from refmaker.templates.pattern import KeyPattern
from refmaker.templates.rule import Rule
from refmaker.templates.rules import Rules
from refmaker.templates.table import Reference, RuleReferences

__all__ = [
    "DEFAULT_LIMITS",
    "Dimension",
    "KeyPattern",
    "Limits",
    "Reference",
    "ReferenceColumns",
    "Rule",
    "RuleReferences",
    "Rules",
    "TemplateError",
    "TemplateLimitError",
    "Templates",
    "expand",
    "infer",
    "parse",
]

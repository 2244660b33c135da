"""Errors say where and what to do, are the builtins users catch, and survive pickling."""

import copy
import pickle

import pytest

from refmaker import errors
from refmaker.errors import RefmakerError, UnsupportedError

CLASSES = [thing for thing in map(vars(errors).get, errors.__all__) if isinstance(thing, type)]
BUILTINS = {
    "SourceError": OSError,
    "SourceNotFoundError": FileNotFoundError,
    "MissingTargetError": OSError,
    "PolicyError": ValueError,
    "SourceChangedError": OSError,
    "FormatError": ValueError,
    "UnknownFormatError": ValueError,
    "TruncatedError": EOFError,
    "UnsupportedError": NotImplementedError,
    "CodecError": ValueError,
    "LimitError": ValueError,
    "MetadataError": ValueError,
    "WorkerError": RuntimeError,
    "MissingDependencyError": ImportError,
}
FIELDS = {"url": "s3://b/é.nc", "path": "/a/b", "offset": 17, "hint": "do this"}


def test_every_class_has_its_builtin():
    assert {cls.__name__ for cls in CLASSES} == {*BUILTINS, "RefmakerError"}
    for name, builtin in BUILTINS.items():
        assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("fields", [{}, FIELDS, {"path": "/a"}])
@pytest.mark.parametrize("carry", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy])
def test_pickling_keeps_everything(cls, fields, carry):
    error = cls("it broke", **fields)
    if cls is UnsupportedError:
        error.code = "filter-unknown"
    error.add_note("a note")
    back = carry(error)
    assert type(back) is cls
    assert back.args == ("it broke",)
    assert back.message == "it broke"
    assert str(back) == str(error)
    assert back.__notes__ == ["a note"]
    for name in FIELDS:
        assert getattr(back, name) == fields.get(name)
    if cls is UnsupportedError:
        assert back.code == "filter-unknown"


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "it broke"),
        ({"url": "u"}, "u: it broke"),
        ({"path": "/p"}, "/p: it broke"),
        ({"offset": 0}, "byte 0: it broke"),
        ({"hint": "mend it"}, "it broke (mend it)"),
        (FIELDS, "s3://b/é.nc: /a/b: byte 17: it broke (do this)"),
    ],
)
def test_text(cls, fields, text):
    assert str(cls("it broke", **fields)) == text


def test_located_fills_only_what_is_not_known():
    error = RefmakerError("m", path="/mine")
    assert error.located(url="u", path="/theirs") is error
    assert (error.url, error.path) == ("u", "/mine")


def test_default_code():
    assert UnsupportedError("m").code == "unsupported"

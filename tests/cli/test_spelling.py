"""Hints name options as the place spells them where they appear."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import click
import h5py
import numpy as np
import pytest

import refmaker
from refmaker.cli import VERBS, main
from refmaker.cli.spelling import as_flags
from refmaker.errors import MetadataError, RefmakerError
from refmaker.scanning.protocol import all_settings

ROOT = Path(__file__).parents[2]
MARKED = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")
FLAG = re.compile(r"(?<![\w'-])--[a-z][\w-]*")


def texts():
    """Yield place and text of every string in the library that is no docstring and no name."""
    for folder in ("refmaker", "scanners", "templates"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inner = path.relative_to(ROOT)
            if inner.parts[:2] in (("refmaker", "cli"), ("refmaker", "scanners")):
                continue
            tree = ast.parse(path.read_text())
            skipped = {
                id(node.value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    skipped |= {id(part) for part in node.values}
                    yield f"{inner}:{node.lineno}", "".join(map(_part, node.values))
                elif id(node) not in skipped and isinstance(getattr(node, "value", None), str):
                    yield f"{inner}:{node.lineno}", node.value


def _part(node):
    if isinstance(node, ast.Constant):
        return node.value
    return "'X'" if node.conversion == ord("r") else "X"


TEXTS = dict(texts())


def keywords():
    """Return the names of all keywords of the public functions and options."""
    things = [getattr(refmaker, name) for name in refmaker.__all__]
    things += [getattr(refmaker.catalog, name) for name in refmaker.catalog.__all__]
    things.append(refmaker.ReferenceSet.write)
    found = {"remote_options"}  # of the fsspec filesystem
    for thing in things:
        if inspect.isfunction(thing):
            found |= set(inspect.signature(thing).parameters)
        elif dataclasses.is_dataclass(thing):
            found |= {field.name for field in dataclasses.fields(thing)}
    return found


def marked():
    return {place: text for place, text in TEXTS.items() if MARKED.search(text)}


def test_there_is_something_to_look_at():
    assert len(TEXTS) > 2000
    assert len(marked()) > 25


def test_the_library_knows_no_flags():
    # Whole commands, in quotes, are commands wherever they appear.
    wrong = {
        place: text
        for place, text in TEXTS.items()
        if FLAG.search(re.sub(r"'refmaker [^']*'", "", text)) and not text.startswith("-----")
    }
    assert not wrong


def test_keywords_stand_between_backticks():
    known = keywords()
    bare = re.compile(rf"(?<![\w`.])({'|'.join(sorted(known))})=(?!'X')(?=['\"\[{{]|True|False)")
    wrong = {place: text for place, text in TEXTS.items() if bare.search(text)}
    # XML and shaders have attributes; errors of callers' keywords show what was given ('X').
    allowed = (
        *("refmaker/publish/html_report/bars.py", "refmaker/publish/pictures/canvas.py"),
        *("refmaker/__init__.py", "refmaker/publish/viewer/volume_layer.py"),
        "refmaker/verification/verify.py",
    )
    assert not [place for place in wrong if not place.startswith(allowed)]


@pytest.mark.parametrize("place", marked())
def test_every_keyword_is_one_and_has_its_flag(place):
    text = TEXTS[place]
    for name, value in MARKED.findall(text):
        assert name in keywords(), text
        if name == "settings":
            [(setting, chosen)] = ast.literal_eval(value).items()
            assert chosen in all_settings()[setting][0].choices
    shown = as_flags(text)
    assert "`" not in shown
    assert "in Python" not in shown
    for flag in FLAG.findall(shown):
        assert any(flag in flags(verb) for verb in VERBS), (flag, text)


def told(node):
    """Return the words of an expression that is a hint."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_part, node.values))
    if isinstance(node, ast.Constant):
        return str(node.value or "")
    below = (node.body, node.orelse) if isinstance(node, ast.IfExp) else ()
    below = (node.left, node.right) if isinstance(node, ast.BinOp) else below
    return " ".join(map(told, below))


HINTS = {
    f"{path.relative_to(ROOT)}:{hint.value.lineno}": told(hint.value)
    for folder in ("refmaker", "scanners", "templates")
    for path in sorted((ROOT / folder).rglob("*.py"))
    for call in ast.walk(ast.parse(path.read_text()))
    if isinstance(call, ast.Call)
    for hint in call.keywords
    if hint.arg == "hint"
}
"""The words of every hint, by where it is given."""
ELSEWHERE = (
    "refmaker/publish/imaging/",
    "refmaker/reading/filesystem.py",
    "refmaker/reading/xarray_store.py",
    "refmaker/virtualizarr/",
)
"""Rooms that no command leads to: their hints are those of Python."""
PYTHON = re.compile(r"\b\w+=(?:True|False|[\[{'\"]|\w+\()|\brefmaker\.\w+|\.\w+\(")


def test_there_are_hints_to_look_at():
    assert len([text for text in HINTS.values() if text]) > 200


@pytest.mark.parametrize("place", [place for place, text in HINTS.items() if text])
def test_no_hint_speaks_python_in_a_terminal(place):
    if place.startswith(ELSEWHERE):
        return
    shown = re.sub(r"(--\S+ )\S+|-S '[^']*'|with zarr\.\w+", r"\1", as_flags(HINTS[place]))
    assert not PYTHON.search(shown), shown
    assert "`" not in shown
    assert shown


def flags(verb):
    command = main.get_command(click.Context(main), verb)
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    return {
        flag
        for one in commands
        for parameter in one.get_params(click.Context(one))
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }


@pytest.mark.parametrize(
    ("verb", "text", "shown"),
    [
        ("combine", "`chunks='common'`", "--chunks common"),
        ("combine", "(`times='reencode'`)", "(--times reencode)"),
        ("scan", "(`times='reencode'`)", "(--times reencode)"),
        ("info", "(`times='reencode'`)", "(--times reencode of 'refmaker combine')"),
        ("combine", "`monotonic=False`", "--no-monotonic"),
        ("combine", "`coords={'t': ...}`", "--coord t=..."),
        ("combine", "raise `inline_budget`", "raise --inline-budget"),
        ("append", "`incompatible='split'`", "--split-incompatible"),
        ("info", "`follow_external=True`", "--follow-external of 'refmaker scan'"),
        ("scan", "`settings={'missing-files': 'fill'}`", "--missing-files fill"),
        ("pattern", "`values={'day': ...}`", "--values day=A,B,C or --range day=START:STOP"),
        ("pattern", "`concat_variables=['run']`", "--concat-variables run"),
        ("pattern", "`check_files=0`", "--check-files 0"),
        ("catalog", "`overwrite=True`", "--overwrite"),
        ("materialize", "open with `codecs=['x.y']`", "open with --allow-codec x.y"),
        ("info", "open with `codecs=['x.y']`", "open with --allow-codec x.y of 'refmaker serve'"),
        ("verify", "name it in `allow=[...]`", "name it in --allow ..."),
        ("materialize", "`verify_sources='off'`", "--verify-sources off"),
        ("info", "`scan={'format': ...}`", "--format ... of 'refmaker scan'"),
        ("scan", "do this, or write with `secrets=True`", "do this"),
        ("scan", "`storage_options={'s3://x/': {...}}`", """-S 's3://x/={"NAME": "VALUE"}'"""),
        ("info", "a dataset named `odd`, `a b`, `x=1`", "a dataset named `odd`, `a b`, `x=1`"),
    ],
)
def test_as_flags(verb, text, shown):
    context = click.Context(main)
    context.invoked_subcommand = verb
    with context:
        assert as_flags(text) == shown


def series(folder, name, start, **storage):
    with h5py.File(folder / name, "w") as file:
        time = file.create_dataset("time", data=np.arange(start, start + 3.0))
        time.make_scale("time")
        time.attrs["units"] = "hours since 2000-01-01"
        data = file.create_dataset("v", data=np.zeros((3, 200), "f4"), chunks=(1, 200), **storage)
        data.dims[0].attach_scale(time)
    return folder / name


@pytest.fixture
def unlike(tmp_path):
    """Write two files that are compressed differently."""
    return [series(tmp_path, "1.nc", 0), series(tmp_path, "2.nc", 3, compression="gzip")]


def test_one_fault_in_python_and_in_two_commands(run, unlike):
    sets = [refmaker.scan(path) for path in unlike]
    with pytest.raises(MetadataError, match="`incompatible='split'`") as caught:
        refmaker.combine(sets, concat="time")
    assert "--" not in str(caught.value)
    out = run("scan", *unlike, "-o", "all.json", "--concat", "time", code=1)
    assert "(--split-incompatible)" in out.err
    for refs, path in zip(sets, unlike, strict=True):
        refs.write(path.with_suffix(".json"))
    names = ("1.json", "2.json", "-o", "all.json", "--concat", "time")
    out = run("combine", *names, code=1)
    assert "(--split-incompatible)" in out.err
    assert "(--inline-mismatched)" in out.err
    # Both remedies work as they are told.
    run("combine", *names, "--split-incompatible")
    run("combine", *names, "--inline-mismatched", "--overwrite")


def test_json_records_have_the_same_hint(run, unlike):
    *_, record = run("scan", *unlike, "-o", "a.json", "--concat", "time", "--json", code=1).records
    assert "--split-incompatible" in record["error"]["message"]
    assert "`" not in record["error"]["hint"]


def test_python_keeps_what_it_was_told():
    error = RefmakerError("broken", hint="raise `timeout`")
    assert str(error) == "broken (raise `timeout`)"

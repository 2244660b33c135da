"""Every docstring of the front door has examples, and they run."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys

import pytest

import refmaker
from tests.docstrings import ROOT, examples_of, run, stand_in_for_monai, with_examples, write_days

PUBLIC = {name: getattr(refmaker, name) for name in refmaker.__all__ if name != "__version__"} | {
    f"catalog.{name}": getattr(refmaker.catalog, name)
    for name in refmaker.catalog.__all__
    if inspect.isfunction(getattr(refmaker.catalog, name))
}
THINGS = {"refmaker": refmaker} | {
    name: thing for root in PUBLIC for name, thing in with_examples(PUBLIC[root], root)
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Make the folder that examples are run in: files of the repository, and an archive."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "examples").symlink_to(ROOT / "examples")
    here = os.getcwd()
    os.chdir(folder)
    try:
        write_days()
    finally:
        os.chdir(here)
    return folder


@pytest.mark.parametrize("name", THINGS)
def test_examples_run(name, data, tmp_path, monkeypatch):
    for made in data.iterdir():
        (tmp_path / made.name).symlink_to(made)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    if name == "to_monai":
        stand_in_for_monai(monkeypatch)
    run(THINGS[name], name)


def test_methods_of_sets_have_examples():
    methods = {name for name in THINGS if name.startswith("ReferenceSet.")}
    edits = {"select", "drop", "rename", "isel", "expand_dims", "squeeze"}
    edits |= {"assign_attrs", "assign_coords"}
    others = {"open", "open_tree", "urls", "write", "read", "readers", "rewrite", "merge"}
    assert methods >= {f"ReferenceSet.{name}" for name in edits | others}


def test_an_example_that_is_wrong_fails(tmp_path, monkeypatch):
    def wrong():
        """Return one.

        Examples
        --------
        >>> 1 + 1
        3
        """

    monkeypatch.chdir(tmp_path)
    assert "1 + 1" in examples_of(wrong)
    with pytest.raises(AssertionError, match="Expected:"):
        run(wrong, "wrong")


@pytest.mark.parametrize("name", THINGS)
def test_of_choices_the_first_is_the_default(name):
    """As numpydoc has it, and as the pages show them."""
    thing = THINGS[name]
    if not callable(thing):
        return
    text = inspect.getdoc(thing).partition("Returns\n-------")[0]
    defaults = {key: one.default for key, one in inspect.signature(thing).parameters.items()}
    for names, first in re.findall(r"^([\w, ]+) : \{([^,}]*)[^}]*\}", text, re.MULTILINE):
        for parameter in names.split(", "):
            if parameter in defaults and defaults[parameter] is not inspect.Parameter.empty:
                assert first == json.dumps(defaults[parameter]), parameter

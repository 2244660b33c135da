"""The examples of docstrings, run."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
import types
import warnings
from pathlib import Path

import refmaker

ROOT = Path(__file__).parent.parent
_DAYS = re.compile(r"^<!-- days -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write_days():
    """Write the archive that docstrings speak of into this folder, as the page on Python tells."""
    (block,) = _DAYS.findall((ROOT / "docs" / "python.md").read_text())
    exec(compile(block, "docs/python.md", "exec"), {})  # noqa: S102 - our own page


def with_examples(root, name):
    """Yield a thing of that name, and the public methods of a class, that have docstrings."""
    yield name, root
    if inspect.isclass(root):
        for method, thing in inspect.getmembers(root):
            public = not method.startswith("_") and callable(thing)
            if public and (thing.__doc__ or "").count(">>>"):
                yield f"{name}.{method}", thing


def examples_of(thing):
    """Return the section of examples of a docstring, which is its last."""
    text = inspect.getdoc(thing) or ""
    assert text.count("Examples\n--------") == 1, thing
    section = text.partition("Examples\n--------")[2]
    assert not re.search(r"\n-{4,}", section), thing
    return section


def run(thing, name):
    """Run the examples of a thing in this folder; none of them may be left out."""
    section = examples_of(thing)
    assert "doctest:" not in section
    test = doctest.DocTestParser().get_doctest(section, {"refmaker": refmaker}, name, None, 0)
    assert test.examples
    said = []
    with warnings.catch_warnings():
        # Libraries below warn as they like.
        warnings.simplefilter("ignore")
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
        result = runner.run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert result.attempted == len(test.examples)


def stand_in_for_monai(monkeypatch):
    """Let tensors be made where MONAI, which brings torch, is not installed."""
    torch, monai, data = (types.ModuleType(name) for name in ("torch", "monai", "monai.data"))
    torch.from_numpy = lambda values: values
    data.MetaTensor = lambda values, **_: values
    for module in (torch, monai, data):
        monkeypatch.setitem(sys.modules, module.__name__, module)

"""Every example runs, and prints what the documentation says it prints."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
_SHOWN = r"--8<--\nexamples/{name}\n--8<--\n```\n\nIt prints\n\n```text\n(.*?)```"


def shown(name):
    """Return what the page that shows an example says of its output."""
    found = [
        match[1]
        for page in (ROOT / "docs").rglob("*.md")
        for match in re.finditer(_SHOWN.format(name=name), page.read_text(), re.DOTALL)
    ]
    assert len(found) == 1, f"{name} is shown on {len(found)} pages"
    return found[0]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_print_what_is_shown(name, tmp_path):
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "REFMAKER_CACHE_DIR": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == shown(name)


def test_files_are_small_and_their_licences_are_named():
    readme = (ROOT / "examples" / "README.md").read_text()
    sizes = 0
    for path in (ROOT / "examples").rglob("*"):
        if not path.is_file() or "__pycache__" in path.parts or path.name == "README.md":
            continue
        sizes += path.stat().st_size
        inner = path.relative_to(ROOT / "examples")
        row = inner.name if len(inner.parts) == 1 else f"{inner.parts[0]}/"
        line = next((line for line in readme.splitlines() if f"`{row}`" in line), "")
        assert re.search(r"\| (MIT|MIT-CMU|BSD-3-Clause) \|$", line), inner
    assert sizes < 2_000_000


def test_the_notebook_runs_and_shows_what_it_has(tmp_path, monkeypatch):
    """Each cell runs, and what it ends with can be shown as HTML."""
    monkeypatch.chdir(ROOT / "examples")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    notebook = json.loads((ROOT / "examples" / "first_look.ipynb").read_text())
    names, shown = {}, []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert not cell["outputs"]
        *statements, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(statements, []), "cell", "exec"), names)  # noqa: S102 - our own cells
        shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))  # noqa: S307
    kinds = [type(value).__name__ for value in shown]
    assert kinds[:6] == [
        "ReferenceSet", "ScanReport", "Array", "DataArray", "ArrayChecks", "Description",
    ]  # fmt: skip
    assert shown[4].ok
    for value in shown[:2] + shown[3:7]:
        assert "<" in value._repr_html_()
    # The ring of bone.
    assert 850 < shown[7] < 950

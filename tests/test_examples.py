"""The examples are small, their licences are named, and the notebook runs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


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

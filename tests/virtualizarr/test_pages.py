"""The examples of the page on VirtualiZarr run as they stand, one after the other."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import refmaker.virtualizarr
from tests import docstrings

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^<!-- virtualizarr -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore")
def test_the_page_runs(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / "docs" / "in-virtualizarr.md").read_text())
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        # HDFParser takes URLs alone.
        text = block.replace('HDFParser()("', f'HDFParser()("file://{tmp_path}/')
        exec(compile(text, "in-virtualizarr.md", "exec"), names)  # noqa: S102
    assert names["again"]["temperature"].shape == names["air"]["air"].shape
    assert names["again"].attrs["title"] == "renamed"
    assert "air" in names["refs"].group.members
    assert names["there"]._group["air"].shape == names["air"]["air"].shape


@pytest.mark.parametrize("name", refmaker.virtualizarr.__all__)
def test_examples_of_docstrings_run(name, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    docstrings.run(getattr(refmaker.virtualizarr, name), name)

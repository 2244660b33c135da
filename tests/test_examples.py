"""Every example runs, and prints what the documentation says it prints."""

from __future__ import annotations

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

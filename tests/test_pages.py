"""Every command of the pages that newcomers read runs as printed, and prints what is shown.

``python -m pytest -m slow tests/test_pages.py`` does so in fresh virtual environments of the Python
that runs it, in which ``pip`` installs what a page says and nothing else. By default pages run in
the environment of the tests, where what a page does not install is hidden.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pages import (
    PERSONAS,
    ROOT,
    RUN,
    SUITE,
    TASKS,
    Environment,
    Session,
    checkout,
    pictures,
    requirements_of,
    same,
    steps,
)

ELSEWHERE = {"archives": "tests/combine/test_archives.py"}
"""Tasks whose commands run over archives that a test of their own makes and compares."""
MARKER = "<!-- runnable -->"
MARKED = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if page not in RUN and MARKER in page.read_text()
]
"""Pages that show what needs other people's files, and Python that runs as it stands."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def own_steps(page: Path) -> list:
    """Return the steps of a page but the one that runs the tests, this one among them."""
    return [step for step in steps(page) if SUITE not in step.text]


@pytest.fixture
def home(tmp_path):
    """Return a folder with what a newcomer has: the examples of a checkout."""
    folder = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_every_command_of_the_page(page, home):
    with Session(Environment(home)) as session:
        session.run(own_steps(page))
    compare_pictures(page, home)


def compare_pictures(page: Path, home: Path) -> None:
    """Compare pictures that a page shows with those that its commands drew."""
    for kept in pictures(page):
        if not (home / kept.name).exists():
            assert kept.name.startswith("study-"), f"nothing on the page draws {kept.name}"
            continue
        drawn, shown = (Image.open(path).convert("L") for path in (home / kept.name, kept))
        remedy = f"{kept.name}: run python -m tests.pages {name_of(page)}"
        # Letters and edges of other versions of matplotlib lie a few pixels beside.
        assert np.abs(np.subtract(drawn.size, shown.size)).max() <= 4, remedy
        pair = [np.asarray(one.resize(shown.size), float).ravel() for one in (drawn, shown)]
        assert np.corrcoef(pair)[0, 1] > 0.9, remedy
        assert kept.stat().st_size < 100_000


@pytest.mark.parametrize("page", MARKED, ids=name_of)
def test_blocks_that_are_marked(page, home):
    environment = Environment(home)
    # kerchunk is imported by one page, and its libraries warn as they like.
    environment.variables["PYTHONWARNINGS"] = "ignore"
    environment.install("pip install '.[test]'")
    with Session(environment) as session:
        session.run(steps(page, marker=MARKER))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_in_a_fresh_environment(page, tmp_path):
    home = tmp_path / "checkout"
    checkout(home)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    with Session(Environment(home, fresh=tmp_path / "venv")) as session:
        session.run(own_steps(page))


@pytest.mark.parametrize("page", [*RUN, *MARKED], ids=name_of)
def test_everything_that_can_be_typed_is_a_step(page):
    text = page.read_text()
    languages = set(re.findall(r"^```(\w+)", text, re.MULTILINE))
    assert languages <= {"console", "sh", "python", "text", "crontab", "json"}
    if page in RUN:
        blocks = len(re.findall(r"^```(?:console|sh|python)$", text, re.MULTILINE))
        assert 0 < blocks <= len(steps(page))


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_pages_begin_with_what_they_need(page):
    assert requirements_of(steps(page)[0].text), steps(page)[0]
    if page in PERSONAS:
        assert len(page.read_text().splitlines()) <= 150
        assert pictures(page) or page.name == "data-platform.md"


def test_no_task_is_forgotten():
    for page in TASKS.glob("*.md"):
        if page not in RUN and re.search(r"^```(console|sh)$", page.read_text(), re.MULTILINE):
            assert page.name in (ROOT / ELSEWHERE[page.stem]).read_text()


def test_every_example_is_shown_once():
    shown = re.findall(r"^examples/(\w+\.py)$", "".join(map(Path.read_text, RUN)), re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def test_the_suite_is_run_by_the_readme_alone():
    # As .ci/run takes the commands out of it.
    left = {step.at for page in RUN for step in steps(page) if SUITE in step.text}
    assert len(left) == 1
    lines = (ROOT / "README.md").read_text().splitlines()
    assert [line for line in lines if re.match(r"pip install .* && ", line)] == [
        step.text.rstrip() for step in steps(ROOT / "README.md") if "pip" in step.text
    ]


ROW = re.compile(r"^\| `(refmaker [^`]+)` \|[^|]*\| (?:`(\w+)` )?\|$", re.MULTILINE)


def test_the_table_names_the_extra_that_each_command_needs(home):
    rows = ROW.findall((ROOT / "README.md").read_text())
    assert sum(bool(extra) for _, extra in rows) >= 10
    assert len({extra for _, extra in rows}) >= 8
    plain = Environment(home)
    (page,) = (ROOT / "README.md",)
    with Session(plain) as session:
        session.run(typed(page, "pip install ."))
        for command, extra in rows:
            printed, code = session.step(typed(page, command)[0])
            if not extra:
                assert code == 0, (command, printed)
                continue
            errors = [line for line in printed.splitlines() if line.startswith("error: ")]
            assert (code, len(errors)) == (1, 1), (command, printed)
            assert "pip install " in errors[0], command
            assert f"'refmaker[{extra}]'" in errors[0], command
    shutil.rmtree(home)
    shutil.copytree(ROOT / "examples", home / "examples")
    with Session(Environment(home.rename(home.with_name("full")))) as session:
        # Hosts and buckets that are nobody's are not asked.
        rows = [(command, extra) for command, extra in rows if "://" not in command]
        extras = ",".join(sorted({extra for _, extra in rows if extra}))
        session.run(typed(page, f"pip install '.[{extras}]'"))
        session.run([step for command, _ in rows for step in typed(page, command)])


def typed(page: Path, text: str) -> list:
    step = steps(page)[0]
    return [type(step)(name_of(page), 0, "console", f"{text}\n")]


def test_lines_are_compared_strictly():
    assert same("a\nb\n", "a\nb\n")
    assert same("a\nb\nc\nd\n", "a\n...\nd\n")
    assert not same("a\nd\n", "a\n...\nd\n")  # dots are a line at least
    assert not same("a\nb\n", "a\n")
    assert not same("a\n", "a\nb\n")
    assert not same("a b\n", "a ...\n")  # and a whole line
    assert not same("ab\n", "a.\n")


PAGE = """
```console
$ pip install '.[parquet]'
$ refmaker --version
...
$ test -e nothing.nc
$ echo $?
1
```

```python
print(1)
```

```text
1
```
"""


@pytest.mark.parametrize(
    ("found", "instead", "why"),
    [
        ("", "", None),
        ("```text\n1", "```text\n2", "printed"),
        ("```text\n1\n```", "", "printed"),
        ("print(1)", "import matplotlib", "ModuleNotFoundError"),
        ("print(1)", "import pyarrow, warnings; warnings.warn('x'); print(1)", "UserWarning: x"),
        ("echo $?\n1", "echo $?\n2", "printed"),
        ("$ echo $?\n1\n", "", "ended with"),
        ("$ pip install '.[parquet]'\n", "", "ended with 127"),
        ("$ refmaker --version", "$ refmaker --versions", "ended with"),
    ],
)
def test_a_page_that_is_wrong_fails(home, tmp_path, monkeypatch, found, instead, why):
    monkeypatch.setattr("tests.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace(found, instead) if found else PAGE)
    environment = Environment(home)
    environment.variables["PYTHONPATH"] += f":{ROOT}"
    with Session(environment) as session:
        if why is None:
            session.run(steps(page))
            return
        with pytest.raises(AssertionError, match=why):
            session.run(steps(page))

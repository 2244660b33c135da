"""The documentation names everything, links to what is there, and shows what runs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import refmaker

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
LINKED = [*PAGES, ROOT / "README.md", ROOT / "examples" / "README.md", ROOT / "CHANGELOG.md"]

_FENCE = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_RUNNABLE = re.compile(r"^<!-- runnable -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


def script(name):
    path = DOCS / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"docs_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(path):
    return str(path.relative_to(ROOT))


def anchors(path):
    found = []
    for heading in _HEADING.findall(_FENCE.sub("", path.read_text())):
        text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.append(re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", text.lower()).strip()))
    return found


COMMANDS = script("commands")
VERBS = dict(COMMANDS.commands())

# The contract as the page on scanners shows it, run as its reader would run it.
TestShownContract = script("contract_example").TestToyScanner


def words(text):
    return " ".join(text.split())


# Line breaks of the help are click's business, which other versions do otherwise.
@pytest.mark.parametrize("name", ["commands", "python"])
def test_generated_pages_are_up_to_date(name):
    written = (DOCS / f"{name}.md").read_text()
    assert words(written) == words(script(name).page()), f"run: python docs/scripts/{name}.py"


def test_the_figure_is_up_to_date_and_well_formed():
    figure = script("figure")
    assert figure.FIGURE.read_text() == figure.figure(), "run: python docs/scripts/figure.py"
    drawn = ET.fromstring(figure.figure())  # noqa: S314 - drawn here
    assert drawn.attrib["aria-label"]
    assert "http" not in figure.figure().replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_documented(verb):
    page = (DOCS / "commands.md").read_text()
    assert f"## refmaker {verb}\n" in page
    others = "".join(path.read_text() for path in PAGES if path.name != "commands.md")
    assert f"refmaker {verb}" in others
    help_text = VERBS[verb].help
    assert "Example:" in help_text
    assert f"refmaker {verb}" in help_text


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_a_python_twin(verb):
    for twin in COMMANDS.TWINS[verb].split(", "):
        thing = refmaker
        for part in re.sub(r"\(.*\)", "", twin).split(".")[1:]:
            if part == "catalog":
                from refmaker.publish import catalog as thing
            else:
                thing = getattr(thing, part)


@pytest.mark.parametrize("name", refmaker.__all__)
def test_everything_public_is_documented(name):
    page = (DOCS / "python.md").read_text()
    heading = f"### refmaker.{name}\n"
    assert heading in page or f"`refmaker.{name}`" in page
    # What a page lists has to be said in words somewhere, unless it is what a function returns.
    chapters = script("python").CHAPTERS
    assert name in {"__version__", "errors", "RefmakerError"}.union(*chapters.values())


def test_every_extra_is_documented():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (DOCS / "start.md").read_text()
    for extra in set(project["optional-dependencies"]) - {"bench", "docs", "test"}:
        assert f"`refmaker[{extra}]`" in page, extra


@pytest.mark.parametrize("scanner", refmaker.formats())
def test_every_format_has_a_page(scanner):
    assert f"{scanner}.md" in (DOCS / "index.md").read_text()
    assert f"docs/{scanner}.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = _FENCE.sub("", page.read_text())
    for link in _LINK.findall(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path), link


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_every_file_that_is_named_is_there(page):
    for path in re.findall(r"`((?:examples|tests|docs|benchmarks)/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def runnable():
    return [page for page in [*PAGES, ROOT / "README.md"] if _RUNNABLE.search(page.read_text())]


@pytest.mark.parametrize("page", runnable(), ids=name_of)
def test_blocks_marked_as_runnable_run(page, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "shown"}
    for block in _RUNNABLE.findall(page.read_text()):
        with warnings.catch_warnings():
            # kerchunk is imported by one page, and its libraries warn as they like.
            warnings.simplefilter("ignore")
            exec(compile(block, name_of(page), "exec"), space)  # noqa: S102 - our own pages


def test_some_blocks_are_runnable():
    assert len(runnable()) >= 6


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_python_that_is_shown_is_python(page):
    for _, language, body in _FENCE.findall(page.read_text()):
        if language.strip() == "python" and not body.startswith("--8<--"):
            compile(body, name_of(page), "exec")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_commands_that_are_shown_have_such_options(page):
    for _, language, body in _FENCE.findall(page.read_text()):
        if language.strip() != "console":
            continue
        for line in body.replace("\\\n", " ").splitlines():
            called = re.match(r"\$ refmaker (.*)", line)
            if not called:
                continue
            parts = called[1].split(" # ")[0].split()
            verb = " ".join(parts[:2]) if " ".join(parts[:2]) in VERBS else parts[0]
            assert verb in VERBS, line
            known = {flag for p in VERBS[verb].params for flag in (*p.opts, *p.secondary_opts)}
            for flag in (part.partition("=")[0] for part in parts if part.startswith("-")):
                assert flag in known | {"-"}, line


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_no_path_of_somebodys_machine(page):
    assert not re.search(r"/(tmp|home|root|work|Users)/", page.read_text())


def test_the_site_builds_strictly(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert not [line for line in built.stderr.splitlines() if line.startswith("WARNING")]
    index = (tmp_path / "site" / "index.html").read_text()
    # Links may lead anywhere; what a page loads comes with it.
    loaded = re.findall(r"<(?:script|img|source)[^>]*src=\"?([^\"\s>]+)", index)
    loaded += re.findall(r"<link[^>]*rel=\"?stylesheet\"?[^>]*href=\"?([^\"\s>]+)", index)
    assert loaded
    assert not [url for url in loaded if "//" in url]

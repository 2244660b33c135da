"""The documentation names everything, links to what is there, and shows what runs."""

from __future__ import annotations

import ast
import html
import importlib
import importlib.util
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import refmaker
from refmaker.cli import main
from tests.pages import RUN

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
API = sorted(f"api/{path.stem}.html" for path in (DOCS / "api").glob("*.md"))
LINKED = [*PAGES, ROOT / "README.md", ROOT / "examples" / "README.md", ROOT / "CHANGELOG.md"]

_FENCE = re.compile(r"^(`{3,})([^\n]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
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


def commands(group=main, above=()):
    """Yield name and command of every command, those of groups behind their group."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


VERBS = dict(commands())


def headings(site, page):
    return set(re.findall(r'<h[2-6] id="([^"]*)"', (site / page).read_text()))


def test_the_figure_is_up_to_date_and_well_formed():
    figure = script("figure")
    assert figure.FIGURE.read_text() == figure.figure(), "run: python docs/scripts/figure.py"
    drawn = ET.fromstring(figure.figure())  # noqa: S314 - drawn here
    assert drawn.attrib["aria-label"]
    assert "http" not in figure.figure().replace("http://www.w3.org/2000/svg", "")


def test_pictures_are_up_to_date_and_small():
    drawn = script("pictures")
    for name, picture in drawn.pictures().items():
        path = drawn.FOLDER / name
        assert path.stat().st_size < 100_000
        kept = np.asarray(Image.open(path).convert("RGB"), int)
        assert kept.shape == picture.shape, "run: python docs/scripts/pictures.py"
        # Other versions of libraries may round otherwise, which changes single pixels.
        assert (abs(kept - picture).max(axis=-1) > 2).mean() < 1e-3, name


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_documented(verb, site):
    assert f"refmaker-{verb.replace(' ', '-')}" in headings(site, "commands.html")
    others = "".join(path.read_text() for path in PAGES if path.name != "commands.md")
    assert f"refmaker {verb}" in others
    help_text = VERBS[verb].help
    assert "Example:" in help_text
    assert f"refmaker {verb}" in help_text


def test_every_option_is_on_the_page_of_commands(site):
    page = html.unescape(re.sub(r"<[^>]+>", "", (site / "commands.html").read_text()))
    for verb, command in VERBS.items():
        for parameter in command.get_params(click.Context(command)):
            if getattr(parameter, "hidden", False):
                continue
            for flag in (*parameter.opts, *parameter.secondary_opts):
                if flag.startswith("--") and flag not in ("--help", "--help-all"):
                    assert flag in page, (verb, flag)
    assert "a/**/*.nc" in page


def test_every_command_has_a_python_twin():
    page = (DOCS / "commands.md").read_text()
    rows = re.findall(r"^\| (`.*`) \| (`.*) \|$", page, re.MULTILINE)
    named = set()
    for verbs, twins in rows:
        first, *rest = re.findall(r"`([^`]+)`", verbs)
        named |= {first, *(f"{first.partition(' ')[0]} {more}" for more in rest)}
        for twin in re.findall(r"`(refmaker[^`]*)`", twins):
            thing = refmaker
            for part in twin.split(".")[1:]:
                thing = getattr(thing, part)
    assert named >= set(VERBS) - {"catalog"}


HOMES = {
    "errors": "refmaker.errors.RefmakerError",
    "RefmakerError": "refmaker.errors.RefmakerError",
    "catalog": "refmaker.publish.catalog.add",
}
"""Names that are shown by another: modules by what is in them."""


@pytest.mark.parametrize("name", sorted({*refmaker.__all__} - {"__version__"}))
def test_everything_public_is_on_one_page(name, site):
    anchor = HOMES.get(name, f"refmaker.{name}")
    pages = [page for page in API if anchor in headings(site, page)]
    assert len(pages) == 1
    # The overview leads there.
    overview = (DOCS / "python.md").read_text()
    rows = re.findall(r"\]\((api/[a-z-]+)\.md\) \| (.*) \|$", overview, re.MULTILINE)
    assert [f"{page}.html" for page, names in rows if f"`{name}`" in names] == pages


def test_no_page_of_python_shows_a_thing_twice(site):
    shown = [anchor for page in API for anchor in headings(site, page) if "refmaker." in anchor]
    assert len(shown) == len(set(shown))
    assert len(shown) > 150


def test_every_error_and_catalog_function_is_documented(site):
    errors, catalog = headings(site, "api/errors.html"), headings(site, "api/catalog.html")
    assert {f"refmaker.errors.{name}" for name in refmaker.errors.__all__} <= errors
    assert {f"refmaker.publish.catalog.{name}" for name in refmaker.catalog.__all__} <= catalog
    names = re.findall(r'"(\w+)"', (ROOT / "refmaker/virtualizarr/__init__.py").read_text())
    own = {f"refmaker.virtualizarr.{name}" for name in names}
    assert own
    assert own <= headings(site, "api/virtualizarr.html")


FOR_SCANNERS = {
    "refmaker.codecs": ("package_of",),
    "refmaker.codecs.base": ("DecodeOnly", "deliver", "input_bytes"),
    "refmaker.codecs.checks": ("bounded", "expect", "library"),
    "refmaker.io.source": ("Source",),
    "refmaker.model.chunk_table": ("ChunkTable",),
    "refmaker.model.contiguous": ("contiguous_table", "strided_table"),
    "refmaker.model.report": ("Fingerprint", "ObjectReport", "Outcome"),
    "refmaker.model.tree": ("Array", "Group", "chunk_grid"),
    "refmaker.scanning.declaration": ("FormatDeclaration", "Setting"),
    "refmaker.scanning.protocol": (
        *("LibraryReader", "MultiFileScanner", "Scanner", "Summarizer"),
        *("choose", "load", "setting_values"),
    ),
    "refmaker.testing.contract": ("ScannerContract",),
}
"""What scanners of other packages are made of."""


@pytest.mark.parametrize("module", FOR_SCANNERS)
def test_what_scanners_need_is_public(module, site):
    names = FOR_SCANNERS[module]
    assert {f"{module}.{name}" for name in names} <= headings(site, "api/scanners.html")
    assert set(names) <= set(importlib.import_module(module).__all__)


def test_the_example_of_a_scanner_imports_nothing_else():
    public = {f"{module}.{name}" for module, names in FOR_SCANNERS.items() for name in names}
    public |= {f"refmaker.model.{name}" for name in ("Array", "ChunkTable", "Group", "chunk_grid")}
    public |= {"refmaker.scanning.options.ScanOptions", "refmaker.testing.ScannerContract"}
    public.add("refmaker.model.report.ScanReport")
    public |= {f"refmaker.errors.{name}" for name in refmaker.errors.__all__}
    for path in (ROOT / "examples" / "scanner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("refmaker."):
                for alias in node.names:
                    assert f"{node.module}.{alias.name}" in public, path


def test_every_extra_is_documented():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (DOCS / "start.md").read_text()
    for extra in set(project["optional-dependencies"]) - {"bench", "docs", "test"}:
        assert f"`refmaker[{extra}]`" in page, extra


VOLUMES = {"envi", "mrc", "nifti", "nrrd"}
"""Formats that share a page."""


@pytest.mark.parametrize("scanner", refmaker.formats())
def test_every_format_has_a_page(scanner):
    page = "volumes" if scanner in VOLUMES else scanner
    assert f"{page}.md" in (DOCS / "index.md").read_text()
    assert f"docs/{page}.md" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = _FENCE.sub("", page.read_text())
    for link in _LINK.findall(text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), link
        elif anchor:  # pictures are shown in light or in dark colours only
            assert anchor in ("only-light", "only-dark"), link


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_every_file_that_is_named_is_there(page):
    for path in re.findall(r"`((?:examples|tests|docs|benchmarks)/[\w./-]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=name_of)
def test_python_that_is_shown_is_python(page):
    for _, language, body in _FENCE.findall(page.read_text()):
        if language.strip() == "python" and not body.startswith("--8<--"):
            compile(body, name_of(page), "exec")


@pytest.mark.parametrize("page", sorted({*PAGES} - {*RUN}), ids=name_of)
def test_commands_that_are_shown_have_such_options(page):
    for _, language, body in _FENCE.findall(page.read_text()):
        if language.strip() != "console":
            continue
        for line in body.replace("\\\n", " ").splitlines():
            called = re.match(r"\$ refmaker (.*)", line)
            if not called:
                continue
            parts = re.split(" # | [|] ", called[1])[0].split()
            verb = " ".join(parts[:2]) if " ".join(parts[:2]) in VERBS else parts[0]
            assert verb in VERBS, line
            parameters = VERBS[verb].get_params(click.Context(VERBS[verb]))
            known = {flag for p in parameters for flag in (*p.opts, *p.secondary_opts)}
            for flag in (part.partition("=")[0] for part in parts if part.startswith("-")):
                assert flag in known | {"-"}, line


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_no_path_of_somebodys_machine(page):
    assert not re.search(r"/(tmp|home|root|work|Users)/", page.read_text())


def test_the_site_loads_nothing_from_elsewhere(site):
    index = (site / "index.html").read_text()
    # Links may lead anywhere; what a page loads comes with it.
    loaded = re.findall(r"<(?:script|img|source)[^>]*src=\"?([^\"\s>]+)", index)
    loaded += re.findall(r"<link[^>]*rel=\"?stylesheet\"?[^>]*href=\"?([^\"\s>]+)", index)
    assert loaded
    assert not [url for url in loaded if "//" in url]

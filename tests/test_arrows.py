"""Imports point down only: scanners, refmaker's rooms in order, templates."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROOMS = (
    ("refmaker.__main__",),
    ("refmaker.cli", "refmaker.catalog"),
    ("refmaker",),
    ("refmaker.testing",),
    ("refmaker.verify", "refmaker.verification"),
    ("refmaker.materialize", "refmaker.overview", "refmaker.serve"),
    ("refmaker.combine", "refmaker.patterns"),
    ("refmaker.scan_many", "refmaker.collection"),
    ("refmaker.scan_pool", "refmaker.scan_task", "refmaker.inputs"),
    ("refmaker.scan_cache", "refmaker.packed"),
    ("refmaker.opening", "refmaker.reading"),
    ("refmaker.storage",),
    ("refmaker.scan",),
    ("refmaker.scanner",),
    ("refmaker.codecs",),
    ("refmaker.heads",),
    ("refmaker.siblings",),
    ("refmaker.source", "refmaker.remote", "refmaker.ranges", "refmaker.http_ranges"),
    ("refmaker.metadata", "refmaker.metadata_v3", "refmaker.elements"),
    ("refmaker.report",),
    ("refmaker.model", "refmaker.table", "refmaker.contiguous"),
    ("refmaker.errors", "refmaker.libraries"),
    ("refmaker.templates",),
)
"""From the top down; what stands in one line may import one another."""
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
SHARED = {"refmaker.scanners.tiff.directory"}
"""Readers of one scanner that are meant for others: none but those named here."""


def modules():
    """Yield name and syntax tree of every module of the package."""
    for folder, prefix in (
        ("refmaker", "refmaker"),
        ("scanners", "refmaker.scanners"),
        ("templates", "refmaker.templates"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inner = path.relative_to(ROOT / folder)
            if folder == "refmaker" and inner.parts[0] in ("scanners", "templates"):
                continue
            parts = [part for part in inner.with_suffix("").parts if part != "__init__"]
            yield ".".join([prefix, *parts]), ast.parse(path.read_text(), str(path))


def _walk(tree, types):
    """Yield all nodes; without `types`, not those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        hidden = isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        yield node
        yield from () if hidden and not types else _walk(node, types)


def imports(tree, *, types=True):
    """Yield the dotted names that a module imports, whether they are modules or not."""
    for node in _walk(tree, types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value


def room(name):
    """Return the room that a dotted name lies in; the front door's names are the front door."""
    parts = name.split(".")
    for length in (2, 1):
        if ".".join(parts[:length]) in LEVEL:
            return ".".join(parts[:length])
    return None


MODULES = dict(modules())
INSIDE = sorted(name for name in MODULES if not name.startswith("refmaker.scanners"))
SCANNERS = sorted(name for name in MODULES if name.startswith("refmaker.scanners."))


def test_there_is_something_to_look_at():
    assert {"refmaker", "refmaker.scan", "refmaker.cli.scan", "refmaker.templates"} <= set(INSIDE)
    assert SCANNERS


def test_every_module_has_a_place():
    placed = {f"refmaker.{name.split('.')[1]}" for name in INSIDE if "." in name}
    assert placed <= set(LEVEL), "give the new room its place in ROOMS"


@pytest.mark.parametrize("name", INSIDE)
def test_rooms_import_what_stands_below(name):
    here = LEVEL[room(name)]
    for target in imports(MODULES[name]):
        assert not target.startswith("refmaker.scanners"), f"{name} knows the scanner {target}"
        assert target.split(".")[0] not in ("scanners", "templates", "tests"), target
    for target in imports(MODULES[name], types=False):
        if target == "refmaker.__version__":
            continue  # a literal, no part of the front door
        if target.split(".")[0] == "refmaker":
            assert LEVEL[room(target)] >= here, f"{name} imports {target}, which stands above it"


@pytest.mark.parametrize("name", [name for name in INSIDE if name.startswith("refmaker.templates")])
def test_templates_know_nobody(name):
    for target in imports(MODULES[name]):
        assert target.split(".")[:2] in (["refmaker", "templates"], target.split(".")[:2])
        if target.split(".")[0] == "refmaker":
            assert target.startswith("refmaker.templates"), target


@pytest.mark.parametrize("name", SCANNERS)
def test_scanners_know_the_core_alone(name):
    own = name.split(".")[2].partition("_")[0]
    for target in imports(MODULES[name]):
        parts = target.split(".")
        assert parts[0] not in ("zarr", "xarray", "kerchunk", "virtualizarr"), f"{name}: {target}"
        assert parts[0] not in ("scanners", "templates", "tests"), target
        if target.startswith("refmaker.scanners."):
            same = parts[2].partition("_")[0] == own
            assert same or any(target.startswith(shared) for shared in SHARED), f"{name}: {target}"
        elif parts[0] == "refmaker":
            # The front door, what is above it, and what opens references are out of reach.
            assert LEVEL[room(target)] >= LEVEL["refmaker.scan"], f"{name}: {target}"

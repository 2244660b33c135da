"""Imports point down only: scanners, refmaker's rooms in order, templates."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROOMS = (
    "__main__",
    "cli",
    "",  # the front door
    "testing",
    "virtualizarr",
    "publish",
    "combine",
    "verification",
    "patterns",
    "reading",
    "scanning",
    "storage",
    "io",
    "codecs",
    "model",
    "errors",
    "_moved",
    "_version",
    "templates",
)
"""From the top down; a room imports what stands below it."""
LEVEL = {f"refmaker.{room}".rstrip("."): level for level, room in enumerate(ROOMS)}
ZARR_LIBRARY = "refmaker.scanners.zarr.zarr_reader"
"""What `verify` compares stores with: the one module of a scanner that reads by zarr."""
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


def imports(tree):
    """Yield the dotted names that a module imports, anywhere in it and for whatever reason."""
    for node in ast.walk(tree):
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


def arrows(modules):
    """Return, for each module, the modules of the package that it imports."""
    found = {}
    for name, tree in modules.items():
        targets = set()
        for target in imports(tree):
            parts = target.split(".")
            prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
            targets.add(next((prefix for prefix in prefixes if prefix in modules), ""))
        found[name] = targets - {"", name}
    # The front door hands names out lazily: what it offers is above nothing.
    found["refmaker"] = {target for target in found.get("refmaker", ()) if "_" in target}
    return found


def upward(modules):
    """Return the arrows that point up, as text."""
    return [
        f"{name} imports {target}, which stands above it"
        for name, targets in arrows(modules).items()
        if name != "refmaker" and not name.startswith("refmaker.scanners")
        for target in sorted(targets)
        if target.startswith("refmaker.scanners") or LEVEL[room(target)] < LEVEL[room(name)]
    ]


def circles(modules):
    """Return the modules that import each other, in groups."""
    edges = arrows(modules)
    below = {name: set(targets) for name, targets in edges.items()}
    for middle in edges:  # transitive closure
        for reached in below.values():
            if middle in reached:
                reached.update(below[middle])
    tied = {frozenset(b for b in below[a] if a in below[b]) for a in below if a in below[a]}
    return sorted(sorted(group) for group in tied)


MODULES = dict(modules())
INSIDE = sorted(name for name in MODULES if not name.startswith("refmaker.scanners"))
SCANNERS = sorted(name for name in MODULES if name.startswith("refmaker.scanners."))


def test_there_is_something_to_look_at():
    known = {"refmaker", "refmaker.scanning.pool", "refmaker.cli.scan", "refmaker.templates"}
    assert known <= set(INSIDE)
    assert SCANNERS
    assert sum(map(len, arrows(MODULES).values())) > 1000


def test_every_module_has_a_place():
    placed = {f"refmaker.{name.split('.')[1]}" for name in INSIDE if "." in name}
    assert placed <= set(LEVEL), "give the new room its place in ROOMS"
    folders = [room for room in ROOMS if room and (ROOT / "refmaker" / room).is_dir()]
    assert len(folders) <= 18


def test_rooms_import_what_stands_below():
    assert not upward(MODULES)


def test_no_modules_import_each_other():
    assert not circles(MODULES)


@pytest.mark.parametrize(
    ("name", "line", "fault"),
    [
        ("refmaker.model.tree", "from refmaker.reading.reader import Reader", upward),
        ("refmaker.io.source", "def f():\n    import refmaker.cli.scan", upward),
        ("refmaker.io.source", "if TYPE_CHECKING:\n    from refmaker import ReferenceSet", upward),
        ("refmaker.storage.tree", "import_module('refmaker.scanners.tiff')", upward),
        ("refmaker.errors", "from refmaker.io.source import Source", circles),
        ("refmaker.model.dtypes", "from refmaker.model.zarr_v2 import documents", circles),
        ("refmaker.scanners.tiff.tags", "import refmaker.scanners.tiff.pages", circles),
    ],
)
def test_a_wrong_arrow_is_found(name, line, fault):
    tree = ast.parse(f"{ast.unparse(MODULES[name])}\n{line}")
    assert fault({**MODULES, name: tree})


@pytest.mark.parametrize("name", [name for name in INSIDE if name.startswith("refmaker.templates")])
def test_templates_know_nobody(name):
    for target in imports(MODULES[name]):
        if target.split(".")[0] == "refmaker":
            assert target.startswith("refmaker.templates"), target


@pytest.mark.parametrize("name", INSIDE)
def test_top_level_names_are_not_ours(name):
    for target in imports(MODULES[name]):
        assert target.split(".")[0] not in ("scanners", "templates", "tests"), target


@pytest.mark.parametrize("name", SCANNERS)
def test_scanners_know_the_core_alone(name):
    own = name.split(".")[2]
    for target in imports(MODULES[name]):
        parts = target.split(".")
        if name != ZARR_LIBRARY:
            libraries = ("zarr", "xarray", "kerchunk", "virtualizarr")
            assert parts[0] not in libraries, f"{name}: {target}"
        assert parts[0] not in ("scanners", "templates", "tests"), target
        if target.startswith("refmaker.scanners."):
            assert parts[2] == own or target.startswith(tuple(SHARED)), f"{name}: {target}"
        elif parts[0] == "refmaker":
            # The front door, what is above it, and what opens references are out of reach.
            assert LEVEL[room(target)] >= LEVEL["refmaker.scanning"], f"{name}: {target}"

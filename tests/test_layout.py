"""The packages that are built are the folders that hold code."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_folder_with_code_is_a_package():
    found = set()
    for folder, prefix in (
        ("refmaker", ()),
        ("scanners", ("refmaker", "scanners")),
        ("templates", ("refmaker", "templates")),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            inner = path.relative_to(ROOT).parent.parts
            if folder == "refmaker" and inner[1:2] in (("scanners",), ("templates",)):
                continue
            found.add(".".join((*(prefix or ("refmaker",)), *inner[1:])))
    assert found == set(SETUP["packages"])


def test_every_package_is_in_its_folder():
    for name in SETUP["packages"]:
        prefix = max((p for p in SETUP["package-dir"] if f"{name}.".startswith(f"{p}.")), key=len)
        inner = name.removeprefix(prefix).strip(".").split(".")
        assert ROOT.joinpath(SETUP["package-dir"][prefix], *filter(None, inner)).is_dir(), name


def test_the_links_lead_to_the_folders():
    for name in ("scanners", "templates"):
        link = ROOT / "refmaker" / name
        assert link.resolve() == ROOT / name


def sources():
    """Yield path and text of every module."""
    for folder in ("refmaker", "scanners", "templates"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not {"scanners", "templates"} & set(path.relative_to(ROOT / folder).parts):
                yield path, path.read_text()


def test_no_module_is_longer_than_a_page_can_hold():
    assert not [path for path, text in sources() if len(text.splitlines()) > 600]


def test_no_function_is_longer_than_a_screen():
    long = []
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body and body[-1].end_lineno - body[0].lineno >= 80:
                    long.append(f"{path}: {node.name}")
    assert not long


def test_few_rooms():
    rooms = [
        path
        for path in (ROOT / "refmaker").iterdir()
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")
    ]
    assert len(rooms) <= 20, "18, and the links to scanners and templates"


def test_the_plan_names_every_room():
    plan = (ROOT / "CONTRIBUTING.md").read_text()
    for path in (ROOT / "refmaker").iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert f" {path.name} " in plan or f"{path.name}/" in plan, path.name
    for path in (ROOT / "scanners").iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert path.name in plan, path.name

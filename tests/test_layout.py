"""The packages that are built are the folders that hold code."""

from __future__ import annotations

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


def test_no_module_is_longer_than_a_page_can_hold():
    for folder in ("refmaker", "scanners", "templates"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 500, path

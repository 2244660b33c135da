"""What the project says of itself agrees: versions, extras, workflows, recipes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import refmaker

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def test_one_version() -> None:
    version = refmaker.__version__
    assert PROJECT["version"] == version
    assert f"\nversion: {version}\n" in read("CITATION.cff")
    assert f'version = "{version}"' in read("packaging/meta.yaml")
    newest = re.search(r"^## \[(.*?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] in (version, "Unreleased")


def test_the_recipe_asks_for_what_the_project_asks_for() -> None:
    recipe = read("packaging/meta.yaml").partition("  run:\n")[2].partition("test:")[0]
    asked = {line.strip(" -").replace(" ", "") for line in recipe.splitlines() if "- " in line}
    assert asked == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}


def test_classifiers_name_the_pythons_that_are_tested() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    workflow = read(".github/workflows/tests.yml")
    assert sorted(named) == sorted(re.findall(r"^ +(3\.\d+)$", workflow, re.MULTILINE))
    assert f">={min(named, key=lambda text: int(text[2:]))}" == PROJECT["requires-python"]


@pytest.mark.parametrize("name", ["tests.yml", "release.yml"])
def test_workflows_need_no_secrets(name: str) -> None:
    text = read(f".github/workflows/{name}")
    assert "secrets" not in text
    assert "contents: read" in text
    assert ".ci/run" in text
    assert ("id-token: write" in text) is (name == "release.yml")


def test_all_extras_but_those_for_developers_are_in_all() -> None:
    extras = PROJECT["optional-dependencies"]
    inside = set(extras["all"][0].partition("[")[2].rstrip("]").split(","))
    assert inside == extras.keys() - {"all", "docs", "bench", "test"}


def test_the_container_installs_what_is_here() -> None:
    text = read("packaging/Containerfile")
    assert "'/src[all]'" in text
    assert "USER reader" in text
    assert 'ENTRYPOINT ["/opt/refmaker/bin/refmaker"]' in text

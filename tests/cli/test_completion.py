"""What shells offer while a command is typed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.shell_completion import BashComplete, FishComplete, ZshComplete

import refmaker
from refmaker.cli import VERBS, main

SHELLS = (BashComplete, FishComplete, ZshComplete)


def offered(*words, shell=BashComplete):
    """Return value and kind of what is offered for the last word."""
    *before, incomplete = words
    found = shell(main, {}, "refmaker", "_REFMAKER_COMPLETE").get_completions(
        list(before), incomplete
    )
    return [(item.value, item.type) for item in found]


def values(*words):
    return [value for value, _ in offered(*words)]


@pytest.fixture
def cube(run, toy, tmp_path):
    """Write a set of two arrays, one in a group, and a catalog of it."""
    path = toy.write_toy(tmp_path / "a.toy", {"tas": np.arange(6), "g/pr": np.arange(8.0)})
    run("scan", path, "-o", "cube.json")
    run("catalog", "add", "c.yaml", "cube.json", "--name", "winter")
    return "cube.json"


def test_verbs_and_options():
    assert values("") == list(VERBS)
    assert values("ma") == ["materialize"]
    assert values("scan", "--chunk-b") == ["--chunk-bytes"]
    assert values("catalog", "st") == ["stac"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("convert", "--out-format", "p"), {"parquet"}),
        (("combine", "--join", ""), {"exact", "outer"}),
        (("scan", "--for", "g"), {"gdal"}),
        (("scan", "--geozarr", ""), {"yes", "no"}),
        (("info", "--log-format", "j"), {"json"}),
        (("materialize", "--recode", "z"), {"zstd"}),
        (("cache", "c"), {"clear"}),
        (("scan", "--format", "netcdf"), {"netcdf3"}),
        (("pattern", "-f", "gri"), {"grib"}),
        (("serve", "--allow-codec", "pick"), {"pickle"}),
    ],
)
def test_choices(words, found):
    assert set(values(*words)) == found


def test_formats_are_those_that_can_be_scanned():
    assert values("scan", "--format", "") == refmaker.formats()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("edit", "cube.json", "o.json", "--select", ""), ["tas", "g/pr"]),
        (("edit", "cube.json", "o.json", "--select", "tas,g"), ["tas,g/pr"]),
        (("edit", "cube.json", "o.json", "--drop", "t"), ["tas"]),
        (("edit", "cube.json", "o.json", "--rename", "t"), ["tas"]),
        (("edit", "cube.json", "o.json", "--isel", ""), ["tas_0", "pr_0"]),
        (("edit", "cube.json", "o.json", "--group", ""), ["g"]),
        (("combine", "cube.json", "b.json", "--drop", "g"), ["g/pr"]),
        (("view", "cube.json", "--variable", "g"), ["g/pr"]),
        (("catalog", "show", "c.yaml", "w"), ["winter"]),
    ],
)
def test_names_in_a_set(cube, words, found):
    assert values(*words) == found


def test_what_cannot_be_read_offers_nothing(run, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    for name in ("broken.json", "gone.json", "http://127.0.0.1:9/x.json"):
        assert values("edit", name, "o.json", "--select", "") == []
    for name in ("broken.json", "gone.yaml"):
        assert values("catalog", "show", name, "") == []


@pytest.mark.parametrize(
    "words",
    [
        ("scan", "da"), ("scan", "a.nc", "-o", "da"), ("info", "da"), ("verify", "da"),
        ("combine", "a.json", "da"), ("convert", "a.json", "da"), ("edit", "da"),
        ("append", "a.json", "da"), ("view", "da"),
        ("materialize", "a.json", "da"), ("serve", "da"),
        ("report", "da"), ("catalog", "add", "c.yaml", "da"), ("pattern", "--scanned-file", "da"),
    ],
)  # fmt: skip
def test_files_are_left_to_the_shell(words):
    assert offered(*words) == [("da", "file")]
    assert offered("materialize", "--cache", "da") == [("da", "dir")]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told(shell):
    made = shell(main, {}, "refmaker", "_REFMAKER_COMPLETE")
    item = made.get_completions(["cache"], "inf")[0]
    assert "info" in made.format_completion(item)
    assert "_REFMAKER_COMPLETE" in made.source_template % made.source_vars()


def test_bash_completes_a_value(tmp_path):
    bash = shutil.which("bash")
    assert bash is not None, "the tests of completion need bash"
    program = f"{sys.executable} -m refmaker"
    script = (
        f"export _REFMAKER_COMPLETE=bash_complete COMP_WORDS='refmaker convert --out-format pa' "
        f"COMP_CWORD=3; {program}"
    )
    ran = subprocess.run(
        [bash, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout.strip() == "plain,parquet", ran.stderr

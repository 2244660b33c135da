"""Entry points are those that importlib.metadata finds, wherever packages lie."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile

import pytest

from refmaker.codecs.entry_points import entry_points

GROUPS = ["refmaker.scanners", "refmaker.formats", "numcodecs.codecs", "console_scripts", "none"]


def expected(group):
    return sorted(
        (point.name, point.value) for point in importlib.metadata.entry_points(group=group)
    )


def found(group):
    return sorted((point.name, point.value) for point in entry_points(group))


def package(folder, text, *, name="other", version="2.1", kind="dist-info"):
    info = folder / f"{name}-{version}.{kind}"
    info.mkdir(parents=True)
    metadata = "METADATA" if kind == "dist-info" else "PKG-INFO"
    (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(text)


@pytest.mark.parametrize("group", GROUPS)
def test_of_what_is_installed_here(group):
    assert found(group) == expected(group)
    assert bool(found(group)) == (group != "none")


TEXTS = {
    "plain": "[g.g]\na = m:A\nb=m.n:B.c\n[other]\nc = x\n",
    "comments": "# one\n\n[g.g]\n# a = no:no\n  a = m:A [extra]  \n",
    "twice": "[g.g]\na = m:A\n[o]\nx = y\n[g.g]\nb = m:B\n",
    "none": "[o]\na = m:A\n",
    "empty": "",
    "dots": "[g.g]\na.b-c_d = m:A\n",
    "similar": "[g.g.more]\na = m:A\n[xg.g]\nb = m:B\n",
}


@pytest.mark.parametrize("kind", ["dist-info", "egg-info"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts(text, kind, tmp_path, monkeypatch):
    package(tmp_path / "here", text, kind=kind)
    monkeypatch.syspath_prepend(tmp_path / "here")
    assert found("g.g") == expected("g.g")
    for point in entry_points("g.g"):
        assert (point.package, point.version) == ("other", "2.1")


def test_of_two_the_first_on_the_path(tmp_path, monkeypatch):
    package(tmp_path / "first", "[g.g]\na = first:A\n", name="Other_One", version="1")
    package(tmp_path / "second", "[g.g]\na = second:A\n", name="other_one", version="2")
    monkeypatch.setattr(sys, "path", [str(tmp_path / name) for name in ("first", "second", "no")])
    assert found("g.g") == expected("g.g") == [("a", "first:A")]
    assert entry_points("g.g")[0].package == "other-one"


def test_packages_in_an_archive_are_found_by_the_standard_library(tmp_path, monkeypatch):
    package(tmp_path / "in", "[g.g]\na = m:A\n")
    with zipfile.ZipFile(tmp_path / "packages.zip", "w") as archive:
        for path in (tmp_path / "in").rglob("*"):
            archive.write(path, path.relative_to(tmp_path / "in"))
    monkeypatch.syspath_prepend(tmp_path / "packages.zip")
    assert found("g.g") == expected("g.g") == [("a", "m:A")]


def test_other_finders_are_asked(tmp_path, monkeypatch):
    package(tmp_path, "[g.g]\na = m:A\n")

    class Finder:
        def find_spec(self, *_):
            return None

        def find_distributions(self, context):
            del context
            return [importlib.metadata.PathDistribution(tmp_path / "other-2.1.dist-info")]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert found("g.g") == expected("g.g") == [("a", "m:A")]


def test_odd_entries_cost_nothing(tmp_path, monkeypatch):
    package(tmp_path, "[g.g]\na = m:A\n")
    (tmp_path / "file.dist-info").write_text("a file where a folder should be")
    (tmp_path / "binary-1.dist-info").mkdir()
    (tmp_path / "binary-1.dist-info" / "entry_points.txt").write_bytes(b"[g.g]\n\xff = \xfe\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert found("g.g") == [("a", "m:A")]


@pytest.mark.parametrize(
    "value", ["json:dumps", "json", "os.path : join", "json:JSONDecoder.decode"]
)
def test_loading(value, tmp_path, monkeypatch):
    package(tmp_path, f"[g.g]\na = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    [point] = entry_points("g.g")
    assert point.load() is importlib.metadata.EntryPoint("a", value, "g.g").load()
    assert point.module == re.split(r"\s*:", value)[0]


@pytest.mark.parametrize("value", ["not there:x", "nowhere_at_all:x", "json:nothing", ""])
def test_what_is_not_there(value, tmp_path, monkeypatch):
    package(tmp_path, f"[g.g]\na = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    [point] = entry_points("g.g")
    with pytest.raises((ImportError, AttributeError)):
        point.load()


def test_the_standard_library_stays_unloaded():
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from refmaker.codecs.entry_points import entry_points\n"
        "assert entry_points('refmaker.scanners')\n"
        "print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert not {"importlib.metadata", "email", "zipfile"} & set(done.stdout.split())

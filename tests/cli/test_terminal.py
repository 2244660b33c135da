"""Whatever names a file holds, a terminal shows them and does nothing else."""

from __future__ import annotations

import logging

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refmaker.errors import printable

ESCAPES = "a\x1b[2J\x1b]0;title\x07b"
FORGED = "x\nequal      forged  9 of 9 chunks compared"
TURNED = "safe\u202egnp.exe"


@given(st.text())
def test_printable_is_one_line_without_controls(text):
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Temperatur in °C", "Temperatur in °C"),
        ("温度", "温度"),
        ("a\tb\n", "a\\tb\\n"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("\u2028", "\\u2028"),
        ("\u202e", "\\u202e"),
        ("\udcff", "\\udcff"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


@pytest.fixture
def names(tmp_path):
    with h5py.File(tmp_path / "names.h5", "w") as file:
        for name in (ESCAPES, FORGED, TURNED):
            file[name] = range(4)
        file.create_dataset("lost\x1b[31m", data=h5py.Empty("f8"))
    return "names.h5"


def assert_tame(ran):
    for text in (ran.out, ran.err):
        assert all(line.isprintable() for line in text.split("\n")), text
        assert not any(line.startswith("equal      forged") for line in text.split("\n"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", "names.json"],
        ["info", "names.h5"],
        ["info", "names.json", "--json"],
        ["verify", "names.json"],
        ["verify", "names.json", "--json"],
        ["convert", "names.json", "other.json"],
        ["combine", "names.json", "-o", "all.json"],
    ],
    ids=" ".join,
)
def test_commands(run, names, arguments):
    assert_tame(run("scan", names, "-o", "names.json"))
    ran = run(*arguments)
    assert_tame(ran)
    if "--json" not in arguments and arguments[0] in ("info", "verify"):
        assert "\\x1b[2J" in ran.out
        assert "x\\nequal" in ran.out


def test_names_of_files(run, tmp_path):
    name = "evil\x1b]0;x\x07\nerror: forged.h5"
    with h5py.File(tmp_path / name, "w") as file:
        file["a"] = range(4)
    assert_tame(run("scan", name, "-o", "o.json"))
    assert_tame(run("info", "o.json"))
    assert_tame(run("info", name))
    (tmp_path / f"{name}.txt").write_text("no data")
    assert_tame(run("scan", f"{name}.txt", "-o", "p.json", code=1))
    # Usage errors hold names, too.
    assert_tame(run("scan", name, "-o", name, code=2))


def test_logs(run, names):
    ran = run("scan", names, "-o", "names.json", "-vv")
    assert_tame(ran)
    logging.getLogger("refmaker").handlers.clear()

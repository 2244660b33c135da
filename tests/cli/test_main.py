"""The command as a whole: its start, its help, and where exceptions end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

import refmaker
from refmaker.cli import VERBS, main

HEAVY = {"numpy", "h5py", "zarr", "xarray", "fsspec", "numcodecs", "ujson", "aiohttp", "asyncio"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([v, "--help"] for v in VERBS)])
def test_help_loads_nothing_heavy(arguments):
    program = (
        "import sys\n"
        "from refmaker.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as end:\n"
        "    print('exit', end.code, sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    *_, last = done.stdout.splitlines()
    assert last.startswith("exit 0")
    loaded = set(last.split("[")[1].rstrip("]").replace("'", "").split(", "))
    assert "refmaker.cli" in loaded
    # The options of scanners are known when these are loaded, and some of them need arrays.
    assert not (HEAVY - {"numpy"} if arguments[0] == "scan" else HEAVY) & loaded


def test_python_m_refmaker_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "refmaker", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert done.stdout == f"refmaker, version {refmaker.__version__}\n"


def leaves(command, words=()):
    """Yield the words of every command that is no group of others."""
    for name in command.list_commands(None):
        below = command.get_command(None, name)
        more = hasattr(below, "list_commands")
        yield from leaves(below, (*words, name)) if more else [(*words, name)]


# What these print is JSON anyway, or nothing at all.
WITHOUT_RECORDS = {
    ("catalog", "show"),
    ("catalog", "stac"),
    ("serve",),
    ("view",),
}


@pytest.mark.parametrize("words", list(leaves(main)), ids=" ".join)
def test_every_help_has_an_example(words, run):
    text = run(*words, "--help").out
    assert "Example:" in text
    assert f"refmaker {' '.join(words)}" in text
    assert ("--json" in text) == (words not in WITHOUT_RECORDS)
    assert "--quiet" in text
    assert "--verbose" in text
    command = main
    for word in words:
        command = command.get_command(None, word)
    for parameter in command.params:
        assert parameter.param_type_name == "argument" or parameter.help, parameter.name


SCREEN = 50
"""Lines of a terminal, eighty characters wide."""


@pytest.mark.parametrize("words", list(leaves(main)), ids=" ".join)
def test_every_help_fits_a_screen(words, run):
    lines = run(*words, "--help", terminal_width=80).out.splitlines()
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= 80


def test_everything_is_in_the_help_of_all(run):
    text = run("scan", "--help-all").out
    for name in ("--inline-budget", "--grib-grouping", "--uids", "--index-files", "--infer-ifds"):
        assert name in text
        assert name not in run("scan", "--help").out


def test_an_unknown_verb_is_a_usage_error(run):
    assert "No such command" in run("scna", code=2).err


def test_no_verb_shows_the_help():
    result = CliRunner().invoke(main, [])
    assert result.exit_code in (0, 2)
    assert "scan" in result.output


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refmaker.errors.FormatError("bad", url="f", offset=7, hint="do"), "f: byte 7: bad (do)"),
        (PermissionError(13, "Permission denied", "f"), "f: Permission denied"),
        (ZeroDivisionError("oops"), "ZeroDivisionError: oops; this is a bug in refmaker"),
    ],
)
def test_exceptions_become_one_line(run, monkeypatch, error, message):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("refmaker.read", fail)
    plain = run("verify", "x", code=1)
    assert plain.out == ""
    assert plain.err.startswith(f"error: {message}")
    assert plain.err.count("\n") == 1
    assert "Traceback" in run("verify", "x", "-v", code=1).err


def test_an_interrupt_exits_with_130(run, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("refmaker.read", interrupt)
    assert run("verify", "x", code=130).err == "interrupted\n"

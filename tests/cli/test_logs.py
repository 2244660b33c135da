"""Messages on standard error as records, one a line, whatever a command does."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from refmaker.cli import VERBS, main
from refmaker.cli.logs import asked_form, form

LEVELS = {"DEBUG", "INFO", "WARNING", "ERROR"}


def records(ran):
    """Return what stands on standard error; every line has to be a record."""
    found = [json.loads(line) for line in ran.err.splitlines()]
    for record in found:
        at = datetime.fromisoformat(record["time"])
        assert abs((datetime.now(UTC) - at).total_seconds()) < 3600
        assert record["level"] in LEVELS
        assert record["logger"].startswith(("refmaker", "py.warnings"))
        assert record["message"].isprintable()
    assert form() == "text"
    return found


JSON = ("--log-format", "json")


def test_an_error_has_its_place(run, tmp_path):
    (record,) = records(run("scan", "gone.h5", *JSON, code=1))
    assert record["level"] == "ERROR"
    assert record["url"].endswith("gone.h5")
    assert record["type"] == "SourceNotFoundError"
    assert record["hint"] in record["message"]
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20))
    (record,) = records(run("scan", "cut.h5", *JSON, code=1))
    assert record["url"].endswith("cut.h5")


def test_several_inputs_are_told_as_in_text(run, files):
    ran = run("scan", files["a"], files["lossy"], files["broken"], "-o", "out/", *JSON, code=1)
    found = records(ran)
    assert [record["level"] for record in found] == ["WARNING", "ERROR", "INFO"]
    skipped, failed, summed = found
    assert (skipped["path"], skipped["code"]) == ("odd", "dtype-unknown")
    assert skipped["url"] == str(files["lossy"])
    assert failed["url"] == str(files["broken"])
    assert summed["message"] == "3 inputs: 1 ok, 1 partial, 1 failed"
    # Results stay where they are.
    assert ran.out.count(" -> ") == 2


def test_with_json_and_quiet(run, files):
    ran = run("scan", files["a"], files["broken"], "-o", "o/", "--json", *JSON, code=1)
    assert [record["level"] for record in records(ran)] == ["ERROR"]
    assert {record["status"] for record in ran.records} == {"ok", "failed"}
    ran = run("scan", files["lossy"], "-o", "p.json", "-q", *JSON)
    assert records(ran) == []
    assert ran.out == ""


def test_with_verbose(run, files):
    found = records(run("scan", files["broken"], "-o", "o.json", "-v", *JSON, code=1))
    (traced,) = [record for record in found if "traceback" in record]
    assert traced["traceback"].startswith("Traceback")
    assert traced["level"] == "INFO"
    assert "\n" in traced["traceback"]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["scan"], "MissingParameter"),
        (["scan", "--nope"], "NoSuchOption"),
        (["scna"], "UsageError"),
        (["catalog", "add"], "MissingParameter"),
        (["verify", "x", "--sample", "0"], "BadParameter"),
    ],
)
def test_wrong_usage(run, arguments, kind):
    (record,) = records(run(*arguments, *JSON, code=2))
    assert record["type"] == kind
    assert record["level"] == "ERROR"


def test_the_environment(run, monkeypatch):
    for name in ("REFMAKER_LOG_FORMAT", "REFMAKER_SCAN_LOG_FORMAT"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "json")
            assert records(run("scan", "gone.h5", code=1))
    assert run("scan", "gone.h5", code=1).err.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "text"),
        (["scan", "--log-format"], "text"),
        (["scan", "--log-format", "xml"], "text"),
        (["scan", "--log-format", "json", "x"], "json"),
        (["scan", "--log-format=json"], "json"),
        (["--log-format=json", "--log-format", "text"], "text"),
    ],
)
def test_asked_form(arguments, found):
    assert asked_form(arguments) == found


def commands():
    """Yield every command that is no group."""
    import click

    for verb in VERBS:
        command = main.get_command(click.Context(main), verb)
        below = command.commands if isinstance(command, click.Group) else {}
        yield from ((f"{verb} {name}", one) for name, one in below.items())
        if not below:
            yield verb, command


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_has_it(name, command):
    import click

    options = {flag for one in command.get_params(click.Context(command)) for flag in one.opts}
    assert "--log-format" in options, name


def test_warnings_of_libraries(tmp_path):
    program = (
        "import warnings, sys\n"
        "from refmaker.cli import main\n"
        "import refmaker.cli.formats as formats\n"
        "formats._codecs = lambda: (warnings.warn('odd'), [])[1]\n"
        "main(['formats', '-v', '--log-format', 'json'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found = [json.loads(line) for line in ran.stderr.splitlines()]
    assert any(one["logger"] == "py.warnings" and "odd" in one["message"] for one in found)
    assert logging.getLogger("refmaker").level == logging.NOTSET

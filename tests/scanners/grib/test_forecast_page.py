"""The page on forecasts: every command and every block of it, in order, over an archive."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from refmaker.cli import main
from tests.scanners.grib.test_archives import HEIGHT, SURFACE, field, level, run

PAGE = Path(__file__).parents[3] / "docs" / "tasks" / "forecast.md"
BUCKET, ANONYMOUS = "s3://noaa-gfs-bdp-pds", "-S anon=true"
_BLOCK = re.compile(r"^```(console|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def hourly(folder):
    """Write runs as NCEP does: a file for each hour."""
    for hour in (0, 6, 12):
        home = folder / "gfs.20240115" / f"{hour:02}" / "atmos"
        home.mkdir(parents=True)
        for step in (0, 3, 6, 9, 12):
            keys = {"centre": 7, **run(hour), "generatingProcessIdentifier": 96 if step else 81}
            parts = [field(0, 0, step, **keys, **level(500)), field(0, 0, step, **keys, **HEIGHT)]
            if step:
                bucket = step - (step % 6 or 6)
                parts += [
                    field(1, 8, (begin, step), **keys, **SURFACE, stepType="accum")
                    for begin in (bucket, 0)
                ]
            name = f"gfs.t{hour:02}z.pgrb2.0p25.f{step:03}"
            (home / name).write_bytes(b"".join(parts))
            (home / f"{name}.idx").write_text("")


def blocks():
    """Return the blocks from the archive on: a language and what is in it."""
    text = PAGE.read_text()
    return _BLOCK.findall(text[text.index("## From a bucket") :])


def test_the_page(tmp_path, monkeypatch, capsys):
    hourly(tmp_path / "bucket")
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "shown"}
    printed = ""
    found = blocks()
    assert [language for language, _ in found].count("python") >= 5
    for language, body in found:
        if language == "console":
            for line in body.replace("\\\n", " ").splitlines():
                line = line.replace(BUCKET, str(tmp_path / "bucket"))  # noqa: PLW2901 - as typed
                command = shlex.split(line.replace(ANONYMOUS, "").removeprefix("$ refmaker "))
                result = CliRunner().invoke(main, command)
                assert result.exit_code == 0, (line, result.output)
        elif language == "python":
            exec(compile(body, str(PAGE), "exec"), space)  # noqa: S102 - our own page
            printed = capsys.readouterr().out
        else:
            assert printed == body


def test_what_is_picked_is_read_alone(tmp_path, monkeypatch):
    # As the page says: the recipes take few chunks, and `best` is one of each valid time.
    hourly(tmp_path / "bucket")
    monkeypatch.chdir(tmp_path)
    import refmaker

    refs = refmaker.scan(sorted((tmp_path / "bucket").rglob("*.f???")))
    view = refmaker.best_estimate(refs)
    array = dict(view.group.arrays())["heightAboveGround/instant/t2m"]
    assert array.chunks.present == len(range(0, 27, 3))


@pytest.mark.parametrize("text", ["--view best", "refmaker append", "best_estimate"])
def test_the_page_tells(text):
    assert text in PAGE.read_text()

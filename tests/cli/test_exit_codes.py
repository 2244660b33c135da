"""What the documentation says of exit codes, for cron and scripts: a command for each."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from refmaker.cli import main
from refmaker.testing.http import RangeServer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "commands.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder with files and sets that are right, cut off, changed and lossy."""
    at = tmp_path_factory.mktemp("codes")
    for name in ("good", "other", "changed"):
        with h5py.File(at / f"{name}.h5", "w") as file:
            file["x"] = np.arange(4000.0)
    with h5py.File(at / "lossy.h5", "w") as file:
        file["x"] = np.arange(4000.0)
        file.create_dataset("lost", (10,), "f8", external=[("gone.bin", 0, 80)])
    (at / "cut.h5").write_bytes((at / "good.h5").read_bytes()[:3000])
    (at / "notes.txt").write_text("no data\n")
    for name in ("good", "changed"):
        assert ended(at, "scan", f"{name}.h5", "-o", f"{name}.json") == 0
    with h5py.File(at / "changed.h5", "r+") as file:
        file["x"][7] = -1
    document = json.loads((at / "good.json").read_text())
    url, offset, length = document["refs"]["x/0"]
    document["refs"]["x/0"] = [url, offset + 8, length]
    (at / "wrong.json").write_text(json.dumps(document))
    assert ended(at, "catalog", "add", "c.yaml", "good.json") == 0
    return at


def ended(folder, *arguments, **how):
    """Return the exit code of a command in a process of its own."""
    return process(folder, *arguments, **how).wait(timeout=120)


def process(folder, *arguments, **how):
    path = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **how}
    return subprocess.Popen(
        [sys.executable, "-m", "refmaker", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "REFMAKER_CACHE_DIR": str(folder / "cache")},
        **quiet,
    )


CODES = [
    (0, "scan good.h5 -o new/"),
    (0, "scan lossy.h5 -o new/"),
    (0, "info good.json"),
    (0, "verify good.json"),
    (0, "convert good.json good.parquet"),
    (0, "formats"),
    (0, "catalog check c.yaml"),
    (1, "scan gone.h5"),
    (1, "scan cut.h5 -o out/"),
    (1, "scan notes.txt"),
    (1, "scan good.h5 cut.h5 -o part/"),
    (1, "scan lossy.h5 -o strict/ --strict"),
    (1, "info gone.json"),
    (1, "verify changed.json"),
    (1, "verify wrong.json"),
    (1, "verify good.h5"),
    (1, "combine good.h5 other.h5 -o c.json"),
    (1, "catalog check gone.yaml"),
    (1, "materialize good.json notes.txt"),
    (2, "scan"),
    (2, "scna good.h5"),
    (2, "scan --nope good.h5"),
    (2, "scan --chunk-bytes big good.h5"),
    (2, "scan good.h5 -o good.h5"),
    (2, "scan good.h5 -o good.json"),
    (2, "scan good.h5 other.h5 -o one.json"),
    (2, "verify good.json --sample 0"),
    (2, "verify"),
    (2, "catalog show c.yaml nothing"),
]


@pytest.mark.parametrize(("code", "line"), CODES, ids=[line for _, line in CODES])
def test_codes(folder, monkeypatch, code, line):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REFMAKER_CACHE_DIR", str(folder / "cache"))
    ran = CliRunner().invoke(main, line.split(), prog_name="refmaker")
    assert ran.exit_code == code, ran.output


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)], ids=str
)
def test_a_command_that_is_stopped(folder, tmp_path, sent, code):
    with RangeServer(folder, latency=20) as server:
        # What is started in the background of a shell ignores Ctrl-C, and so do its children.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            running = process(tmp_path, "scan", server.url("good.h5"), "-o", "o.json", "-vv",
                              stderr=subprocess.PIPE, text=True)  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)
        try:
            # Handlers are there when the command has begun to ask.
            while not server.requests and running.poll() is None:
                time.sleep(0.01)
            running.send_signal(sent)
            assert running.wait(timeout=60) == code
        finally:
            running.kill()
            running.stderr.close()
    assert list(tmp_path.iterdir()) == []


def test_nobody_reads_any_more(folder):
    running = process(folder, "info", "good.json", "--json", stdout=subprocess.PIPE)
    running.stdout.close()
    assert running.wait(timeout=60) == 1


def test_the_page_has_them_all():
    rows = re.findall(r"^\| (\d+)(?:, (\d+))? \|", PAGE.read_text(), re.MULTILINE)
    documented = {int(code) for row in rows for code in row if code}
    shown = {code for code, _ in CODES} | {130, 128 + signal.SIGTERM, 128 + signal.SIGKILL}
    assert documented == shown

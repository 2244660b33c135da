"""A runner for the command, and toy files to run it on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from refmaker.cli import main


class Ran:
    """What a run of the command gave."""

    def __init__(self, result):
        self.code, self.out, self.err = result.exit_code, result.stdout, result.stderr
        self.raw = result.stdout_bytes

    @property
    def records(self):
        """The records of single things."""
        return [record for record in self._printed() if record.keys() != {"summary"}]

    @property
    def summary(self):
        """The record that sums up, which comes last."""
        *_, last = self._printed()
        return last["summary"]

    def _printed(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(toy, tmp_path, monkeypatch):
    """Run the command in an empty folder; it never ends in a traceback."""
    monkeypatch.chdir(tmp_path)

    def run(*args, code=0, **kwargs):
        ran = Ran(CliRunner().invoke(main, [str(arg) for arg in args], **kwargs))
        assert ran.code == code, ran.out + ran.err
        assert "Traceback" not in ran.out
        if "-v" not in args:
            assert "Traceback" not in ran.err
        return ran

    return run


@pytest.fixture
def files(toy, tmp_path):
    """Return toy files: two good ones, one with an object that is lost, one that is broken."""
    rng = np.random.default_rng(0)
    made = {
        "a": toy.write_toy(
            tmp_path / "a.toy", {"x": np.arange(10, dtype="i4"), "g/y": rng.random((600, 3))}
        ),
        "b": toy.write_toy(tmp_path / "b.toy", {"z": rng.random((60, 50))}, compressed=True),
        "lossy": toy.write_toy(
            tmp_path / "lossy.toy", {"x": np.arange(9, dtype="i8"), "odd": "nonsense"}
        ),
    }
    made["broken"] = tmp_path / "broken.toy"
    made["broken"].write_bytes(made["a"].read_bytes()[:200])
    return made

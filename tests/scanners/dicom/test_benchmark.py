"""The benchmark runs: on inputs too small to say anything about speed, and without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "dicom.py"


def test_it_runs_and_counts_requests(tmp_path):
    options = ["--scale", "0.01", "--no-peers", "--repeat", "1", "--json"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--folder", str(tmp_path), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: run["count"] for name, run in found["runs"].items()} == {
        "headers": 30, "directory": 30, "frames": 20, "enhanced": 20
    }  # fmt: skip
    assert found["requests"]["GET"] == found["requests"]["files"] == 30
    assert "HEAD" not in found["requests"]
    assert found["requests"]["bodies"] <= 30 * 64 * 1024

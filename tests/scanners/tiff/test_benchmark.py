"""The benchmark of this format runs: on inputs too small to say anything, without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "tiff.py"


def test_every_case_is_there_with_its_figures(tmp_path):
    command = [sys.executable, BENCHMARK, "--folder", tmp_path, "--scale", "0.001", "--repeat", "1"]
    options = ["--no-peers", "--json", "--only", "pages", "--only", "tiles"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)["cases"]
    assert [(case["name"], case.get("store")) for case in cases] == [
        ("pages", None), ("tiles", None), ("pages", "counting"), ("pages", "http"),
        ("tiles", "counting"), ("tiles", "http"),
    ]  # fmt: skip
    assert cases[0]["tools"]["refmaker"]["references"] == 50
    for case in cases[2:]:
        assert case["found"]["requests"] == case["found"]["counted_requests"] > 0

"""The benchmark of volumes runs, on inputs too small to say anything."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "volumes.py"


def test_every_tool_reads_every_input(tmp_path):
    options = ["--folder", str(tmp_path), "--side", "8", "--count", "9", "--repeat", "1", "--json"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["input"] for row in rows] == ["nifti", "mrc", "nrrd", "envi", "n5"]
    for row in rows:
        assert all(row[tool] > 0 for tool in ("refmaker", "header", "values")), row

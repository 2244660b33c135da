"""The benchmark runs: on inputs too small to say anything, and without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "combine.py"


def test_every_part_has_its_figures():
    command = [sys.executable, str(SCRIPT), "--files", "12", "--no-peers", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["tool"] for row in found["whole"]] == ["refmaker", "refmaker-2"]
    assert found["alone"][0]["references"] == 1200
    assert [row["batch"] for row in found["large"]] == [0, 5]
    assert {row["references"] for row in found["large"]} == {10_000}
    assert all(row["written_peak"] >= row["peak"] > 0 for row in found["large"])
    assert [row["tool"] for row in found["append"]] == ["json", "parquet"]
    assert {"join even", "join uneven", "parse", "append"} <= {
        row["tool"] for row in found["uneven"]
    }
    assert {row["name"].partition(":")[0] for row in found["targets"]} == {
        "large", "append to json", "append to parquet", "uneven",
    }  # fmt: skip

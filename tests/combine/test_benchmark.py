"""The benchmark runs: on inputs too small to say anything, and without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import refmaker

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


def test_sets_to_which_a_day_is_added(tmp_path):
    script = str(SCRIPT.with_name("appending.py"))
    for arguments in (("make", "parquet", "3", tmp_path), ("day", tmp_path / "day3.nc", "3")):
        subprocess.run([sys.executable, script, *map(str, arguments)], check=True)
    out = tmp_path / "parquet-3.parquet"
    assert refmaker.append(out, [refmaker.scan(tmp_path / "day3.nc")], concat="time").added
    found = refmaker.read(out).group["t"]
    assert found.shape[0] == 4
    assert found.chunks.present == 4000

"""The benchmarks run, on inputs too small to say anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_runs_small(tmp_path):
    command = [
        sys.executable, str(BENCHMARKS / "grib.py"), "--folder", str(tmp_path),
        "--scale", "0.001", "--no-peers", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)["cases"]
    assert [case["tools"]["refmaker"]["fields"] for case in cases[:2]] == [50, 50]
    assert cases[1]["remote"]["fields"] == 50
    # Two runs of two hours: an analysis and a forecast are read, and teach what the others are.
    assert [cases[2][name] for name in ("files", "fields")] == [4, 2 * (274 + 281)]
    assert cases[2]["whole"]["listed"] == 2
    assert cases[2]["walk"]["fields"] == 281
    told = {item["text"]: item["value"] for item in cases[2]["targets"]}
    assert told["requests for each file more"] <= 2
    assert told["share of that file that was read"] < 0.1
    # Four runs of three hours, scanned, appended to and viewed.
    assert cases[3]["found"]["fields"] == cases[3]["found"]["many"] == 4 * (275 + 2 * 282)
    assert all(cases[3]["found"][name]["cpu"] > 0 for name in ("scan", "cached", "append", "best"))


@pytest.mark.parametrize("what", [[], ["--xarray"], ["--threads"]])
def test_decoding_runs_small(what):
    command = [
        sys.executable, str(BENCHMARKS / "grib_decode.py"),
        "--quick", "--repeat", "1", "--json", *what,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)["cases"]
    assert len(cases) > 30
    assert all(case["equal"] for case in cases)

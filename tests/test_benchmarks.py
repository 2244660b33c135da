"""The benchmarks run: on inputs too small to say anything, and without the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def bench(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "hdf5.py"), "--folder", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[dict[str, Any]]:
    small = ["--scale", "0.0005", "--no-peers", "--repeat", "1"]
    done = bench(folder, *small, "--only", "climate", "--only", "btree-v1", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["cases"]
    return found


def test_every_case_is_there_with_its_figures(cases: list[dict[str, Any]]) -> None:
    assert [(case["name"], case.get("store")) for case in cases] == [
        ("btree-v1", None),
        ("climate", None),
        ("climate", "counting"),
        ("climate", "http"),
        ("btree-v1", "counting"),
        ("btree-v1", "http"),
    ]
    tree = cases[0]["tools"]["refmaker"]
    # 22 x 22 chunks: 1000 times the square root of 0.0005, along each dimension.
    assert tree["references"] == 484
    assert 0 < tree["scan_cpu"] < tree["written_cpu"] < tree["process_cpu"]
    assert tree["peak"] >= tree["import_peak"] > 0


def test_a_source_and_its_store_count_the_same(cases: list[dict[str, Any]]) -> None:
    for case in cases[2:]:
        found = case["found"]
        assert found["requests"] == found["counted_requests"] > 0
        assert 0 < found["bytes"] == found["counted_bytes"] <= found["size"]
        assert all(target["passed"] for target in case["targets"]), case


def test_the_table_is_for_people_and_inputs_are_kept(
    folder: Path, cases: list[dict[str, Any]]
) -> None:
    assert cases
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    done = bench(
        folder, "--scale", "0.0005", "--no-peers", "--repeat", "1", "--only", "climate",
        "--no-remote", "--check",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "an ordinary climate file" in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_case_that_does_not_exist_is_refused(folder: Path) -> None:
    done = bench(folder, "--only", "nothing")
    assert done.returncode == 2
    assert "no case nothing" in done.stderr


def test_the_cost_of_starting_is_printed() -> None:
    command = [sys.executable, str(BENCHMARKS / "startup.py"), "--rounds", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    formats = {"tiff", "dicom", "netcdf4", "netcdf3", "grib"}
    assert set(found["targets"]) == formats <= set(found["cpu"])
    assert 0 < found["cpu"]["python"] < found["cpu"]["import numpy"]


def test_stores_and_documents_are_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "stores.py"), "--folder", str(tmp_path),
               "--chunks", "400", "--documents", "600", "--repeat", "1", "--no-peers", "--json",
               "--only", "many-arrays", "--only", "many-variables"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {row["name"]: row["refmaker"] for row in json.loads(done.stdout)}
    # Two by two chunks of 200 arrays, and 25 of 500 variables.
    assert rows["many-arrays"]["chunks"] == 800
    assert rows["many-variables"]["chunks"] == 12500
    assert all(row["whole"] > row["warm"] > 0 for row in rows.values())


def test_hdf4_files_are_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "hdf4.py"), "--folder", str(tmp_path), "--scale",
               "0.001", "--repeat", "1", "--no-peers", "--json"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {row["name"]: row["refmaker"] for row in json.loads(done.stdout)}
    # Of each data set one chunk, of the largest 60.
    assert {name: row["chunks"] for name, row in rows.items()} == {
        "few data sets": 14, "many data sets": 200, "one data set": 60,
    }  # fmt: skip
    assert all(row["whole"] > row["warm"] > 0 for row in rows.values())

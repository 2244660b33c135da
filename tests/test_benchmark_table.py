"""README's table is what `benchmarks/run.py` printed, and its machinery runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import cases  # noqa: E402 - scripts import each other by name, from their folder
import growth  # noqa: E402
import peers  # noqa: E402
import scale  # noqa: E402
import table  # noqa: E402

sys.path.remove(str(BENCHMARKS))


HOURS = re.compile(r"([\d.]+) CPU hours")


def run(script: str, *options: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_readme_says_what_was_measured() -> None:
    text = (ROOT / "README.md").read_text()
    results = json.loads((BENCHMARKS / "results.json").read_text())
    assert text == table.rewritten(text, results)
    # A figure changed by hand does not stand.
    results["cases"][0]["tools"]["refmaker"]["cpu"] *= 7
    assert text != table.rewritten(text, results)


def test_the_comparison_says_what_was_measured() -> None:
    text = (ROOT / "docs" / "comparison.md").read_text()
    results = json.loads((BENCHMARKS / "results.json").read_text())
    assert text == table.rewritten(text, results, table.summary)
    # No figure stands outside of what is made of the results.
    own = text.partition(table.BEGIN)[0] + text.partition(table.END)[2]
    assert not re.search(r"\d\s*(x|times|%)(?!\w)", own)
    # Cases in which somebody else is better are told, all of them.
    results["cases"][0]["tools"]["kerchunk-hdf"]["cpu"] = 1e-3
    assert "**kerchunk**, CPU time" in table.summary(results)
    assert "**kerchunk**, CPU time" not in text


def test_every_case_was_measured_at_full_size() -> None:
    rows = json.loads((BENCHMARKS / "results.json").read_text())["cases"]
    assert [row["name"] for row in rows] == [case.name for case in cases.CASES]
    assert {row["scale"] for row in rows} == {1}
    # Every peer that a target is set for is there.
    for case, row in zip(cases.CASES, rows, strict=True):
        assert case.targets.keys() <= row["tools"].keys(), case.name
        assert row["tools"].keys() <= set(case.tools), case.name


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(53.99, "53"), (6.47, "6.4"), (1, "1.0"), (0.999, "0.99"), (0.0471, "0.047"), (1319, "1,300"),
     (2.3, "2.3"), (10.0, "10")],
)  # fmt: skip
def test_ratios_are_rounded_down(ratio: float, text: str) -> None:
    assert table.down(ratio) == text


def test_tools_and_tiny_inputs_are_there() -> None:
    names = {case.name: case for case in cases.CASES}
    assert len(names) == len(cases.CASES)
    for case in cases.CASES:
        assert set(case.tools) <= peers.WORK.keys()
        assert case.tools[0].startswith("refmaker")
        assert case.targets.keys() <= set(case.tools[1:])
        assert names[case.tiny].tools[: len(case.tools)] == case.tools
        assert case.format in cases.FORMATS
        for tool in case.tools[1:]:
            assert table._name(tool)


def test_commands_are_measured(tmp_path: Path) -> None:
    small = ["--folder", str(tmp_path), "--scale", "0.002", "--rounds", "1", "--json"]
    text = run("run.py", *small, "--only", "slice")
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    assert found["slice"]["numpy"] > 0
    tools = found["slice"]["tools"]
    assert tools.keys() == {"refmaker", "pydicom", "simpleitk"}
    for tool in tools.values():
        assert tool["count"] == 1
        assert tool["cpu"] > tool["warm"] > 0
        assert tool["peak"] > 10


def test_growth_is_measured(tmp_path: Path) -> None:
    small = ["--folder", str(tmp_path), "--scale", "0.01", "--rounds", "1", "--json"]
    (row,) = json.loads(run("growth.py", *small, "--only", "references"))
    assert row["sizes"] == [1000, 2500, 5000, 10000, 20000]
    assert len(row["cpu"]) == len(row["peak"]) == 5


def test_an_exponent_is_a_slope() -> None:
    sizes = [100, 200, 400, 800]
    for base in (0.0, 0.5):
        linear = [base + cost for cost in (0.1, 0.2, 0.4, 0.8)]
        assert growth.exponent(sizes, linear) == pytest.approx(1, abs=0.02)
        square = [base + cost for cost in (0.01, 0.04, 0.16, 0.64)]
        assert growth.exponent(sizes, square) == pytest.approx(2, abs=0.02)


def test_the_page_on_scale_shows_what_was_printed() -> None:
    text = (ROOT / "docs" / "scale.md").read_text()
    block = text.partition("<!-- scale -->")[2].partition("<!-- /scale -->")[0].strip()
    rows = [line.strip("|").split("|") for line in block.splitlines()]
    assert len(rows) == 10
    hours = [float(found[1]) for row in rows if (found := HOURS.search(row[2]))]
    *parts, total = hours
    # Each part is rounded to hundredths, the sum to tenths.
    assert total == pytest.approx(sum(parts), abs=0.07)


def test_what_a_sample_extrapolates_to() -> None:
    text = scale.table(
        {"file": 0.0036, "scan_wall": 0.01, "piece": 3.6, "piece_growth": 1.0, "peak": 100.0,
         "bytes": 7.0, "append_1": 0.1, "append_4": 0.36, "open_1": 0.4, "open_4": 0.5}
    )  # fmt: skip
    assert "1.00 CPU hours for a million files" in text
    assert "1.00 CPU hours for 1,000 pieces" in text
    assert "0.10 CPU hours for 1,000 appends" in text
    assert "**2.1 CPU hours**" in text

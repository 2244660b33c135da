"""The table of README: refmaker beside what users would pick instead, as whole commands.

Run as ``python benchmarks/run.py``; some fifteen minutes, most of them the peers'. Commands take
turns, round after round, and of each the cheapest round counts. Before and after a case stands the
cost of ``python -c "import numpy"``: where it varies by more than 15 % the case is measured once
more, and marked if it varies again. Beside each command stands the work alone, in a process that
has done the same with a tiny input before.

Writes ``benchmarks/results.json``, and from it the tables of README and of the page that compares
tools; ``--render`` only the latter.
``--only NAME`` measures these cases anew and keeps the figures of the others.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cases import CASES, HERE, command, path_of
from commands import NUMPY, cost, environment, least
from peers import packages
from table import rewritten, summary

if TYPE_CHECKING:
    from cases import Case
    from commands import Cost

RESULTS = HERE / "results.json"
README = HERE.parent / "README.md"
COMPARISON = HERE.parent / "docs" / "comparison.md"
PACKAGES = {
    "kerchunk": "kerchunk", "virtualizarr": "virtualizarr", "tifffile": "tifffile",
    "virtual": "virtual_tiff", "gribberish": "gribberish", "eccodes": "eccodes",
    "cfgrib": "cfgrib", "gribscan": "gribscan", "pydicom": "pydicom", "simpleitk": "SimpleITK",
    "stock": "fsspec", "h5py": "h5py", "refmaker": "refmaker",
}  # fmt: skip
"""The package behind the first word of each tool."""
LONG = 20.0
"""CPU seconds of a command from which on it is not run again."""
STEADY = 1.15


def installed(tool: str) -> bool:
    return importlib.util.find_spec(PACKAGES[tool.split("-", maxsplit=1)[0]]) is not None


def able(tool: str, path: Path, out: Path) -> Cost | None:
    """Return the cost of a tool's first run; None if a peer fails, which is told.

    This run writes bytecode, and brings files into memory: it counts only where it takes so long
    that this is nothing.
    """
    try:
        return cost(command(tool, path, out))
    except RuntimeError as error:
        if tool.startswith("refmaker"):
            raise
        print(f"{tool} is left out: {str(error).strip().splitlines()[-1]}", flush=True)
        return None


def measured(case: Case, tools: list[str], folder: Path, scale: float, rounds: int) -> Any:
    """Return the figures of every tool on one input."""
    path = path_of(case, folder, scale)
    tiny = path_of(next(one for one in CASES if one.name == case.tiny), folder, scale)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        first = {tool: able(tool, path, Path(out, "out.json")) for tool in tools}
        slow = {tool: done for tool, done in first.items() if done and done.cpu > LONG}
        tools = [tool for tool, done in first.items() if done]
        for attempt in range(2):
            found, loads = _rounds(case, tools, slow, path, Path(out, "out.json"), rounds)
            steady = max(loads) <= STEADY * min(loads)
            if steady or attempt:
                break
        for tool in tools:
            # What the work alone costs, of the cheaper of two runs.
            times = 1 if tool in slow else 2
            runs = [_warm(tool, tiny, path, Path(out, "warm.json")) for _ in range(times)]
            found[tool] |= min(runs, key=lambda one: float(one["warm"]))
    return {
        "name": case.name, "scale": scale, "steady": steady, "numpy": min(loads), "tools": found,
    }  # fmt: skip


def _rounds(
    case: Case, tools: list[str], slow: dict[str, Cost], path: Path, out: Path, rounds: int
) -> Any:
    loads: list[float] = [_load()]
    runs: dict[str, list[Cost]] = {tool: [slow[tool]] if tool in slow else [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            if tool not in slow:
                out.unlink(missing_ok=True)
                runs[tool].append(cost(command(tool, path, out)))
    loads.append(_load())
    found = {tool: least(done)._asdict() for tool, done in runs.items()}
    print(f"{case.name}: " + ", ".join(f"{t} {f['cpu']:.3f}" for t, f in found.items()), flush=True)
    return found, loads


def _load() -> float:
    return min(cost(NUMPY).cpu for _ in range(5))


def _warm(tool: str, tiny: Path, path: Path, out: Path) -> dict[str, float]:
    """Return the CPU seconds of the work, and how many references it found."""
    done = subprocess.run(
        [sys.executable, str(HERE / "peers.py"), "--warm", str(tiny), tool, str(path), str(out)],
        capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{tool}: {done.stderr[-2000:]}")
    row = json.loads(done.stdout.splitlines()[-1])
    return {"warm": row["cpu"], "count": row["count"]}


def machine() -> dict[str, Any]:
    """Return what was measured where: versions, processor, commit."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    return {
        "date": datetime.now(UTC).date().isoformat(), "python": platform.python_version(),
        "system": platform.system(),
        "processor": model or platform.processor(), "cores": os.cpu_count(),
        "versions": packages(),
    }  # fmt: skip


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kept = Path(tempfile.gettempdir()) / "refmaker-benchmarks"
    parser.add_argument("--folder", type=Path, default=kept, help="of inputs, kept for reuse")
    parser.add_argument("--scale", type=float, default=1, help="size of the inputs  [1]")
    parser.add_argument("--rounds", type=int, default=5, help="of which the least counts  [5]")
    parser.add_argument("--only", action="append", metavar="NAME", help="cases; repeatable")
    parser.add_argument("--no-peers", action="store_true", help="refmaker alone")
    parser.add_argument("--render", action="store_true", help="the tables only")
    parser.add_argument("--json", action="store_true", help="print the figures, write nothing")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    chosen = parser.parse_args()
    names = [case.name for case in CASES]
    if unknown := set(chosen.only or ()) - set(names):
        parser.error(f"--only: no case {', '.join(unknown)}; there are {', '.join(names)}")
    return chosen


def main() -> int:
    chosen = options()
    if chosen.render:
        render(json.loads(RESULTS.read_text()))
        return 0
    chosen.folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for case in CASES:
        if chosen.only and case.name not in chosen.only:
            continue
        tools = [tool for tool in case.tools if installed(tool)]
        tools = tools[:1] if chosen.no_peers else tools
        found[case.name] = measured(case, tools, chosen.folder, chosen.scale, chosen.rounds)
    if chosen.json:
        print(json.dumps(found))
    else:
        save(found)
    short = [text for name, row in found.items() for text in missed(name, row)]
    for text in short:
        print(f"FALLS SHORT {text}")
    return int(chosen.check and bool(short))


def missed(name: str, row: dict[str, Any]) -> list[str]:
    """Say which targets of a case are missed, and by how much."""
    case = next(one for one in CASES if one.name == name)
    own = row["tools"][case.tools[0]]["cpu"]
    ratios = {
        peer: row["tools"][peer]["cpu"] / own for peer in case.targets if peer in row["tools"]
    }
    return [
        f"{name}: {peer} {ratio:.2f} (at least {case.targets[peer]:g})"
        for peer, ratio in ratios.items()
        if ratio < case.targets[peer]
    ]


def save(found: dict[str, Any]) -> None:
    """Write the results, with those of cases that were not measured now, and the tables."""
    kept = json.loads(RESULTS.read_text())["cases"] if RESULTS.exists() else []
    rows = {row["name"]: row for row in kept} | found
    cases = [rows[case.name] for case in CASES if case.name in rows]
    text = json.dumps({"machine": machine(), "cases": cases}, indent=1)
    RESULTS.write_text(text + "\n")
    render(json.loads(text))


def render(results: dict[str, Any]) -> None:
    """Write the tables of these results into the pages that have one."""
    README.write_text(rewritten(README.read_text(), results))
    COMPARISON.write_text(rewritten(COMPARISON.read_text(), results, summary))


if __name__ == "__main__":
    sys.exit(main())

"""Scanning HDF5 and netCDF4, side by side with kerchunk and VirtualiZarr.

Every tool scans every file in a process of its own, all of them started by this one. Ratios say
how many times what refmaker needs the other needs: CPU seconds first, then memory. What
reaches the targets is marked PASS, what does not FALLS SHORT.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from files import path_of
from measure import make, run, tool_on_file
from remote import STORES
from tools import PEERS

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 10.0
"""CPU seconds of a tool on a file, from which on it is not run again."""
STEPS = {
    "scan": "to the table in memory",
    "written": "to a written JSON file",
    "peak": "peak memory",
}
MIB = 1024**2


class Local(NamedTuple):
    """A file scanned from disk; what the peers need is at least so many times as much."""

    name: str
    title: str
    least: dict[str, dict[str, float]]
    """By step: the least ratio, by peer."""


class Remote(NamedTuple):
    """A file scanned from afar; at most so much is spent."""

    name: str
    title: str
    most: dict[str, float]
    """Rounds, requests, bytes, or ``share`` of the file's size."""


def either(ratio: float) -> dict[str, float]:
    return {"kerchunk": ratio, "virtualizarr": ratio}


LOCAL = (
    Local(
        "btree-v1",
        "a million chunks, version 1 B-tree",
        {"written": either(7), "scan": either(40), "peak": {"kerchunk": 3}},
    ),
    Local("fixed-array", "a million chunks, fixed array", {"scan": either(40)}),
    Local("variables", "2,000 variables of 50 chunks, netCDF4", {"written": either(20)}),
    Local("climate", "an ordinary climate file, netCDF4", {"written": either(3)}),
)
REMOTE = (
    Remote("climate", "an ordinary climate file, netCDF4", {"rounds": 6, "bytes": 3e6}),
    Remote("grown", "the same, defined and filled in turn", {"rounds": 6, "bytes": 3e6}),
    Remote("scattered", "metadata scattered between data", {"rounds": 10}),
    Remote("paged", "metadata in pages of 4 MiB", {"requests": 3}),
    Remote("variables", "2,000 variables of 50 chunks, netCDF4", {"share": 1.2}),
    Remote("btree-v1", "a million chunks, version 1 B-tree", {"rounds": 15}),
)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One run of the benchmarks.

    Parameters
    ----------
    folder : Path
        Where inputs are kept.
    scale : float
        Size of the inputs, 1 being full size.
    tools : list of str
        refmaker and its peers.
    repeat : int
        Runs of a tool on a file, of which the one with the least CPU counts.
    """

    def __init__(self, folder: Path, scale: float, tools: list[str], repeat: int) -> None:
        self.folder, self.scale, self.tools, self.repeat = folder, scale, tools, repeat
        folder.mkdir(parents=True, exist_ok=True)
        self.warm_up = self.input("tiny", 1)

    def input(self, name: str, scale: float | None = None) -> Path:
        path = path_of(self.folder, name, self.scale if scale is None else scale)
        if not path.exists():
            note(f"generating {path.name}")
            make(name, self.scale if scale is None else scale, path)
        return path

    def local(self, case: Local) -> dict[str, Any]:
        path = self.input(case.name)
        found = {}
        for tool in self.tools:
            note(f"{case.name}: {tool}")
            found[tool] = self.best(tool, path)
        judged = [
            judge(f"{STEPS[step]}, {peer} / refmaker", ratio(found, peer, step), least=least)
            for step, peers in case.least.items()
            for peer, least in peers.items()
            if peer in found
        ]
        return {
            "name": case.name, "title": case.title, "size": path.stat().st_size,
            "tools": found, "targets": judged,
        }  # fmt: skip

    def best(self, tool: str, path: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            runs: list[dict[str, Any]] = []
            while len(runs) < self.repeat and sum(r["process_cpu"] for r in runs) < LONG:
                runs.append(tool_on_file(tool, self.warm_up, path, Path(out, "out.json")))
        best = min(runs, key=lambda r: r["scan_cpu"] + r["write_cpu"])
        best["written_cpu"] = best["scan_cpu"] + best["write_cpu"]
        return best | {"runs": len(runs)}

    def remote(self, case: Remote, store: str) -> dict[str, Any]:
        path = self.input(case.name)
        note(f"{case.name}: {store}")
        found: dict[str, Any] = json.loads(run("remote.py", store, self.warm_up, path)[0])
        found["share"] = found["bytes"] / found["size"]
        judged = [
            judge(f"{what}, {store}", found[what], most=most) for what, most in case.most.items()
        ]
        own = [found[f"counted_{what}"] == found[what] for what in ("requests", "bytes")]
        judged.append({"text": f"the {store} store counts the same", "passed": all(own)})
        return {
            "name": case.name, "title": case.title, "store": store,
            "found": found, "targets": judged,
        }  # fmt: skip


def ratio(found: dict[str, Any], peer: str, step: str) -> float:
    key = "peak" if step == "peak" else f"{step}_cpu"
    return float(found[peer][key] / found["refmaker"][key])


def judge(
    text: str, value: float, *, least: float | None = None, most: float | None = None
) -> dict[str, Any]:
    passed = value >= least if least is not None else most is not None and value <= most
    return {"text": text, "value": value, "least": least, "most": most, "passed": passed}


def show_local(case: dict[str, Any]) -> None:
    print(f"\n{case['title']} ({case['size'] / MIB:.0f} MiB)")
    print(
        f"  {'':12} {'CPU s, after imports':>26} {'whole':>8} {'wall s':>7} {'peak MiB':>14} "
        f"{'refs':>9}   times refmaker\n"
        f"  {'':12} {'scan':>8} {'write':>8} {'both':>8} {'process':>8} {'both':>7} "
        f"{'':>6} {'(+)':>7} {'':>9} {'scan':>8} {'both':>6} {'proc.':>6} {'peak':>6} {'(+)':>6}"
    )
    own = case["tools"]["refmaker"]
    for name, tool in case["tools"].items():
        print(
            f"  {name:12} {tool['scan_cpu']:8.3f} {tool['write_cpu']:8.3f} "
            f"{tool['written_cpu']:8.3f} {tool['process_cpu']:8.3f} "
            f"{tool['scan_wall'] + tool['write_wall']:7.2f} {tool['peak']:6.0f} "
            f"{added(tool):7.0f} {tool['references']:9,} "
            f"{tool['scan_cpu'] / own['scan_cpu']:8.1f} "
            f"{tool['written_cpu'] / own['written_cpu']:6.1f} "
            f"{tool['process_cpu'] / own['process_cpu']:6.1f} "
            f"{tool['peak'] / own['peak']:6.1f} {added(tool) / max(1, added(own)):6.1f}"
        )
    show_targets(case["targets"])


def added(tool: dict[str, Any]) -> float:
    """MiB above what importing took."""
    return float(tool["peak"] - tool["import_peak"])


def show_remote(case: dict[str, Any]) -> None:
    found = case["found"]
    print(
        f"\n{case['title']} ({found['size'] / MIB:.0f} MiB), {case['store']}\n"
        f"  {found['rounds']} rounds, {found['requests']} requests, "
        f"{found['bytes'] / 1e6:.2f} MB, {found['share']:.2f} of the file; "
        f"{found['wall']:.2f} s, {found['cpu']:.2f} s CPU; the store counts "
        f"{found['counted_requests']} requests, {found['counted_bytes'] / 1e6:.2f} MB"
    )
    show_targets(case["targets"])


def show_targets(targets: list[dict[str, Any]]) -> None:
    for target in targets:
        verdict = "PASS       " if target["passed"] else "FALLS SHORT"
        if "value" not in target:
            print(f"  {verdict} {target['text']}")
            continue
        bound, word = (
            (target["least"], "at least") if target["least"] is not None
            else (target["most"], "at most")
        )  # fmt: skip
        print(f"  {verdict} {target['text']}: {target['value']:,.4g} ({word} {bound:,g})")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kept = Path(tempfile.gettempdir()) / "refmaker-benchmarks"
    parser.add_argument("--folder", type=Path, default=kept, help="of inputs, kept for reuse")
    parser.add_argument("--quick", action="store_true", help="inputs a tenth as large")
    parser.add_argument("--scale", type=float, help="size of the inputs (default: 1)")
    parser.add_argument("--only", action="append", metavar="NAME", help="cases to run; repeatable")
    parser.add_argument("--no-peers", action="store_true", help="refmaker alone")
    parser.add_argument("--no-remote", action="store_true", help="leave remote files out")
    parser.add_argument("--no-local", action="store_true", help="leave local files out")
    parser.add_argument("--repeat", type=int, default=3, help="runs; the best counts (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument("--check", action="store_true", help="fail if anything falls short")
    chosen = parser.parse_args()
    names = {case.name for case in (*LOCAL, *REMOTE)}
    if unknown := set(chosen.only or ()) - names:
        parser.error(f"--only: no case {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    return chosen


def measured(bench: Bench, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what each case that was asked for has given, as soon as it is known."""
    names = chosen.only or [case.name for case in (*LOCAL, *REMOTE)]
    for case in LOCAL if not chosen.no_local else ():
        if case.name in names:
            yield bench.local(case)
    for far in REMOTE if not chosen.no_remote else ():
        if far.name in names:
            for store in STORES:
                yield bench.remote(far, store)


def main() -> int:
    chosen = options()
    scale = chosen.scale or (0.1 if chosen.quick else 1)
    tools = ["refmaker", *(() if chosen.no_peers else PEERS)]
    found = []
    note(f"Python {platform.python_version()}, inputs at scale {scale:g}")
    for case in measured(Bench(chosen.folder, scale, tools, chosen.repeat), chosen):
        found.append(case)
        if not chosen.json:
            show_remote(case) if "store" in case else show_local(case)
    short = [target for case in found for target in case["targets"] if not target["passed"]]
    if chosen.json:
        print(json.dumps({"scale": scale, "cases": found, "short": len(short)}))
    else:
        print(f"\n{len(short)} of the targets fall short" if short else "\nall targets reached")
        if scale != 1:
            print("targets are set for full size: small inputs favour the tool that starts fastest")
    return 1 if short and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())

"""README's table of benchmarks, made of what `run.py` measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cases import CASES, FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["rewritten", "summary", "table"]

BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
NAMES = {
    "kerchunk": "kerchunk", "virtualizarr": "VirtualiZarr", "tifffile": "tifffile",
    "virtualizarr-zarr": "VirtualiZarr, nothing written",
    "virtualizarr-hdf4": "VirtualiZarr, nothing written",
    "virtualizarr-fits": "VirtualiZarr, nothing written",
    "virtual-tiff": "virtual-tiff", "gribberish": "gribberish, its mapping alone",
    "eccodes": "ecCodes, a list of keys", "cfgrib": "cfgrib, its index", "gribscan": "gribscan",
    "pydicom": "pydicom, headers alone", "simpleitk": "SimpleITK, finding the series alone",
    "stock": "stock fsspec", "h5py": "h5py",
}  # fmt: skip
MEASURES = {"cpu": "CPU time", "warm": "once warm", "peak": "peak memory"}


def rewritten(
    text: str, results: dict[str, Any], made: Callable[[dict[str, Any]], str] | None = None
) -> str:
    """Return a page with the table of these results between its two marks: README's, or another."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{(made or table)(results)}\n{END}{after}"


def table(results: dict[str, Any]) -> str:
    """Return the table as Markdown."""
    at = results["machine"]
    versions = ", ".join(f"{name} {text}" for name, text in at["versions"].items())
    source = (
        f"From one run of `python benchmarks/run.py` on {at['date']}: Python {at['python']},"
        f" {at['cores']} cores, {versions}."
    )
    lines = [
        "| input | beside | CPU time | once warm | peak memory | floor |",
        "|---|---|---|---|---|---|",
        *_rows({row["name"]: row for row in results["cases"]}),
        "",
        source,
    ]
    return "\n".join(lines) + "\n"


def summary(results: dict[str, Any]) -> str:
    """Return a row for each tool, from least to most, and the cases in which it is better."""
    found = {row["name"]: row for row in results["cases"]}
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for case in (case for case in CASES if case.name in found):
        row = found[case.name]
        for place, tool in enumerate(case.tools[1:], 1):
            if tool in row["tools"]:
                here = {key: _ratio(row, case.tools, place, key) for key in MEASURES}
                ratios.setdefault(_name(tool), {})[f"{FORMATS[case.format]}: {case.title}"] = here
    lines = [
        f"| beside | inputs | {' | '.join(MEASURES.values())} |",
        "|---|---|---|---|---|",
    ]
    better = []
    for tool, cases in sorted(ratios.items(), key=lambda item: -len(item[1])):
        spans = []
        for key, name in MEASURES.items():
            values = [here[key] for here in cases.values()]
            least, most = down(min(values)), down(max(values))
            spans.append(f"{least}x" if len(values) == 1 else f"{least}x to {most}x")
            wins = [f"{case} ({down(here[key])}x)" for case, here in cases.items() if here[key] < 1]
            better += [f"- **{tool}**, {name}: {'; '.join(wins)}."] if wins else []
        lines.append(f"| {tool} | {len(cases)} | {' | '.join(spans)} |")
    return "\n".join([*lines, "", "Where they take less, of what refmaker takes:", "", *better, ""])


def _rows(found: dict[str, Any]) -> Iterator[str]:
    for kind, title in FORMATS.items():
        cases = [case for case in CASES if case.format == kind and case.name in found]
        layouts = [case for case in cases if case.title.startswith("a million references")]
        if layouts:
            # Of the layouts that a document can have, the one that is worst for refmaker.
            worst = min(layouts, key=lambda case: _ratio(found[case.name], case.tools, 1, "cpu"))
            cases = [case for case in cases if case not in layouts or case is worst]
        for case in cases:
            row = found[case.name]
            own = row["tools"][case.tools[0]]
            floor = f"{100 * row['numpy'] / own['cpu']:.0f} %" + " (unsteady)" * (not row["steady"])
            said = f"{title}: {case.title}" + (", the worst of all layouts" * (case in layouts))
            for place in range(1, len(case.tools)):
                if case.tools[place] not in row["tools"]:
                    continue
                ratios = [_ratio(row, case.tools, place, key) for key in ("cpu", "warm", "peak")]
                figures = [f"{down(one)}x" for one in ratios]
                cells = [said, _name(case.tools[place]), *figures, floor]
                yield f"| {' | '.join(cells)} |".replace("|  |", "| |")
                said = floor = ""


def _name(tool: str) -> str:
    return NAMES.get(tool) or NAMES[tool.split("-", maxsplit=1)[0]]


def _ratio(row: dict[str, Any], tools: tuple[str, ...], place: int, key: str) -> float:
    own, other = row["tools"][tools[0]][key], row["tools"].get(tools[place], {}).get(key)
    return math.inf if other is None else other / max(own, 1e-3)


def down(ratio: float) -> str:
    """Return a ratio rounded down to two figures."""
    if ratio <= 0:
        return "0"
    step = 10.0 ** (math.floor(math.log10(ratio)) - 1)
    return f"{math.floor(ratio / step + 1e-9) * step:,.{max(0, -round(math.log10(step)))}f}"

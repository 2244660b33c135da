"""How cost grows with size: whole commands on inputs that double, and the exponent of each.

Run as ``python benchmarks/growth.py``. An exponent of 1 means that twice the input costs twice the
CPU time. It is that of the curve, a fixed cost and a power of the size, which lies nearest to what
was measured: so Python, imports and all else that does not grow do not count, and what grows
faster than the input shows the more. The cheapest of some rounds counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from cases import Input, command, input_path
from commands import cost, least

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 1.1
"""The exponent that is taken as linear: sorting, and caches of the processor, are in it."""


class Growth(NamedTuple):
    """A kind of input that doubles."""

    name: str
    title: str
    tool: str
    kind: str
    input: str
    sizes: Sequence[float]
    """In units of the maker of the input: a small one, which shows what does not grow, and others
    each of which is twice as large as the one before."""
    suffix: str
    unit: float = 1
    """How many of what is counted one of these units is."""


GROWTHS = (
    Growth("chunks", "chunks of an HDF5 file", "refmaker", "hdf5", "btree-v1",
           (0.0001, 0.1, 0.2, 0.4, 0.8), ".h5", 1e6),
    Growth("variables", "variables of a netCDF4 file", "refmaker", "hdf5", "variables",
           (0.001, 0.125, 0.25, 0.5, 1), ".nc", 2000),
    Growth("pages", "pages of a TIFF file", "refmaker", "tiff", "pages",
           (0.0004, 0.2, 0.4, 0.8, 1.6), ".tif", 50000),
    Growth("fields", "fields of a GRIB file", "refmaker", "grib", "small",
           (50, 10000, 20000, 40000, 80000), ".grib2"),
    Growth("slices", "slices of a DICOM series", "refmaker", "dicom", "series",
           (2, 500, 1000, 2000, 4000), ""),
    Growth("files", "netCDF4 files of 100 chunks, scanned to one cube", "refmaker-combine", "days",
           "", (3, 100, 200, 400, 800), ""),
    Growth("references", "references of a document that is opened", "refmaker-open", "document",
           "interleaved", (1000, 250_000, 500_000, 1_000_000, 2_000_000), ".json"),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kept = Path(tempfile.gettempdir()) / "refmaker-benchmarks"
    parser.add_argument("--folder", type=Path, default=kept, help="of inputs, kept for reuse")
    parser.add_argument("--scale", type=float, default=1, help="size of the inputs  [1]")
    parser.add_argument("--rounds", type=int, default=3, help="of which the least counts  [3]")
    parser.add_argument("--only", action="append", choices=[one.name for one in GROWTHS])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if an exponent is too large")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rows = [
        measured(one, chosen.folder, chosen.scale, chosen.rounds)
        for one in GROWTHS
        if not chosen.only or one.name in chosen.only
    ]
    if chosen.json:
        print(json.dumps(rows))
    else:
        print("\n".join(show(row) for row in rows))
    return int(chosen.check and any(row["exponent"] > MOST for row in rows))


def measured(growth: Growth, folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Return what each size costs, and the exponent."""
    small, *sizes = growth.sizes
    sizes = [small, *(size * scale for size in sizes)]
    paths = [
        input_path(Input(growth.kind, growth.input, size, 0, growth.suffix), folder)
        for size in sizes
    ]
    with tempfile.TemporaryDirectory(dir=folder) as out:
        commands = [command(growth.tool, path, Path(out, "out.json")) for path in paths]
        # The first round writes bytecode.
        runs = [[cost(one) for one in commands] for _ in range(rounds + 1)][1:]
    found = [least(of_size) for of_size in zip(*runs, strict=True)]
    return {
        "name": growth.name, "title": growth.title,
        "sizes": [round(size * growth.unit) for size in sizes],
        "cpu": [one.cpu for one in found], "peak": [one.peak for one in found],
        "exponent": exponent(sizes[1:], [one.cpu for one in found[1:]]),
    }  # fmt: skip


def exponent(sizes: Sequence[float], cpu: Sequence[float]) -> float:
    """Return the exponent of the power of the size that, with a fixed cost, fits best."""
    relative, seconds = np.array(sizes) / sizes[-1], np.array(cpu)

    def error(power: float) -> float:
        terms = np.stack([np.ones_like(relative), relative**power], axis=1)
        (fixed, grows), *_ = np.linalg.lstsq(terms, seconds, rcond=None)
        return float(np.square(terms @ (fixed, grows) - seconds).sum())

    return float(min(np.arange(0.05, 4, 0.01), key=error))


def show(row: dict[str, Any]) -> str:
    verdict = "PASS       " if row["exponent"] <= MOST else "FALLS SHORT"
    sizes = "  ".join(
        f"{size:,}: {cpu:.2f} s {peak:.0f} MiB"
        for size, cpu, peak in zip(row["sizes"], row["cpu"], row["peak"], strict=True)
    )
    return f"{verdict} {row['title']}: exponent {row['exponent']:.2f} (at most {MOST})\n  {sizes}"


if __name__ == "__main__":
    sys.exit(main())

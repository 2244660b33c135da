"""Decoding GRIB fields, side by side with ecCodes.

A field of every packing is generated, with and without a bitmap, and decoded over and over by
the codec ``refmaker.grib`` and by ecCodes (a new message each time, its values, its release), in
turn and in one process; of each, the run with the least CPU counts. Both give float64. Before
anything is measured the values are compared, bit by bit.

``--xarray`` reads a file of eight such fields instead, from its path to all of its values, by
``refmaker.open_dataset`` and by cfgrib's, which compares CPU seconds. ``--threads`` decodes
sixteen fields by one thread and by two, which compares wall seconds: those mean something only
where two processors are idle.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.codecs.grib import GRIB
from refmaker.codecs.native_libraries import load_proj_before_eccodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SHAPE = (721, 1440)
SIMPLE, OTHERS = 0.6, 1.0
"""CPU seconds of refmaker, in units of those of ecCodes: at most."""
SAMPLES = {1: "regular_ll_sfc_grib1", 2: "regular_ll_sfc_grib2"}
FIELDS, THREADED, FASTER = 8, 16, 1.7
"""Fields of a file, fields that threads decode, and how much faster two of them should be."""
SECONDS = 1.5
"""CPU seconds of runs after which a field is not decoded again."""


class Case(NamedTuple):
    """A packing: its name in ecCodes, bits a value, edition of GRIB, whether with a bitmap."""

    packing: str
    bits: int
    edition: int = 2
    gaps: bool = False

    @property
    def name(self) -> str:
        kind = self.packing.removeprefix("grid_").replace("complex_spatial_differencing", "spatial")
        gaps = "-bitmap" if self.gaps else ""
        return f"{'grib1-' if self.edition == 1 else ''}{kind}-{self.bits}{gaps}"

    @property
    def most(self) -> float:
        return SIMPLE if self.packing == "grid_simple" else OTHERS


CASES = (
    *(Case("grid_simple", bits) for bits in (8, 10, 12, 13, 16, 17, 20, 24, 25, 32)),
    *(Case("grid_simple", bits, gaps=True) for bits in (10, 12, 16, 20, 24)),
    *(Case("grid_simple", bits, 1) for bits in (10, 12, 16, 24)),
    Case("grid_simple", 12, 1, gaps=True),
    *(Case("grid_ieee", bits) for bits in (32, 64)),
    Case("grid_ieee", 32, gaps=True),
    *(Case("grid_ccsds", bits) for bits in (8, 12, 16, 24)),
    Case("grid_ccsds", 16, gaps=True),
    *(Case("grid_jpeg", bits) for bits in (12, 16)),
    Case("grid_jpeg", 12, gaps=True),
    *(Case("grid_png", bits) for bits in (8, 16, 24)),
    Case("grid_png", 16, gaps=True),
    *(Case("grid_complex", bits) for bits in (12, 16)),
    Case("grid_complex", 12, gaps=True),
    *(Case("grid_complex_spatial_differencing", bits) for bits in (12, 16)),
    Case("grid_complex_spatial_differencing", 12, gaps=True),
)


def field(shape: tuple[int, int], *, gaps: bool) -> NDArray[np.float64]:
    """Return waves of several lengths and some noise; as gaps, what looks like continents."""
    rows, columns = shape
    y, x = np.linspace(0, np.pi, rows)[:, None], np.linspace(0, 2 * np.pi, columns)
    values = 285 + 30 * np.sin(y) + 6 * np.sin(3 * x + 2 * y) + 2 * np.cos(17 * x) * np.sin(11 * y)
    values += np.random.default_rng(1).normal(0, 0.05, shape)
    if gaps:
        values[np.sin(2 * x + 5 * y) + np.sin(5 * x) * np.cos(7 * y) > 0.5] = np.nan
    return values


def grid(shape: tuple[int, int]) -> dict[str, float]:
    """Return the keys of a grid of the whole Earth."""
    rows, columns = 180 / (shape[0] - 1), 360 / shape[1]
    return {
        "latitudeOfFirstGridPointInDegrees": 90, "latitudeOfLastGridPointInDegrees": -90,
        "longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 360 - columns,
        "jDirectionIncrementInDegrees": rows, "iDirectionIncrementInDegrees": columns,
    }  # fmt: skip


def message(case: Case, shape: tuple[int, int]) -> bytes:
    """Let ecCodes pack the field."""
    import eccodes as ec

    handle = ec.codes_grib_new_from_samples(SAMPLES[case.edition])
    try:
        # In this order: changing the packing packs those values again that are there.
        precise = case.packing == "grid_ieee"
        keys: dict[str, Any] = {"packingType": case.packing}
        keys |= {"precision": case.bits // 32} if precise else {"bitsPerValue": case.bits}
        keys |= {"Nj": shape[0], "Ni": shape[1], **grid(shape)}
        if case.gaps:
            keys |= {"missingValue": 1e20, "bitmapPresent": 1}
        for key, value in keys.items():
            ec.codes_set(handle, key, value)
        values = field(shape, gaps=case.gaps)
        ec.codes_set_values(handle, np.where(np.isnan(values), 1e20, values).ravel())
        if ec.codes_get(handle, "packingType") != case.packing:
            raise RuntimeError(f"ecCodes did not pack {case.name}")
        found: bytes = ec.codes_get_message(handle)
        return found
    finally:
        ec.codes_release(handle)


def by_eccodes(data: bytes, missing: float | None = None) -> NDArray[np.float64]:
    import eccodes as ec

    handle = ec.codes_new_from_message(data)
    if missing is not None:
        ec.codes_set_double(handle, "missingValue", missing)
    values: NDArray[np.float64] = ec.codes_get_values(handle)
    ec.codes_release(handle)
    return values


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of the whole process, all its threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def wall(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def least(
    tools: dict[str, Callable[[], object]], repeat: int, clock: Callable[[Any], float]
) -> dict[str, float]:
    """Let tools do their work in turns; return the least seconds of each."""
    runs: dict[str, list[float]] = {name: [] for name in tools}
    started = time.process_time()
    for done in range(1, repeat + 1):
        for name, work in tools.items():
            runs[name].append(clock(work))
        if time.process_time() - started > SECONDS and done > 2:
            break
    return {name: min(times) for name, times in runs.items()}


def measured(case: Case, shape: tuple[int, int], repeat: int) -> dict[str, Any]:
    """Return the least CPU seconds of both, and whether their values are equal."""
    data = message(case, shape)
    codec = GRIB("<f8", shape)
    own, theirs = codec.decode(data).ravel(), by_eccodes(data, float("nan"))
    gone = np.isnan(theirs)
    equal = (np.isnan(own) == gone).all() and (own[~gone] == theirs[~gone]).all()
    tools = {"refmaker": codec.decode, "float32": GRIB("<f4", shape).decode, "eccodes": by_eccodes}
    best = least({name: partial(tool, data) for name, tool in tools.items()}, repeat, cpu)
    ratio = best["refmaker"] / best["eccodes"]
    return _judged(case, best, ratio, case.most, passed=ratio <= case.most, equal=bool(equal))


def through_xarray(case: Case, shape: tuple[int, int], repeat: int) -> dict[str, Any]:
    """Return the least CPU seconds of both from a path to the values of all fields."""
    import cfgrib
    import eccodes as ec

    import refmaker

    def by_refmaker(path: Path) -> NDArray[Any]:
        return first(refmaker.open_dataset(path))

    def by_cfgrib(path: Path) -> NDArray[Any]:
        return first(cfgrib.open_dataset(str(path), indexpath=""))

    def first(dataset: Any) -> NDArray[Any]:
        return np.asarray(next(iter(dataset.data_vars.values())))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fields.grib")
        with path.open("wb") as file:
            handle = ec.codes_new_from_message(message(case, shape))
            for step in range(FIELDS):
                ec.codes_set(handle, "stepRange", step)
                file.write(ec.codes_get_message(handle))
            ec.codes_release(handle)
        tools = {"refmaker": partial(by_refmaker, path), "cfgrib": partial(by_cfgrib, path)}
        one, other = (work() for work in tools.values())
        best = least(tools, repeat, cpu)
    equal = one.shape == (FIELDS, *shape) and np.array_equal(
        # cfgrib has float32 only.
        one.astype(other.dtype), other, equal_nan=True
    )  # fmt: skip
    ratio = best["refmaker"] / best["cfgrib"]
    return _judged(case, best, ratio, OTHERS, passed=ratio <= OTHERS, equal=equal)


def by_threads(case: Case, shape: tuple[int, int], repeat: int) -> dict[str, Any]:
    """Return the least wall seconds of one thread and of two, and how much faster two are."""
    data, codec = message(case, shape), GRIB("<f4", shape)

    def decoded(threads: ThreadPoolExecutor) -> None:
        for _ in threads.map(codec.decode, [data] * THREADED):
            pass

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        best = least({"one": partial(decoded, one), "two": partial(decoded, two)}, repeat, wall)
    ratio = best["one"] / best["two"]
    return _judged(case, best, ratio, FASTER, passed=ratio >= FASTER, equal=True)


MEASURES = {"codec": measured, "xarray": through_xarray, "threads": by_threads}


def _judged(
    case: Case, best: dict[str, float], ratio: float, limit: float, *, passed: bool, equal: bool
) -> dict[str, Any]:
    return {
        "name": case.name, "seconds": best, "ratio": ratio, "limit": limit,
        "equal": equal, "passed": equal and passed,
    }  # fmt: skip


def show(found: dict[str, Any]) -> None:
    times = "".join(f" {1000 * seconds:9.2f}" for seconds in found["seconds"].values())
    verdict = "PASS       " if found["passed"] else "FALLS SHORT"
    print(
        f"{verdict} {found['name']:24}{times}  {found['ratio']:5.2f} (target {found['limit']:g})"
        f"{'' if found['equal'] else '  OTHER VALUES'}",
        flush=True,
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fields a hundredth as large")
    parser.add_argument("--scale", type=float, help="size of the fields (default: 1)")
    parser.add_argument("--only", action="append", metavar="NAME", help="cases to run; repeatable")
    parser.add_argument("--repeat", type=int, default=25, help="runs; the best counts (default 25)")
    parser.add_argument(
        "--xarray", dest="what", action="store_const", const="xarray", default="codec",
        help="whole files, beside cfgrib",
    )  # fmt: skip
    parser.add_argument(
        "--threads", dest="what", action="store_const", const="threads",
        help="two threads, beside one",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument("--check", action="store_true", help="fail if anything falls short")
    chosen = parser.parse_args()
    names = {case.name for case in CASES}
    if unknown := set(chosen.only or ()) - names:
        parser.error(f"--only: no case {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    return chosen


def main() -> int:
    chosen = options()
    load_proj_before_eccodes()
    import eccodes

    scale = chosen.scale or (0.01 if chosen.quick else 1)
    rows, columns = (max(8, round(side * scale**0.5)) for side in SHAPE)
    if not chosen.json:
        print(f"{rows} x {columns} points, ecCodes {eccodes.codes_get_api_version()}; milliseconds")
    found = []
    for case in CASES:
        if not chosen.only or case.name in chosen.only:
            found.append(MEASURES[chosen.what](case, (rows, columns), chosen.repeat))
            if not chosen.json:
                if len(found) == 1:
                    print(f"{'':36}{''.join(f' {name:>9}' for name in found[0]['seconds'])}  ratio")
                show(found[-1])
    short = sum(not case["passed"] for case in found)
    if chosen.json:
        print(json.dumps({"shape": [rows, columns], "cases": found, "short": short}))
    else:
        print(f"\n{short} of the targets fall short" if short else "\nall targets reached")
    return 1 if chosen.check and short else 0


if __name__ == "__main__":
    sys.exit(main())

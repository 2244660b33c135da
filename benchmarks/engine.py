"""Data files through xarray's engines: refmaker scans on the fly, the others open.

``python benchmarks/engine.py`` generates sixty netCDF4 files of 1.4 MB, opens each with the
engines ``refmaker``, ``h5netcdf`` and ``netcdf4``, and all of them as one dataset, and prints CPU
seconds and how many times those of refmaker the others take. Each engine works in a process of
its own, which has opened one file before it is measured; that the datasets are equal is checked.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from measure import run

if TYPE_CHECKING:
    from collections.abc import Callable

FILES, HOURS = 60, 24
ENGINES = ("refmaker", "h5netcdf", "netcdf4")
RUNS = 3
JOIN: dict[str, Any] = {
    "combine": "nested", "concat_dim": "time",
    "data_vars": "minimal", "coords": "minimal", "compat": "override",
}  # fmt: skip


def write_files(folder: Path) -> None:
    import xarray as xr

    for number in range(FILES):
        hours = np.arange(HOURS * number, HOURS * (number + 1)) * np.timedelta64(1, "h")
        values = np.random.default_rng(number).random((HOURS, 90, 180), "f4")
        made = xr.Dataset(
            {"tas": (("time", "lat", "lon"), values, {"units": "K"})},
            coords={
                "time": np.datetime64("2000-01-01", "ns") + hours,
                "lat": np.linspace(-89, 89, 90),
                "lon": np.arange(0, 360, 2.0),
            },
        )
        encoding = {
            "tas": {"zlib": True, "complevel": 1, "chunksizes": (4, 90, 180)},
            "time": {"units": "hours since 2000-01-01"},
        }
        made.to_netcdf(folder / f"d{number:03}.nc", engine="h5netcdf", encoding=encoding)


def cpu(action: Callable[[], object]) -> float:
    """Return the CPU seconds of the cheapest run."""
    found = []
    for _ in range(RUNS):
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return min(found)


def measured(engine: str, folder: str) -> dict[str, float]:
    import xarray as xr

    from refmaker.codecs.native_libraries import load_proj_before_eccodes

    # With cfgrib beside rioxarray a process may end with a crash otherwise.
    load_proj_before_eccodes()
    names = sorted(map(str, Path(folder).glob("*.nc")))

    def each() -> None:
        for name in names:
            xr.open_dataset(name, engine=engine).close()

    def joined() -> Any:
        return xr.open_mfdataset(names, engine=engine, **JOIN)

    xr.open_dataset(names[0], engine=engine)
    figures = {"each": cpu(each), "joined": cpu(joined)}
    with joined() as opened:
        started = time.process_time()
        figures["sum"] = float(opened["tas"].isel(time=slice(0, 240)).sum(dtype="f8"))
        figures["read"] = time.process_time() - started
    return figures


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measured(*sys.argv[1:])))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        found = {engine: json.loads(run("engine.py", engine, folder)[0]) for engine in ENGINES}
    if len({figures["sum"] for figures in found.values()}) != 1:
        raise SystemExit("the engines do not read the same values")
    ours = found["refmaker"]
    for what in ("each", "joined", "read"):
        figures = (
            f"{engine} {found[engine][what]:.2f} s ({found[engine][what] / ours[what]:.1f}x)"
            for engine in ENGINES
        )
        print(f"{what:7}", ", ".join(figures))


if __name__ == "__main__":
    main()

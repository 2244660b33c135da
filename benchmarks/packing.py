"""Files that pack a variable each in its own way, read as one cube.

``python benchmarks/packing.py`` writes forty netCDF4 files of one chunk of 721 x 1440 packed
numbers (shuffle, deflate), each with a scale and an offset of its own, and reads all values in four
ways. Each is warmed up, and done in rotating order; the cheapest of several rounds counts, in CPU
seconds. That all decoded ways are equal to the bit is checked.

``raw``
    The packed numbers of the cube, which nothing decodes: `zarr`'s own reading.
``pieces``
    One cube, decoded by `refmaker.pieces`.
``groups``
    A group for each packing (``incompatible="split"``), decoded and concatenated by xarray.
``open_mfdataset``
    The files themselves by xarray and netCDF4.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

FILES, ROUNDS = 40, 4
TARGETS = (("raw", 1.4), ("groups", 0.8), ("open_mfdataset", 1.0))


def write_files(folder: Path, *, alike: bool) -> list[str]:
    import netCDF4

    names = []
    for number in range(FILES):
        name = str(folder / f"{'alike' if alike else 'own'}{number:03}.nc")
        names.append(name)
        with netCDF4.Dataset(name, "w") as file:
            for dimension, size in (("time", None), ("lat", 721), ("lon", 1440)):
                file.createDimension(dimension, size)
            times = file.createVariable("time", "i4", ("time",))
            times.units = "days since 2000-01-01"
            times[:] = [number]
            made = file.createVariable(
                "t2m", "i2", ("time", "lat", "lon"), zlib=True, shuffle=True,
                chunksizes=(1, 721, 1440), fill_value=-32767,
            )  # fmt: skip
            made.set_auto_maskandscale(False)
            made.scale_factor = 0.001 if alike else 0.001 * (1 + number / 100)
            made.add_offset = 280.0 if alike else 280.0 + number / 7
            field = np.random.default_rng(number).normal(size=(721, 1440)).cumsum(axis=1) * 100
            made[:] = np.clip(field, -32000, 32000).astype("i2")[None]
    return names


def ways(folder: Path) -> dict[str, Callable[[], Any]]:
    import xarray as xr

    import refmaker

    own, alike = write_files(folder, alike=False), write_files(folder, alike=True)
    for out, names, options in (
        ("pieces.json", own, {}),
        ("groups.json", own, {"incompatible": "split"}),
        ("raw.json", alike, {}),
    ):
        sets = [refmaker.scan(name) for name in names]
        refmaker.combine(sets, concat="time", **options).write(folder / out)

    def groups() -> Any:
        tree = refmaker.open_datatree(folder / "groups.json")
        parts = [node.to_dataset() for node in tree.children.values()]
        return xr.concat(parts, "time").t2m.to_numpy()

    def pieces() -> Any:
        return refmaker.open_dataset(folder / "pieces.json").t2m.to_numpy()

    def native() -> Any:
        with xr.open_mfdataset(
            own, engine="netcdf4", combine="nested", concat_dim="time", chunks=None
        ) as found:
            return found.t2m.to_numpy()

    return {
        "raw": lambda: np.asarray(refmaker.open_group(folder / "raw.json")["t2m"][...]),
        "pieces": pieces,
        "groups": groups,
        "open_mfdataset": native,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        found = ways(Path(folder))
        values = {name: way() for name, way in found.items()}
        decoded = [values[name].tobytes() for name in ("pieces", "groups", "open_mfdataset")]
        if len(set(decoded)) != 1:
            raise SystemExit("the ways do not read the same values")
        del values, decoded
        spent: dict[str, list[float]] = {name: [] for name in found}
        names = list(found)
        for turn in range(ROUNDS):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                started = time.process_time()
                found[name]()
                spent[name].append(time.process_time() - started)
    best = {name: min(times) for name, times in spent.items()}
    for name, seconds in best.items():
        print(f"{name:15} {seconds:.2f} CPU s")
    failed = False
    for name, most in TARGETS:
        ratio = best["pieces"] / best[name]
        failed |= ratio > most
        verdict = "PASS" if ratio <= most else "FALLS SHORT"
        print(f"{verdict} pieces to {name}: {ratio:.2f} (at most {most})")
    if failed and "--check" in sys.argv:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

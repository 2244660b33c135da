"""The inputs of the benchmarks: HDF5 and netCDF4 files, with the same content every time.

Run as ``python benchmarks/files.py NAME SCALE PATH``, so that the libraries that write a file
weigh on no process that is measured afterwards.
"""

from __future__ import annotations

import os
import sys
import zlib
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FILES", "path_of"]

MIB = 1024**2
SEED = 20240229


def path_of(folder: Path, name: str, scale: float) -> Path:
    """Where the file of a name and scale is kept."""
    return (
        folder / f"{name}-{scale:g}.{'nc' if name in ('climate', 'grown', 'variables') else 'h5'}"
    )


def scaled(count: int, scale: float, least: int = 1) -> int:
    return max(least, round(count * scale))


def noise(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    """Numbers between 250 and 310 whose lower bits no compressor can guess."""
    import numpy as np

    return np.random.default_rng(SEED + seed).uniform(250, 310, shape).astype(np.float32)


def many_chunks(path: Path, scale: float, libver: str) -> None:
    """One dataset of a million chunks of 4 x 8 float32, each written as it stands."""
    import h5py

    rows, columns = scaled(1000, scale**0.5), scaled(1000, scale**0.5)
    with h5py.File(path, "w", libver=libver) as file:
        data = file.create_dataset("data", (4 * rows, 8 * columns), "<f4", chunks=(4, 8))
        write = data.id.write_direct_chunk
        chunk = noise((4, 8), 0).tobytes()
        for row in range(rows):
            for column in range(columns):
                write((4 * row, 8 * column), chunk)


def btree_v1(path: Path, scale: float) -> None:
    """A million chunks in a version 1 B-tree, the index of the oldest file format."""
    many_chunks(path, scale, "earliest")


def fixed_array(path: Path, scale: float) -> None:
    """A million chunks in a fixed array, the index of a dataset that cannot grow."""
    many_chunks(path, scale, "latest")


def attributes_of(number: int) -> dict[str, Any]:
    """Eight attributes, as CF asks for them."""
    import numpy as np

    return {
        "standard_name": f"quantity_{number % 97}",
        "long_name": f"Monthly mean of quantity number {number}",
        "units": "kg m-2 s-1",
        "cell_methods": "time: mean area: mean where land",
        "valid_range": np.array([0, 1e5], "f4"),
        "missing_value": np.float32(1e20),
        "original_name": f"var{number:04d}",
        "comment": "made for measuring; the values mean nothing",
    }


def grid_of(file: Any, sizes: tuple[int, int, int]) -> None:
    """Define time, lat and lon with their coordinates, in a netCDF4 file."""
    import numpy as np

    names = ("time", "lat", "lon")
    units = ("days since 1850-01-01", "degrees_north", "degrees_east")
    for name, unit, size in zip(names, units, sizes, strict=True):
        file.createDimension(name, None if name == "time" else size)
        coordinate = file.createVariable(name, "f8", (name,))
        coordinate.setncatts({"units": unit, "standard_name": name, "axis": name[0].upper()})
        coordinate[:] = np.arange(size, dtype="f8")


def variables(path: Path, scale: float) -> None:
    """2,000 variables over one grid, 50 chunks and 8 attributes each."""
    import netCDF4

    sizes = (50, 10, 20)
    with netCDF4.Dataset(path, "w") as file:
        grid_of(file, sizes)
        values = noise(sizes, 1)
        for number in range(scaled(2000, scale)):
            variable = file.createVariable(
                f"var{number:04d}", "f4", ("time", "lat", "lon"),
                chunksizes=(1, *sizes[1:]), contiguous=False, fill_value=1e20,
            )  # fmt: skip
            variable.setncatts(attributes_of(number))
            variable[:] = values


def climate(path: Path, scale: float) -> None:
    """An ordinary file of 30 variables, 5,280 chunks, compressed with shuffle and gzip.

    Everything is defined before data are written, as models, CMOR and xarray do.
    """
    many_fields(path, scale, grown=False)


def grown(path: Path, scale: float) -> None:
    """What `climate` holds, each variable defined when the one before it was filled.

    Headers, heaps and indexes then lie scattered over the whole file.
    """
    many_fields(path, scale, grown=True)


def many_fields(path: Path, scale: float, *, grown: bool) -> None:
    import netCDF4
    import numpy as np

    sizes = (scaled(176, scale), 96, 200)
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"Conventions": "CF-1.8", "title": "climate", "history": "generated"})
        grid_of(file, sizes)
        pool = noise((8, *sizes[1:]), 2)

        def define(number: int) -> Any:
            variable = file.createVariable(
                f"var{number:02d}", "f4", ("time", "lat", "lon"), fill_value=1e20,
                chunksizes=(1, *sizes[1:]), zlib=True, complevel=1, shuffle=True,
            )  # fmt: skip
            variable.setncatts(attributes_of(number))
            return variable

        defined = [] if grown else [define(number) for number in range(30)]
        for number in range(30):
            variable = define(number) if grown else defined[number]
            for step in range(sizes[0]):
                field = pool[(step + number) % len(pool)]
                variable[step] = np.roll(field, 7 * step + number)


def gzipped(shape: tuple[int, ...], seed: int) -> bytes:
    """One chunk of noise as HDF5's shuffle and gzip filters store it."""
    import numpy as np

    plain = noise(shape, seed).reshape(-1).view(np.uint8).reshape(-1, 4)
    return zlib.compress(plain.T.tobytes(), 1)


def corners(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*(range(0, n, c) for n, c in zip(shape, chunk, strict=True)))


def paged(path: Path, scale: float) -> None:
    """What `climate` holds, with all metadata together in pages of 4 MiB."""
    import h5py

    sizes = (scaled(176, scale), 96, 200)
    shape, chunk = sizes, (1, *sizes[1:])
    with h5py.File(path, "w", fs_strategy="page", fs_page_size=4 * MIB, libver="v110") as file:
        scales = [
            file.create_dataset(name, (n,), "f8")
            for name, n in zip(("time", "lat", "lon"), sizes, strict=True)
        ]
        for scale_of in scales:
            scale_of.make_scale()
            scale_of[...] = range(scale_of.size)
        # As netCDF does it, all is defined before anything is written.
        fields = []
        for number in range(30):
            data = file.create_dataset(
                f"var{number:02d}", shape, "f4", chunks=chunk, maxshape=(None, *sizes[1:]),
                shuffle=True, compression="gzip", compression_opts=1,
            )  # fmt: skip
            data.attrs.update(attributes_of(number))
            for axis, scale_of in enumerate(scales):
                data.dims[axis].attach_scale(scale_of)
            fields.append(data)
        for number, data in enumerate(fields):
            stored = gzipped(chunk, number)
            for corner in corners(shape, chunk):
                data.id.write_direct_chunk(corner, stored)


def scattered(path: Path, scale: float) -> None:
    """30 datasets of 9 MB, every second one chunked, each made when the last one is full.

    Headers, attributes and indexes lie between the data, as in files that grow over months.
    """
    import h5py

    shape = (scaled(64, scale), 200, 180)
    chunk = (4 if shape[0] % 4 == 0 else 1, *shape[1:])
    values = noise(shape, 3)
    with h5py.File(path, "w", libver="earliest") as file:
        for number in range(30):
            name = f"group{number % 5}/data{number:02d}"
            data = file.create_dataset(name, shape, "f4", chunks=chunk if number % 2 else None)
            data.attrs.update(attributes_of(number))
            data[...] = values
            file.flush()


def tiny(path: Path, _scale: float) -> None:
    """A few chunks, to scan once before anything is measured."""
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (8, 8), "f4", chunks=(4, 8))
        data[...] = noise((8, 8), 4)
        data.attrs["units"] = "K"


FILES: dict[str, Callable[[Path, float], None]] = {
    "btree-v1": btree_v1,
    "fixed-array": fixed_array,
    "variables": variables,
    "climate": climate,
    "grown": grown,
    "paged": paged,
    "scattered": scattered,
    "tiny": tiny,
}


def main() -> None:
    name, scale, path = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    # Whoever kills this half-way leaves nothing that looks finished.
    part = path.with_name(path.name + ".part")
    FILES[name](part, scale)
    os.replace(part, path)


if __name__ == "__main__":
    main()

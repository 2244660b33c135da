"""Files for tests of combining, and what they hold."""

from __future__ import annotations

import glob
import shlex

import numpy as np
import xarray as xr
import zarr

import refmaker
from refmaker.model.zarr_v3 import needs_version_3
from refmaker.testing import decode_array, open_stock

READS_UNEVEN = zarr.config.get("array.rectilinear_chunks", None) is not None
"""Whether this zarr knows chunks of different lengths: 3.2 and later."""


def dataset(start, count, *, name="v", shape=(4, 6), dtype="f4", seed=0, attrs=None, units=None):
    """Return a cube of `count` times from `start` on; values depend on the time alone."""
    rng = np.random.default_rng(seed)
    field = rng.normal(size=shape) * 100
    steps = np.arange(start, start + count)
    values = (field[None] + steps[:, None, None] * 7).astype(dtype)
    time = {"units": units or "days since 2000-01-01", "calendar": "standard"}
    return xr.Dataset(
        {name: (("time", "lat", "lon"), values, attrs or {})},
        {
            "time": ("time", steps.astype("i4"), time),
            "lat": ("lat", np.linspace(-60, 60, shape[0])),
            "lon": ("lon", np.linspace(0, 300, shape[1])),
        },
    )


def write(path, data, chunks=None, *, zlib=True, encoding=None, unlimited=("time",)):
    """Write a netCDF4 file; `chunks` are those of variables with as many dimensions."""
    given = dict(encoding or {})
    for name, variable in data.variables.items():
        one = given.setdefault(name, {})
        one.setdefault("_FillValue", None)
        if variable.ndim == 3 and chunks is not None:
            sizes = tuple(min(c, n) for c, n in zip(chunks, variable.shape, strict=True))
            one.setdefault("chunksizes", sizes)
            one.setdefault("zlib", zlib)
    data.to_netcdf(path, engine="h5netcdf", encoding=given, unlimited_dims=list(unlimited))
    return str(path)


def scanned(folder, datasets, chunks=None, **kwargs):
    """Return the scans of datasets that are written to files in a folder."""
    paths = [write(folder / f"f{k}.nc", data, chunks, **kwargs) for k, data in enumerate(datasets)]
    return [refmaker.scan(path, chunk_bytes=None) for path in paths]


def same(refs, expected, names=None):
    """Compare every variable with those of a dataset, as stock fsspec and zarr read them.

    Sets with chunks of different lengths, which zarr before 3.2 does not know, are decoded then.
    """
    uneven = needs_version_3(refs.group)
    group = None
    if not uneven or READS_UNEVEN:
        with zarr.config.set({"array.rectilinear_chunks": True} if uneven else {}):
            group = open_stock(refs)
    for name in names or expected.variables:
        array = refs.group[name]
        found = decode_array(array) if group is None else group[name][...]
        wanted = expected[name].values
        assert found.shape == wanted.shape, name
        assert found.dtype.newbyteorder("=") == wanted.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        assert array.dimension_names == expected[name].dims, name


def joined(datasets, dim="time"):
    """Return what xarray makes of datasets."""
    return xr.concat(
        datasets, dim, data_vars="minimal", coords="minimal", compat="equals", join="exact"
    )


def words_of(command):
    """Return a command line as a shell hands it over: names expanded, quotes taken off."""
    for word in shlex.split(command, posix=False):
        if word.startswith("'"):
            yield word[1:-1]
        elif not word.startswith("-") and set(word) & set("*?["):
            yield from sorted(glob.glob(word))
        else:
            yield word

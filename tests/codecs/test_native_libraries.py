"""Packages with native libraries of their own, together in one process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from refmaker.codecs.native_libraries import load_proj_before_eccodes
load_proj_before_eccodes()
import eccodes, pyproj, xarray
message = eccodes.codes_grib_new_from_samples("GRIB2")
assert pyproj.CRS(32633).to_wkt().startswith("PROJCRS")
xarray.backends.list_engines()
"""


def test_eccodes_and_proj_in_one_process():
    command = [sys.executable, "-W", "error::UserWarning:pyproj", "-c", PROGRAM]
    assert subprocess.run(command, check=False).returncode == 0


FILTERS = """
import io
import netCDF4
from refmaker.codecs.native_libraries import load_hdf5_filters
load_hdf5_filters()
import h5py, hdf5plugin, numpy as np
with h5py.File(io.BytesIO(), "w") as file:
    data = file.create_dataset("x", data=np.arange(99.0), chunks=(10,), **hdf5plugin.Blosc())
    assert (data[:] == np.arange(99.0)).all()
"""


def test_filters_of_hdf5_after_netcdf4():
    assert subprocess.run([sys.executable, "-c", FILTERS], check=False).returncode == 0

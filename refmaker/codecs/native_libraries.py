"""Native libraries of other packages, which get on with one another in one order only.

The wheels of ecCodes and of pyproj each bring a PROJ of their own. Where that of ecCodes is loaded
first, pyproj resolves its symbols there and the process is killed by a signal; the other way
round both work.

The wheel of netCDF4 brings filters of its own for its own HDF5, and tells every HDF5 in the process
where they are. Where it is imported first, hdf5plugin finds its filters there already, and h5py
fails with those.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from refmaker.errors import MissingDependencyError

__all__ = ["eccodes", "load_hdf5_filters", "load_proj_before_eccodes"]


def load_hdf5_filters() -> None:
    """Register hdf5plugin's filters with h5py, none of netCDF4's in their place.

    Raises
    ------
    ImportError
        If h5py or hdf5plugin is not installed.
    """
    from h5py import h5pl

    if "hdf5plugin" not in sys.modules:
        for number in reversed(range(h5pl.size())):
            if b"netCDF4" in h5pl.get(number):
                h5pl.remove(number)
    import hdf5plugin  # noqa: F401 - importing it registers them


def load_proj_before_eccodes() -> None:
    """Import pyproj, if it is installed and ecCodes was not imported yet.

    To be called before anything that may import ecCodes: xarray does when it lists its engines,
    if cfgrib is installed.
    """
    if {"pyproj", "eccodes", "gribapi"} & sys.modules.keys():
        return
    if find_spec("eccodes") is None:
        return
    with suppress(ImportError):
        import pyproj  # noqa: F401 - loading it is the purpose


def eccodes(purpose: str) -> Any:
    """Import ecCodes, pyproj before it.

    Parameters
    ----------
    purpose : str
        What it is needed for, which begins the message of the error.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or does not find its library.
    """
    load_proj_before_eccodes()
    try:
        return import_module("eccodes")
    # The package raises RuntimeError where it does not find its library.
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(
            f"{purpose} needs ecCodes: {error}", hint="pip install 'refmaker[grib]'"
        ) from error

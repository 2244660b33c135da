"""Native libraries of other packages, which get on with one another in one order only.

The wheels of ecCodes and of pyproj each bring a PROJ of their own. Where that of ecCodes is loaded
first, pyproj resolves its symbols there and the process is killed by a signal; the other way
round both work.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec

__all__ = ["load_proj_before_eccodes"]


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

"""Packages with native libraries of their own, together in one process."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from refmaker.libraries import load_proj_before_eccodes
load_proj_before_eccodes()
import eccodes, pyproj, xarray
message = eccodes.codes_grib_new_from_samples("GRIB2")
assert pyproj.CRS(32633).to_wkt().startswith("PROJCRS")
xarray.backends.list_engines()
"""


def test_eccodes_and_proj_in_one_process():
    command = [sys.executable, "-W", "error::UserWarning:pyproj", "-c", PROGRAM]
    assert subprocess.run(command, check=False).returncode == 0

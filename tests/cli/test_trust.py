"""What a set from afar may name: refused, and allowed by the option that the error names."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from refmaker.testing.http import RangeServer


@pytest.fixture
def afar(run, tmp_path):
    """Serve a set that names a file of this machine."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(4000.0)
    run("scan", tmp_path / "a.h5", "-o", "a.json")
    with RangeServer(tmp_path) as server:
        yield server.url("a.json")


def test_what_is_advised_works(run, afar, tmp_path):
    refused = run("verify", afar, code=1)
    assert "names the local file" in refused.out + refused.err
    assert "--allow" in refused.out + refused.err
    assert "equal" in run("verify", afar, "--allow", tmp_path).out
    ran = run("materialize", afar, "x.zarr", code=1)
    assert "--allow" in ran.err
    run("materialize", afar, "y.zarr", "--allow", tmp_path)


def test_coordinates_of_files_that_may_not_be_named_are_not_read(run, afar, tmp_path):
    import netCDF4

    with netCDF4.Dataset(tmp_path / "c.nc", "w") as file:
        file.createDimension("x", 400)
        file.createVariable("x", "f8", ("x",))[:] = np.arange(400)
    run("scan", tmp_path / "c.nc", "-o", "c.json")
    url = afar.replace("a.json", "c.json")
    assert "names the local file" in run("info", url).out
    assert "x  0 .. 399, every 1" in run("info", url, "--allow", tmp_path).out

"""The tests that every scanner has to pass, for netCDF classic."""

import netCDF4

from refmaker.scanners.netcdf3 import NetCDF3Scanner
from refmaker.testing import ScannerContract
from tests.scanners.netcdf3 import files


class TestNetCDF3(ScannerContract):
    def scanner(self):
        return NetCDF3Scanner()

    def files(self, folder):
        dimensions = {"time": [40], "y": 9, "x": 11}
        variables = {
            "time": ("f8", ("time",)),
            "x": ("f4", ("x",)),
            "crs": ("i4", ()),
            "name": ("S1", ("y", "x")),
            "odd": ("i1", ("time", "y")),
            "fixed": ("i2", ("y", "x")),
            "deep": ("f4", ("time", "y", "x")),
        }
        made = {}
        for form in files.FORMATS:
            made[form] = folder / f"{form}.nc"
            files.make(made[form], form, dimensions, variables, {"title": form}, fill={"fixed": -1})
        made["alone"] = folder / "alone.nc"
        alone = {"a": ("i1", ("time", "x")), "crs": ("i4", ())}
        files.make(made["alone"], files.CLASSIC, dimensions, alone)
        made["none"] = folder / "none.nc"
        files.make(made["none"], files.CLASSIC, {**dimensions, "time": [0]}, variables)
        return made

    def native_objects(self, path):
        with netCDF4.Dataset(path) as dataset:
            return {"/", *dataset.variables}

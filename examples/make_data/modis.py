"""A tile of land surface temperature as MODIS has it, a grid in HDF4: ``python modis.py FILE``."""

import sys
from pathlib import Path

import numpy as np
from pyhdf.SD import SD, SDC

SIZE = 120
TILE = 1111950.5196666666
"""Metres along one side of a tile of the sinusoidal grid, h18v04 of which lies over the Alps."""

STRUCTURE = f"""GROUP=GridStructure
\tGROUP=GRID_1
\t\tGridName="MODIS_Grid_8Day_1km_LST"
\t\tXDim={SIZE}
\t\tYDim={SIZE}
\t\tUpperLeftPointMtrs=(0.000000,{5 * TILE:.6f})
\t\tLowerRightMtrs=({TILE:.6f},{4 * TILE:.6f})
\t\tProjection=GCTP_SNSOID
\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)
\t\tSphereCode=-1
\t\tGridOrigin=HDFE_GD_UL
\t\tGROUP=DataField
\t\t\tOBJECT=DataField_1
\t\t\t\tDataFieldName="LST_Day_1km"
\t\t\t\tDataType=DFNT_UINT16
\t\t\t\tDimList=("YDim","XDim")
\t\t\tEND_OBJECT=DataField_1
\t\tEND_GROUP=DataField
\tEND_GROUP=GRID_1
END_GROUP=GridStructure
END
"""


def values() -> np.ndarray:
    """Return temperatures in units of 0.02 K, 0 where clouds were: mountains are cold."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    ridge = np.exp(-(((rows - 45 - 15 * np.cos(columns / 25)) / 14) ** 2))
    kelvin = 296 + 0.05 * rows - 24 * ridge
    kelvin += np.random.default_rng(5).normal(0, 0.4, rows.shape)
    cloud = np.hypot(rows - 90, columns - 30) < 16
    return np.where(cloud, 0, kelvin / 0.02).astype("u2")


def write(path: Path) -> None:
    """Write the file."""
    made = SD(str(path), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    made.attr("StructMetadata.0").set(SDC.CHAR8, STRUCTURE.ljust(32000, "\0"))
    field = made.create("LST_Day_1km", SDC.UINT16, (SIZE, SIZE))
    for axis, name in enumerate(("YDim", "XDim")):
        field.dim(axis).setname(f"{name}:MODIS_Grid_8Day_1km_LST")
    field.setfillvalue(0)
    field.attr("long_name").set(SDC.CHAR8, "Daily daytime land surface temperature")
    field.attr("units").set(SDC.CHAR8, "K")
    field.attr("scale_factor").set(SDC.FLOAT64, 0.02)
    field.setcompress(SDC.COMP_DEFLATE, 6)
    field[:] = values()
    field.endaccess()
    made.end()


if __name__ == "__main__":
    write(Path(sys.argv[1]))

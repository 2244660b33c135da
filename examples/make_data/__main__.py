"""Write all files of the examples, beside this folder."""

import shutil
from pathlib import Path

from make_data import air, blobs, ct, wind

FOLDER = Path(__file__).parents[1]

if __name__ == "__main__":
    air.write(FOLDER / "air.nc")
    blobs.write(FOLDER / "blobs.tif")
    wind.write(FOLDER / "wind.grb")
    shutil.rmtree(FOLDER / "ct", ignore_errors=True)
    ct.write(FOLDER / "ct")

"""The tests that every scanner has to pass, for MRC."""

import mrcfile
import numpy as np

from refmaker.scanners.mrc import MRCScanner
from refmaker.testing import ScannerContract
from tests.scanners.mrc import files


class TestMRC(ScannerContract):
    def scanner(self):
        return MRCScanner()

    def files(self, folder):
        values = np.random.default_rng(0).integers(0, 200, (3, 7, 9, 11))
        made = {}
        for order, dtype in (("<", "i2"), (">", "f4"), ("<", "f2"), (">", "c8")):
            path = folder / f"{dtype}.mrc"
            made[dtype] = files.write(path, values[0].astype(dtype), order=order, volume=True)
        made["volumes"] = files.write(folder / "volumes.mrc", values.astype("u2"))
        made["image"] = files.write(folder / "image.mrc", values[0, 0, :3, :3].astype("i1"))
        path = folder / "packed.mrc.gz"
        made["packed"] = files.write(path, values[0].astype("i2"), compression="gzip")
        return made

    def native_objects(self, path):
        with mrcfile.open(path) as file:
            assert file.data.size
        return {"/", "data"}

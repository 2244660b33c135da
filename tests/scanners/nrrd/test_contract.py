"""The tests that every scanner has to pass, for NRRD."""

import nrrd
import numpy as np

from refmaker.scanners.nrrd import NRRDScanner
from refmaker.testing import ScannerContract


class TestNRRD(ScannerContract):
    def scanner(self):
        return NRRDScanner()

    def files(self, folder):
        values = np.random.default_rng(0).integers(0, 200, (11, 9, 7))
        space = {
            "space": "left-posterior-superior",
            "space directions": np.diag([2.0, 3.0, -4.0]),
            "space origin": [1.0, 2.5, 3.0],
        }
        made = {}
        for dtype, encoding in (("<i2", "raw"), (">f4", "raw"), ("u1", "gzip"), ("<f8", "bzip2")):
            path = folder / f"{dtype[-2:]}{encoding}.nrrd"
            nrrd.write(str(path), values.astype(dtype), {"encoding": encoding, **space})
            made[path.stem] = path
        path = made["small"] = folder / "small.nrrd"
        nrrd.write(str(path), values[0, :2].astype("u8"), {"encoding": "raw"})
        return made

    def native_objects(self, path):
        assert nrrd.read_header(str(path))["sizes"].size
        return {"/", "data"}

"""The tests that every scanner has to pass, for NIfTI."""

import nibabel
import numpy as np

from refmaker.scanners.nifti import NIfTIScanner
from refmaker.testing import ScannerContract
from tests.scanners.nifti import files


class TestNIfTI(ScannerContract):
    def scanner(self):
        return NIfTIScanner()

    def files(self, folder):
        values = np.random.default_rng(0).integers(0, 200, (11, 9, 7, 3))
        made = {}
        for version, order, dtype in (
            (1, "<", "i2"),
            (1, ">", "f4"),
            (2, "<", "u1"),
            (2, ">", "c8"),
        ):
            path = folder / f"v{version}{dtype}.nii"
            made[path.stem] = files.write(path, values.astype(dtype), version, order)
        made["packed"] = files.write(folder / "packed.nii.gz", values.astype("i2"), 1, "<")
        made["small"] = files.write(
            folder / "small.nii", values[:2, :2, :2, 0].astype("i2"), 1, "<"
        )
        made["colours"] = files.write_colours(folder / "colours.nii", values[..., 0])
        return made

    def native_objects(self, path):
        assert nibabel.load(path).shape
        return {"/", "data"}

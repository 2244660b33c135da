"""The tests that every scanner has to pass, for ENVI."""

import numpy as np
from spectral.io import envi

from refmaker.scanners.envi import ENVIScanner
from refmaker.testing import ScannerContract


class TestENVI(ScannerContract):
    def scanner(self):
        return ENVIScanner()

    def files(self, folder):
        values = np.random.default_rng(0).integers(0, 200, (11, 9, 7))
        made = {}
        for dtype, order, interleave in (
            ("i2", "little", "bsq"), ("f4", "big", "bil"), ("c8", "big", "bip"),
        ):  # fmt: skip
            path = made[interleave] = folder / f"{interleave}.hdr"
            envi.save_image(
                str(path),
                values.astype(dtype),
                interleave=interleave,
                byteorder=order,
                metadata={"wavelength": [400.5 + i for i in range(7)]},
            )
        made["small"] = folder / "small.hdr"
        envi.save_image(str(made["small"]), values[:3, :3, :1].astype("u1"))
        return made

    def companions(self, path):
        return [path.with_suffix(".img")]

    def native_objects(self, path):
        assert envi.open(str(path)).shape
        return {"/", "data"}

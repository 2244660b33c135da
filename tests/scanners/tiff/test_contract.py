"""The tests that every scanner has to pass, for TIFF."""

from __future__ import annotations

import numpy as np
import tifffile

from refmaker.scanners.tiff import TIFFScanner
from refmaker.testing import ScannerContract
from tests.scanners.tiff import flavours


def write_stack(path):
    """Write pages whose directories lie between their data."""
    with tifffile.TiffWriter(path, byteorder=">") as file:
        for i in range(30):
            data = np.full((16, 24), i, "u2")
            file.write(data, metadata=None, contiguous=False, description=f"page {i}")


def write_pyramid(path):
    """Write an OME-TIFF with levels in SubIFDs."""
    data = flavours.smooth(2, 3, 64, 64)
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        options = {"tile": (32, 32), "compression": "zlib", "photometric": "minisblack"}
        file.write(data, subifds=1, metadata={"axes": "CZYX"}, **options)
        file.write(data[..., ::2, ::2], subfiletype=1, **options)


def write_mixed(path):
    """Write pages of different sizes and compressions."""
    flavours.pages(
        (flavours.GRAY, {}),
        (flavours.BYTES, {"compression": "zlib", "predictor": True}),
        (flavours.RGB, {"compression": "jpeg", "photometric": "rgb", "tile": (32, 32)}),
    )(path)


class TestTIFF(ScannerContract):
    def scanner(self):
        return TIFFScanner()

    def files(self, folder):
        made = {}
        for name, write in {
            "stack": write_stack,
            "pyramid": write_pyramid,
            "mixed": write_mixed,
            "strips": flavours.NUMCODECS["strip_uneven_zlib"],
            "planes": flavours.STORED["rgb_planar_raw"],
            "bits": flavours.PACKED["bits12"],
            "cog": flavours.STORED["gdal_nodata_nan"],
        }.items():
            made[name] = folder / f"{name}.tif"
            write(made[name])
        return made

    def native_objects(self, path):
        # Which images there are is the series' business; pages that are in none have rows.
        names = {
            "stack": {"image"},
            "pyramid": {"0/image", "1/image"},
            "mixed": {f"{i}/image" for i in range(3)},
        }
        return {"/", *names.get(path.stem, {"image"})}

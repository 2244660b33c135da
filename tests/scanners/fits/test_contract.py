"""The tests that every scanner has to pass, for FITS."""

import warnings

import numpy as np
from astropy.io import fits

from refmaker.scanners.fits import FITSScanner
from refmaker.testing import ScannerContract
from tests.scanners.fits import files
from tests.scanners.fits.test_compressed import image
from tests.scanners.fits.test_tables import columns


class TestFITS(ScannerContract):
    def scanner(self):
        return FITSScanner()

    def files(self, folder):
        many = [fits.PrimaryHDU(files.values("i2", (9, 11)))]
        for version in (1, 2):
            for name, kind in (("SCI", "f4"), ("DQ", "u2"), ("WHT", "u8"), ("ERR", "i1")):
                made = files.values(kind, (3, 40, 21), version)
                many.append(fits.ImageHDU(made, name=name, ver=version))
        many.append(fits.ImageHDU(files.values("f8", (50, 6))))
        plain = fits.PrimaryHDU(files.values("f4", (64, 64)))
        scaled = fits.PrimaryHDU(np.arange(4000, dtype=np.int16).reshape(40, 100))
        scaled.header["BLANK"] = -32768
        files.write(folder / "scaled.fits", scaled)
        with fits.open(folder / "scaled.fits", "update", do_not_scale_image_data=True) as file:
            file[0].header["BSCALE"], file[0].header["BZERO"] = 0.5, 10.0
        tiles = [
            fits.CompImageHDU(image("i2", (45, 70)), name="RICE", compression_type="RICE_1"),
            fits.CompImageHDU(
                image("f4", (45, 70)),
                name="DITHER",
                tile_shape=(16, 20),
                compression_type="GZIP_2",
                quantize_method=2,
                quantize_level=16,
            ),
            fits.CompImageHDU(
                image("i2", (45, 70)),
                name="TRANSFORM",
                tile_shape=(15, 70),
                compression_type="HCOMPRESS_1",
                hcomp_scale=4,
                hcomp_smooth=1,
            ),
            fits.CompImageHDU(image("i4", (45, 70)), name="LISTS", compression_type="PLIO_1"),
        ]
        fields = [
            fits.Column("fixed", "F12.3", array=np.arange(400.0)),
            fits.Column("name", "A5", array=np.full(400, "abc")),
        ]
        text = fits.TableHDU.from_columns(fields, name="TEXT")
        ragged = np.array([np.arange(i % 4) for i in range(300)], dtype=object)
        heap = fits.Column("heap", "PJ()", array=ragged)
        events = fits.BinTableHDU.from_columns([*columns(), heap], name="EVENTS")
        table = files.write(folder / "table.fits", fits.PrimaryHDU(), events, text)
        return {
            "table": table,
            "packed": files.packed(files.write(folder / "packed.fits", *many)),
            "tiles": files.write(folder / "tiles.fits", fits.PrimaryHDU(), *tiles),
            "many": files.write(folder / "many.fits", *many),
            "plain": files.write(folder / "plain.fits", plain),
            "scaled": folder / "scaled.fits",
        }

    def native_objects(self, path):
        found = {"/"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with files.in_memory(path) as file:
                for number, unit in enumerate(file):
                    columns = unit.columns.names if hasattr(unit, "columns") else []
                    group = ""
                    if number:
                        version = f"_{unit.ver}" if unit.ver != 1 else ""
                        group = f"/{unit.name}{version}" if unit.name else f"/HDU{number}"
                        found.add(group)
                    found.update(f"{group}/{name}" for name in columns)
                    if getattr(unit, "shape", None):
                        found.add(f"{group}/data")
        return found

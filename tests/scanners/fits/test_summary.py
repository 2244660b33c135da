"""The table of images that ``refmaker info`` shows."""

import numpy as np
from astropy.io import fits

from refmaker.scanners.fits import FITSScanner
from tests.scanners.fits import files
from tests.scanners.fits.test_coordinates import SKY


def test_units_and_frame_are_shown(tmp_path):
    one = fits.PrimaryHDU(np.zeros((12, 10), "i2"))
    one.header.update(SKY | {"OBJECT": "M31", "RADESYS": "FK5", "EQUINOX": 2000.0})
    one.header["BUNIT"] = "Jy/beam"
    two = fits.ImageHDU(np.zeros(9, "f4"), name="SPECTRUM")
    table = fits.BinTableHDU.from_columns([fits.Column("x", "J", array=np.arange(3))])
    group, _ = files.scan(files.write(tmp_path / "a.fits", one, two, table))
    first, second = FITSScanner().summary(group)
    assert first == {
        "unit": "/",
        "object": "M31",
        "values": "Jy/beam",
        "axes": "RA---SIN [deg], DEC--SIN [deg]",
        "frame": "FK5 2000",
    }
    assert (second["unit"], second["axes"], second["values"]) == ("SPECTRUM", "", "")

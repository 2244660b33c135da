"""The tests that every scanner has to pass, for GRIB."""

import pytest

from refmaker.scanners.grib import GRIBScanner
from refmaker.testing import ScannerContract
from tests.scanners.grib.messages import fields, get, joined, message


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
class TestGRIB(ScannerContract):
    def scanner(self):
        return GRIBScanner()

    def files(self, folder):
        levels = [message(shortName=name, level=level, seed=level)
                  for name in ("t", "u") for level in (1000, 850, 500)]  # fmt: skip
        old = [message(1, shortName="t", level=level) for level in (1000, 850)]
        several = joined(message(shortName="u", seed=1), message(shortName="v", seed=2))
        contents = {
            "levels": b"".join(levels),
            "old": b"".join(old),
            "several": several + message(shortName="t"),
            "spaced": b"SXXX01 KWBC\r\r\n" + levels[0] + bytes(50) + levels[1] + b"\n\n",
        }
        made = {}
        for name, data in contents.items():
            made[name] = folder / f"{name}.grib2"
            made[name].write_bytes(data)
        return made

    def native_objects(self, path):
        keys = ("typeOfLevel", "stepType", "cfVarName")
        return {"/", *("/".join(get(handle, key) for key in keys) for handle in fields(path))}

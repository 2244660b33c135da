"""The tests that every scanner has to pass, for DMR++."""

import h5py

from refmaker.scanners.dmrpp import DMRPPScanner
from refmaker.testing import ScannerContract
from tests.scanners.dmrpp.granules import document, write


class TestDMRPP(ScannerContract):
    def scanner(self):
        return DMRPPScanner()

    def files(self, folder):
        made = {}
        for name, big in (("little", False), ("big", True)):
            made[name] = document(write(folder / f"{name}.h5", big=big))
        made["old"] = document(write(folder / "old.h5"), version="")
        return made

    def companions(self, path):
        return [path.with_name(path.name.removesuffix(".dmrpp"))]

    def native_objects(self, path):
        found = {"/"}
        with h5py.File(self.companions(path)[0], "r") as file:
            file.visit(found.add)
        return found

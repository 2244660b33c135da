"""The contract of the toy scanner, as the page on scanners shows it."""

import numpy as np

from refmaker.testing import ScannerContract
from tests.toy import ToyFile, ToyScanner, write_toy


class TestToyScanner(ScannerContract):
    def scanner(self):
        return ToyScanner()

    def files(self, folder):
        return {
            "plain": write_toy(folder / "plain.toy", {"x": np.arange(10, dtype=">i4")}),
            "packed": write_toy(folder / "packed.toy", {"g/y": np.eye(9)}, compressed=True),
        }

    def native_objects(self, path):
        from refmaker.source import Source

        with Source(path) as source:
            return set(ToyFile(source).entries)

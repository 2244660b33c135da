"""The contract of the toy scanner, as the page on scanners shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.io.source import Source
from refmaker.testing import ScannerContract
from tests.toy import ToyFile, ToyScanner, write_toy

if TYPE_CHECKING:
    from pathlib import Path


class TestToyScanner(ScannerContract):
    """Everything that holds for scanners holds for this one."""

    def scanner(self) -> ToyScanner:
        """Return the scanner."""
        return ToyScanner()

    def files(self, folder: Path) -> dict[str, Path]:
        """Write a file of each kind."""
        return {
            "plain": write_toy(folder / "plain.toy", {"x": np.arange(10, dtype=">i4")}),
            "packed": write_toy(folder / "packed.toy", {"g/y": np.eye(9)}, compressed=True),
        }

    def native_objects(self, path: Path) -> set[str]:
        """Return what the format's own library sees."""
        with Source(path) as source:
            return set(ToyFile(source).entries)

"""What holds for every scanner holds for this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from refmaker_stripes.library import write
from refmaker_stripes.scanner import StripesScanner

from refmaker.testing import ScannerContract

if TYPE_CHECKING:
    from pathlib import Path


class TestStripesScanner(ScannerContract):
    """The contract."""

    def scanner(self) -> StripesScanner:
        """Return the scanner."""
        return StripesScanner()

    def files(self, folder: Path) -> dict[str, Path]:
        """Write a file of each kind."""
        values = np.random.default_rng(0).integers(0, 2**16, (50, 7)).astype("u2")
        return {
            "plain": write(folder / "plain.stripes", values, 8),
            "differences": write(folder / "differences.stripes", values, 8, differences=True),
            "sparse": write(folder / "sparse.stripes", values, 10, skip=2),
        }

    def native_objects(self, path: Path) -> set[str]:
        """Return what the format's own library sees: one image."""
        del path
        return {"image"}

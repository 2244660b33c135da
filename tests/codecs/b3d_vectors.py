"""The B3D chunks that the tests decode: those of this repository, and more where there are.

The further ones lie in the folder that ``REFMAKER_B3D_VECTORS`` names, or in ``../shared/b3d``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
SHIPPED = sorted((HERE / "data" / "b3d").glob("*.npz"))
FOLDER = Path(os.environ.get("REFMAKER_B3D_VECTORS", HERE.parents[1].parent / "shared" / "b3d"))
FURTHER = sorted(FOLDER.glob("*.npz"))
SAMPLE = FOLDER / "b3d_sample.h5"
WHY = f"no further B3D chunks in {FOLDER.name} (REFMAKER_B3D_VECTORS)"


def vector(path):
    """A chunk, its client data values, and what it decodes to."""
    with np.load(path) as arrays:
        values = [int(value) for value in arrays["cd_values"]]
        # The vendor's decoder fails on those: what was encoded is what must come out.
        quirk = "quirk_" in path.name and "raw" in arrays
        return arrays["encoded"], values, arrays["raw" if quirk else "decoded"]


def named(paths):
    """Parameters of a test, one for each path."""
    return [pytest.param(path, id=path.stem) for path in paths]


def further(paths):
    """The same, or one visible skip where there are none."""
    missing = pytest.param(None, marks=pytest.mark.skip(reason=WHY), id="absent")
    return named(paths) or [missing]

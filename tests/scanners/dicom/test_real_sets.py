"""Validation sets of MR scanners, such as ``neurolabusc/dcm_qa*``, against dcm2niix.

``REFMAKER_DICOM_SETS`` names folders of them, separated as in ``PATH``. Reading them takes minutes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SETS = [Path(path) for path in os.environ.get("REFMAKER_DICOM_SETS", "").split(os.pathsep) if path]
pytestmark = [
    pytest.mark.skipif(
        not SETS or shutil.which("dcm2niix") is None,
        reason="no sets at hand, or no dcm2niix; see REFMAKER_DICOM_SETS",
    ),
    pytest.mark.filterwarnings("ignore"),
]


def _script():
    spec = importlib.util.spec_from_file_location("dcm2niix", BENCHMARKS / "dcm2niix.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["dcm2niix"] = module
    spec.loader.exec_module(module)
    return module


SCRIPT = _script()
FOLDERS = [(root, folder) for root in SETS for folder in sorted(SCRIPT.leaves(root))]
OTHERWISE = {
    # Signed samples of 12 bits, whose sign releases of dcm2niix before 2023 do not extend.
    ("dcm_qa_12bit/In", "image_1"),
}


@pytest.mark.parametrize(
    ("root", "folder"), FOLDERS, ids=[str(folder.relative_to(root)) for root, folder in FOLDERS]
)
def test_volumes_places_and_directions_are_those_of_dcm2niix(tmp_path, root, folder):
    name = str(folder.relative_to(root.parent))
    for row in SCRIPT.compare(folder, name, tmp_path):
        if not row.volumes or (name, row.image) in OTHERWISE:
            # Colour images, and what dcm2niix derives.
            continue
        ours, theirs = (part.split()[0].split("/") for part in row.volumes.split(", "))
        assert ours[0] == ours[1], row
        assert theirs[0] == theirs[1] != "0", row
        assert row.distance < 1e-3, row
        assert (row.b_value or 0) < 1e-2, row
        assert (row.b_vector or 0) < 1e-3, row
        # Times of day in single precision are off by some hundredths of a second.
        assert (row.slice_time or 0) < 0.02, row

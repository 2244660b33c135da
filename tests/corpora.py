"""Folders of real files of other people's making; tests that need one are skipped without it."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
GIVEN = os.environ.get("REFMAKER_CORPUS", "").split(os.pathsep)
CORPORA = [Path(folder) for folder in GIVEN if folder] or [
    SHARED / "corpus",
    SHARED / "corpus_more",
]
"""Folders with an ``INDEX.tsv``: those of ``REFMAKER_CORPUS``, separated as in ``PATH``."""
CORPUS = CORPORA[0]
"""The one whose files some tests know by name."""

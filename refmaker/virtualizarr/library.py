"""VirtualiZarr, looked for when it is needed."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from refmaker.errors import MissingDependencyError

__all__ = ["INLINED", "MISSING", "manifests"]

MISSING, INLINED = "", "__inlined__"
"""What stands in a manifest where a path would: for chunks that are not there, and for those whose
bytes it holds."""
_PYTHON = (3, 12)


def manifests() -> Any:
    """Import ``virtualizarr.manifests``.

    Raises
    ------
    MissingDependencyError
        If VirtualiZarr is not installed, or is one whose manifests hold no bytes (before 2.8).
    """
    hint = "pip install 'refmaker[virtualizarr]'"
    if sys.version_info < _PYTHON:
        hint = f"run Python 3.12 or later, and {hint}"
    try:
        found = import_module("virtualizarr.manifests")
        known = import_module("virtualizarr.manifests.manifest")
    except ImportError as error:
        raise MissingDependencyError(
            f"virtual datasets need VirtualiZarr 2.8 or later: {error}", hint=hint
        ) from error
    named = getattr(known, "INLINED_CHUNK_PATH", None), getattr(known, "MISSING_CHUNK_PATH", None)
    if named != (INLINED, MISSING):
        from importlib.metadata import version

        raise MissingDependencyError(
            f"virtual datasets need VirtualiZarr 2.8 or later, here is {version('virtualizarr')}",
            hint=hint,
        )
    return found

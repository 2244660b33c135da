"""The forms in which a reference set can be stored, and which a name asks for.

========  ==========================  ==============================================
form      chosen by                   what it is
========  ==========================  ==============================================
json      any other name, ``-``       kerchunk JSON, version 1
compact   on request                  JSON with rules (`refmaker.storage.compact`)
parquet   ``.parquet``, ``.parq``     a folder (`refmaker.storage.parquet`)
icechunk  ``.icechunk``               a repository (`refmaker.storage.icechunk`)
========  ==========================  ==============================================
"""

from __future__ import annotations

import os

__all__ = ["COMPACT", "FORMATS", "format_of_name"]

COMPACT = "refmaker-compact-1"
"""Version of a compact document."""
FORMATS = ("json", "compact", "parquet", "icechunk")
_SUFFIXES = {".parquet": "parquet", ".parq": "parquet", ".icechunk": "icechunk"}


def format_of_name(out: str | os.PathLike[str]) -> str:
    """Return the form in which a set is written to a place of this name."""
    name = os.fspath(out).rstrip("/")
    return _SUFFIXES.get(os.path.splitext(name)[1].lower(), "json")

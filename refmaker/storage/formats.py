"""The forms in which a reference set can be stored, and how they are told apart.

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

from refmaker.io.files import STANDARD
from refmaker.io.names import local_path

__all__ = ["COMPACT", "FORMATS", "format_of_name", "is_reference_folder", "stored_form"]

COMPACT = "refmaker-compact-1"
"""Version of a compact document."""
FORMATS = ("json", "compact", "parquet", "icechunk")
_SUFFIXES = {".parquet": "parquet", ".parq": "parquet", ".icechunk": "icechunk"}


def format_of_name(out: str | os.PathLike[str]) -> str:
    """Return the form in which a set is written to a place of this name."""
    name = os.fspath(out).rstrip("/")
    return _SUFFIXES.get(os.path.splitext(name)[1].lower(), "json")


def stored_form(url: str | os.PathLike[str]) -> str:
    """Return the form of what is stored: ``json`` (compact or not), ``parquet``, ``icechunk``.

    A local folder's content decides; elsewhere the name does.
    """
    name = os.fspath(url)
    path = local_path(name)
    if name == STANDARD or (path is not None and os.path.isfile(path)):
        return "json"
    form = format_of_name(name)
    if path is not None and os.path.isdir(path):
        icechunk = os.path.isdir(os.path.join(path, "snapshots"))
        return "icechunk" if icechunk else "parquet"
    if form == "json" and name.endswith("/"):
        return "parquet"
    return form


def is_reference_folder(path: str) -> bool:
    """Tell whether a local folder is a reference set as Parquet."""
    from refmaker.errors import RefmakerError
    from refmaker.io.folders import open_folder
    from refmaker.storage.parquet_reader import read_metadata

    if not os.path.isfile(os.path.join(path, ".zmetadata")):
        return False
    try:
        read_metadata(open_folder(path))
    except (RefmakerError, OSError):
        return False
    return True

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
from typing import NamedTuple

__all__ = [
    "COMPACT",
    "FORMATS",
    "TARGETS",
    "TEMPLATES",
    "StoredForm",
    "format_of_name",
    "stored_form",
]

COMPACT = "refmaker-compact-1"
"""Version of a compact document."""
FORMATS = ("json", "compact", "parquet", "icechunk")
TEMPLATES = ("auto", "always", "never")
"""What may be said of templates: whether names stand for URLs."""
TARGETS = ("gdal", "virtualizarr", "tensorstore")
"""Readers that a set can be written for; see `refmaker.storage.readers`."""
_SUFFIXES = {".parquet": "parquet", ".parq": "parquet", ".icechunk": "icechunk"}


class StoredForm(NamedTuple):
    """How a reference set is stored, or is to be.

    Parameters
    ----------
    form : str
        One of `FORMATS`.
    templates : bool
        Whether names stand for URLs.
    relative : bool
        Whether files are named by their paths from where the set lies.
    zarr_format : {2, 3}
        Version of Zarr of the metadata.
    """

    form: str = "json"
    templates: bool = True
    relative: bool = False
    zarr_format: int = 2


def format_of_name(out: str | os.PathLike[str]) -> str:
    """Return the form in which a set is written to a place of this name."""
    name = os.fspath(out).rstrip("/")
    return _SUFFIXES.get(os.path.splitext(name)[1].lower(), "json")


def stored_form(
    form: str,
    templates: str = "auto",
    for_reader: str | None = None,
    *,
    relative: bool = False,
    zarr_format: int = 2,
) -> StoredForm:
    """Return how a set is stored by what is asked for.

    Parameters
    ----------
    form : str
        One of `FORMATS`.
    templates : {"auto", "always", "never"}
        In JSON there are templates by default, unless it is for a reader of its own.
    for_reader : str, optional
        The reader that it is for.
    relative : bool
        Whether to name files by relative paths.
    zarr_format : {2, 3}
        Version of Zarr of the metadata.

    Raises
    ------
    ValueError
        If there is no such word, or the form has no choice.
    """
    if templates not in TEMPLATES:
        raise ValueError(f"templates is {templates!r}, not one of {', '.join(TEMPLATES)}")
    if (templates, form) == ("never", "compact") or (templates == "always" and form != "json"):
        raise ValueError(f"templates is {templates!r}, of which the form {form} has no choice")
    plain = templates == "never" or (templates == "auto" and for_reader is not None)
    named = form == "compact" or (form == "json" and not plain)
    return StoredForm(form, named, relative, zarr_format)

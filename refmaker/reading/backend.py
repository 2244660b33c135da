"""The xarray engine ``refmaker``."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from refmaker.errors import RefmakerError
from refmaker.io.files import STANDARD
from refmaker.io.local_file import local_path
from refmaker.reading.xarray_store import PARAMETERS, StoreBackend
from refmaker.storage.detect import detect

__all__ = ["RefmakerBackend", "is_reference_set"]

_CHAIN = "refmaker::"


def is_reference_set(name: Any) -> bool:
    """Tell by its content whether a local file or folder is a reference set.

    Parameters
    ----------
    name : object
        A path, or what else xarray was given. Files from afar are not looked at; of those
        only what is written ``refmaker::URL`` is one.
    """
    if not isinstance(name, str | os.PathLike):
        return False
    text = os.fspath(name)
    if text.startswith(_CHAIN):
        return True
    if local_path(text) is None or text == STANDARD:
        return False
    try:
        found = detect(text)
    except (RefmakerError, OSError, ValueError):
        return False
    return found.kind == "references" and found.sure


class RefmakerBackend(StoreBackend):
    """Opens reference sets, and data files that it scans on the fly.

    ``xarray.open_dataset("cube.json", engine="refmaker")``; in place of ``cube.json`` also a data
    file, a folder or a pattern of files that are one object together, or a list of such. Unasked
    it takes reference sets alone, and leaves data files to their own engines.
    """

    description = "Open reference sets, and HDF5, netCDF, TIFF, GRIB, DICOM files, using refmaker"
    _OWN: ClassVar[frozenset[str]] = frozenset(
        {
            *("storage_options", "reference_options", "verify_sources", "allow", "codecs"),
            *("cache_bytes", "plan", "scan"),
        }
    )
    open_dataset_parameters: ClassVar[tuple[str, ...] | None] = (
        *PARAMETERS,
        *("storage_options", "reference_options", "verify_sources", "allow", "codecs", "scan"),
    )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell by its content whether a file is a reference set."""
        return is_reference_set(filename_or_obj)

    def _store(self, name: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        from refmaker.reading.open import open_store

        ours = {key: value for key, value in kwargs.items() if key in self._OWN}
        rest = {key: value for key, value in kwargs.items() if key not in self._OWN}
        if isinstance(name, str | os.PathLike):
            name = os.fspath(name).removeprefix(_CHAIN)
        store = open_store(name, **{key: value for key, value in ours.items() if value is not None})
        return super()._store(store, rest)

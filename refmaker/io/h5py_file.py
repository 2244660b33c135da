"""A file in the hands of h5py."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import h5py

from refmaker.codecs.native_libraries import load_hdf5_filters
from refmaker.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source

__all__ = ["open_file", "with_plugins"]

_CACHE = {"rdcc_nslots": 127}
"""HDF5 keeps a table of chunks for every open dataset; all of a file are open at once here."""
_PAGE_MOST = 8 * 1024**2
"""Bytes of a page that are fetched at once at most, whatever the file says."""


@contextmanager
def open_file(source: Source) -> Iterator[h5py.File]:
    """Open a file for reading: a local one by its path, any other through the source's cache.

    Parameters
    ----------
    source : Source
        The file.

    Yields
    ------
    h5py.File

    Raises
    ------
    FormatError
        If the HDF5 library cannot open it.
    """
    try:
        if source.path is not None:
            file = _open_local(source.path)
        else:
            file = h5py.File(source.open(), "r", **_CACHE)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = re.sub(r"^.*?\((.*)\)$", r"\1", str(error).strip("'\""))
        raise FormatError(
            f"the HDF5 library cannot open it: {reason}",
            url=source.url,
            hint="the file is truncated or damaged, or still being written",
        ) from error
    try:
        if source.path is None:
            _read_by_pages(file, source)
        yield file
    finally:
        file.close()


def _open_local(path: str) -> h5py.File:
    """Open a local file without a lock: archives are often read-only, or know no locks."""
    try:
        return h5py.File(path, "r", locking=False, **_CACHE)
    except OSError as error:
        # Where this process has the file open already, HDF5 wants the same kind of locking.
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r", **_CACHE)


def _read_by_pages(file: h5py.File, source: Source) -> None:
    """Read metadata page by page in files that were written so."""
    plist = file.id.get_create_plist()
    if plist.get_file_space_strategy()[0] == h5py.h5f.FSPACE_STRATEGY_PAGE:
        source.cluster(min(int(plist.get_file_space_page_size()), _PAGE_MOST))


def with_plugins() -> None:
    """Make the filters of hdf5plugin known to HDF5, where that package is installed."""
    with suppress(ImportError):
        load_hdf5_filters()

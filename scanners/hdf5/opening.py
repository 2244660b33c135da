"""A file in the hands of h5py."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.source import Source

__all__ = ["open_file"]


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
            # Reading takes no lock: archives are often read-only, or on systems without locks.
            file = h5py.File(source.path, "r", locking=False)
        else:
            file = h5py.File(source.open(), "r")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        reason = re.sub(r"^.*?\((.*)\)$", r"\1", str(error).strip("'\""))
        raise FormatError(
            f"the HDF5 library cannot open it: {reason}",
            url=source.url,
            hint="the file is truncated or damaged, or still being written",
        ) from error
    try:
        yield file
    finally:
        file.close()

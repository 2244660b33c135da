"""Checks that codecs share, without numcodecs: scanners need some of them, too."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from refmaker.errors import CodecError, MetadataError, MissingDependencyError

__all__ = ["MAX_CHUNK", "MAX_HEADER", "bounded", "expect", "library"]

#: Largest chunk that HDF5 can store, in bytes (the size is kept in 32 bits).
MAX_CHUNK = 2**32 - 1
#: Bytes before the data of a file that is compressed as a whole.
MAX_HEADER = 64 * 1024**2


def library(module: str, package: str | None = None, purpose: str = "to decode this chunk") -> Any:
    """Import what a codec needs, at the time when it first decodes, or a format's own library.

    Parameters
    ----------
    module : str
        Name to import.
    package : str, optional
        Name to install, where it is another one.
    purpose : str
        What it is needed for.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = package or module.partition(".")[0]
        raise MissingDependencyError(
            f"the package {name} is needed {purpose}: {error}",
            hint=f"pip install {name}",
        ) from error


def bounded(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an integer inside ``low..high``, or refuse the configuration.

    Raises
    ------
    MetadataError
        If the value is not an integer, or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise MetadataError(f"codec setting {name!r} is not an integer: {value!r}")
    if not low <= value <= high:
        raise MetadataError(f"codec setting {name!r} is {value}, not in {low}..{high}")
    return int(value)


def expect(codec_id: str, found: int, wanted: int, what: str) -> None:
    """Refuse a chunk in which a size is not what it has to be.

    Raises
    ------
    CodecError
        If `found` differs from `wanted`.
    """
    if found != wanted:
        raise CodecError(f"{codec_id}: {what} is {found} bytes, expected {wanted}")

"""Whole small files: read from anywhere, written so that they appear whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from refmaker.errors import SourceError
from refmaker.source import Source, local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["exists", "read_file", "replacing"]

STANDARD = "-"
"""The name that means standard input or output."""


def read_file(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> bytes:
    """Return a file's bytes; ``-`` is standard input.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    if os.fspath(url) == STANDARD:
        return sys.stdin.buffer.read()
    with Source(url, storage_options) as source:
        return source.read(0, source.size)


def exists(url: str | os.PathLike[str]) -> bool:
    """Tell whether a local file is there; other URLs are never asked."""
    path = local_path(os.fspath(url))
    return path is not None and path != STANDARD and os.path.exists(path)


@contextmanager
def replacing(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> Iterator[IO[bytes]]:
    """Open a file for writing; it takes its name only when the block ends well.

    Parameters
    ----------
    url : str or os.PathLike
        Where to write; ``-`` is standard output. Locally a temporary file beside it is
        synchronised to disk and renamed; a store's upload is committed at the end.

    Yields
    ------
    binary file

    Raises
    ------
    SourceError
        If the place cannot be written.
    """
    name = os.fspath(url)
    path = local_path(name)
    if name == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path is None:
        with _uploading(name, storage_options or {}) as file:
            yield file
    else:
        with _renaming(os.path.abspath(path)) as file:
            yield file


@contextmanager
def _renaming(path: str) -> Iterator[IO[bytes]]:
    folder = os.path.dirname(path)
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=f".{os.path.basename(path)[:100]}.", suffix=".part", dir=folder
        )
    except OSError as error:
        raise SourceError(
            f"cannot write there: {error.strerror}", url=path, hint="create the folder first"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; an output has the rights that the user's umask gives.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _synchronise(folder)


def _synchronise(folder: str) -> None:
    """Make a rename durable, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _uploading(url: str, storage_options: Mapping[str, Any]) -> Iterator[IO[bytes]]:
    from fsspec.core import url_to_fs

    fs, name = url_to_fs(url, **storage_options)
    with fs.transaction, fs.open(name, "wb") as file:
        yield file

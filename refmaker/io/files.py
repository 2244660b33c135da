"""Whole small files: read from anywhere, written so that they appear whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, SourceError
from refmaker.io.local_file import local_path, read_local

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "cannot_be_written",
    "created",
    "exists",
    "many_files",
    "note_renamed",
    "read_file",
    "replacing",
    "temporary_name",
]

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
    path = local_path(os.fspath(url))
    if path is not None:
        return read_local(path)
    from refmaker.io.source import Source

    with Source(url, storage_options, unpack=True) as source:
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
        synchronised to disk and renamed; a store's upload is committed at the end. A link
        stays, and the file that it points to is replaced; a device or pipe is written to.

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
    if "\0" in name:
        raise SourceError("cannot be written: no file has a NUL in its name", url=name)
    try:
        if name == STANDARD:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif path is None:
            with _uploading(name, storage_options or {}) as file:
                yield file
        elif _is_special(path):
            with open(path, "wb") as file:
                yield file
        else:
            with _renaming(os.path.realpath(path)) as file:
                yield file
    except BrokenPipeError:
        # The reader of a pipe has gone: the command's business, as everywhere.
        raise
    except OSError as error:
        if isinstance(error, RefmakerError):
            raise
        raise cannot_be_written(error, name) from error


def cannot_be_written(error: OSError, name: str) -> SourceError:
    """Return the error that says why a file could not be written."""
    return SourceError(f"cannot be written: {error.strerror or error}", url=name)


def _is_special(path: str) -> bool:
    """Whether something is there that must not be replaced, such as ``/dev/null``."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode)


@contextmanager
def _renaming(path: str) -> Iterator[IO[bytes]]:
    temporary = temporary_name(path)
    try:
        # Made by open() itself, the file has the rights that the user's umask gives.
        with created(temporary, path) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        # Whatever the caller's block raises, and Ctrl-C: nothing half written stays.
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)
        raise
    note_renamed(os.path.dirname(path))


def temporary_name(path: str) -> str:
    """Return a new name beside a file."""
    return os.path.join(os.path.dirname(path), f".refmaker-{os.urandom(8).hex()}.part")


def note_renamed(folder: str) -> None:
    """See that what has been renamed in a folder reaches the disk: now, or see `many_files`."""
    if _written_to is None:
        _synchronise(folder)
    else:
        _written_to.add(folder)


_written_to: set[str] | None = None
"""Folders that are synchronised to disk later."""


@contextmanager
def many_files() -> Iterator[None]:
    """Write many files in this block, by any number of threads; folders reach the disk at its end.

    Each file appears whole or not at all, as ever; that it has appeared is only certain to outlive
    a failure of the system when the block has ended.
    """
    global _written_to  # noqa: PLW0603 - of the process, as its threads are
    _written_to = set()
    try:
        yield
    finally:
        folders, _written_to = _written_to, None
        for folder in sorted(folders):
            _synchronise(folder)


def created(temporary: str, path: str) -> IO[bytes]:
    """Open a new file that is to take the place of another.

    Raises
    ------
    SourceError
        If there is no such folder.
    """
    try:
        return open(temporary, "xb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError(
            "cannot be written: there is no such folder", url=path, hint="create the folder first"
        ) from error


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

    try:
        fs, name = url_to_fs(url, **storage_options)
    except (ImportError, ValueError, TypeError) as error:
        raise SourceError(f"cannot be written: {error}", url=url) from error
    try:
        with fs.transaction, fs.open(name, "wb") as file:
            yield file
    except NotImplementedError as error:
        if isinstance(error, RefmakerError):
            raise
        raise SourceError("this kind of store cannot be written", url=url) from error

"""Many small files, written together; each appears whole or not at all.

What costs is to wait for the disk once for each file. Here all files are written before the first
of them is waited for, so that the disk gets them together.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import RefmakerError
from refmaker.io.files import cannot_be_written, created, note_renamed, replacing, temporary_name
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

__all__ = ["NewFile", "replace_files"]

_STEPS = 3


class NewFile(NamedTuple):
    """A file that is to be written: its path or URL, its content, and options for fsspec."""

    url: str
    data: bytes
    storage_options: Mapping[str, Any] | None = None


def replace_files(files: Sequence[NewFile]) -> list[RefmakerError | None]:
    """Write files as `refmaker.io.files.replacing` does; a failure costs no other file.

    Parameters
    ----------
    files : sequence of NewFile
        No place twice.

    Returns
    -------
    list of RefmakerError or None
        Of each file why it could not be written.
    """
    folders: dict[str, str] = {}
    errors: list[RefmakerError | None] = [None] * len(files)
    writing = [_replaced(file, folders) for file in files]
    try:
        for _ in range(_STEPS):
            for number, steps in enumerate(writing):
                try:
                    next(steps, None)
                except RefmakerError as error:
                    errors[number] = error
                except OSError as error:
                    errors[number] = cannot_be_written(error, files[number].url)
    finally:
        for steps in writing:
            steps.close()
    return errors


def _replaced(new: NewFile, folders: dict[str, str]) -> Generator[None]:
    """Write a file in three steps: write it, wait until it is on the disk, give it its name."""
    path = local_path(new.url)
    if path is None or "\0" in path or not _is_plain(path):
        with replacing(new.url, new.storage_options) as file:
            file.write(new.data)
        return
    folder = os.path.dirname(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    target = os.path.join(folders[folder], os.path.basename(path))
    temporary = temporary_name(target)
    try:
        with created(temporary, path) as file:
            file.write(new.data)
            file.flush()
            yield
            os.fsync(file.fileno())
        yield
        os.replace(temporary, target)
    except BaseException:
        # Whatever ends this, nothing half written stays.
        with suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)
        raise
    note_renamed(folders[folder])


def _is_plain(path: str) -> bool:
    """Whether nothing is there, or a file of its own: no link, no device, no pipe."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True

"""DICOMDIR: the files that a media directory names.

Implements PS3.3, annex F. The records are taken as they stand in the sequence, whatever their
links say: broken links lose no file then, and none can lead in a circle.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError
from refmaker.io.archive_members import member_name, open_archive
from refmaker.io.source import local_path
from refmaker.scanners.dicom.tags import (
    DIRECTORY_RECORD_SEQUENCE,
    REFERENCED_FILE_ID,
    SOP_CLASS_UID,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refmaker.scanners.dicom.header import Header

__all__ = ["directory_files", "is_directory"]

_MEDIA_STORAGE = "1.2.840.10008.1.3.10"
_MEDIA_STORAGE_CLASS = 0x00020002


def is_directory(header: Header) -> bool:
    """Tell whether a file is a media directory."""
    return (
        DIRECTORY_RECORD_SEQUENCE in header
        or header.text(_MEDIA_STORAGE_CLASS) == _MEDIA_STORAGE
        or header.text(SOP_CLASS_UID) == _MEDIA_STORAGE
    )


def directory_files(
    header: Header, storage_options: Mapping[str, Any] | None = None
) -> tuple[list[str], str]:
    """Return the URLs of the files that a media directory names, each once, in its order.

    Parameters
    ----------
    header : Header
        Of the DICOMDIR; `DIRECTORY_RECORD_SEQUENCE` has to be among its elements.
    storage_options : mapping, optional
        Passed to fsspec for the archive that it may lie in.

    Returns
    -------
    list of str
        Beside the directory or below it, where names may differ in case, or count from the
        root of the medium: the file that is there is taken. A name that leads out of the
        directory's folder is left out.
    str
        What is wrong, if the records are damaged and only those before the damage could be
        read; else empty.
    """
    there = _beside(header.url, storage_options)
    found: dict[str, None] = {}
    wrong = ""
    try:
        for record in header.iter_items(DIRECTORY_RECORD_SEQUENCE):
            parts = [str(part) for part in record.values(REFERENCED_FILE_ID)]
            if parts and not any(part in ("", ".", "..") or "/" in part for part in parts):
                found[there(parts)] = None
    except FormatError as error:
        wrong = f"the records of the media directory are damaged: {error.message}"
    return list(found), wrong


def _beside(url: str, storage_options: Mapping[str, Any] | None) -> Callable[[list[str]], str]:
    """Return what makes URLs of the names that a media directory gives to files."""
    member = member_name(url)
    if member is not None:
        home, _, _ = member.member.rpartition("/")
        entries = open_archive(member, storage_options).entries
        names = {name.lower(): name for name in entries}

        def inside(parts: list[str]) -> str:
            below = _below(home, parts)
            tried = ["/".join([home, *rest] if home else rest) for rest in below]
            for name in tried:
                if name.lower() in names:
                    return member.url(name if name in entries else names[name.lower()])
            return member.url(tried[0])

        return inside
    base, _, _ = url.replace(os.sep, "/").rpartition("/")
    if local_path(base) is None:
        return lambda parts: "/".join([base, *parts])

    def local(parts: list[str]) -> str:
        tried = [_local(base, rest) for rest in _below(base, parts)]
        return next((path for path in tried if os.path.exists(path)), tried[0])

    return local


def _below(home: str, parts: list[str]) -> list[list[str]]:
    """Return what a name may mean below the folder of its directory.

    Directories of single studies or series lie in folders of the medium, and count from its root:
    their names begin as their own path ends.
    """
    folders = [name.lower() for name in home.split("/")]
    lower = [part.lower() for part in parts]
    shared = range(1, min(len(parts), len(folders) + 1))
    return [parts, *(parts[n:] for n in shared if folders[-n:] == lower[:n])]


def _local(base: str, parts: list[str]) -> str:
    """Return the path of a file, in the letters that its folder has it."""
    path = base
    for part in parts:
        exact = f"{path}/{part}"
        if not os.path.exists(exact):
            try:
                names = os.listdir(path or "/")
            except OSError:
                names = []
            same = sorted(name for name in names if name.lower() == part.lower())
            exact = f"{path}/{same[0]}" if same else exact
        path = exact
    return path

"""What users name as inputs, as the files that are meant.

==================  ================================================================
``data.nc``         a file, whether it is there or not: what is missing is found later
``folder``          all files below a directory, but for hidden ones
``x.zarr``          a folder that is a Zarr store: its document, as in directories and patterns
``*.nc``            what fits, ``**`` for any folders; a file of just that name comes first
``@list.txt``       the names in a file, one a line, as they stand
``-``               the names in standard input, likewise
``s3://b/prefix/``  all files below a prefix, of anything that fsspec can list
``s3://b/*.nc``     what fits there
``a.zip``           all members of an archive, unless it is a Zarr store; so is ``a.tar``
``zip://d::a.zip``  the members in a folder of it, or ``zip://*.nc::a.zip`` those that fit
``x+https://h/p``   what a service such as DICOMweb calls so, whose scanner asks it
``list.s5cmd``      the objects that a manifest of the Imaging Data Commons copies
==================  ================================================================
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import (
    FormatError,
    MetadataError,
    RefmakerError,
    SourceError,
    SourceNotFoundError,
)
from refmaker.io.archive_directory import archive_kind
from refmaker.io.archive_members import MemberName, member_name, open_archive
from refmaker.io.files import STANDARD, read_file
from refmaker.io.known_heads import FirstBytes
from refmaker.io.local_file import local_path
from refmaker.io.stores import STORE_DOCUMENTS, resolve_store, store_document, store_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


__all__ = ["Inputs", "expand_inputs", "means_many"]

_MAGIC = re.compile(r"[*?\[]")
_REMOTE_MAGIC = re.compile(r"[*\[]")
"""In a URL a question mark begins the query."""
_SERVICE = re.compile(r"[a-z0-9.]+\+https?://")
"""What answers questions about objects, each of which may be many."""


class Inputs(NamedTuple):
    """The files that inputs mean.

    Parameters
    ----------
    urls : tuple of str
        Paths and URLs in the order of the inputs, those of one input sorted.
    searched : frozenset of str
        Those that were found in a directory or below a prefix, not named: among them may be
        files of other kinds.
    heads : tuple of FirstBytes
        What was read a moment ago of some of them, or how a store has listed them; see
        `refmaker.io.known_heads`.
    """

    urls: tuple[str, ...]
    searched: frozenset[str]
    heads: tuple[FirstBytes, ...] = ()


def expand_inputs(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    *,
    stdin: Iterable[str] | None = None,
) -> Inputs:
    """Return the files that inputs mean; each once, but for those that are named twice.

    Parameters
    ----------
    inputs : str, os.PathLike or iterable of them
        See the table above; a path object is never a pattern.
    storage_options : mapping, optional
        Passed to fsspec.
    stdin : iterable of str, optional
        Lines to read for ``-``; standard input by default.

    Raises
    ------
    SourceNotFoundError
        If an input means no file at all.
    SourceError
        If a list or a folder cannot be read.
    """
    given = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    found: list[tuple[str, str]] = []
    listed: dict[str, FirstBytes] = {}
    for item in given:
        name = os.fspath(item)
        if isinstance(item, str):
            found += _expand(name, storage_options, stdin, listed)
        else:
            found += _path(name)
    found = [
        member
        for url, how in found
        for member in ([(url, how)] if how == _BELOW else _unpacked(url, how, storage_options))
    ]
    if not found:
        raise SourceNotFoundError("no input", hint="name files, directories or patterns")
    named = {url for url, how in found if how == _NAMED}
    urls: list[str] = []
    seen: set[str] = set()
    for url, how in found:
        # What is named and found, too, stands where it was named.
        if how == _NAMED or not (url in named or url in seen):
            urls.append(url)
            seen.add(url)
    searched = frozenset(url for url, how in found if how == _BELOW) - named
    return Inputs(tuple(urls), searched, tuple(listed.values()))


_MANIFEST = ".s5cmd"
_HIDDEN = re.compile(r"(?:^|/)\.|^__MACOSX/")
_NAMED, _FITS, _BELOW = "named", "fits", "below"
"""How a file was come by: its own name, a pattern, or a directory that it lies in."""

Found = list[tuple[str, str]]


def means_many(name: str | os.PathLike[str]) -> bool:
    """Tell whether an input is what other files are found by: a folder, a pattern, an archive.

    Parameters
    ----------
    name : str or os.PathLike
        A path or URL; a path object is never a pattern.
    """
    text = os.fspath(name)
    path = local_path(text)
    if path is not None and os.path.lexists(path):
        return os.path.isdir(path) or bool(archive_kind(path)) or path.lower().endswith(_MANIFEST)
    if not isinstance(name, str):
        return False
    lower = text.lower()
    if _SERVICE.match(text) or text.startswith("@") or lower.endswith(_MANIFEST):
        return True
    if path is not None:
        return _MAGIC.search(text) is not None
    first = text.partition("::")[0]
    many = first.endswith("/") or _REMOTE_MAGIC.search(first) is not None
    return many or bool(archive_kind(text)) or member_name(text) is not None


def _expand(
    name: str,
    storage_options: Mapping[str, Any] | None,
    stdin: Iterable[str] | None,
    listed: dict[str, FirstBytes],
) -> Found:
    """Return the files that one input means, and note how those look that a store has listed."""
    if name == STANDARD:
        return _listed(sys.stdin if stdin is None else stdin, "standard input")
    if name.startswith("@"):
        text = read_file(name[1:], storage_options).decode("utf-8", "surrogateescape")
        return _listed(text.split("\n"), name)
    if name.lower().endswith(_MANIFEST):
        return _manifest(name, storage_options, listed)
    if member_name(name) is not None:
        return [(name, _NAMED)]
    if _SERVICE.match(name):
        return [(name, _BELOW)]
    if local_path(name) is None:
        return _remote(name, storage_options, listed)
    return _path(name) if os.path.lexists(name) or not _MAGIC.search(name) else _pattern(name)


def _listed(lines: Iterable[str], name: str) -> Found:
    urls = [line.rstrip("\r\n") for line in lines if line.strip()]
    if not urls:
        raise SourceNotFoundError(
            f"{name} is empty" if name.startswith("st") else "the list is empty",
            url=None if name.startswith("st") else name,
            hint="it names files, one a line",
        )
    return [(url, _NAMED) for url in urls]


def _manifest(
    name: str, storage_options: Mapping[str, Any] | None, listed: dict[str, FirstBytes]
) -> Found:
    """Return what the lines ``cp s3://bucket/series/* .`` of a manifest name."""
    found: Found = []
    for number, line in enumerate(read_file(name, storage_options).decode().splitlines(), 1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        named = [word for word in words if "://" in word]
        if words[0] not in ("cp", "sync") or not named:
            raise MetadataError(f"line {number} is no command that copies from a store", url=name)
        found += _remote(named[0], storage_options, listed)
    return found


def _unpacked(url: str, how: str, storage_options: Mapping[str, Any] | None) -> Found:
    """Return the members that the name of an archive, or of a part of one, means."""
    name = member_name(url)
    if name is None:
        path = local_path(url)
        kind = archive_kind(url)
        if not kind or "::" in url or url.lower().endswith(".zarr.zip"):
            return [(url, how)]
        if path is not None and not os.path.isfile(path):
            return [(url, how)]
        name = MemberName(kind, "", url if path is None else os.path.abspath(path))
        try:
            entries = open_archive(name, storage_options).entries
        except (FormatError, SourceNotFoundError):
            return [(url, how)]  # whoever opens it says what is wrong with it
        if any(member.rpartition("/")[2] in STORE_DOCUMENTS for member in entries):
            return [(url, how)]
    else:
        entries = open_archive(name, storage_options).entries
        if name.member in entries:
            return [(url, how)]
    below = not _REMOTE_MAGIC.search(name.member)
    members = sorted(_members(entries, name.member))
    if not members:
        raise SourceNotFoundError(
            "no member of the archive fits", url=url, hint="'unzip -l' or 'tar -t' lists them"
        )
    return [(name.url(member), _BELOW if below else _FITS) for member in members]


def _members(names: Iterable[str], wanted: str) -> list[str]:
    """Return the names below a folder, or that fit a pattern; hidden ones are passed over."""
    from fsspec.utils import glob_translate

    wanted = wanted.rstrip("/")
    shown = [name for name in names if not _HIDDEN.search(name)]
    if not _REMOTE_MAGIC.search(wanted):
        return [name for name in shown if not wanted or name.startswith(f"{wanted}/")]
    pattern = re.compile(glob_translate(wanted))
    fit = [name for name in names if pattern.fullmatch(name)]
    # As a shell does, folders are found, too; they mean what is below them.
    return fit or [name for name in shown if any(map(pattern.fullmatch, _folders(name)))]


def _folders(name: str) -> Iterator[str]:
    """Yield the folders that a file lies in."""
    at = name.find("/")
    while at > 0:
        yield name[:at]
        at = name.find("/", at + 1)


def _path(name: str) -> Found:
    path = local_path(name)
    if path is None or not os.path.isdir(path):
        return [(name, _NAMED)]
    store = store_document(path)
    if store is not None:
        return [(store, _NAMED)]
    below = sorted(_walk(path))
    if not below:
        raise SourceNotFoundError(
            "it is a directory without files", url=name, hint="hidden files are passed over"
        )
    return [(url, _BELOW) for url in below]


def _walk(top: str) -> Iterator[str]:
    """Yield the files below a directory; links are followed, but never in a circle."""
    visited: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise SourceError(
            f"cannot be listed: {error.strerror}", url=error.filename, hint="name what to scan"
        ) from error

    for folder, folders, files in os.walk(top, followlinks=True, onerror=refuse):
        state = os.stat(folder)
        if (state.st_dev, state.st_ino) in visited:
            folders.clear()
            continue
        visited.add((state.st_dev, state.st_ino))
        store = None if folder == top else store_document(folder)
        if store is not None:
            # One object, of which its document is scanned.
            folders.clear()
            yield store
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(folder, name) for name in files if not name.startswith("."))


def _pattern(name: str) -> Found:
    from glob import glob

    prefix = name[: len(name) - len(local_path(name) or name)]
    found = (_object(path) for path in glob(name[len(prefix) :], recursive=True))
    fits = store_documents(sorted({path for path in found if path is not None}))
    if not fits:
        raise SourceNotFoundError(
            "no file fits", url=name, hint="** stands for any folders, * for any part of a name"
        )
    return [(prefix + path, _FITS) for path in fits]


def _object(path: str) -> str | None:
    """Return a file, or the document of a store; None for any other directory."""
    return store_document(path) if os.path.isdir(path) else path


def _remote(
    name: str, storage_options: Mapping[str, Any] | None, listed: dict[str, FirstBytes]
) -> Found:
    """Return what a URL means, which costs requests if it is a pattern or a prefix."""
    first, chained, rest = name.partition("::")
    pattern = _REMOTE_MAGIC.search(first) is not None
    if not (pattern or first.endswith("/")) or first.rstrip("/").endswith(".zarr"):
        resolved = resolve_store(name, storage_options)
        if resolved != name or not (pattern or first.endswith("/")):
            return [(resolved, _NAMED)]
    from fsspec.core import url_to_fs

    from refmaker.io.remote_file import explained, fingerprint_of

    try:
        fs, path = url_to_fs(name, **dict(storage_options or {}))
        # What was listed earlier in this process need not be all that is there now.
        fs.invalidate_cache()
        found = fs.glob(path, detail=True) if pattern else fs.find(path, detail=True)
        names = [n for n, info in found.items() if info.get("type") != "directory"]
        if pattern:
            stores = [n for n, info in found.items() if info.get("type") == "directory"]
            names += [n for n in (_document_in(fs, store) for store in stores) if n is not None]
        if not found and not pattern:
            # Where a listing fails, `find` says no more than where it is empty.
            with suppress(FileNotFoundError):
                fs.ls(path, detail=False)
    except Exception as error:
        # The edge to libraries of other people: every store has its own way to fail.
        raise (error if isinstance(error, RefmakerError) else explained(error, name)) from error
    whole = {n: str(fs.unstrip_protocol(n)) + chained + rest for n in names}
    urls = store_documents(sorted(whole.values()))
    for n, info in found.items():
        # A store that lists sizes need not be asked for them again.
        if n in whole and info.get("size") is not None and not chained:
            listed[whole[n]] = FirstBytes(whole[n], b"", fingerprint_of(info, whole[n]))
    if not urls:
        raise SourceNotFoundError(
            "no file fits" if pattern else "there are no files below this prefix",
            url=name,
            hint="check the name and the storage options",
        )
    return [(url, _FITS if pattern else _BELOW) for url in urls]


def _document_in(fs: Any, folder: str) -> str | None:
    """Return the document of a folder in a store of objects that is a Zarr store."""
    if not folder.rstrip("/").endswith(".zarr"):
        return None
    names = (f"{folder.rstrip('/')}/{name}" for name in STORE_DOCUMENTS)
    return next((name for name in names if fs.exists(name)), None)

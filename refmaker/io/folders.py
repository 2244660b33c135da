"""Folders of many small files, which appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from refmaker.errors import RefmakerError, SourceError, SourceNotFoundError
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Folder", "ReadableFolder", "new_folder", "open_folder", "replacing_folder"]

_BATCH = 256
"""Files that are uploaded together."""
_HERE, _EXCHANGE = -100, 2
"""``AT_FDCWD`` and ``RENAME_EXCHANGE`` of Linux."""


class Folder(Protocol):
    """A folder that is being written."""

    def put(self, name: str, data: bytes) -> None:
        """Write one file; `name` is relative, with ``/``."""
        ...

    def old(self, name: str) -> list[str]:
        """Return the names of the files in a folder below the one that is replaced."""
        ...

    def keep(self, name: str) -> None:
        """Take a file over from the folder that is replaced."""
        ...


class ReadableFolder:
    """A folder, local or remote, that is read file by file.

    Parameters
    ----------
    url : str
        The folder.
    storage_options : mapping, optional
        Passed to fsspec.

    Raises
    ------
    SourceError
        If nothing opens such a URL.
    """

    def __init__(self, url: str, storage_options: Mapping[str, Any] | None = None) -> None:
        from fsspec.core import url_to_fs

        self.url = url
        path = local_path(url)
        try:
            self._fs, self._root = url_to_fs(
                url if path is None else os.path.abspath(path), **(storage_options or {})
            )
        except (ImportError, ValueError, TypeError) as error:
            raise SourceError(f"cannot be read: {error}", url=url) from error

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        SourceError
            If it cannot be read.
        """
        try:
            data: bytes = self._fs.cat_file(f"{self._root}/{name}")
        except FileNotFoundError as error:
            raise SourceNotFoundError("there is no such file", url=f"{self.url}/{name}") from error
        except OSError as error:
            raise SourceError(f"cannot be read: {error}", url=f"{self.url}/{name}") from error
        return data

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder below; none if there is no such folder."""
        try:
            found = self._fs.ls(f"{self._root}/{folder}", detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise SourceError(f"cannot be read: {error}", url=f"{self.url}/{folder}") from error
        return [str(name).rstrip("/").rpartition("/")[2] for name in found]


def open_folder(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
) -> ReadableFolder:
    """Return a folder to read from."""
    return ReadableFolder(os.fspath(url).rstrip("/") or "/", storage_options)


@contextmanager
def replacing_folder(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None,
    last: str,
    is_ours: Callable[[str], bool],
) -> Iterator[Folder]:
    """Write a folder; it takes its name only when the block ends well.

    Parameters
    ----------
    url : str or os.PathLike
        Where to write. Locally the files are written to a folder beside it, synchronised to
        disk, and the folder is renamed; an old one is first moved aside and deleted in the end.
        In a store, the file `last` is written last of all, and an old folder is refused.
    storage_options : mapping, optional
        Passed to fsspec.
    last : str
        Name of the file without which the others are nothing.
    is_ours : callable
        Tells from its relative name whether a file of an old folder may be deleted.

    Yields
    ------
    Folder

    Raises
    ------
    SourceError
        If the place cannot be written, or there is something that may not be replaced.
    """
    name = os.fspath(url).rstrip("/")
    path = local_path(name)
    try:
        if path is None:
            upload = _Upload(name, storage_options or {}, last)
            yield upload
            upload.finish()
        else:
            with _renaming(os.path.realpath(path), is_ours) as folder:
                yield folder
    except OSError as error:
        if isinstance(error, RefmakerError):
            raise
        raise SourceError(f"cannot be written: {error.strerror or error}", url=name) from error


class _LocalFolder:
    def __init__(self, root: str, old: str = "") -> None:
        self._root = root
        self._old = old
        self._made: set[str] = set()
        self._kept: set[str] = set()

    def put(self, name: str, data: bytes) -> None:
        with open(self._place(name), "xb") as file:
            file.write(data)

    def old(self, name: str) -> list[str]:
        with os.scandir(os.path.join(self._old, name)) as found:
            return sorted(entry.name for entry in found)

    def keep(self, name: str) -> None:
        """Link a file, or copy it where that is not possible."""
        old, new = os.path.join(self._old, name), self._place(name)
        try:
            os.link(old, new)
        except OSError:
            shutil.copyfile(old, new)
        else:
            self._kept.add(new)

    def _place(self, name: str) -> str:
        path = os.path.join(self._root, name)
        folder = os.path.dirname(path)
        if folder not in self._made:
            os.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        return path

    def synchronise(self) -> None:
        """Make everything durable; after the writing, so that the disk works meanwhile.

        Files that are linked were so before.
        """
        for folder, _, files in os.walk(self._root):
            for path in (os.path.join(folder, file) for file in [".", *files]):
                if path not in self._kept:
                    _synchronise(path)


@contextmanager
def new_folder(url: str | os.PathLike[str]) -> Iterator[str]:
    """Make a local folder where there is nothing yet, whole or not at all.

    Parameters
    ----------
    url : str or os.PathLike
        Its path.

    Yields
    ------
    str
        The folder to fill, which takes its name when the block ends well.

    Raises
    ------
    SourceError
        If there is something, or the place cannot be written.
    """
    path = os.path.abspath(os.fspath(url))
    _check_nothing(path)
    temporary = _aside(path, "part")
    try:
        _make(temporary, path)
        yield temporary
        _LocalFolder(temporary).synchronise()
        _check_nothing(path)
        os.rename(temporary, path)
    except BaseException as error:
        # Whatever the caller's block raises, and Ctrl-C: nothing half made stays.
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, RefmakerError):
            text = f"cannot be written: {error.strerror or error}"
            raise SourceError(text, url=path) from error
        raise
    _synchronise(os.path.dirname(path))


def _check_nothing(path: str) -> None:
    if os.path.lexists(path):
        raise SourceError("exists already", url=path, hint="choose another output, or delete it")


def _aside(path: str, end: str) -> str:
    return os.path.join(os.path.dirname(path), f".refmaker-{secrets.token_hex(8)}.{end}")


def _make(temporary: str, path: str) -> None:
    try:
        os.mkdir(temporary)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError(
            "cannot be written: there is no such folder", url=path, hint="create the folder first"
        ) from error


@contextmanager
def _renaming(path: str, is_ours: Callable[[str], bool]) -> Iterator[_LocalFolder]:
    _check_old(path, is_ours)
    temporary, old = _aside(path, "part"), _aside(path, "old")
    _make(temporary, path)
    try:
        folder = _LocalFolder(temporary, path)
        yield folder
        folder.synchronise()
        # What has come there in the meantime is as precious as what was there before.
        _check_old(path, is_ours)
        _exchange(temporary, path, old)
    except BaseException:
        # As above.
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _synchronise(os.path.dirname(path))
    shutil.rmtree(old, ignore_errors=True)


def _exchange(new: str, path: str, old: str) -> None:
    """Put a folder in another's place, which is moved aside.

    In one step where the system can; else in two, undone if the second fails.
    """
    moved = os.path.lexists(path)
    if moved and _swapped(new, path):
        os.rename(new, old)
        return
    if moved:
        os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        if moved:
            os.rename(old, path)
        raise


def _swapped(one: str, other: str) -> bool:
    """Exchange two folders of one place by ``renameat2`` of Linux; tell whether it was done."""
    import ctypes

    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _check_old(path: str, is_ours: Callable[[str], bool]) -> None:
    """Refuse to replace anything that holds a file of somebody else's."""
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise SourceError("exists and is not a folder", url=path, hint="choose another output")
    for folder, _, files in os.walk(path):
        for file in files:
            name = os.path.relpath(os.path.join(folder, file), path)
            if not is_ours(name.replace(os.sep, "/")):
                raise SourceError(
                    f"holds a file that is no part of a reference set, {name!r}; it is not"
                    " replaced",
                    url=path,
                    hint="choose another output",
                )


class _Upload:
    """Files on their way into a store, some at a time."""

    def __init__(self, url: str, storage_options: Mapping[str, Any], last: str) -> None:
        from fsspec.core import url_to_fs

        try:
            self._fs, self._root = url_to_fs(url, **storage_options)
        except (ImportError, ValueError, TypeError) as error:
            raise SourceError(f"cannot be written: {error}", url=url) from error
        if self._fs.exists(self._root):
            raise SourceError(
                "exists already; folders in a store are not replaced", url=url, hint="delete it"
            )
        self._last_name = last
        self._waiting: dict[str, bytes] = {}
        self._last: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        path = f"{self._root}/{name}"
        if name == self._last_name:
            self._last[path] = data
            return
        self._waiting[path] = data
        if len(self._waiting) >= _BATCH:
            self._send()

    def old(self, name: str) -> list[str]:
        """Refuse: folders in a store are not replaced."""
        raise SourceError("nothing is there that could be kept", url=f"{self._root}/{name}")

    def keep(self, name: str) -> None:
        """Refuse: folders in a store are not replaced."""
        raise SourceError("nothing is there that could be kept", url=f"{self._root}/{name}")

    def finish(self) -> None:
        self._send()
        self._waiting = self._last
        self._send()

    def _send(self) -> None:
        for folder in {path.rpartition("/")[0] for path in self._waiting}:
            self._fs.makedirs(folder, exist_ok=True)
        if self._waiting:
            self._fs.pipe(self._waiting)
        self._waiting = {}


def _synchronise(path: str) -> None:
    # Some systems do not let a folder be opened.
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

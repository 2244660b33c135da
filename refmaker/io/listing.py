"""What lies below a folder, local or in a store that can list: names, sizes, times."""

from __future__ import annotations

import os
from bisect import bisect_left
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, SourceError, UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.model.report import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Listing", "list_folder"]

_BY_HANDLE = os.scandir in os.supports_fd and os.stat in os.supports_dir_fd
"""Whether files of a folder that is open are found without looking for the folder again."""


class Listing:
    """Files below a folder, those of every folder in it side by side.

    Parameters
    ----------
    names : sequence of str
        Paths relative to the folder, with ``/``.
    sizes : sequence of int
        Bytes of each.
    prints : sequence of Fingerprint
        How each looked; none for files that are parts of another one.
    spans : mapping of str to (int, int), optional
        The part of `names` that lies below each folder, whose name ends in ``/``; by default
        the names are sorted, and it is looked for.
    outside : sequence of str
        Links that lead out of the folder, which were not followed.
    """

    def __init__(
        self,
        names: Sequence[str],
        sizes: Sequence[int],
        prints: Sequence[Fingerprint] = (),
        spans: Mapping[str, tuple[int, int]] | None = None,
        outside: Sequence[str] = (),
    ) -> None:
        self.names, self.sizes, self.prints = names, sizes, prints
        self.outside = tuple(outside)
        self._spans = spans

    def span(self, folder: str) -> tuple[int, int]:
        """Return where the files below a folder begin and end; its name ends in ``/``."""
        if not folder:
            return 0, len(self.names)
        if self._spans is not None:
            return self._spans.get(folder, (0, 0))
        end = f"{folder[:-1]}{chr(ord('/') + 1)}"
        return bisect_left(self.names, folder), bisect_left(self.names, end)


def list_folder(
    url: str, storage_options: Mapping[str, Any] | None = None, *, anywhere: bool = False
) -> Listing | None:
    """Return all files below a folder; None if its store cannot list them.

    Pages that web servers make of folders do not count: nothing says that they are complete.

    Parameters
    ----------
    url : str
        The folder.
    storage_options : mapping, optional
        Passed to fsspec.
    anywhere : bool
        Follow links that lead out of a local folder, too.

    Raises
    ------
    SourceError
        If it cannot be read.
    PolicyError
        If the options hold a policy that does not allow it.
    """
    path = local_path(url)
    if path is not None:
        return _list_local(path, anywhere=anywhere)
    if url.startswith(("http://", "https://")):
        return None
    from refmaker.io.policy import policy_of
    from refmaker.io.remote_file import explained, fingerprint_of

    if "::" in url:
        raise UnsupportedError(
            "chained URLs are not read", code="chained-url", url=url, hint="unpack the archive"
        )
    options = policy_of(url, storage_options)[1]
    try:
        from fsspec.core import url_to_fs

        fs, root = url_to_fs(url, **options)
        fs.invalidate_cache()
        found = fs.find(root, detail=True)
    except (NotImplementedError, PermissionError):
        return None
    except Exception as error:
        # The edge to libraries of other people: every store has its own way to fail.
        raise (error if isinstance(error, RefmakerError) else explained(error, url)) from error
    rows = _below(found, root.rstrip("/") + "/")
    prints = [fingerprint_of(info, url) for _, info in rows]
    return Listing([name for name, _ in rows], [found.size for found in prints], prints)


def _below(found: Mapping[Any, Any], root: str) -> list[tuple[str, Any]]:
    files = ((str(name), info) for name, info in found.items() if info.get("type") != "directory")
    below = [(name[len(root) :], info) for name, info in files if name.startswith(root)]
    return sorted(below, key=lambda row: row[0])


def _list_local(root: str, *, anywhere: bool) -> Listing:
    names: list[str] = []
    prints: list[Fingerprint] = []
    spans: dict[str, tuple[int, int]] = {}
    links = _Links(root, anywhere=anywhere)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        if folder in spans:
            # All that lies below it has been listed since.
            spans[folder] = spans[folder][0], len(names)
            continue
        spans[folder] = len(names), len(names)
        waiting.append(folder)
        path = os.path.join(root, folder)
        try:
            files, folders, found = _entries(path, folder, links)
        except OSError as error:
            raise SourceError(f"cannot be listed: {error.strerror}", url=path) from error
        names += [folder + name for name in files] if folder else files
        waiting += [f"{folder}{name}/" for name in folders]
        prints += found
    return Listing(names, [size for size, _, _ in prints], prints, spans, sorted(links.outside))


def _entries(
    path: str, folder: str, links: _Links
) -> tuple[list[str], list[str], list[Fingerprint]]:
    """Return names of files and of folders in a folder, and how the files look."""
    files: list[str] = []
    folders: list[str] = []
    handle = os.open(path, os.O_RDONLY) if _BY_HANDLE else None
    try:
        with os.scandir(path if handle is None else handle) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                    continue
                if entry.is_symlink() and not links.follow(entry, folder):
                    continue
                (folders if entry.is_dir() else files).append(entry.name)
        return files, folders, _prints(path, handle, files)
    finally:
        if handle is not None:
            os.close(handle)


class _Links:
    """Decides which links in a folder are followed."""

    def __init__(self, root: str, *, anywhere: bool) -> None:
        self._root, self._home = root, os.path.realpath(root)
        self._seen = {self._home}
        self._anywhere = anywhere
        self.outside: list[str] = []

    def follow(self, entry: os.DirEntry[str], folder: str) -> bool:
        real = os.path.realpath(os.path.join(self._root, folder, entry.name))
        if not self._anywhere and not real.startswith(self._home + os.sep):
            self.outside.append(folder + entry.name)
            return False
        # A link to a folder above it would lead round for ever.
        if real in self._seen or not os.path.exists(real):
            return False
        if entry.is_dir():
            self._seen.add(real)
        return True


def _prints(path: str, handle: int | None, names: Sequence[str]) -> list[Fingerprint]:
    """Return how the files in a folder look."""
    sizes, times = [], []
    for name in names:
        state = (
            os.stat(os.path.join(path, name)) if handle is None else os.stat(name, dir_fd=handle)
        )
        sizes.append(state.st_size)
        times.append(state.st_mtime)
    # What makes named tuples one by one takes longer than what makes tuples.
    return list(map(partial(tuple.__new__, Fingerprint), zip(sizes, times, repeat(None))))

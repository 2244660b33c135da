"""What lies below a folder, local or in a store that can list: names, sizes, times."""

from __future__ import annotations

import os
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, SourceError, UnsupportedError
from refmaker.io.local_file import local_path
from refmaker.model.report import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Listing", "list_folder"]


class Listing:
    """Files below a folder, those of every folder in it side by side.

    Parameters
    ----------
    names : sequence of str
        Paths relative to the folder, with ``/``.
    sizes : sequence of int
        Bytes of each.
    states : sequence
        Time of modification of each, or a fingerprint, or None.
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
        states: Sequence[Any],
        spans: Mapping[str, tuple[int, int]] | None = None,
        outside: Sequence[str] = (),
    ) -> None:
        self.names, self.sizes, self.states = names, sizes, states
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

    def fingerprints(self, numbers: Sequence[int]) -> list[Fingerprint]:
        """Return how files looked when they were listed, by their numbers."""
        states, sizes = self.states, self.sizes
        if numbers and isinstance(states[numbers[0]], Fingerprint):
            return [states[number] for number in numbers]
        some = [(sizes[number], states[number], None) for number in numbers]
        return list(map(Fingerprint._make, some))


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
    states = [fingerprint_of(info, url) for _, info in rows]
    return Listing([name for name, _ in rows], [state.size for state in states], states)


def _below(found: Mapping[Any, Any], root: str) -> list[tuple[str, Any]]:
    files = ((str(name), info) for name, info in found.items() if info.get("type") != "directory")
    below = [(name[len(root) :], info) for name, info in files if name.startswith(root)]
    return sorted(below, key=lambda row: row[0])


def _list_local(root: str, *, anywhere: bool) -> Listing:
    names: list[str] = []
    sizes: list[int] = []
    times: list[float] = []
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
            with os.scandir(path) as entries:
                files = []
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        files.append(entry.name)
                        continue
                    if entry.is_symlink() and not links.follow(entry, folder):
                        continue
                    if entry.is_dir():
                        waiting.append(f"{folder}{entry.name}/")
                    else:
                        files.append(entry.name)
            found = _states(path, files)
        except OSError as error:
            raise SourceError(f"cannot be listed: {error.strerror}", url=path) from error
        names += [folder + name for name in files] if folder else files
        sizes += found[0]
        times += found[1]
    return Listing(names, sizes, times, spans, sorted(links.outside))


class _Links:
    """Decides which links in a folder are followed."""

    def __init__(self, root: str, *, anywhere: bool) -> None:
        self._home = os.path.realpath(root)
        self._seen = {self._home}
        self._anywhere = anywhere
        self.outside: list[str] = []

    def follow(self, entry: os.DirEntry[str], folder: str) -> bool:
        real = os.path.realpath(entry.path)
        if not self._anywhere and not real.startswith(self._home + os.sep):
            self.outside.append(folder + entry.name)
            return False
        # A link to a folder above it would lead round for ever.
        if real in self._seen or not os.path.exists(real):
            return False
        if entry.is_dir():
            self._seen.add(real)
        return True


def _states(folder: str, names: Sequence[str]) -> tuple[list[int], list[float]]:
    """Return sizes and times of the files in a folder."""
    sizes, times = [], []
    handle = os.open(folder, os.O_RDONLY) if os.stat in os.supports_dir_fd else None
    try:
        for name in names:
            state = (
                os.stat(os.path.join(folder, name))
                if handle is None
                else os.stat(name, dir_fd=handle)
            )
            sizes.append(state.st_size)
            times.append(state.st_mtime)
    finally:
        if handle is not None:
            os.close(handle)
    return sizes, times

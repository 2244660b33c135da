"""The files that references point into, near or far, as they were when scanned."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import (
    MissingTargetError,
    RefmakerError,
    SourceNotFoundError,
    TruncatedError,
)
from refmaker.io.integrity import check_fingerprint, too_large
from refmaker.io.local_file import LocalFile
from refmaker.io.remote_file import RemoteFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from refmaker.io.policy import Policy
    from refmaker.model.report import Fingerprint

__all__ = ["LocalFiles", "RemoteFiles"]

OPEN = 64
"""Local files kept open."""
_FILES = 1 << 14
"""Remote files whose filesystem is remembered."""
WHOLE = 1024**3
"""Bytes of a file that is referenced as a whole."""


class LocalFiles:
    """Local files that references point into.

    Parameters
    ----------
    sources : mapping of str to Fingerprint
        As they were when scanned.
    verify : {"off", "size", "full"}
        What to compare with that.
    """

    def __init__(self, sources: Mapping[str, Fingerprint], verify: str) -> None:
        self._sources = sources
        self._verify = verify
        self._files: OrderedDict[str, LocalFile] = OrderedDict()
        self._lock = Lock()

    async def read(self, path: str, start: int, stop: int | None) -> memoryview:
        """Return a range, or the whole file; a thread is used only if a disk is slow.

        Raises
        ------
        MissingTargetError, SourceError, SourceChangedError, TruncatedError, LimitError
        """
        file, view = self._prepared(path, start, stop)
        done = file.fill_now(view, start) if view else 0
        if done < len(view):
            await asyncio.to_thread(file.fill, view, start, done)
        return view

    def size(self, path: str) -> int:
        """Return a file's size."""
        return self._file(path).fingerprint.size

    def _prepared(self, path: str, start: int, stop: int | None) -> tuple[LocalFile, memoryview]:
        """Return a file, and a buffer for a range of it."""
        file = self._file(path)
        size = file.fingerprint.size
        if stop is None:
            if size > WHOLE:
                raise too_large(size, path)
            stop = size
        if stop > size or start > stop:
            raise TruncatedError(
                f"bytes {start} to {stop} are needed where the file has {size} in all",
                url=path,
                offset=start,
                hint="the file became shorter since it was scanned",
            )
        return file, memoryview(np.empty(stop - start, np.uint8))  # type: ignore[arg-type]

    def _file(self, path: str) -> LocalFile:
        with self._lock:
            file = self._files.get(path)
            if file is not None and file.unchanged():
                self._files.move_to_end(path)
                return file
            before = file and file.fingerprint
            try:
                file = LocalFile(path)
            except SourceNotFoundError as error:
                raise MissingTargetError("no such file", url=path) from error
            known = self._sources.get(path, before)
            check_fingerprint(known, file.fingerprint, self._verify, path, local=True)
            self._files[path] = file
            if len(self._files) > OPEN:
                self._files.popitem(last=False)
        return file

    def close(self) -> None:
        """Close all files, each as soon as nobody reads it any more."""
        with self._lock:
            self._files.clear()


class RemoteFiles:
    """Files that references point into and that are not local.

    Parameters
    ----------
    policy : Policy
        What may be reached, and with which options.
    storage_options : mapping
        For fsspec; see `Policy.options`.
    sources : mapping of str to Fingerprint
        The files as they were when scanned.
    verify : {"off", "size", "full"}
        What to compare with that.
    """

    def __init__(
        self,
        policy: Policy,
        storage_options: Mapping[str, Any],
        sources: Mapping[str, Fingerprint],
        verify: str,
    ) -> None:
        self._policy = policy
        self._options = storage_options
        self._sources = sources
        self._verify = verify
        self._files: OrderedDict[str, RemoteFile] = OrderedDict()
        self._lock = Lock()

    async def fetch(self, url: str, start: int, stop: int | None) -> bytes:
        """Return a range of a file, or all of it.

        Raises
        ------
        MissingTargetError
            If there is no such file.
        SourceError, SourceChangedError, TruncatedError
            If it cannot be read, or is not what was scanned.
        PolicyError, UnsupportedError, MissingDependencyError
            If it may not or cannot be read at all.
        """
        try:
            return await self._file(url).read(start, stop, WHOLE)
        except RefmakerError as error:
            raise _named(error, url, start) from error

    async def size(self, url: str) -> int:
        """Return a file's size; costs a request, errors as for `fetch`."""
        try:
            return await self._file(url).size()
        except RefmakerError as error:
            raise _named(error, url, None) from error

    def _file(self, url: str) -> RemoteFile:
        with self._lock:
            file = self._files.get(url)
            if file is None:
                self._policy.check_url(url)
                options = self._policy.options(url, self._options)
                known = self._sources.get(url)
                file = RemoteFile(url, options, self._policy, known=known, verify=self._verify)
                self._files[url] = file
                if len(self._files) > _FILES:
                    self._files.popitem(last=False)
        return file


def _named(error: RefmakerError, url: str, offset: int | None) -> RefmakerError:
    """Return the error that readers of Zarr do not take for a chunk that was never written."""
    if isinstance(error, SourceNotFoundError):
        return MissingTargetError("no such file", url=url)
    if error.offset is None:
        error.offset = offset
    return error.located(url=url)

"""Local files, read with ``pread`` by whoever asks, without a change of threads where possible."""

from __future__ import annotations

import asyncio
import os
import stat
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MissingTargetError, SourceError, TruncatedError
from refmaker.io.integrity import check_fingerprint
from refmaker.model.report import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LocalFiles"]

OPEN = 64
"""Files kept open."""
SMALL = 128 * 1024
"""Bytes read at once even where it is not known whether that means waiting for a disk."""
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


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
        self._files: OrderedDict[str, _File] = OrderedDict()
        self._lock = Lock()

    async def read(self, path: str, start: int, stop: int | None) -> memoryview:
        """Return a range, or the whole file; a thread is used only if a disk is slow.

        Raises
        ------
        MissingTargetError, SourceError, SourceChangedError, TruncatedError
        """
        file = self._file(path)
        view, done = file.start(start, stop)
        if done < len(view):
            await asyncio.to_thread(file.fill, view, start, done)
        return view

    def read_now(self, path: str, start: int, stop: int | None) -> memoryview:
        """Return a range, or the whole file, waiting for the disk if need be."""
        file = self._file(path)
        view, done = file.start(start, stop)
        file.fill(view, start, done)
        return view

    def _file(self, path: str) -> _File:
        with self._lock:
            file = self._files.get(path)
            if file is not None and file.unchanged():
                self._files.move_to_end(path)
                return file
            file = _File(path)
            check_fingerprint(self._sources.get(path), file.fingerprint, self._verify, path)
            self._files[path] = file
            if len(self._files) > OPEN:
                self._files.popitem(last=False)
        return file

    def close(self) -> None:
        """Close all files, each as soon as nobody reads it any more."""
        with self._lock:
            self._files.clear()


class _File:
    """An open file; closed when the last reader lets it go."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._nowait = bool(_NOWAIT)
        try:
            # A named pipe would be waited for, if it were opened in the ordinary way.
            flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
            self._fd = os.open(path, flags)
            state = os.fstat(self._fd)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingTargetError("no such file", url=path) from error
        except (OSError, ValueError) as error:
            raise SourceError(getattr(error, "strerror", None) or str(error), url=path) from error
        if not stat.S_ISREG(state.st_mode):
            raise SourceError("not a regular file", url=path)
        self._state = state.st_size, state.st_mtime_ns
        self.fingerprint = Fingerprint(state.st_size, state.st_mtime)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def unchanged(self) -> bool:
        """Whether size and time are those of when it was opened."""
        state = os.fstat(self._fd)
        return (state.st_size, state.st_mtime_ns) == self._state

    def start(self, start: int, stop: int | None) -> tuple[memoryview, int]:
        """Return a buffer for a range, and how much of it could be read without waiting."""
        size = self.fingerprint.size
        stop = size if stop is None else stop
        if stop > size or start > stop:
            raise TruncatedError(
                f"bytes {start} to {stop} are needed where the file has {size} in all",
                url=self._path,
                offset=start,
                hint="the file became shorter since it was scanned",
            )
        view = memoryview(np.empty(stop - start, np.uint8))  # type: ignore[arg-type]
        if not view:
            return view, 0
        if self._nowait:
            try:
                return view, os.preadv(self._fd, [view], start, _NOWAIT)
            except BlockingIOError:
                return view, 0
            except OSError:
                self._nowait = False
        if len(view) <= SMALL:
            self.fill(view, start, 0)
            return view, len(view)
        return view, 0

    def fill(self, view: memoryview, start: int, done: int) -> None:
        """Read what is missing."""
        while done < len(view):
            try:
                got: Any = os.preadv(self._fd, [view[done:]], start + done)
            except OSError as error:
                raise SourceError(
                    error.strerror or str(error), url=self._path, offset=start
                ) from error
            if got == 0:
                raise TruncatedError(
                    "the file became shorter while it was read", url=self._path, offset=start
                )
            done += got

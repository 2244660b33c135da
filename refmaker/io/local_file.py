"""Local files, read with ``pread``, without a change of threads where possible."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from refmaker.errors import (
    LimitError,
    MissingTargetError,
    SourceChangedError,
    SourceError,
    SourceNotFoundError,
    TruncatedError,
)
from refmaker.model.report import Cost, Fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CHANGED",
    "MEANWHILE",
    "MOVED",
    "WHOLE",
    "LocalFile",
    "LocalFiles",
    "local_path",
    "positioned_read",
    "read_local",
]

OPEN = 64
"""Files kept open."""
WHOLE = 1024**3
"""Bytes of a file that is referenced as a whole."""
CHANGED = "scan it again, or open with `verify_sources='off'`"
"""What to do about a source that changed."""
MEANWHILE = "the server answers with another file: try again, or open with `verify_sources='off'`"
"""What to do about a source that changes while it is read."""
MOVED = "if files have moved: 'refmaker convert SET NEW.json --rewrite OLD=NEW'"
"""What to do about a source that is not there."""

SMALL = 128 * 1024
"""Bytes read at once even where it is not known whether that means waiting for a disk."""
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
# A named pipe would be waited for, if it were opened in the ordinary way.
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


_seeking = Lock()


def _seek_and_read(fd: int, length: int, start: int) -> bytes:
    """Read where the system has no ``pread``: a place is shared by all who read a file."""
    with _seeking:
        os.lseek(fd, start, os.SEEK_SET)
        return os.read(fd, length)


def _fill_by_copy(fd: int, views: list[memoryview], start: int) -> int:
    """Read into the one view where the system has no ``preadv``."""
    (view,) = views
    data = positioned_read(fd, min(len(view), _COPIED), start)
    view[: len(data)] = data
    return len(data)


_COPIED = 64 * 1024**2
"""Bytes that are read at once, and then copied."""
positioned_read = getattr(os, "pread", _seek_and_read)
"""``os.pread``, or what stands for it."""
_positioned_fill = getattr(os, "preadv", _fill_by_copy)


def local_path(url: str) -> str | None:
    """Return the path if the URL names a local file, else None.

    As in fsspec, nothing in a ``file:`` URL is percent-decoded. A name with ``::`` in it is a
    chain of filesystems, unless there is a file of just that name.
    """
    for prefix in ("file://", "local://"):
        if url.startswith(prefix) and "::" not in url:
            return url.removeprefix(prefix)
    if url.startswith("file:/") and "::" not in url:
        return url.removeprefix("file:")
    if "://" in url or ("::" in url and not os.path.exists(url)):
        return None
    return url


class LocalFile:
    """An open file; closed when the last who reads it lets it go.

    Parameters
    ----------
    path : str
    cost : Cost, optional
        Counted up with every read of the system.

    Attributes
    ----------
    fingerprint : Fingerprint
        Size and time of when it was opened.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    SourceError
        If it is no regular file, or cannot be opened.
    """

    _fd = -1
    # When Python ends, the module `os` may be gone before the last file.
    _close = staticmethod(os.close)

    def __init__(self, path: str, cost: Cost | None = None) -> None:
        self._path = path
        self._cost = Cost() if cost is None else cost
        self._nowait = bool(_NOWAIT)
        try:
            self._fd = os.open(path, _FLAGS)
            state = os.fstat(self._fd)
        except (OSError, ValueError) as error:
            raise _explained(error, path) from error
        self.fingerprint = _fingerprint(state, path)
        self._state = state.st_size, state.st_mtime_ns

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Give back the file handle."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._close(fd)

    def unchanged(self) -> bool:
        """Whether size and time are those of when it was opened."""
        state = os.fstat(self._fd)
        return (state.st_size, state.st_mtime_ns) == self._state

    def describe(self) -> Fingerprint:
        """Return what the file of this name is now."""
        try:
            return _fingerprint(os.stat(self._path), self._path)
        except OSError as error:
            raise (
                error if isinstance(error, SourceError) else _explained(error, self._path)
            ) from error

    def read(self, start: int, length: int) -> bytes:
        """Return a range that lies inside the file."""
        data: bytes = self._try(positioned_read, length, start)
        if len(data) == length:
            return data
        # The system gives at most 2 GiB at a time.
        buffer = bytearray(length)
        self.fill(memoryview(buffer), start)
        return bytes(buffer)

    def fill(self, view: memoryview, start: int, done: int = 0) -> None:
        """Read what is missing of a range."""
        while done < len(view):
            done += self._try(_positioned_fill, [view[done:]], start + done)

    def fill_now(self, view: memoryview, start: int) -> int:
        """Read as much of a range as is there without waiting for a disk, and return how much."""
        if self._nowait:
            try:
                return os.preadv(self._fd, [view], start, _NOWAIT)
            except BlockingIOError:
                return 0
            except OSError:
                self._nowait = False
        if len(view) > SMALL:
            return 0
        self.fill(view, start)
        return len(view)

    def _try(self, call: Any, what: Any, offset: int) -> Any:
        """Call the system once, and count what came."""
        if self._fd < 0:
            raise SourceError("the source is closed", url=self._path)
        try:
            got = call(self._fd, what, offset)
        except OSError as error:
            raise SourceError(
                error.strerror or str(error), url=self._path, offset=offset
            ) from error
        count = got if isinstance(got, int) else len(got)
        self._cost.requests += 1
        self._cost.bytes_read += count
        if count == 0 and what:
            raise TruncatedError(
                "the file became shorter while it was read", url=self._path, offset=offset
            )
        return got


def read_local(path: str) -> bytes:
    """Return the bytes of a local file.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    file = LocalFile(os.path.abspath(path))
    return file.read(0, file.fingerprint.size)


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
            import asyncio

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
                what = f"referenced as a whole, the file has {size} bytes"
                raise LimitError(what, url=path)
            stop = size
        if stop > size or start > stop:
            raise TruncatedError(
                f"bytes {start} to {stop} are needed where the file has {size} in all",
                url=path,
                offset=start,
                hint="the file became shorter since it was scanned",
            )
        import numpy as np

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
                raise MissingTargetError("no such file", url=path, hint=MOVED) from error
            known = self._sources.get(path, before)
            changed = known and known.change(file.fingerprint, self._verify, local=True)
            if changed:
                raise SourceChangedError(changed, url=path, hint=CHANGED)
            self._files[path] = file
            if len(self._files) > OPEN:
                self._files.popitem(last=False)
        return file

    def close(self) -> None:
        """Close all files, each as soon as nobody reads it any more."""
        with self._lock:
            self._files.clear()


def _fingerprint(state: os.stat_result, path: str) -> Fingerprint:
    if not stat.S_ISREG(state.st_mode):
        # Devices have no end, and no size.
        what = "a directory" if stat.S_ISDIR(state.st_mode) else "not a regular file"
        raise SourceError(f"cannot be read: it is {what}", url=path)
    return Fingerprint(state.st_size, state.st_mtime)


def _explained(error: OSError | ValueError, path: str) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        braces = {*"{}"} <= {*path}
        hint = "braces are for the shell: leave out the quotes" if braces else "check the path"
        return SourceNotFoundError("no such file", url=path, hint=hint)
    return SourceError(getattr(error, "strerror", None) or str(error), url=path)

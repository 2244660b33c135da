"""Chunks kept on local disk, for the next time and for other processes.

Entries are files named by what they hold: a digest of URL, range and fingerprint of the source.
They appear whole or not at all, so that any number of processes can share a folder; what was
unused for longest goes first when there is too much.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import time
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model.report import Fingerprint

    Data = bytes | memoryview

__all__ = ["ChunkCache", "private_folder"]

log = logging.getLogger(__name__)
_SUFFIX = ".chunk"
_SHARE = 0.9
"""Part of the allowed size that is left after old entries were dropped."""
_STALE = 3600.0
"""Seconds after which a temporary file was left by a process that died."""


def private_folder(path: str) -> None:
    """Make a folder, and those that it lies in, for their owner alone, whatever the umask allows.

    Folders that are there already stay as they are.

    Parameters
    ----------
    path : str
        The folder.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above != path:
        private_folder(above)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)


class ChunkCache:
    """A folder of chunks.

    Parameters
    ----------
    folder : str
        Made if it is not there, for its owner alone, as all files in it are.
    limit : int
        Bytes that all entries may take together.
    sources : mapping of str to Fingerprint
        Sources as they were when scanned; an entry of another state of a file is another one.
    """

    def __init__(self, folder: str, limit: int, sources: Mapping[str, Fingerprint]) -> None:
        self._folder = folder
        self._limit = limit
        self._sources = sources
        self._lock = Lock()
        # What others have put there is noticed when the folder is looked through.
        self._left = 0

    def get(self, url: str, start: int, stop: int | None) -> bytes | None:
        """Return a range, or None if it is not there."""
        return self._read(self._path(url, start, stop), None if stop is None else stop - start)

    def put(self, url: str, start: int, stop: int | None, data: Data) -> None:
        """Keep a range; trouble with the folder costs only speed."""
        self.note_written(self.write(url, start, stop, data))

    def write(self, url: str, start: int, stop: int | None, data: Data) -> int:
        """Keep a range on behalf of another process, which is told how many bytes that took."""
        return self._write(self._path(url, start, stop), data)

    def note_written(self, nbytes: int) -> None:
        """Note what was written, by this process or for it; old entries go where it is too much."""
        with self._lock:
            self._left -= nbytes
            if self._left < 0:
                self._left = self._drop()

    def _path(self, url: str, start: int, stop: int | None) -> str:
        known = self._sources.get(url)
        named = repr((url, start, stop, None if known is None else sorted(known.as_dict().items())))
        digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
        return os.path.join(self._folder, digest[:2], digest[2:] + _SUFFIX)

    def _read(self, path: str, length: int | None) -> bytes | None:
        try:
            with open(path, "rb") as file:
                stored = file.read()
        except OSError:
            return None
        digest, data = stored[:16], stored[16:]
        if digest != _digest(data) or (length is not None and len(data) != length):
            # A disk that was full, or somebody else's file.
            with suppress(OSError):
                os.unlink(path)
            return None
        with suppress(OSError):
            os.utime(path)
        return data

    def _write(self, path: str, data: Data) -> int:
        if len(data) > self._limit // 2:
            return 0
        temporary = f"{path}.{secrets.token_hex(8)}.part"
        try:
            private_folder(os.path.dirname(path))
            with open(temporary, "xb", opener=_private) as file:
                file.write(_digest(data))
                file.write(data)
            os.replace(temporary, path)
        except OSError as error:
            log.warning("cannot keep chunks in %s: %s", self._folder, error)
            with suppress(OSError):
                os.unlink(temporary)
            return 0
        return len(data)

    def _drop(self) -> int:
        """Drop what was unused for longest; returns how many bytes may be written until then."""
        entries, total, now = [], 0, time.time()
        for folder in _folders(self._folder):
            for entry in _files(folder):
                with suppress(OSError):
                    state = entry.stat()
                    if entry.name.endswith(_SUFFIX):
                        entries.append((state.st_mtime, state.st_size, entry.path))
                        total += state.st_size
                    elif entry.name.endswith(".part") and now - state.st_mtime > _STALE:
                        os.unlink(entry.path)
        if total > self._limit:
            for _, size, path in sorted(entries):
                if total <= self._limit * _SHARE:
                    break
                # Another process may have been faster.
                with suppress(OSError):
                    os.unlink(path)
                total -= size
        # Looked at again before the room is used up, since others write as well.
        return max(0, self._limit - total) // 4


def _private(path: str, flags: int) -> int:
    """Open a file that is nobody else's business, whatever the umask allows."""
    return os.open(path, flags, 0o600)


def _digest(data: Data) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _folders(folder: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(folder) if len(entry.name) == 2]
    except OSError:
        return []


def _files(folder: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []

"""Results of scans, kept on disk: a second run scans only what changed, a killed one goes on.

An entry is named by a digest of everything that decides what a scan finds but for the file's
bytes: the URL, the storage options, the format asked for, the scan options, and the code and
version of this package and of every scanner. It holds how the file looked, and counts only while
the file still looks so. Nothing in it is code, and it carries its own checksum.

Not kept are results of files that were written to just before, whose next change might not show
in their times; of files whose store tells neither time nor entity tag; those that hold what
identifies people; and those that depend on other files, which may come and go: sets that
reference several files, those for which files were looked for that are not there, and rows with a
code that begins with one of `ELSEWHERE`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import RefmakerError
from refmaker.io.disk_cache import ChunkCache, private_folder
from refmaker.io.local_file import local_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refmaker.model.report import Fingerprint, ScanReport
    from refmaker.scanning.options import ScanOptions

__all__ = ["LIMIT", "Cached", "ScanCache", "cache_folder", "fixed_state", "look", "open_cache"]

LIMIT = 2 * 1024**3
"""Bytes that all entries may take together; those unused for longest go first."""
ELSEWHERE = ("external", "store", "virtual")
"""How codes of rows begin that speak of other files than the scanned one."""
FOLDER_VARIABLE = "REFMAKER_CACHE_DIR"
_COARSE, _FINE, _REMOTE = 2.0, 0.02, 60.0
"""Seconds by which two changes of a file may show the same time: where times are whole seconds,
where they are those of a kernel's clock, and by another machine's clock."""

State = list[Any]
"""How a file looked; equal only if nothing has changed."""


class Cached(NamedTuple):
    """An entry: the file as it was, and the packed result."""

    state: State
    packed: bytes


def cache_folder() -> str:
    """Return the folder of this user's cache; the variable ``REFMAKER_CACHE_DIR`` decides first."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return os.path.join(os.path.abspath(os.path.expanduser(chosen)), "scans")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "refmaker", "scans")


class ScanCache:
    """A folder of scan results, which any number of processes can share.

    Parameters
    ----------
    folder : str, optional
        Made if it is not there; by default that of `cache_folder`.
    limit : int
        Bytes that all entries may take together.
    """

    def __init__(self, folder: str | None = None, limit: int = LIMIT) -> None:
        self.folder = cache_folder() if folder is None else os.path.abspath(folder)
        self.limit = limit
        # What others find in a user's archives is nobody else's business.
        with suppress(OSError):
            private_folder(self.folder)
        self._store = ChunkCache(self.folder, limit, {})

    def key(
        self,
        url: str,
        storage_options: Mapping[str, Any] | None,
        format: str | None,  # noqa: A002 - the word users know
        options: ScanOptions,
        *,
        part: bool = False,
    ) -> str:
        """Return the name of the entry for a scan, or for a part of a set of many files."""
        path = local_path(url)
        named = {
            "url": url if path is None else os.path.abspath(path),
            # Credentials are part of a digest alone; what has no fixed text never fits again.
            "storage_options": sorted((storage_options or {}).items()),
            "format": format,
            "options": asdict(options),
            "code": self._code,
            "part": part,
        }
        text = json.dumps(named, sort_keys=True, default=repr)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def _code(self) -> str:
        return _code()

    def get(self, key: str) -> Cached | None:
        """Return an entry, whether or not the file still looks as it did."""
        stored = self._store.get(key, 0, None)
        if stored is None:
            return None
        head, _, packed = stored.partition(b"\n")
        try:
            return Cached(json.loads(head), packed)
        except ValueError:
            return None

    def find(
        self, key: str, url: str, storage_options: Mapping[str, Any] | None = None
    ) -> bytes | None:
        """Return what is kept of a file, if it still looks as it did.

        Files that the cache has never seen are not asked for how they look.
        """
        entry = self.get(key)
        if entry is None or entry.state != look(url, storage_options):
            return None
        return entry.packed

    def put(self, key: str, state: State, packed: bytes) -> None:
        """Keep a result; trouble with the folder costs only time."""
        self.note_written(self.write(key, state, packed))

    def write(self, key: str, state: State, packed: bytes) -> int:
        """Keep a result on behalf of another process, which is told how many bytes that took."""
        return self._store.write(key, 0, None, json.dumps(state).encode() + b"\n" + packed)

    def note_written(self, nbytes: int) -> None:
        """Note what another process has written; old entries go where it is too much."""
        self._store.note_written(nbytes)

    def info(self) -> dict[str, Any]:
        """Return the folder, the number of entries, their bytes, and the most they may take."""
        sizes = [entry.stat().st_size for entry in self._entries()]
        return {
            "folder": self.folder,
            "entries": len(sizes),
            "bytes": sum(sizes),
            "limit": self.limit,
        }

    def clear(self) -> int:
        """Drop all entries, and return how many there were."""
        dropped = 0
        for entry in self._entries():
            # Another process may have been faster.
            with suppress(OSError):
                os.unlink(entry.path)
                dropped += entry.name.endswith(".chunk")
        return dropped

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        """Yield the files of the cache, and nothing else that may lie in the folder."""
        with suppress(FileNotFoundError):
            for folder in sorted(os.listdir(self.folder)):
                if len(folder) == 2:
                    yield from list(os.scandir(os.path.join(self.folder, folder)))


def open_cache(chosen: bool | str | os.PathLike[str] = True) -> ScanCache:
    """Return the cache in a folder, or else this user's own; of each folder one in a process.

    Parameters
    ----------
    chosen : bool, str or os.PathLike
        The folder; a truth value stands for that of `cache_folder`.
    """
    return _opened(cache_folder() if isinstance(chosen, bool) else os.path.abspath(chosen))


@lru_cache(maxsize=8)
def _opened(folder: str) -> ScanCache:
    return ScanCache(folder)


_ROOMS = ("codecs", "io", "model", "scanning", "storage")
"""Rooms whose code decides what a scan gives."""


def _code() -> str:
    """Return a digest of the code that scans: versions, and the files of whoever develops it."""
    from refmaker._version import __version__
    from refmaker.codecs.entry_points import entry_points
    from refmaker.scanning.protocol import DECLARATIONS, ENTRY_POINTS

    digest = hashlib.sha256(__version__.encode())
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    files = {entry.path for entry in os.scandir(home) if entry.is_file()}
    folders = {os.path.join(home, room) for room in _ROOMS}
    for point in (*entry_points(ENTRY_POINTS), *entry_points(DECLARATIONS)):
        digest.update(f"{point.package} {point.version} {point.name} {point.value}".encode())
        try:
            spec = find_spec(point.module)
        except (ImportError, ValueError):
            continue  # a scanner that cannot be loaded scans nothing
        if spec is None or spec.origin is None:
            continue
        # A module that lies in no package has neighbours that are none of its own.
        if spec.parent:
            folders.add(os.path.dirname(os.path.abspath(spec.origin)))
        else:
            files.add(os.path.abspath(spec.origin))
    for folder in folders:
        for base, _, names in os.walk(folder):
            files.update(os.path.join(base, name) for name in names)
    for file in sorted(files):
        if file.endswith(".py"):
            with suppress(OSError):
                found = os.stat(file)
                digest.update(f"{file} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()


def look(url: str, storage_options: Mapping[str, Any] | None = None) -> State | None:
    """Return how a file looks now; None if it cannot be told. Of a remote file, one request."""
    path = local_path(url)
    try:
        if path is not None:
            found = os.stat(path)
            return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
        from refmaker.io.remote_file import RemoteFile

        # One byte, with the size in the answer's headers; no server's whole file for it.
        asked = RemoteFile.open(url, storage_options, largest=1024**2)
        return _remote_state(asked.fingerprint)
    except (RefmakerError, OSError, ValueError):
        return None


def fixed_state(
    before: State | None, report: ScanReport, storage_options: Mapping[str, Any] | None = None
) -> State | None:
    """Return how a scanned file looked, if its next change must show; else None.

    Parameters
    ----------
    before : list, optional
        What `look` said of a local file before it was scanned; None of a remote one.
    """
    if (
        report.sensitive
        or report.missing
        or len(report.sources) != 1
        or report.url not in report.sources
    ):
        return None
    if any(row.code.startswith(ELSEWHERE) for row in report.rows):
        return None
    if local_path(report.url) is None:
        known = report.sources[report.url]
        slack = 0.0 if known.etag else _REMOTE
        settled = known.etag or (known.mtime is not None and time.time() - known.mtime > slack)
        return _remote_state(known) if settled else None
    now = time.time()
    if before is None or look(report.url, storage_options) != before:
        return None
    _, *times = before
    for moment in times:
        slack = _FINE if moment % 10**9 else _COARSE
        # A time in the future is that of another clock.
        if now - moment / 1e9 <= slack:
            return None
    return before


def _remote_state(known: Fingerprint) -> State | None:
    if known.etag is None and known.mtime is None:
        return None
    return [known.size, known.mtime, known.etag]

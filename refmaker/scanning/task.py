"""One file of many: what a worker is asked, and what it answers."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from refmaker.errors import RefmakerError, SourceChangedError, SourceError, WorkerError
from refmaker.io.known_heads import with_heads
from refmaker.io.source import Source, local_path
from refmaker.scanning.cache import fixed_state, look, open_cache
from refmaker.scanning.one_file import scan_part, scan_source
from refmaker.scanning.protocol import SNIFF_BYTES
from refmaker.scanning.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future, ThreadPoolExecutor

    from refmaker.io.known_heads import FirstBytes
    from refmaker.model import Group
    from refmaker.model.report import ScanReport
    from refmaker.scanning.cache import State
    from refmaker.scanning.options import ScanOptions

    Finish = Callable[[Group, ScanReport], object]

__all__ = ["Task", "TaskResult", "answer", "answer_apart"]

_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN",
        "EHOSTUNREACH", "EINTR", "EIO", "EMFILE", "ENETDOWN", "ENETRESET", "ENETUNREACH",
        "ENFILE", "ENOBUFS", "ESTALE", "ETIMEDOUT",
    )
    if hasattr(errno, name)
)  # fmt: skip
_IDLE = 120.0
"""Seconds after which a process that serves an executor ends; half of it makes it suspect."""


@dataclass(slots=True)
class Task:
    """A file to scan.

    Parameters
    ----------
    number : int
        Its place among the inputs.
    url : str
        The file.
    storage_options, format, options
        As in `refmaker.scanning.one_file.scan`.
    key : str
        Name of its entry in the cache; empty without one.
    attempts : int
        How often it was tried.
    cache : str
        Folder of the cache, where the process that scans shares it with this one and so keeps
        the result itself.
    part : bool
        Whether its part of a set of many files is wanted, and no set of its own.
    head : FirstBytes, optional
        What was read of it to tell the format.
    finish : callable, optional
        Called with the set where it was made; what it returns comes back.
    """

    number: int
    url: str
    storage_options: Mapping[str, Any] | None
    format: str | None
    options: ScanOptions
    key: str = ""
    cache: str = ""
    attempts: int = 0
    part: bool = False
    head: FirstBytes | None = None
    finish: Finish | None = None

    def call(self, following: tuple[str, ...] = ()) -> tuple[Any, ...]:
        """Return what is called for it, with the files that the worker will be given next."""
        return answer, self, following

    def failed(self, error: RefmakerError) -> TaskResult:
        """Return the answer for a file that the worker did not survive."""
        return TaskResult(error=error)


class TaskResult(NamedTuple):
    """What became of it.

    Parameters
    ----------
    packed : bytes, optional
        The reference set, or the part of one, and its report, if it was scanned and is needed.
    error : RefmakerError, optional
        Why not, or why nothing could be made of it.
    passing : bool
        Whether it may help to try again.
    state : list, optional
        How the file looked, if that is fixed and the result is still to be kept; see
        `refmaker.scanning.cache`.
    kept : int
        Bytes that it took to keep the result.
    made : object, optional
        What was made of the reference set, if that was asked for.
    """

    packed: bytes | None = None
    error: RefmakerError | None = None
    passing: bool = False
    state: State | None = None
    kept: int = 0
    made: Any = None


def answer(task: Task, following: tuple[str, ...] = ()) -> TaskResult:
    """Scan a file in this process; what this package raises is part of the answer.

    Parameters
    ----------
    task : Task
        The file. What is found of one with a key will be kept: then the set itself is sent even
        where something is made of it, and how the file looked.
    following : tuple of str
        Remote files that will come next: they are opened while this one is scanned.
    """
    from refmaker.scanning.serialized import serialize, serialize_part

    url = task.url
    before = look(url) if task.key and local_path(url) is not None else None
    try:
        # Tried again, it is read again.
        heads = () if task.head is None or task.attempts else (task.head,)
        with _opened.take(url, with_heads(task.storage_options, heads), following) as source:
            if task.part:
                piece, report = scan_part(source, task.format, task.options)
                packed: bytes | None = serialize_part(piece, report)
                state = fixed_state(before, report) if task.key else None
            else:
                group, report = scan_source(source, task.format, task.options)
                state = fixed_state(before, report) if task.key else None
                needed = state is not None or task.finish is None
                packed = serialize(group, report) if needed else None
        found = _kept(task, TaskResult(packed, state=state))
    except RefmakerError as error:
        error.located(url=url)
        return TaskResult(error=error, passing=_may_pass(error))
    if task.part or task.finish is None:
        return found
    try:
        return found._replace(made=task.finish(group, report))
    except RefmakerError as error:
        # It was scanned, which is worth to be remembered.
        return found._replace(error=error.located(url=url))


def _kept(task: Task, found: TaskResult) -> TaskResult:
    """Keep a result where that is to be done here; it is not sent then, unless it is needed."""
    if not task.cache or found.state is None or found.packed is None:
        return found
    kept = open_cache(task.cache).write(task.key, found.state, found.packed)
    needed = task.part or task.finish is None
    return TaskResult(found.packed if needed else None, kept=kept)


class _Opened:
    """Remote files that threads open ahead of being scanned, which only wait for the network."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._ahead: dict[str, Future[Source]] = {}

    def take(
        self, url: str, storage_options: Mapping[str, Any] | None, following: tuple[str, ...]
    ) -> Source:
        """Return a file, open, and begin to open those that follow."""
        ahead = self._ahead
        for name in following:
            if name not in ahead:
                ahead[name] = self._pool(len(following)).submit(_open, name, storage_options)
        mine = ahead.pop(url, None)
        # What another process has been given meanwhile is not needed here.
        for name in set(ahead).difference(following):
            ahead.pop(name).cancel()
        return Source(url, storage_options) if mine is None else mine.result()

    def _pool(self, threads: int) -> ThreadPoolExecutor:
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor

            self._threads = ThreadPoolExecutor(threads)
        return self._threads


_opened = _Opened()


def _open(url: str, storage_options: Mapping[str, Any] | None) -> Source:
    source = Source(url, storage_options)
    source.prefetch([(0, SNIFF_BYTES)])
    return source


def _may_pass(error: RefmakerError) -> bool:
    """Whether a file that could not be read may be readable a little later."""
    if isinstance(error, SourceChangedError):
        # Somebody is writing it, and may be done soon.
        return True
    cause = error.__cause__
    if not isinstance(error, SourceError) or cause is None:
        return False
    if isinstance(cause, OSError) and cause.errno is not None:
        return cause.errno in _PASSING
    from refmaker.io.retries import may_pass

    return isinstance(cause, Exception) and may_pass(cause)


_own = threading.local()
"""The process of each thread that serves an executor."""


def answer_apart(task: Task, timeout: float | None) -> TaskResult:
    """Scan a file in a process that this thread keeps for it: for executors of all kinds.

    So a library that aborts takes down neither the executor's process nor its other files, one
    that hangs can be stopped, and h5py never runs in threads.
    """
    worker = getattr(_own, "worker", None)
    if worker is None or time.monotonic() - _own.used > _IDLE / 2:
        if worker is not None:
            worker.close()
        worker = _own.worker = Worker(_IDLE)
    try:
        found: TaskResult = worker.run(*task.call(), name=task.url, timeout=timeout)
    except WorkerError as error:
        found = TaskResult(error=error)
    finally:
        _own.used = time.monotonic()
    return found

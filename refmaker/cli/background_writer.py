"""What is made of many inputs is written while others are scanned, some at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore, Event, Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from typing import Self

__all__ = ["BackgroundWriter"]

_TOGETHER, _WAITING = 64, 512
"""Things that are written together, and that may wait to be written."""
_GATHERED = 0.03
"""Seconds in which things gather that are to be written together."""

_Thing = TypeVar("_Thing")
_Result = TypeVar("_Result")


class BackgroundWriter(Generic[_Thing, _Result]):
    """Threads that write what they are given.

    One thread writes whatever has gathered; others help where that becomes too much, as on disks
    that are waited for. Use as a context manager: what was added is written when the block ends,
    however it does.

    Parameters
    ----------
    write : callable
        Given some of the things, returns what became of them.
    threads : int
        How many at most; of one, things are written in the order in which they came.
    """

    def __init__(
        self, write: Callable[[Sequence[_Thing]], Sequence[_Result]], threads: int
    ) -> None:
        self._write = write
        self._most = threads
        self._pool = ThreadPoolExecutor(threads)
        self._lock = Lock()
        self._waiting: deque[_Thing] = deque()
        self._running = 0
        self._started: list[Future[None]] = []
        self._results: deque[_Result] = deque()
        self._room = BoundedSemaphore(_WAITING)
        self._ending = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._pool.shutdown()

    def add(self, thing: _Thing) -> list[_Result]:
        """Have something written soon; return what became of some of those that came before."""
        self._room.acquire()
        with self._lock:
            self._waiting.append(thing)
            crowded = len(self._waiting) > _TOGETHER and self._running < self._most
            start = not self._running or crowded
            self._running += start
        if start:
            self._started.append(self._pool.submit(self._run))
        return self._taken()

    def finish(self) -> list[_Result]:
        """Wait until everything is written; return what became of the rest."""
        self.__exit__()
        for thread in self._started:
            thread.result()
        return self._taken()

    def _taken(self) -> list[_Result]:
        return [self._results.popleft() for _ in range(len(self._results))]

    def _run(self) -> None:
        """Write until there is nothing left."""
        while True:
            self._ending.wait(_GATHERED)
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
                if not batch:
                    self._running -= 1
                    return
            try:
                self._results.extend(self._write(batch))
            except BaseException:
                # Raised again, and by `finish` in the thread that waits for it.
                with self._lock:
                    self._running -= 1
                raise
            finally:
                self._room.release(len(batch))

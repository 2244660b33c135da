"""Comparing in worker processes, which a library that aborts or hangs takes down instead."""

from __future__ import annotations

import pickle
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, WorkerError
from refmaker.model.zarr_v2 import DIMENSIONS
from refmaker.scanning import worker
from refmaker.scanning.pool import run_in_workers
from refmaker.verification.compare import ArrayCheck, compare_array

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from refmaker.storage.reference_set import ReferenceSet

    Work = Sequence[tuple[str, Sequence[int]]]

__all__ = ["Session", "compare_apart", "compare_here"]

_BATCH = 32
"""Chunks of one array that are compared between two words on progress."""
_OPENING = 600.0
"""Seconds that a worker gets to open a set and its files, and to scan them again."""
_LOSSES = 16
"""Workers that a set may take down; what is left then is not compared."""
_SHARE = 8
"""What part of a worker's memory one chunk may take: it is held raw, decoded and natively."""


def limit() -> int:
    """Return the bytes of a chunk up to which it is compared."""
    return worker.memory() // _SHARE


class Session:
    """A set and its files, open for comparing.

    Parameters
    ----------
    refs : ReferenceSet
        The set.
    storage_options : mapping or None
        Passed to fsspec for its files.
    whole : bool
        Whether every file of a set of many is looked at for coordinates, or some of them.

    Raises
    ------
    RefmakerError
        As for `refmaker.verification.oracle.open_oracle`.
    """

    def __init__(
        self, refs: ReferenceSet, storage_options: Mapping[str, Any] | None, *, whole: bool
    ) -> None:
        from refmaker.reading.open import open_arrays
        from refmaker.verification.oracle import open_oracle

        self._arrays = dict(refs.group.arrays())
        self._limit = limit()
        # As the files are now: their values are compared, not what was recorded of them.
        self._store = open_arrays(refs, storage_options, verify_sources="off")
        self._stack = ExitStack()
        self._oracle = self._stack.enter_context(
            open_oracle(refs, storage_options, self._store, whole=whole)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def compare(self, path: str, numbers: Sequence[int], *, metadata: bool) -> ArrayCheck:
        """Compare chunks of one array, and what its attributes say if that is asked for."""
        array = self._arrays[path]
        check = compare_array(path, array, self._store, self._oracle.reader, numbers, self._limit)
        if metadata:
            names = () if array.origin is None else array.origin.attributes
            edited = tuple(name for name in names if name != DIMENSIONS)
            return replace(check, metadata=self._oracle.metadata(path, array), edited=edited)
        return check


def compare_here(
    refs: ReferenceSet,
    work: Work,
    storage_options: Mapping[str, Any] | None,
    tell: Callable[[int, int], None],
    *,
    whole: bool,
) -> list[ArrayCheck]:
    """Compare chunks in this process, which nothing protects then; else as `compare_apart`."""
    total, done = sum(len(numbers) for _, numbers in work), 0
    checks = []
    with Session(refs, storage_options, whole=whole) as session:
        for path, numbers in work:
            check: ArrayCheck | None = None
            for batch in _batches(numbers):
                part = session.compare(path, batch, metadata=check is None)
                check = part if check is None else check + part
                done += len(batch)
                tell(done, total)
            checks.append(check or part)
    return checks


def compare_apart(
    refs: ReferenceSet,
    work: Work,
    storage_options: Mapping[str, Any] | None,
    tell: Callable[[int, int], None],
    *,
    whole: bool,
    jobs: int,
    timeout: float | None,
) -> list[ArrayCheck]:
    """Compare chunks in workers.

    Parameters
    ----------
    work : sequence of (str, sequence of int)
        Paths of arrays, and the numbers of their chunks to compare.
    storage_options : mapping or None
        Passed to fsspec for its files.
    tell : callable
        Called with how many chunks are done, and how many there are.
    whole : bool
        As for `Session`.
    timeout : float or None
        Seconds that a batch of chunks may take.

    Returns
    -------
    list of ArrayCheck
        One for each array, in the order of `work`.
    """
    queue = _Queue(refs, work)
    shared = pickle.dumps((refs, storage_options, whole), pickle.HIGHEST_PROTOCOL)
    total = sum(len(numbers) for _, numbers in work)
    processes = max(1, min(jobs, queue.left))
    for _ in run_in_workers(queue, processes, timeout, shared=shared, opening=_OPENING):
        tell(total - queue.chunks_left, total)
    return [queue.checks[path] for path, _ in work]


def _batches(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[at : at + _BATCH] for at in range(0, max(1, len(numbers)), _BATCH)]


@dataclass(slots=True)
class _Batch:
    """Some chunks of one array: a task for a worker."""

    url: str
    path: str
    chunks: int
    numbers: Sequence[int]
    first: bool
    lost: bool = False

    def call(self, _following: tuple[str, ...] = ()) -> tuple[Any, ...]:
        return _compare, self.path, self.numbers, self.first

    def failed(self, error: RefmakerError) -> ArrayCheck:
        """Return the check where the worker died; what this package raises concerns all."""
        if not isinstance(error, WorkerError):
            raise error
        self.lost = True
        return self.missed(error.message)

    def missed(self, reason: str) -> ArrayCheck:
        return ArrayCheck(
            self.path, self.chunks, uncompared=max(1, len(self.numbers)), reason=reason
        )


class _Queue:
    """The batches that are still to be compared, and the checks of those that were."""

    wait = None

    def __init__(self, refs: ReferenceSet, work: Work) -> None:
        sizes = {path: array.chunks.size for path, array in refs.group.arrays()}
        url = refs.report.url
        self.checks = {path: ArrayCheck(path, sizes[path]) for path, _ in work}
        self._losses = 0
        self._left = deque(
            _Batch(url, path, sizes[path], batch, not at)
            for path, numbers in work
            for at, batch in enumerate(_batches(numbers))
        )
        self.chunks_left = sum(len(batch.numbers) for batch in self._left)

    @property
    def left(self) -> int:
        return len(self._left)

    def next(self) -> _Batch | None:
        return self._left.popleft() if self._left else None

    def again(self, task: _Batch, found: ArrayCheck) -> bool:
        """Take note of a check; what took a worker down is not tried a second time."""
        self._take(task, found)
        if task.lost:
            self._losses += 1
            most = self._losses >= _LOSSES
            reason = f"{_LOSSES} workers were lost before" if most else found.reason
            kept = deque[_Batch]()
            for batch in self._left:
                if most or batch.path == task.path:
                    self._take(batch, batch.missed(reason))
                else:
                    kept.append(batch)
            self._left = kept
        return False

    def _take(self, batch: _Batch, found: ArrayCheck) -> None:
        self.checks[batch.path] += found
        self.chunks_left -= len(batch.numbers)


_opened: list[Session] = []
"""In a worker, what it compares."""


def _compare(path: str, numbers: Sequence[int], first: bool) -> ArrayCheck:
    """Compare chunks in a worker, which opens the set and its files when it is first asked."""
    if not _opened:
        refs, storage_options, whole = pickle.loads(worker.shared())  # noqa: S301 - our own
        _opened.append(Session(refs, storage_options, whole=whole))
    return _opened[0].compare(path, numbers, metadata=first)

"""Many tasks at a time: worker processes of this machine, or an executor of any kind.

Whatever happens to one task is an answer; what is raised here concerns all of them.
"""

from __future__ import annotations

import heapq
import logging
import time
from collections import deque
from collections.abc import Sized
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from refmaker.errors import RefmakerError, WorkerError
from refmaker.scanning.pipe import wait
from refmaker.scanning.task import Task, TaskResult, answer_apart
from refmaker.scanning.worker import TIMEOUT, Worker, WorkerNotStartedError, can_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from concurrent.futures import Executor, Future

__all__ = ["Queue", "Tasks", "run_in_workers", "scan_on_executor", "scan_serially"]

log = logging.getLogger("refmaker.scanning.pool")

_PAUSE = 0.5
"""Seconds before a file is tried for the second time; doubled for each further time."""

_STARTING = 1.0
"""Seconds of work that are worth another process, which first has to load Python and libraries."""
_FORKED = 64
"""Files that are worth another process where it can be forked, which takes some milliseconds."""
_WARM, _ENOUGH = 2, 6
"""Files after which a process is as fast as it will be, and after which that is known."""

_LATE = 1.0
"""Seconds that a process takes for a file before those that it has opened for later are given to
another one, which has to ask for them again."""
_QUICK = 0.02
"""Seconds for a file below which a process is given the next one before it has answered."""
_PLENTY = 4
"""Files that must be left for each process when it is."""
_SHORT = 1 << 14
"""Bytes of a message that fits into every pipe."""

Answered = tuple[Any, Any]
"""A task, and what became of it."""


class Tasks(Protocol):
    """What there is to do.

    Each task has a ``url``, ``call(following)`` that returns a function and its arguments, and
    ``failed(error)`` that returns what else would be the answer.
    """

    @property
    def left(self) -> int:
        """How many tasks nobody has taken yet."""
        ...

    @property
    def wait(self) -> float | None:
        """Seconds until a task is due again; None if there is none."""
        ...

    def next(self) -> Any:
        """Return a task that can be done now, or None."""
        ...

    def again(self, task: Any, found: Any) -> bool:
        """Take note of an answer; tell whether the task is put back."""
        ...


class Queue:
    """The files still to be scanned, and those to be tried again when some time has passed.

    Parameters
    ----------
    tasks : iterable of Task
        Taken when they are needed.
    retries : int
        How often a file is tried again after an error that may pass.
    """

    def __init__(self, tasks: Iterable[Task], retries: int) -> None:
        self._left = len(tasks) if isinstance(tasks, Sized) else 2**31
        self._tasks = iter(tasks)
        self._retries = retries
        self._again: list[tuple[float, int, Task]] = []

    def next(self) -> Task | None:
        """Return a file that can be scanned now."""
        if self._again and self._again[0][0] <= time.monotonic():
            return heapq.heappop(self._again)[2]
        task = next(self._tasks, None)
        self._left -= task is not None
        return task

    @property
    def left(self) -> int:
        """How many files nobody has taken yet; a very large number if that is not known."""
        return self._left

    @property
    def wait(self) -> float | None:
        """Seconds until a file is due again; None if there is none."""
        return max(0.0, self._again[0][0] - time.monotonic()) if self._again else None

    def again(self, task: Task, found: TaskResult) -> bool:
        """Tell whether a file is put back, since its error may pass."""
        if not found.passing or task.attempts >= self._retries:
            return False
        due = time.monotonic() + _PAUSE * 2**task.attempts
        heapq.heappush(self._again, (due, task.number, replace(task, attempts=task.attempts + 1)))
        return True


def scan_serially(queue: Queue) -> Iterator[Answered]:
    """Scan one file after the other in this process; nothing protects it."""
    while True:
        task = queue.next()
        if task is None:
            wait = queue.wait
            if wait is None:
                return
            time.sleep(wait)
            continue
        try:
            function, *args = task.call()
            found = function(*args)
        except Exception as error:
            # Scanners of other packages raise anything: one file never costs the others.
            log.debug("%s", task.url, exc_info=True)
            found = task.failed(WorkerError(f"{type(error).__name__}: {error}", url=task.url))
        if not queue.again(task, found):
            yield task, found


def run_in_workers(
    queue: Tasks,
    jobs: int,
    timeout: float | None,
    ahead: int = 0,
    *,
    eager: bool = True,
    shared: bytes | None = None,
    opening: float = 0.0,
) -> Iterator[Answered]:
    """Do tasks in worker processes of this machine.

    Parameters
    ----------
    jobs : int
        Processes at most; started when there is something for them to do.
    timeout : float, optional
        Seconds that a task may take; 1800 by default.
    ahead : int
        How many remote files each process opens while it scans another.
    eager : bool
        Whether there is something to do for each process with each task, or only when what is
        left takes longer than starting it.
    shared : bytes, optional
        What all tasks need; see `Worker`.
    opening : float
        Seconds that the first task of a process gets in addition, to open what they share.

    Yields
    ------
    tuple
        Each task with its answer, as they are finished.

    Raises
    ------
    WorkerNotStartedError
        If processes cannot be started.
    """
    limit = TIMEOUT if timeout is None else timeout
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(shared=shared)) for _ in range(jobs)]
        idle = deque(_WorkerSlot(worker, limit, ahead, opening) for worker in workers)
        busy: dict[Any, _WorkerSlot] = {}
        finished: list[Answered] = []
        pace = _Throughput(eager=eager)
        while True:
            _give_out(queue, idle, busy, finished, pace, ahead)
            # Only now, with all hands busy again while the caller looks at what is done.
            yield from finished
            finished.clear()
            if not busy:
                if any(hand.next for hand in idle):
                    continue  # of a worker that has died before it was given them
                if queue.wait is None:
                    return
                time.sleep(queue.wait)
                continue
            ready = wait(list(busy), _patience(queue, idle, busy.values()))
            overdue = [pipe for pipe in busy if pipe not in ready and busy[pipe].left == 0]
            for pipe in [*ready, *overdue]:
                hand = busy[pipe]
                task, found = hand.answer(overdue=pipe in overdue)
                pace.note(answered=found is not None)
                if found is None:
                    continue
                if not hand.posted:
                    del busy[pipe]
                    # Those used last come first again: no more processes than there is work for.
                    idle.appendleft(hand)
                if not queue.again(task, found):
                    finished.append((task, found))


def _patience(
    queue: Tasks, idle: Collection[_WorkerSlot], busy: Collection[_WorkerSlot]
) -> float | None:
    """Return after how many seconds there is something to do, whether or not anybody answers."""
    waits = [queue.wait if idle else None, *(hand.left for hand in busy)]
    if queue.left and not all(hand.started for hand in idle):
        waits.append(_STARTING)
    if idle and any(hand.next for hand in busy):
        waits.append(_LATE)
    return min((seconds for seconds in waits if seconds is not None), default=None)


class _Throughput:
    """How fast files are scanned, and so whether to start one more process.

    Parameters
    ----------
    eager : bool
        Whether it always is.
    """

    def __init__(self, *, eager: bool) -> None:
        self._eager = eager
        self._begun: float | None = None
        self._warm = 0.0
        self._done = 0

    def note(self, *, answered: bool) -> None:
        """Note that a process has begun to work, or has answered."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        self._done += answered
        if self._done == _WARM and answered:
            self._warm = now

    def worth(self, left: int, running: int) -> bool:
        """Tell whether so many files are worth another process beside those that run."""
        if running == 0 or self._eager:
            return True
        if left > _FORKED * running and can_fork():
            return True
        if self._begun is None:
            return False
        now = time.monotonic()
        if self._done < _ENOUGH:
            return now - self._begun >= _STARTING
        return self._mean(now) * left / running > _STARTING

    @property
    def quick(self) -> bool:
        """Whether files take so little that waiting for the next one counts."""
        return self._done >= _ENOUGH and self._mean(time.monotonic()) < _QUICK

    def _mean(self, now: float) -> float:
        return (now - self._warm) / (self._done - _WARM)


def _give_out(
    queue: Tasks,
    idle: deque[_WorkerSlot],
    busy: dict[Any, _WorkerSlot],
    finished: list[Answered],
    pace: _Throughput,
    ahead: int,
) -> None:
    """Give every idle hand a task, its own next one first, then anybody's."""
    for _ in range(len(idle)):
        hand = idle.popleft()
        running = sum(other.started for other in (*idle, *busy.values()))
        if not hand.started and not pace.worth(queue.left, running):
            idle.append(hand)
            continue
        hand.fill(queue)
        if not hand.next:
            hand.next.extend(_taken_from(busy.values()))
        if not hand.next:
            idle.append(hand)
            continue
        try:
            busy[hand.begin()] = hand
        except WorkerNotStartedError:
            raise
        except WorkerError as error:
            # It died while it had nothing to do.
            finished.append(hand.lost(error))
            idle.append(hand)
    if ahead == 0 and pace.quick:
        _give_second(queue, idle, busy, finished)


def _taken_from(others: Iterable[_WorkerSlot]) -> list[Any]:
    """Take the task that would come last of those that others were to do later, if any."""
    free = [other for other in others if other.next and (other.late or not other.opened)]
    return [max(free, key=lambda other: len(other.next)).next.pop()] if free else []


def _give_second(
    queue: Tasks,
    idle: deque[_WorkerSlot],
    busy: dict[Any, _WorkerSlot],
    finished: list[Answered],
) -> None:
    """Give every hand that has one task the next, as long as there are plenty."""
    for pipe, hand in list(busy.items()):
        if queue.left < _PLENTY * len(busy):
            return
        if not hand.patient:
            continue
        hand.fill(queue)
        if not hand.next:
            return
        try:
            hand.begin()
        except WorkerError as error:
            del busy[pipe]
            # It died at the first, whichever it could not be sent.
            error.url = hand.posted[0].url
            finished.append(hand.lost(error))
            idle.append(hand)


class _WorkerSlot:
    """A worker with the tasks that it was sent, and those that it is given next."""

    def __init__(self, worker: Worker, limit: float, ahead: int, opening: float) -> None:
        self.next: deque[Any] = deque()
        self.posted: deque[Any] = deque()
        self.started = False
        self._since = 0.0
        self._worker = worker
        self._limit = limit
        self._ahead = ahead
        self._opening = opening
        self._due: float | None = None

    def fill(self, queue: Tasks) -> None:
        """Take tasks for now and later."""
        while len(self.next) <= self._ahead and (task := queue.next()) is not None:
            self.next.append(task)

    @property
    def patient(self) -> bool:
        """Whether the process can be sent another task while it is at work.

        What does not fit into the pipe would wait for it, and it for what it answers to be read.
        """
        return self._worker.working and self._worker.sent < _SHORT and len(self.posted) == 1

    def begin(self) -> Any:
        """Give the worker its next task; return the pipe of the answer."""
        task = self.next.popleft()
        self.posted.append(task)
        self.started = True
        # Of some the beginning is at hand, and comes with the task.
        ahead = (task.url for task in self.next if getattr(task, "head", None) is None)
        call = task.call(tuple(ahead))
        pipe = self._worker.post(task.url, *call)
        if len(self.posted) == 1:
            self._since = time.monotonic()
            # Loading Python takes its time, which is not the task's.
            self._due = time.monotonic() + self._limit if self._worker.working else None
        return pipe

    @property
    def opened(self) -> bool:
        """Whether the process has been told of the task that it would be given last."""
        return self._ahead > 0 and getattr(self.next[-1], "head", None) is None

    @property
    def late(self) -> bool:
        """Whether the process has been at its task for long."""
        return time.monotonic() - self._since >= _LATE

    @property
    def left(self) -> float | None:
        """Seconds that the task still has."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def answer(self, *, overdue: bool) -> Answered:
        """Return the task that the worker is at, and its answer; None if it has only begun."""
        task = self.posted[0]
        try:
            if overdue:
                raise self._worker.overdue(task.url, self._limit)
            found = self._worker.receive(task.url)
        except WorkerNotStartedError:
            raise
        except RefmakerError as error:
            return self.lost(error)
        self._since = time.monotonic()
        self._due = self._since + self._limit
        if found is None:
            self._due += self._opening
        else:
            self.posted.popleft()
        return task, found

    def lost(self, error: RefmakerError) -> Answered:
        """Return the task that the worker is at with an error for an answer.

        What a worker that has died was sent behind it is taken back.
        """
        task = self.posted.popleft()
        self._due = time.monotonic() + self._limit
        if not self._worker.working:
            self.next.extendleft(reversed(self.posted))
            self.posted.clear()
        return task, task.failed(error)


def scan_on_executor(
    executor: Executor,
    queue: Queue,
    window: int,
    timeout: float | None,
    run: Callable[[Task, float | None], TaskResult] = answer_apart,
) -> Iterator[Answered]:
    """Scan by an executor: threads or processes of this machine, Dask's workers, a cluster.

    Parameters
    ----------
    executor : concurrent.futures.Executor
        Each of its threads keeps a process of its own for scanning.
    window : int
        Files under way at a time.
    timeout : float, optional
        Seconds that a file may take; 1800 by default.
    """
    from concurrent.futures import FIRST_COMPLETED, wait

    under_way: dict[Future[TaskResult], Task] = {}
    try:
        while True:
            while len(under_way) < window and (task := queue.next()) is not None:
                try:
                    under_way[executor.submit(run, task, timeout)] = task
                except RuntimeError as error:
                    yield task, _lost(task, error)
            if not under_way:
                if queue.wait is None:
                    return
                time.sleep(queue.wait)
                continue
            done, _ = wait(under_way, queue.wait, FIRST_COMPLETED)
            for future in done:
                task = under_way.pop(future)
                problem = future.exception()
                found = future.result() if problem is None else _lost(task, problem)
                if not queue.again(task, found):
                    yield task, found
    finally:
        for future in under_way:
            future.cancel()


def _lost(task: Task, problem: BaseException) -> TaskResult:
    """Return the answer for a file whose result the executor could not bring."""
    if isinstance(problem, RefmakerError):
        return task.failed(problem.located(url=task.url))
    return task.failed(
        WorkerError(
            f"the executor failed: {type(problem).__name__}: {problem}",
            url=task.url,
            hint="run again: what was finished is remembered",
        )
    )

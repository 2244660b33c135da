"""Scanning many files: in parallel, with what earlier runs found, whatever becomes of each.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import (
    MissingDependencyError,
    RefmakerError,
    SourceError,
    UnknownFormatError,
)
from refmaker.io.inputs import Inputs, expand_inputs
from refmaker.io.source import local_path
from refmaker.scanning.cache import open_cache
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.pool import Queue, run_in_workers, scan_on_executor, scan_serially
from refmaker.scanning.protocol import scanners
from refmaker.scanning.task import Task, TaskResult
from refmaker.storage.reference_set import ReferenceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from refmaker.model import Group
    from refmaker.model.report import ScanReport
    from refmaker.scanning.cache import ScanCache

__all__ = ["Progress", "Scanned", "default_jobs", "scan_many"]

_REMOTE_JOBS, _REMOTE_FILES = 2, 64
"""Processes for each core where files are remote and much of the time is waiting; and files that
make it worth to start one more."""
_AHEAD = 8
"""Remote files that each process opens while it scans another."""
_LOOKS = 32
"""Remote files that are looked at together, to learn whether they have changed."""
_WINDOW = 4
"""Files under way for each of an executor's workers."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What became of one file.

    Parameters
    ----------
    number : int
        Its place among the inputs, from 0.
    url : str
        The file.
    packed : bytes, optional
        Its reference set (or its part of one) and report in compact form, if it was scanned.
    error : RefmakerError, optional
        Why not.
    cached : bool
        Whether an earlier run had found it.
    attempts : int
        How often it was tried.
    foreign : bool
        Whether it only happened to lie in a directory that was an input: nothing in it is of a
        known format, and neither is its name.
    made : object, optional
        What `finish` returned, unless an earlier run had found the set.

    Examples
    --------
    >>> first, *rest = refmaker.scan_many("days/*.nc", jobs=0)
    >>> first.number, first.error, len(rest)
    (0, None, 2)
    >>> first.references().write("first.json")
    """

    number: int
    url: str
    packed: bytes | None = field(default=None, repr=False)
    error: RefmakerError | None = None
    cached: bool = False
    attempts: int = 1
    foreign: bool = False
    made: Any = field(default=None, repr=False)

    def references(self) -> ReferenceSet:
        """Return the reference set, made anew with every call.

        Raises
        ------
        RefmakerError
            The error that kept the file from being scanned.
        """
        from refmaker.scanning.serialized import deserialize

        if self.packed is None:
            raise self.error or SourceError("it was not scanned", url=self.url)
        return ReferenceSet(*deserialize(self.packed))

    def part(self) -> tuple[bytes, ScanReport]:
        """Return the file's part of a set of many, if that was asked for.

        Raises
        ------
        RefmakerError
            The error that kept the file from being scanned.
        """
        from refmaker.scanning.serialized import deserialize_part

        if self.packed is None:
            raise self.error or SourceError("it was not scanned", url=self.url)
        return deserialize_part(self.packed)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    Parameters
    ----------
    done, total : int
        Files finished, and all of them.
    failed, cached : int
        Those of the finished ones that could not be scanned, or were known from earlier.

    Examples
    --------
    >>> def show(progress):
    ...     print(f"{progress.done} of {progress.total}, {progress.failed} failed")
    >>> files = list(refmaker.scan_many("days/*.nc", jobs=0, on_progress=show))
    1 of 3, 0 failed
    2 of 3, 0 failed
    3 of 3, 0 failed
    """

    done: int
    total: int
    failed: int
    cached: int


def _cores() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def default_jobs(urls: Sequence[str]) -> int:
    """Return how many processes scan files: more than there are cores where these are remote."""
    most = _cores()
    if any(local_path(url) is None for url in urls):
        most = max(most, min(most * _REMOTE_JOBS, len(urls) // _REMOTE_FILES))
    return max(1, min(len(urls), most))


def scan_many(  # noqa: PLR0913 - each is a choice of its own
    inputs: Inputs | str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    dask: Any = None,
    cache: bool | str | os.PathLike[str] = True,
    retries: int = 2,
    timeout: float | None = None,
    ordered: bool = True,
    parts: bool = False,
    finish: Callable[[Group, ScanReport], object] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    **option_fields: Any,
) -> Iterator[Scanned]:
    """Scan many files in parallel; yield what became of each.

    Parameters
    ----------
    inputs : str, os.PathLike, iterable of them, or Inputs
        Files, directories, patterns, ``@list.txt``, prefixes of stores; see `refmaker.io.inputs`.
    storage_options : mapping, optional
        Passed to fsspec.
    format : str, optional
        Name of the scanner to use; by default the content of each file decides.
    options : ScanOptions, optional
        How to scan.
    jobs : int, optional
        Worker processes: by default up to as many as there are cores, fewer where starting them
        would take longer than what is to be done, and several times as many where files are
        remote. 0 scans in this process, which nothing protects then.
    executor : concurrent.futures.Executor, optional
        Where to scan instead; each of its threads keeps a process of its own for it.
    dask : str or distributed.Client, optional
        Address of a scheduler, such as ``tcp://host:8786``, or a client; needs the extra ``dask``.
    cache : bool, str or os.PathLike
        Whether to take what earlier runs have found of files that have not changed since, and
        to keep what this one finds; a folder to keep it in, instead of the user's own cache.
    retries : int
        How often a file is tried again after an error that may pass, each time a little later.
    timeout : float, optional
        Seconds that a file may take; 1800 by default.
    ordered : bool
        Whether to yield in the order of the inputs, or as files are finished.
    parts : bool
        Whether to yield the parts of one set of many files, for scanners that join files before
        they make a tree of them, such as that of GRIB.
    finish : callable, optional
        What to make of each set in the process that scans: a function of a module, or a
        `functools.partial` of one, given the root group and the report. What it returns is
        `Scanned.made`; the set itself is sent only where it is to be kept by the process here.
    on_progress : callable, optional
        Called with a `Progress` whenever a file is finished.
    **option_fields
        Fields of `ScanOptions`, which take precedence over `options`.

    Yields
    ------
    Scanned
        One for every file, also for those that could not be scanned.

    Raises
    ------
    SourceNotFoundError
        If an input means no file at all.
    WorkerError
        If no worker process can be started.
    MissingDependencyError
        If Dask is asked for and not installed.
    ValueError
        If `jobs`, `executor` and `dask` contradict one another, or `timeout` and ``jobs=0``.

    Examples
    --------
    >>> for file in refmaker.scan_many("days/*.nc"):
    ...     print(file.error or file.references()["air"].shape)
    (4, 11, 21)
    (4, 11, 21)
    (4, 11, 21)
    """
    if sum(choice is not None for choice in (jobs, executor, dask)) > 1:
        raise ValueError("jobs, executor and dask exclude one another")
    if jobs is not None and (jobs < 0 or (jobs == 0 and timeout is not None)):
        raise ValueError("jobs is negative, or a time limit is to hold in this process")
    if option_fields:
        options = replace(options or ScanOptions(), **option_fields)
    found = inputs if isinstance(inputs, Inputs) else expand_inputs(inputs, storage_options)
    heads = {head.url: head for head in found.heads if head.data}
    every = Task(
        0, "", storage_options, format, options or ScanOptions(), part=parts, finish=finish
    )
    run = _Run(
        found,
        None if cache is False else open_cache(cache),
        on_progress,
        [
            replace(every, number=number, url=url, head=heads.get(url))
            for number, url in enumerate(found.urls)
        ],
        eager=jobs is not None,
    )
    stack = ExitStack()
    workers = _workers(stack, found.urls, jobs, executor, dask)
    results = run.results(retries, timeout, workers, stack)
    return _in_order(results) if ordered else results


Workers = tuple["Executor | None", int]
"""An executor, and how many files it is given at a time; or the number of processes."""


def _workers(
    stack: ExitStack, urls: tuple[str, ...], jobs: int | None, executor: Executor | None, dask: Any
) -> Workers:
    if dask is not None:
        executor, threads = _dask(stack, dask)
        return executor, _WINDOW * max(1, threads)
    if executor is not None:
        return executor, _WINDOW * int(getattr(executor, "_max_workers", None) or _cores())
    return None, default_jobs(urls) if jobs is None else min(jobs, len(urls))


def _dask(stack: ExitStack, dask: Any) -> tuple[Executor, int]:
    """Return Dask's workers as an executor, and how many threads they have."""
    try:
        from distributed import Client as DaskClient
    except ImportError as error:
        raise MissingDependencyError(
            "scanning on Dask needs the package distributed", hint="pip install 'refmaker[dask]'"
        ) from error
    if isinstance(dask, str):
        try:
            client: Any = DaskClient
            dask = stack.enter_context(client(dask, set_as_default=False))
        except (OSError, ValueError) as error:
            raise SourceError(
                f"no Dask scheduler answers: {error}", url=dask, hint="check the address"
            ) from error
    # A file that kills is known as such by its own process; Dask need not try it elsewhere.
    executor: Executor = dask.get_executor(pure=False, retries=1)
    return executor, sum(dask.nthreads().values())


@dataclass
class _Run:
    """The files of one run, with what is known of them already."""

    inputs: Inputs
    cache: ScanCache | None
    on_progress: Callable[[Progress], object] | None
    tasks: list[Task]
    eager: bool = True
    done: int = 0
    failed: int = 0
    known: int = 0

    def results(
        self, retries: int, timeout: float | None, workers: Workers, stack: ExitStack
    ) -> Iterator[Scanned]:
        """Yield what becomes of each file, as they are finished."""
        executor, count = workers
        with stack:
            changed: list[Task] = []
            for task, known in self._looked_up():
                if known is None:
                    if self.cache is not None and executor is None:
                        # Processes of this machine write there themselves.
                        task.cache = self.cache.folder
                    changed.append(task)
                else:
                    yield self._counted(known)
            queue = Queue(changed, retries)
            if executor is not None:
                answered = scan_on_executor(executor, queue, count, timeout)
            elif count == 0:
                answered = scan_serially(queue)
            else:
                remote = any(local_path(url) is None for url in self.inputs.urls)
                # Remote files are waited for more than worked on.
                answered = run_in_workers(
                    queue, count, timeout, _AHEAD if remote else 0, eager=self.eager or remote
                )
            for task, found in answered:
                yield self._counted(self._kept(task, found))

    def _looked_up(self) -> Iterator[tuple[Task, Scanned | None]]:
        """Yield each file with what the cache knows of it, if it still is as it was."""
        if self.cache is None:
            yield from ((task, None) for task in self.tasks)
            return
        for task in self.tasks:
            task.key = self.cache.key(
                task.url, task.storage_options, task.format, task.options, part=task.part
            )
        distant = [task for task in self.tasks if local_path(task.url) is None]
        for task in self.tasks:
            if local_path(task.url) is not None:
                yield task, _same(task, self.cache)
        for start in range(0, len(distant), _LOOKS):
            yield from _looked_up_together(distant[start : start + _LOOKS], self.cache)

    def _kept(self, task: Task, found: TaskResult) -> Scanned:
        if self.cache is not None and found.packed is not None and found.state is not None:
            self.cache.put(task.key, found.state, found.packed)
        if self.cache is not None and found.kept:
            self.cache.note_written(found.kept)
        return Scanned(
            task.number,
            task.url,
            found.packed,
            found.error,
            attempts=task.attempts + 1,
            foreign=task.url in self.inputs.searched
            and isinstance(found.error, UnknownFormatError)
            and not task.url.lower().endswith(_suffixes()),
            made=found.made,
        )

    def _counted(self, file: Scanned) -> Scanned:
        self.done += 1
        self.failed += file.error is not None and not file.foreign
        self.known += file.cached
        if self.on_progress is not None:
            self.on_progress(Progress(self.done, len(self.tasks), self.failed, self.known))
        return file


def _looked_up_together(
    tasks: Sequence[Task], cache: ScanCache
) -> Iterator[tuple[Task, Scanned | None]]:
    """Yield some remote files with what the cache knows of them, asked for all at once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_LOOKS) as threads:
        yield from zip(tasks, threads.map(lambda task: _same(task, cache), tasks), strict=True)


def _same(task: Task, cache: ScanCache) -> Scanned | None:
    """Return what an earlier run found of a file, if it looks as it did then."""
    packed = cache.find(task.key, task.url, task.storage_options)
    if packed is None:
        return None
    return Scanned(task.number, task.url, packed, cached=True, attempts=0)


def _suffixes() -> tuple[str, ...]:
    """Return the endings of all formats' names."""
    return tuple(suffix for scanner in scanners().values() for suffix in scanner.suffixes)


def _in_order(results: Iterator[Scanned]) -> Iterator[Scanned]:
    """Yield in the order of the inputs; what comes too early waits."""
    early: dict[int, Scanned] = {}
    following = 0
    for file in results:
        early[file.number] = file
        while following in early:
            yield early.pop(following)
            following += 1

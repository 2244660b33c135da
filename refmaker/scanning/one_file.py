"""Scanning one file: sniff it, choose a scanner, run it here or in a worker process.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, WorkerError
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import SNIFF_BYTES, choose

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection
    from typing import Self

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.model.report import ScanReport
    from refmaker.scanning.protocol import Scanner

__all__ = ["Worker", "WorkerNotStartedError", "scan", "scan_source"]

log = logging.getLogger("refmaker.scan")

TIMEOUT = 1800.0
"""Seconds that a worker gets for a file where nobody says otherwise."""


def scan(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
    isolate: str = "never",
    timeout: float | None = None,
) -> tuple[Group, ScanReport]:
    """Scan one file.

    Parameters
    ----------
    url : str or os.PathLike
        The file.
    storage_options : mapping, optional
        Passed to fsspec.
    format : str, optional
        Name of the scanner to use; by default the content decides.
    options : ScanOptions, optional
        How to scan.
    isolate : {"auto", "always", "never"}
        Whether to scan in a worker process, which a library that aborts or hangs takes down
        instead of this one; "auto" does so when the scanner calls the file odd.
    timeout : float, optional
        Seconds after which a worker is stopped; 1800 by default.

    Returns
    -------
    Group
        The reference set.
    ScanReport
        What became of every object in the file.

    Raises
    ------
    SourceError, UnknownFormatError, FormatError, UnsupportedError, WorkerError
        If the file as a whole cannot be scanned.
    """
    if isolate not in ("auto", "always", "never"):
        raise ValueError(f"isolate={isolate!r} is neither auto, always nor never")
    options = options or ScanOptions()
    if isolate != "always":
        from refmaker.io.source import Source

        started = time.perf_counter()
        with Source(url, storage_options) as source:
            head = source.read_upto(0, SNIFF_BYTES)
            scanner = choose(head, source.url, format)
            if isolate == "never" or not _suspicious(scanner, head, source.size):
                return _scan_here(scanner, source, options, started)
    with Worker() as worker:
        found: tuple[Group, ScanReport] = worker.scan(
            url, storage_options, format=format, options=options, timeout=timeout
        )
        return found


def scan_source(
    source: Source,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
) -> tuple[Group, ScanReport]:
    """Scan a file that is open already; otherwise as `scan`.

    Parameters
    ----------
    source : Source
        The file, which stays open.
    format : str, optional
        Name of the scanner to use.
    options : ScanOptions, optional
        How to scan.
    """
    started = time.perf_counter()
    scanner = choose(source.read_upto(0, SNIFF_BYTES), source.url, format)
    return _scan_here(scanner, source, options or ScanOptions(), started)


def _scan_here(
    scanner: Scanner, source: Source, options: ScanOptions, started: float
) -> tuple[Group, ScanReport]:
    log.debug("%s: %s", source.url, scanner.name)
    try:
        group, report = scanner.scan(source, options)
        if source.path is not None:
            # What was read of a file that somebody writes to need not belong together. Of
            # remote files every answer is compared with the one before.
            source.check_unchanged()
    except RefmakerError as error:
        error.located(url=source.url)
        raise
    report.requests, report.bytes_read = source.requests, source.bytes_read
    report.rounds = source.rounds
    # The scanned file stands first, whatever files it led to: readers sniff that one.
    report.sources = {source.url: source.fingerprint, **report.sources}
    report.seconds = time.perf_counter() - started
    return group, report


def _suspicious(scanner: Scanner, head: bytes, size: int) -> bool:
    """Whether a scanner wants to be kept apart when it reads this file."""
    judge = getattr(scanner, "suspicious", None)
    return bool(judge is not None and judge(head, size))


class Worker:
    """A process that scans files one after another, and may die without harm.

    Use as a context manager. A worker that died or hung is replaced at the next file.

    Parameters
    ----------
    idle : float, optional
        Seconds without a task after which the process ends of itself; never by default.
    """

    def __init__(self, idle: float | None = None) -> None:
        self._idle = idle
        self._process: Any = None
        self._pipe: Connection | None = None
        self._ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def scan(
        self,
        url: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,  # noqa: A002 - as in scan()
        options: ScanOptions | None = None,
        timeout: float | None = None,
        call: Callable[..., Any] | None = None,
        more: tuple[Any, ...] = (),
    ) -> Any:
        """Scan one file in the worker; parameters and result as in `scan`.

        Parameters
        ----------
        url, storage_options, format, options, timeout
            As in `scan`.
        call : callable, optional
            What to do with them there, instead of `scan`; a function of a module.
        more : tuple
            Further arguments of `call`, behind the storage options.

        Raises
        ------
        WorkerError
            If the process died, or did not answer in time.
        """
        limit = TIMEOUT if timeout is None else timeout
        name = str(url)
        pipe = self.post((url, storage_options, format, options, call, *more))
        if not self._ready:
            # Loading Python takes its time, which is not the file's.
            self.receive(name)
        try:
            answered = pipe.poll(limit)
        except BaseException:
            # Whatever comes now through the pipe would be taken for the next file's answer.
            self.close()
            raise
        if not answered:
            raise self.overdue(name, limit)
        return self.receive(name)

    def post(self, task: tuple[Any, ...]) -> Connection:
        """Ask for a scan, and return the pipe through which the answer will come.

        Parameters
        ----------
        task : tuple
            URL, storage options, format, options, what to call instead of `scan`, and what
            more to give it.

        Raises
        ------
        WorkerError
            If the process cannot be started, or has died.
        """
        url = str(task[0])
        pipe = self._start(url)
        try:
            pipe.send(task)
        except ConnectionError as error:
            raise self._died(url) from error
        except BaseException:
            self.close()
            raise
        return pipe

    def receive(self, url: str) -> Any:
        """Wait for what the process says next.

        Parameters
        ----------
        url : str
            The file that it was given, for messages.

        Returns
        -------
        object
            What the call returned; None if the process has only now begun to work.

        Raises
        ------
        WorkerError
            If the process died.
        RefmakerError
            If the call did.
        """
        assert self._pipe is not None, "nothing was asked for"  # noqa: S101 - a bug of the caller
        try:
            done, result = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise self._died(url) from error
        except BaseException:
            self.close()
            raise
        if done is None:
            self._ready = True
        elif not done:
            raise result
        return result

    def overdue(self, url: str, limit: float) -> WorkerError:
        """Stop the process, and return the error that says why."""
        self.close()
        return WorkerError(
            f"scanning did not end within {limit:g} s",
            url=url,
            hint="raise `timeout`, or leave the file out",
        )

    @property
    def working(self) -> bool:
        """Whether the process has begun to work; loading Python takes its time."""
        return self._ready

    def _start(self, url: str) -> Connection:
        if self._pipe is None:
            from multiprocessing import get_context

            context = get_context("spawn")
            pipe, theirs = context.Pipe()
            self._pipe = pipe
            self._process = context.Process(target=_serve, args=(theirs, self._idle), daemon=True)
            try:
                with _free_to_start():
                    self._process.start()
            except (OSError, RuntimeError) as error:
                raise self._unborn(url, error) from error
            finally:
                theirs.close()
        return self._pipe

    def _died(self, url: str) -> WorkerError:
        if not self._ready:
            return self._unborn(url, EOFError())
        return WorkerError(
            f"the scanning process died ({self._last_words()})",
            url=url,
            hint="the file is probably damaged; the other files are not affected",
        )

    def _unborn(self, url: str, error: Exception) -> WorkerError:
        return WorkerNotStartedError(
            f"the scanning process did not start ({self._last_words()}: {error})",
            url=url,
            hint="a script that scans in workers needs 'if __name__ == \"__main__\":'",
        )

    def _last_words(self) -> str:
        """Clear a dead process away; return what it died of."""
        process = self._process
        code = None
        if process is not None and process.pid is not None:
            process.join(5)
            code = process.exitcode
        self.close()
        if code is not None and code < 0:
            return f"signal {-code}" + (", perhaps for lack of memory" if code == -9 else "")
        return "no exit code" if code is None else f"exit code {code}"

    def close(self) -> None:
        """Stop the process."""
        self._ready = False
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        process, self._process = self._process, None
        if process is not None and process.pid is not None:
            process.kill()
            process.join()


class WorkerNotStartedError(WorkerError):
    """A scanning process did not come to its first file: no file is to blame."""


@contextmanager
def _free_to_start() -> Iterator[None]:
    """Let a process start another though it is daemonic, as Dask's workers are.

    The rule that forbids it is there lest children be left behind; these end when the pipe to
    whoever started them closes.
    """
    from multiprocessing import current_process

    config = getattr(current_process(), "_config", {})
    daemonic = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemonic is not None:
            config["daemon"] = daemonic


def _serve(pipe: Connection, idle: float | None) -> None:
    """Scan what is asked for, until the other end closes."""
    import signal

    # Ctrl-C reaches the whole group of processes; the other end answers it by stopping this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):
        pipe.send((None, None))
        while idle is None or pipe.poll(idle):
            pipe.send_bytes(_answer(*pipe.recv()))


def _answer(
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None,
    name: str | None,
    options: ScanOptions | None,
    call: Callable[..., Any] | None = None,
    *more: Any,
) -> bytes:
    """Scan one file; return the pickled result or error."""
    from multiprocessing.reduction import ForkingPickler

    try:
        result = (call or scan)(url, storage_options, *more, format=name, options=options)
        answer: tuple[bool, Any] = True, result
        return bytes(ForkingPickler.dumps(answer))
    except MemoryError:
        answer = False, WorkerError("scanning ran out of memory", url=str(url))
    except RefmakerError as error:
        answer = False, error
    except Exception as error:
        # The edge of the process: it tells what it cannot handle, and lives on.
        log.debug("%s", url, exc_info=True)
        answer = False, WorkerError(f"{type(error).__name__}: {error}", url=str(url))
    return bytes(ForkingPickler.dumps(answer))

"""Scanning one file: sniff it, choose a scanner, run it here or in a worker process.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError, WorkerError
from refmaker.scanner import SNIFF_BYTES, choose

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

    from refmaker.model import Group
    from refmaker.report import ScanReport
    from refmaker.scanner import Scanner
    from refmaker.source import Source

__all__ = ["ScanOptions", "Worker", "scan"]

log = logging.getLogger("refmaker.scan")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How to scan; the same for every format.

    Parameters
    ----------
    inline_threshold : int
        Chunks up to this many decoded bytes are kept in the reference set, in the arrays that
        have but one chunk: coordinates and scalars.
    inline_budget : int
        Decoded bytes of one array that may be inlined where its elements cannot be
        referenced, such as variable-length strings.
    chunk_bytes : int, optional
        Target size of the pieces into which uncompressed contiguous data are split or
        joined; None leaves them as stored.
    follow_external : bool
        Follow links and external storage that leave the file's own directory.
    verify_index : bool
        Compare every chunk position with the format's own library while scanning.
    """

    inline_threshold: int = 1024
    inline_budget: int = 16 * 1024**2
    chunk_bytes: int | None = 4 * 1024**2
    follow_external: bool = False
    verify_index: bool = False


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
        Seconds after which a worker is stopped.

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
    if isolate == "always" or (isolate == "auto" and _odd(url, storage_options, format)):
        with Worker() as worker:
            return worker.scan(
                url, storage_options, format=format, options=options, timeout=timeout
            )
    from refmaker.source import Source

    started = time.perf_counter()
    with Source(url, storage_options) as source:
        scanner = choose(source.read_upto(0, SNIFF_BYTES), source.url, format)
        log.debug("%s: %s", source.url, scanner.name)
        group, report = _guarded(scanner, source, options or ScanOptions())
        report.requests, report.bytes_read = source.requests, source.bytes_read
        report.rounds = source.rounds
        report.sources.setdefault(source.url, source.fingerprint)
    report.seconds = time.perf_counter() - started
    return group, report


def _guarded(scanner: Scanner, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
    try:
        return scanner.scan(source, options)
    except RefmakerError as error:
        raise error.located(url=source.url) from error.__cause__


def _odd(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None, name: str | None
) -> bool:
    """Whether a scanner wants to be kept apart when it reads this file."""
    from refmaker.source import Source

    with Source(url, storage_options) as source:
        head = source.read_upto(0, SNIFF_BYTES)
        suspicious = getattr(choose(head, source.url, name), "suspicious", None)
        return bool(suspicious is not None and suspicious(head, source.size))


class Worker:
    """A process that scans files one after another, and may die without harm.

    Use as a context manager. A worker that died or hung is replaced at the next file.
    """

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Worker:
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
    ) -> tuple[Group, ScanReport]:
        """Scan one file in the worker; parameters and result as in `scan`.

        Raises
        ------
        WorkerError
            If the process died, or did not answer in time.
        """
        pipe = self._start()
        try:
            pipe.send((url, storage_options, format, options))
            if not pipe.poll(timeout):
                self._stop()
                raise WorkerError(
                    f"scanning did not end within {timeout:g} s",
                    url=str(url),
                    hint="raise --timeout, or leave the file out",
                )
            done, result = pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join(5)
            code = self._process.exitcode
            self._stop()
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            raise WorkerError(
                f"the scanning process died ({how}): the file makes its format's library abort",
                url=str(url),
                hint="the file is probably damaged; the other files are not affected",
            ) from error
        if not done:
            raise result
        group, report = result
        return group, report

    def _start(self) -> Connection:
        if self._pipe is None:
            from multiprocessing import get_context

            context = get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        return self._pipe

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def close(self) -> None:
        """Stop the process."""
        self._stop()


def _serve(pipe: Connection) -> None:
    """Scan what is asked for, until the other end closes."""
    while True:
        try:
            url, storage_options, name, options = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer: tuple[bool, Any] = (
                True,
                scan(url, storage_options, format=name, options=options),
            )
        except MemoryError:
            answer = (False, WorkerError("out of memory", url=str(url)))
        except RefmakerError as error:
            answer = (False, error)
        except Exception as error:  # noqa: BLE001 - the edge of the process: tell, do not die
            answer = (False, WorkerError(f"{type(error).__name__}: {error}", url=str(url)))
        pipe.send(answer)

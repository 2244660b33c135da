"""Scanning one file: sniff it, choose a scanner, run it here or in a worker process.

This module is imported by ``import refmaker``, so it loads nothing heavy.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from refmaker.errors import RefmakerError, UnsupportedError
from refmaker.scanning.archives import placed_in_archives
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import SNIFF_BYTES, JoiningScanner, choose
from refmaker.scanning.worker import Worker, can_fork

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.model.report import ScanReport
    from refmaker.scanning.protocol import Scanner

__all__ = ["scan", "scan_part", "scan_source"]

log = logging.getLogger("refmaker.scan")

_Made = TypeVar("_Made")
"""What a scan makes of a file."""


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
        The file, or the folder of a Zarr store.
    storage_options : mapping, optional
        Passed to fsspec.
    format : str, optional
        Name of the scanner to use; by default the content decides.
    options : ScanOptions, optional
        How to scan.
    isolate : {"auto", "always", "never"}
        Whether to scan in a worker process, which a library that aborts or hangs takes down
        instead of this one; "auto" does so when the scanner calls the file odd, and for every
        file of a format that is left to a native library where the process can be forked.
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
        from refmaker.io.stores import resolve_store

        url = resolve_store(url, storage_options)
        started = time.perf_counter()
        with Source(url, storage_options) as source:
            head = source.read_upto(0, SNIFF_BYTES)
            scanner = choose(head, source.url, format)
            if isolate == "never" or not _better_apart(scanner, head, source.size):
                return _scan_here(scanner, source, options, started)
    with Worker() as worker:
        found: tuple[Group, ScanReport] = worker.run(
            scan,
            url,
            storage_options,
            format=format,
            options=options,
            name=str(url),
            timeout=timeout,
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
    """
    started = time.perf_counter()
    scanner = choose(source.read_upto(0, SNIFF_BYTES), source.url, format)
    return _scan_here(scanner, source, options or ScanOptions(), started)


def scan_part(
    source: Source,
    format: str | None = None,  # noqa: A002 - the word users know
    options: ScanOptions | None = None,
) -> tuple[bytes, ScanReport]:
    """Return what is in a file whose scanner joins files before it makes a tree of them.

    Parameters
    ----------
    source : Source
        The file, which stays open.
    format : str, optional
        Name of the scanner to use.

    Raises
    ------
    UnsupportedError
        If the scanner of its format does no such thing.
    """
    started = time.perf_counter()
    scanner = choose(source.read_upto(0, SNIFF_BYTES), source.url, format)
    if not isinstance(scanner, JoiningScanner):
        raise UnsupportedError(f"files of the format {scanner.name} are not joined by parts")
    return _watched(scanner.part, source, options or ScanOptions(), started)


def _scan_here(
    scanner: Scanner, source: Source, options: ScanOptions, started: float
) -> tuple[Group, ScanReport]:
    log.debug("%s: %s", source.url, scanner.name)
    group, report = _watched(scanner.scan, source, options, started)
    return placed_in_archives(group, report, source.storage_options), report


def _watched(
    scan: Callable[[Source, ScanOptions], tuple[_Made, ScanReport]],
    source: Source,
    options: ScanOptions,
    started: float,
) -> tuple[_Made, ScanReport]:
    """Scan a file, see that it has not changed meanwhile, and note what that has cost."""
    try:
        made, report = scan(source, options)
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
    return made, report


def _better_apart(scanner: Scanner, head: bytes, size: int) -> bool:
    """Whether a file is scanned in a worker unasked.

    That is so where the scanner calls the file odd, and where its library reads every file and a
    worker costs next to nothing.
    """
    judge = getattr(scanner, "suspicious", None)
    if judge is not None and judge(head, size):
        return True
    return bool(getattr(scanner, "calls_library", False)) and can_fork()

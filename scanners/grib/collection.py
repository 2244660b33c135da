"""Many files as one tree: their message tables are joined before anything is placed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, RefmakerError
from refmaker.io.source import Source, local_path
from refmaker.model.report import Cost, Outcome, ScanReport
from refmaker.scanners.grib.assembly import assemble
from refmaker.scanners.grib.file_table import file_table
from refmaker.scanners.grib.message_table import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model import Group
    from refmaker.model.report import Fingerprint
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanning.options import ScanOptions

__all__ = ["collect"]

_AT_ONCE = 8
"""Remote files that are walked at a time: each waits for its own answers."""


def collect(
    urls: Sequence[str],
    storage_options: Mapping[str, Any] | None,
    values: dict[str, str],
    options: ScanOptions,
) -> tuple[Group, ScanReport]:
    """Return one reference set of many files; see `GRIBScanner.collect`.

    Parameters
    ----------
    urls : sequence of str
        The files.
    storage_options : mapping or None
        Passed to fsspec.
    values : dict
        Of the scanner's settings.
    options : ScanOptions
        As for a scan.
    """
    # The order of their names, so that the tree does not depend on that of the arguments.
    names = sorted(dict.fromkeys(urls))

    def read(url: str) -> _File:
        return _File(url, storage_options, values)

    if all(local_path(url) is not None for url in names):
        files = [read(url) for url in names]
    else:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            files = list(threads.map(read, names))
    good = [file for file in files if file.table is not None]
    if not good:
        raise files[0].error or FormatError("no file", hint="name what to scan")
    report = ScanReport(good[0].url, format="grib")
    report.sources = {file.url: file.fingerprint for file in good if file.fingerprint is not None}
    tables = [file.table for file in good if file.table is not None]
    group = assemble(joined(tables), [file.url for file in good], values, options, report)
    for file in files:
        _account(file, report)
    return group, report


class _File:
    """One file, read as far as its headers; what keeps it from being read costs it alone."""

    def __init__(
        self, url: str, storage_options: Mapping[str, Any] | None, values: Mapping[str, str]
    ) -> None:
        self.url = url
        self.table: MessageTable | None = None
        self.fingerprint: Fingerprint | None = None
        self.damages: list[tuple[str, str, str]] = []
        self.error: RefmakerError | None = None
        self.warnings = ScanReport(url, format="grib")
        self.cost = Cost()
        try:
            with Source(url, storage_options) as source:
                self.url = source.url
                self.table, self.damages = file_table(source, values, self.warnings)
                self.fingerprint = source.fingerprint
                self.cost = Cost(source.requests, source.bytes_read, source.rounds)
        except RefmakerError as error:
            self.error = error


def _account(file: _File, report: ScanReport) -> None:
    """Say what became of a file."""
    if file.error is not None:
        code = getattr(file.error, "code", "") or "unreadable"
        report.add(file.url, Outcome.SKIPPED, str(file.error), code)
    for text in file.warnings.warnings:
        report.warn(f"{file.url}: {text}")
    for path, reason, code in file.damages:
        report.add(f"/_damaged/{file.url}/{path}", Outcome.SKIPPED, reason, code)
    report.requests += file.cost.requests
    report.bytes_read += file.cost.bytes_read
    report.rounds += file.cost.rounds

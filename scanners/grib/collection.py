"""Many files as one tree: their message tables are joined before anything is placed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError
from refmaker.io.source import local_path
from refmaker.model.report import Cost, Outcome, ScanReport
from refmaker.scanners.grib.assembly import assemble
from refmaker.scanners.grib.file_table import scanned_file
from refmaker.scanners.grib.mapped_files import map_files
from refmaker.scanners.grib.message_table import joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refmaker.model import Group
    from refmaker.scanners.grib.file_table import ScannedFile
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

    cost = Cost()
    if values["sidecar"] == "map":
        files = map_files(names, storage_options, values, cost)
    else:
        files = _walked(names, storage_options, values)
    good = [file for file in files if file.table is not None]
    if not good:
        raise files[0].error or FormatError("no file", hint="name what to scan")
    report = ScanReport(good[0].url, format="grib")
    report.sources = {file.url: file.fingerprint for file in good if file.fingerprint is not None}
    tables = [file.table for file in good if file.table is not None]
    group = assemble(joined(tables), [file.url for file in good], values, options, report)
    report.requests, report.bytes_read, report.rounds = cost.requests, cost.bytes_read, cost.rounds
    for file in files:
        _account(file, report)
    return group, report


def _walked(
    names: Sequence[str], storage_options: Mapping[str, Any] | None, values: Mapping[str, str]
) -> list[ScannedFile]:
    """Read the headers of all files."""
    if all(local_path(url) is not None for url in names):
        return [scanned_file(url, storage_options, values) for url in names]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda url: scanned_file(url, storage_options, values), names))


def _account(file: ScannedFile, report: ScanReport) -> None:
    """Say what became of a file."""
    if file.error is not None:
        code = getattr(file.error, "code", "") or "unreadable"
        report.add(file.url, Outcome.SKIPPED, str(file.error), code)
    for text in file.warnings:
        report.warn(f"{file.url}: {text}")
    if file.listed:
        report.add(file.url, Outcome.METADATA, file.listed, "from-list")
    for path, reason, code in file.damages:
        report.add(f"/_damaged/{file.url}/{path}", Outcome.SKIPPED, reason, code)
    report.requests += file.cost.requests
    report.bytes_read += file.cost.bytes_read
    report.rounds += file.cost.rounds

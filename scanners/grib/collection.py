"""Many files as one tree: their fields are joined before anything is placed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError
from refmaker.io.source import Source, local_path
from refmaker.model.report import Cost, Outcome, ScanReport
from refmaker.scanners.grib.assembly import SETTINGS, assemble
from refmaker.scanners.grib.file_fields import FileFields
from refmaker.scanners.grib.file_table import file_table, scanned_file
from refmaker.scanners.grib.mapped_files import map_files
from refmaker.scanners.grib.memory import regained, remembered
from refmaker.scanners.grib.message_table import joined
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refmaker.model import Group
    from refmaker.scanners.grib.file_table import ScannedFile

__all__ = ["collect", "join", "part_of", "parts_of"]

_AT_ONCE = 8
"""Remote files that are walked at a time: each waits for its own answers."""
_DAMAGED = "/_damaged/"

Part = tuple[bytes, ScanReport]
"""The fields of a file as bytes, and the account of its walk."""


def part_of(source: Source, values: Mapping[str, str]) -> Part:
    """Return the fields of a file.

    Parameters
    ----------
    source : Source
        The file.
    values : mapping
        Of the scanner's settings.
    """
    report = ScanReport(source.url, format="grib")
    fields, damages = file_table(source, values, report)
    for path, reason, code in damages:
        report.add(f"{_DAMAGED}{path}", Outcome.SKIPPED, reason, code)
    return fields.to_bytes(), report


def join(
    parts: Iterable[Part], values: dict[str, str], options: ScanOptions
) -> tuple[Group, ScanReport]:
    """Return one reference set of the fields of files; see `GRIBScanner.join`.

    Parameters
    ----------
    parts : iterable of (bytes, ScanReport)
        Of the files, each of which counts once.
    values : dict
        Of the scanner's settings.
    options : ScanOptions
        As for a scan.
    """
    known: dict[bytes, bytes] = {}
    # What files have in common is kept in memory once.
    return _join(
        ((FileFields.from_bytes(data, known), account) for data, account in parts), values, options
    )


def _join(
    files: Iterable[tuple[FileFields, ScanReport]], values: dict[str, str], options: ScanOptions
) -> tuple[Group, ScanReport]:
    """Place the fields of files; what has become of each is in its own account."""
    by_url = {account.url: (fields, account) for fields, account in files}
    # In the order of names, so that the tree does not depend on that of the arguments.
    urls = sorted(by_url)
    if not urls:
        raise FormatError("no file", hint="name what to scan")
    report = ScanReport(urls[0], format="grib")
    fields = [by_url[url][0] for url in urls]
    group = assemble(joined(fields), urls, values, options, report)
    for url in urls:
        account = by_url[url][1]
        report.sources |= account.sources
        _tell(account, report)
    report.parts = remembered(fields, options)
    return group, report


def _tell(account: ScanReport, report: ScanReport) -> None:
    """Say what became of a file."""
    for text in account.warnings:
        report.warn(f"{account.url}: {text}")
    for row in account.rows:
        path = account.url
        if row.path.startswith(_DAMAGED):
            path = f"{_DAMAGED}{account.url}/{row.path.removeprefix(_DAMAGED)}"
        report.add(path, row.outcome, row.reason, row.code)
    report.requests += account.requests
    report.bytes_read += account.bytes_read
    report.rounds += account.rounds


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
    names = sorted(dict.fromkeys(urls))
    cost = Cost()
    if values["sidecar"] == "map":
        files = map_files(names, storage_options, values, cost)
    else:
        files = _walked(names, storage_options, values)
    good = [(file.table, _account(file)) for file in files if file.table is not None]
    if not good:
        raise files[0].error or FormatError("no file", hint="name what to scan")
    group, report = _join(good, values, options)
    for file in files:
        if file.error is not None:
            code = getattr(file.error, "code", "") or "unreadable"
            report.add(file.url, Outcome.SKIPPED, str(file.error), code)
    report.requests += cost.requests
    report.bytes_read += cost.bytes_read
    report.rounds += cost.rounds
    return group, report


def _walked(
    names: Sequence[str], storage_options: Mapping[str, Any] | None, values: Mapping[str, str]
) -> list[ScannedFile]:
    """Read the headers of all files."""
    if all(local_path(url) is not None for url in names):
        return [scanned_file(url, storage_options, values) for url in names]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(lambda url: scanned_file(url, storage_options, values), names))


def _account(file: ScannedFile) -> ScanReport:
    """Return what became of a file that was read."""
    report = ScanReport(file.url, format="grib", warnings=list(file.warnings))
    if file.fingerprint is not None:
        report.sources = {file.url: file.fingerprint}
    if file.listed:
        report.add(file.url, Outcome.METADATA, file.listed, "from-list")
    for path, reason, code in file.damages:
        report.add(f"{_DAMAGED}{path}", Outcome.SKIPPED, reason, code)
    report.requests, report.bytes_read = file.cost.requests, file.cost.bytes_read
    report.rounds = file.cost.rounds
    return report


def parts_of(
    group: Group, report: ScanReport, values: dict[str, str]
) -> tuple[list[Part], ScanOptions] | None:
    """Return the parts that a set was joined of; see `GRIBScanner.parts`.

    Parameters
    ----------
    group : Group
        The root group.
    report : ScanReport
        What the set says of itself.
    values : dict
        Usual values of the scanner's settings.
    """
    chosen = group.attributes.get(SETTINGS, {})
    found = regained(group, report, {**values, **chosen}) if isinstance(chosen, dict) else None
    if found is None:
        return None
    options = ScanOptions(inline_threshold=report.parts["inline"], settings=chosen)
    return [(fields.to_bytes(), account) for fields, account in found], options

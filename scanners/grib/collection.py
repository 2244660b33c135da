"""Many files as one tree: their fields are joined before anything is placed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, RefmakerError
from refmaker.io.source import local_path
from refmaker.model.report import Cost, Outcome, ScanReport
from refmaker.scanners.grib.assembly import RECORDED, SETTINGS, assemble
from refmaker.scanners.grib.file_fields import FileFields
from refmaker.scanners.grib.file_table import DAMAGED, read_part
from refmaker.scanners.grib.mapped_files import map_files
from refmaker.scanners.grib.memory import regained, remembered
from refmaker.scanners.grib.message_table import joined
from refmaker.scanning.options import ScanOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refmaker.model import Group
    from refmaker.scanners.grib.file_table import Part

__all__ = ["collect", "join", "parts_of"]

_AT_ONCE = 8
"""Remote files that are walked at a time: each waits for its own answers."""


def join(
    parts: Iterable[Part], values: dict[str, str], options: ScanOptions
) -> tuple[Group, ScanReport]:
    """Return one reference set of the fields of files; see `GRIBScanner.join`.

    Parameters
    ----------
    parts : iterable of (bytes, ScanReport)
        Of the files, each of which counts once.
    """
    known: dict[bytes, bytes] = {}
    by_url: dict[str, tuple[FileFields, ScanReport]] = {}
    for data, account in parts:
        # What files have in common is kept in memory once.
        by_url[account.url] = FileFields.from_bytes(data, known), account
    # In the order of names, so that the tree does not depend on that of the arguments.
    files = [by_url[url] for url in sorted(by_url)]
    if not files:
        raise FormatError("no file", hint="name what to scan")
    report = ScanReport(files[0][1].url, format="grib")
    for _, account in files:
        report.sources |= account.sources
    fields = [found for found, _ in files]
    group = assemble(joined(fields), sorted(by_url), values, options, report)
    for _, account in files:
        _tell(account, report)
    report.parts = remembered(fields, options)
    return group, report


def _tell(account: ScanReport, report: ScanReport) -> None:
    """Say what became of a file."""
    for text in account.warnings:
        report.warn(f"{account.url}: {text}")
    for row in account.rows:
        path = row.path
        if path.startswith(DAMAGED):
            path = f"{DAMAGED}{account.url}/{path.removeprefix(DAMAGED)}"
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
    """Return one reference set of many files; see `GRIBScanner.collect`."""
    names = sorted(dict.fromkeys(urls))

    cost = Cost()
    if values["index-files"] == "map":
        found = map_files(names, storage_options, values, cost)
    elif all(local_path(url) is not None for url in names):
        found = [read_part(url, storage_options, values) for url in names]
    else:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = list(threads.map(lambda url: read_part(url, storage_options, values), names))
    good = [one for one in found if not isinstance(one, RefmakerError)]
    bad = {
        url: one for url, one in zip(names, found, strict=True) if isinstance(one, RefmakerError)
    }
    if not good:
        raise next(iter(bad.values()), None) or FormatError("no file", hint="name what to scan")
    group, report = join(good, values, options)
    report.requests += cost.requests
    report.bytes_read += cost.bytes_read
    report.rounds += cost.rounds
    for url, error in bad.items():
        code = getattr(error, "code", "") or "unreadable"
        report.add(url, Outcome.SKIPPED, str(error), code)
    return group, report


def parts_of(
    group: Group, report: ScanReport, values: dict[str, str]
) -> tuple[list[Part], ScanOptions] | None:
    """Return the parts that a set was joined of; see `GRIBScanner.parts`.

    Parameters
    ----------
    report : ScanReport
        What the set says of itself.
    values : dict
        Usual values of the scanner's settings.
    """
    chosen: Any = group.attributes.get(SETTINGS, {})
    if not isinstance(chosen, dict):
        return None
    today: dict[str, str] = {
        RECORDED.get(str(name), str(name)): value for name, value in chosen.items()
    }
    found = regained(group, report, values | today)
    if found is None:
        return None
    options = ScanOptions(inline_threshold=report.parts["inline"], settings=chosen)
    return [(fields.to_bytes(), account) for fields, account in found], options

"""The message table of one file: its headers walked, what is damaged or strange named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.file_fields import file_fields
from refmaker.scanners.grib.reader import HeaderReader
from refmaker.scanners.grib.sidecars import walk_file
from refmaker.scanners.grib.strangers import gaps_in_words, nothing_found, refuse_others
from refmaker.scanners.grib.walk import MessageWalk
from refmaker.scanning.protocol import SNIFF_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.scanners.grib.file_fields import FileFields
    from refmaker.scanners.grib.sidecars import Offsets

__all__ = ["DAMAGED", "Part", "file_table", "part_of", "read_part"]

DAMAGED = "/_damaged/"
"""How paths of rows begin that are damaged messages."""
_WARNINGS = 3
"""Gaps that are named one by one at most."""


Part = tuple[bytes, ScanReport]
"""The fields of a file as bytes, and the account of its walk."""


def read_part(
    url: str,
    storage_options: Mapping[str, Any] | None,
    values: Mapping[str, str],
    found: FieldList | None = None,
    known: Offsets | None = None,
) -> Part | RefmakerError:
    """Return the fields of one of many files, or what keeps it from being read.

    Parameters
    ----------
    found, known
        As for `file_table`.
    """
    try:
        with Source(url, storage_options) as source:
            data, report = part_of(source, values, found, known)
            report.sources = {source.url: source.fingerprint}
            report.requests, report.bytes_read = source.requests, source.bytes_read
            report.rounds = source.rounds
            return data, report
    except RefmakerError as error:
        return error


def part_of(
    source: Source,
    values: Mapping[str, str],
    found: FieldList | None = None,
    known: Offsets | None = None,
) -> Part:
    """Return the fields of a file.

    Parameters
    ----------
    found, known
        As for `file_table`.
    """
    report = ScanReport(source.url, format="grib")
    fields, damages = file_table(source, values, report, found, known)
    for path, reason, code in damages:
        report.add(f"{DAMAGED}{path}", Outcome.SKIPPED, reason, code)
    return fields.to_bytes(), report


def file_table(
    source: Source,
    values: Mapping[str, str],
    report: ScanReport,
    found: FieldList | None = None,
    known: Offsets | None = None,
) -> tuple[FileFields, list[tuple[str, str, str]]]:
    """Return the fields of a file, and its damaged messages: where, why, and a code.

    Parameters
    ----------
    found : FieldList, optional
        Takes the fields; a new one by default.
    known : Offsets, optional
        A list of its messages, where it was looked for already.

    Raises
    ------
    FormatError, UnsupportedError
        As for `GRIBScanner.scan`.
    """
    head = source.read_upto(0, SNIFF_BYTES)
    refuse_others(head, source.url)
    found = FieldList() if found is None else found
    with HeaderReader(source) as reader:
        walk = MessageWalk(reader, found)
        walk_file(walk, source, values["index-files"], report, known)
    if not found.mark():
        raise nothing_found(walk.damage, head)
    for text in gaps_in_words(walk.gaps, _WARNINGS, source):
        report.warn(text)
    damages = [(f"byte_{one.offset}", one.reason, one.code) for one in walk.damage]
    fields = file_fields(found)
    for text in found.notes:
        report.warn(text)
    return fields, damages

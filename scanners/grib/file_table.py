"""The message table of one file: its headers walked, what is damaged or strange named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError
from refmaker.io.source import Source
from refmaker.model.report import Cost, ScanReport
from refmaker.scanners.grib.eccodes_process import unnamed
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.message_table import message_table
from refmaker.scanners.grib.reader import HeaderReader
from refmaker.scanners.grib.sidecars import walk_file
from refmaker.scanners.grib.strangers import gaps_in_words, nothing_found, refuse_others
from refmaker.scanners.grib.walk import MessageWalk
from refmaker.scanning.protocol import SNIFF_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.model.report import Fingerprint
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.sidecars import Offsets

__all__ = ["ScannedFile", "file_table", "scanned_file"]

_WARNINGS = 3
"""Gaps that are named one by one at most."""


@dataclass(slots=True)
class ScannedFile:
    """One of many files, read as far as its headers, or not at all: what keeps it costs it alone.

    Attributes
    ----------
    url : str
        The absolute path or the URL, as it goes into references.
    table : MessageTable or None
        Its fields; None after an error.
    fingerprint : Fingerprint or None
        The file as it was.
    damages : list of (str, str, str)
        Where messages are damaged, why, and a code.
    error : RefmakerError or None
        Why it could not be read.
    warnings : list of str
    cost : Cost
    listed : str
        How many of its fields are known from which list, in a sentence; empty where all are read.
    """

    url: str
    table: MessageTable | None = None
    fingerprint: Fingerprint | None = None
    damages: list[tuple[str, str, str]] = field(default_factory=list)
    error: RefmakerError | None = None
    warnings: list[str] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    listed: str = ""


def scanned_file(
    url: str,
    storage_options: Mapping[str, Any] | None,
    values: Mapping[str, str],
    found: FieldList | None = None,
    known: Offsets | None = None,
) -> ScannedFile:
    """Return one of many files, read as far as its headers.

    Parameters
    ----------
    url : str
        The file.
    storage_options : mapping or None
        Passed to fsspec.
    values : mapping
        Of the scanner's settings.
    found, known
        As for `file_table`.
    """
    file = ScannedFile(url)
    report = ScanReport(url, format="grib")
    file.warnings = report.warnings
    try:
        with Source(url, storage_options) as source:
            file.url, file.cost = source.url, source
            file.table, file.damages = file_table(source, values, report, found, known)
            file.fingerprint = source.fingerprint
            file.cost = Cost(source.requests, source.bytes_read, source.rounds)
    except RefmakerError as error:
        file.error = error
    return file


def file_table(
    source: Source,
    values: Mapping[str, str],
    report: ScanReport,
    found: FieldList | None = None,
    known: Offsets | None = None,
) -> tuple[MessageTable, list[tuple[str, str, str]]]:
    """Return the fields of a file, and its damaged messages: where, why, and a code.

    Parameters
    ----------
    source : Source
        The file.
    values : mapping
        Of the scanner's settings.
    report : ScanReport
        Takes warnings.
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
        walk_file(walk, source, values["sidecar"], report, known)
    if not found.mark():
        raise nothing_found(walk.damage, head)
    for text in gaps_in_words(walk.gaps, _WARNINGS, source):
        report.warn(text)
    damages = [(f"byte_{one.offset}", one.reason, one.code) for one in walk.damage]
    table = message_table(found)
    numbered = unnamed(table.sections)
    if numbered:
        report.warn(
            f"{numbered} of {len(table.sections)} kinds of fields may have numbers where they have"
            " names: ecCodes, which would be asked, is not installed"
            " (pip install 'refmaker[grib]', and scan again)"
        )
    return table, damages

"""The message table of one file: its headers walked, what is damaged named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refmaker.errors import FormatError, UnsupportedError
from refmaker.scanners.grib.declared import BZIP2, GZIP
from refmaker.scanners.grib.fields import FieldList
from refmaker.scanners.grib.file_fields import file_fields
from refmaker.scanners.grib.reader import HeaderReader
from refmaker.scanners.grib.sidecars import walk_file
from refmaker.scanners.grib.walk import MessageWalk, gaps_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refmaker.io.source import Source
    from refmaker.model.report import ScanReport
    from refmaker.scanners.grib.file_fields import FileFields

__all__ = ["file_table"]

_WARNINGS = 3
"""Gaps that are named one by one at most."""


def file_table(
    source: Source, values: Mapping[str, str], report: ScanReport
) -> tuple[FileFields, list[tuple[str, str, str]]]:
    """Return the fields of a file, and its damaged messages: where, why, and a code.

    Parameters
    ----------
    source : Source
        The file.
    values : mapping
        Of the scanner's settings.
    report : ScanReport
        Takes warnings.

    Raises
    ------
    FormatError, UnsupportedError
        As for `GRIBScanner.scan`.
    """
    head = source.read_upto(0, 4096)
    if head[:2] == GZIP or head[:3] == BZIP2:
        raise _compressed(head)
    found = FieldList()
    with HeaderReader(source) as reader:
        walk = MessageWalk(reader, found)
        walk_file(walk, source, values["sidecar"], report)
    for text in gaps_in_words(walk.gaps, _WARNINGS):
        report.warn(text)
    if not found.mark():
        raise _nothing(walk)
    fields = file_fields(found)
    for text in found.notes:
        report.warn(text)
    damages = [(f"byte_{one.offset}", one.reason, one.code) for one in walk.damage]
    return fields, damages


def _compressed(head: bytes) -> UnsupportedError:
    name = "gzip" if head[:2] == GZIP else "bzip2"
    tool = "gunzip" if name == "gzip" else "bunzip2"
    return UnsupportedError(
        f"the file is compressed with {name} as a whole, so that no message has a byte range",
        code="compressed",
        hint=f"decompress it ({tool}) and scan what comes out",
    )


def _nothing(walk: MessageWalk) -> FormatError:
    for damage in walk.damage:
        return FormatError(f"no whole message: {damage.reason}", offset=damage.offset)
    return FormatError(
        "no GRIB message in the file", hint="GRIB files hold messages from 'GRIB' to '7777'"
    )

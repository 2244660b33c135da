"""The scanner of GRIB files: walk, message table, layout, account."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, UnsupportedError
from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.grib.declared import BZIP2, FORMAT, GZIP
from refmaker.scanning.protocol import setting_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanners.grib.message_table import MessageTable
    from refmaker.scanners.grib.walk import MessageWalk
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["GRIBScanner", "table_of"]

_WARNINGS = 3
"""Gaps that are named one by one at most."""


class GRIBScanner:
    """Scanner of GRIB files, editions 1 and 2, mixed as they come.

    Attributes
    ----------
    name : str
        ``"grib"``.
    suffixes : tuple of str
        Usual file name endings.
    settings : tuple of Setting
        ``layout``, ``sidecar`` and ``precision``.
    """

    name = FORMAT.name
    suffixes = FORMAT.suffixes
    settings = FORMAT.settings

    def sniff(self, head: bytes, url: str) -> float:
        """Return how sure it is that a file is GRIB.

        Parameters
        ----------
        head : bytes
            The file's first bytes: 1.0 where a message begins there, less where one begins
            after a bulletin header, or inside gzip or bzip2.
        url : str
            Not looked at.
        """
        return FORMAT.sniff(head, url)

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a file and what became of each of its fields.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            ``settings`` choose the layout, the use of sidecars and the precision; grid
            definitions of up to ``inline_threshold`` bytes are inlined.

        Returns
        -------
        Group
            The root group, in the layout asked for. Its attribute ``refmaker:fields`` counts
            fields: ``found = placed + duplicates + unsorted``.
        ScanReport
            A row for every array, which says how many fields it holds, and for every damaged
            message.

        Raises
        ------
        FormatError
            If there is no whole message in the file.
        UnsupportedError
            If the file is compressed as a whole, with code ``compressed``.
        """
        from refmaker.scanners.grib.assembly import assemble

        values = setting_values(self, options)
        report = ScanReport(source.url, format=self.name)
        table, damages = table_of(source, values, report)
        group = assemble(table, (source.url,), values, options, report)
        for path, reason, code in damages:
            report.add(f"/_damaged/{path}", Outcome.SKIPPED, reason, code)
        return group, report

    def collect(
        self,
        urls: Sequence[str],
        storage_options: Mapping[str, Any] | None,
        options: ScanOptions,
    ) -> tuple[Group, ScanReport]:
        """Return one reference set of the fields of many files, whatever their order.

        Parameters
        ----------
        urls : sequence of str
            The files: of one forecast hour, run or member each, as a rule.
        storage_options : mapping or None
            Passed to fsspec.
        options : ScanOptions
            As for `scan`.

        Returns
        -------
        Group
            The tree that a scan of all files one after the other would give, in the order of
            their names.
        ScanReport
            A row for every array, every damaged message and every file that cannot be read.

        Raises
        ------
        FormatError
            If there is no whole message in any file.
        """
        from refmaker.scanners.grib.collection import collect

        return collect(urls, storage_options, setting_values(self, options), options)

    def summary(self, group: Group) -> list[dict[str, Any]]:
        """Return the table of a reference set's variables; see `refmaker.scanners.grib.summary`.

        Parameters
        ----------
        group : Group
            What a scan returned, or what was read of a written set.
        """
        from refmaker.scanners.grib.summary import summary

        return summary(group)

    @contextmanager
    def native_collection(
        self, urls: Sequence[str], storage_options: Mapping[str, Any] | None
    ) -> Iterator[LibraryReader]:
        """Open many files with ecCodes.

        Parameters
        ----------
        urls : sequence of str
            The files.
        storage_options : mapping or None
            Passed to fsspec.

        Raises
        ------
        MissingDependencyError
            If ecCodes is not installed.
        """
        from refmaker.scanners.grib.eccodes_reader import open_collection

        with open_collection(urls, storage_options) as native:
            yield native

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with ecCodes.

        Parameters
        ----------
        source : Source
            The file.

        Raises
        ------
        MissingDependencyError
            If ecCodes is not installed.
        """
        from refmaker.scanners.grib.eccodes_reader import open_native

        with open_native(source) as native:
            yield native


def table_of(
    source: Source, values: Mapping[str, str], report: ScanReport
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

    Raises
    ------
    FormatError, UnsupportedError
        As for `GRIBScanner.scan`.
    """
    from refmaker.scanners.grib.fields import FieldList
    from refmaker.scanners.grib.message_table import message_table
    from refmaker.scanners.grib.reader import HeaderReader
    from refmaker.scanners.grib.sidecars import walk_file
    from refmaker.scanners.grib.walk import MessageWalk, gaps_in_words

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
    damages = [(f"byte_{one.offset}", one.reason, one.code) for one in walk.damage]
    return message_table(found), damages


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

"""The scanner of GRIB files: walk, message table, layout, account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.grib.declared import FORMAT
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.options import ScanOptions
from refmaker.scanning.protocol import setting_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["GRIBScanner"]


class GRIBScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of GRIB files, editions 1 and 2, mixed as they come.

    Attributes
    ----------
    name : str
        ``"grib"``.
    suffixes : tuple of str
        Usual file name endings.
    settings : tuple of Setting
        ``grib-grouping``, ``index-files``, ``probes`` and ``precision``.
    """

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
        from refmaker.scanners.grib.file_table import file_table
        from refmaker.scanners.grib.memory import remembered
        from refmaker.scanners.grib.message_table import joined

        values = setting_values(self, options)
        report = ScanReport(source.url, format=self.name)
        table, damages = file_table(source, values, report)
        group = assemble(joined([table]), (source.url,), values, options, report)
        for path, reason, code in damages:
            report.add(f"/_damaged/{path}", Outcome.SKIPPED, reason, code)
        report.parts = remembered([table], options)
        return group, report

    def part(self, source: Source, options: ScanOptions) -> tuple[bytes, ScanReport]:
        """Return the fields of a file, for `join`."""
        from refmaker.scanners.grib.file_table import part_of

        return part_of(source, setting_values(self, options))

    def reads_together(self, options: ScanOptions) -> bool:
        """Tell whether some files of a set teach what others hold, as index files do."""
        return setting_values(self, options)["index-files"] == "map"

    def join(
        self, parts: Iterable[tuple[bytes, ScanReport]], options: ScanOptions
    ) -> tuple[Group, ScanReport]:
        """Return one reference set of files, whatever the order of their parts."""
        from refmaker.scanners.grib.collection import join

        return join(parts, setting_values(self, options), options)

    def parts(
        self, group: Group, report: ScanReport
    ) -> tuple[list[tuple[bytes, ScanReport]], ScanOptions] | None:
        """Return the parts that a set was joined of, and how; None where it does not say."""
        from refmaker.scanners.grib.collection import parts_of

        return parts_of(group, report, setting_values(self, ScanOptions()))

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
        """Return the table of a reference set's variables; see `refmaker.scanners.grib.summary`."""
        from refmaker.scanners.grib.summary import summary

        return summary(group)

    def native_collection(
        self, urls: Sequence[str], storage_options: Mapping[str, Any] | None
    ) -> AbstractContextManager[LibraryReader]:
        """Open many files with ecCodes."""
        from refmaker.scanners.grib.eccodes_reader import open_collection

        return open_collection(urls, storage_options)

    def native(self, source: Source) -> AbstractContextManager[LibraryReader]:
        """Open the file with ecCodes."""
        return self.native_collection([source.url], source.storage_options)

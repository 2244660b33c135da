"""The TIFF scanner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.model.report import Outcome, ScanReport
from refmaker.scanners.tiff.declared import FORMAT, is_companion
from refmaker.scanners.tiff.directory import read_directory
from refmaker.scanners.tiff.pages import Pages
from refmaker.scanners.tiff.series import tree
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.protocol import SNIFF_BYTES, setting_values

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["TIFFScanner"]


class TIFFScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of TIFF and BigTIFF files.

    Attributes
    ----------
    name : str
        ``"tiff"``.
    suffixes : tuple of str
        Usual file name endings.
    settings : tuple of Setting
        What users may choose.
    """

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a file and what became of each of its images.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            Uncompressed contiguous data are cut or joined towards ``chunk_bytes``; filled-up
            last strips are inlined within ``inline_budget``.

        Raises
        ------
        FormatError, TruncatedError
            If the file does not start like TIFF, or its first directory cannot be read.
        """
        report = ScanReport(source.url, format=self.name)
        return self.scan_pages(source, options, report)[0], report

    def scan_pages(
        self, source: Source, options: ScanOptions, report: ScanReport
    ) -> tuple[Group, Pages]:
        """Return the reference set of a file, and the pages that it was made of.

        Parameters
        ----------
        options : ScanOptions
            As for `scan`.
        report : ScanReport
            Gets the rows.
        """
        values = setting_values(self, options)
        if is_companion(source.read_upto(0, SNIFF_BYTES), source.url):
            group, pages = tree(None, source, options, report, values)
            _account(pages, report)
            return group, pages
        directory = read_directory(source, trust_stride=values["infer-ifds"] == "yes")
        group, pages = tree(Pages([directory]), source, options, report, values)
        for trouble in directory.troubles:
            report.add(trouble.path, Outcome.SKIPPED, trouble.reason, trouble.code)
        if directory.inferred:
            report.warn(
                f"{directory.inferred} of {directory.main} directories were not read but inferred "
                "from their neighbours (`settings={'infer-ifds': 'yes'}`)"
            )
        _account(pages, report)
        return group, pages

    def summary(self, group: Group) -> list[dict[str, Any]]:
        """Return the table of a reference set's images; see `refmaker.scanners.tiff.summary`."""
        from refmaker.scanners.tiff.summary import summary

        return summary(group)

    def native(self, source: Source) -> AbstractContextManager[LibraryReader]:
        """Open the file with tifffile: a local one in place, any other through its ranges."""
        from refmaker.scanners.tiff.tifffile_reader import open_native

        return open_native(source, self)


def _account(pages: Pages, report: ScanReport) -> None:
    """Give the scanned file's pages that are in no array a row of their own."""
    for page in np.flatnonzero((pages.file == 0) & ~pages.tried).tolist():
        problem = pages.problem(page)
        reason = problem.message if problem else "it is part of no image"
        code = problem.code if problem else "unplaced"
        report.add(pages.path(page), Outcome.SKIPPED, reason, code)
    for text in pages.warnings:
        report.warn(text)

"""HDF4 files: an array for every scientific data set, field of a Vdata and raster image.

Implements the HDF Specification and Developer's Guide 4.2, and the HDF-EOS library's conventions on
top of it (HDF-EOS Library User's Guide, volume 1).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from refmaker.io.related_files import RelatedFiles
from refmaker.model.report import ScanReport
from refmaker.scanners.hdf4.declared import FORMAT
from refmaker.scanners.hdf4.tree import Tree
from refmaker.scanning.declaration import DeclaredScanner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["HDF4Scanner"]


class HDF4Scanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of HDF4 and HDF-EOS2 files."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a file and what became of each object in it.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            Data of up to ``inline_threshold`` bytes are inlined, contiguous ones cut towards
            ``chunk_bytes``; data in several places that no chunks fit are inlined up to
            ``inline_budget``.

        Returns
        -------
        Group
            The root holds the file's attributes and the objects that belong to no HDF-EOS
            structure; a group below it each grid and swath with its fields and coordinates, and
            each Vdata of several fields.
        ScanReport
            A row for the root (``/``) and every object.

        Raises
        ------
        FormatError, TruncatedError
            If the file is none of HDF4, or its first block of descriptors is damaged.
        """
        report = ScanReport(source.url, format=self.name)
        with RelatedFiles(source, anywhere=options.follow_external) as files:
            group = Tree(source, files, options, report).group()
            report.missing.extend(files.missing)
            for url, other in files.opened.items():
                report.sources[url] = other.fingerprint
        return group, report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the file with the HDF library, by pyhdf.

        Parameters
        ----------
        source : Source
            A local file is opened in place, any other is copied to a temporary one.

        Raises
        ------
        MissingDependencyError
            If pyhdf is not installed.
        FormatError
            If the library does not open the file.
        """
        from refmaker.scanners.hdf4.pyhdf_reader import open_hdf4

        with open_hdf4(source) as reader:
            yield reader

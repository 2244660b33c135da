"""The scanner of DICOM files: one, or the many that series and slides consist of."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, MetadataError, UnknownFormatError
from refmaker.io.first_bytes import REMOTE
from refmaker.io.known_heads import FirstBytes, with_heads
from refmaker.model.report import Cost, ScanReport
from refmaker.scanners.dicom.declared import FORMAT, SALT
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.protocol import setting_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.io.source import Source
    from refmaker.model import Group
    from refmaker.scanners.dicom.options import DICOMOptions
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["DICOMScanner"]


class DICOMScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of DICOM files.

    Attributes
    ----------
    name : str
        ``"dicom"``.
    suffixes : tuple of str
        Usual file name endings; most DICOM files have none.
    settings : tuple of Setting
        What only DICOM needs to know.
    """

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of one file.

        Parameters
        ----------
        source : Source
            The file.
        options : ScanOptions
            Native frames are cut or joined towards ``chunk_bytes``.

        Returns
        -------
        Group
            The array ``image`` with its coordinates, or the levels of a slide; nothing if the
            object is no image, or none that can be referenced.
        ScanReport
            A row for every array, or for the file if there is none.

        Raises
        ------
        FormatError, TruncatedError
            If the file is damaged; tells tags, never values.
        MetadataError
            If the set would hold identifiers, and ``fail-on-phi`` forbids it.
        """
        from refmaker.scanners.dicom.collection import Collection, read_one
        from refmaker.scanners.dicom.dicomdir import is_directory

        choices = self._choices(options, source.storage_options)
        header = read_one(source, choices)
        if header.pixels is None and is_directory(header):
            head = FirstBytes(source.url, source.read_upto(0, REMOTE), source.fingerprint)
            known = with_heads(source.storage_options, [head])
            return self.collect([source.url], known, options)
        report = ScanReport(source.url, format=self.name)
        found = Collection([header])
        tree = found.planted(choices, report)
        for _, error in tree.refused:
            if isinstance(error, FormatError):
                raise error
        found.account(tree, choices, report)
        return tree.group, report

    def collect(
        self,
        urls: Sequence[str],
        storage_options: Mapping[str, Any] | None,
        options: ScanOptions,
    ) -> tuple[Group, ScanReport]:
        """Return one reference set of many files: studies, series, images.

        Parameters
        ----------
        urls : sequence of str
            The files, in any order; the files that a DICOMDIR among them names are added.
        storage_options : mapping or None
            Passed to fsspec.
        options : ScanOptions
            As for `scan`.

        Returns
        -------
        Group
            A single series is the root group; several lie at ``/study-1/series-1``.
        ScanReport
            A row for every array, and for every file that is in none of them.

        Raises
        ------
        UnknownFormatError
            If there is no DICOM file among them.
        MetadataError
            If the set would hold identifiers, and ``fail-on-phi`` forbids it.
        """
        from refmaker.scanners.dicom.collection import read_all
        from refmaker.scanners.dicom.dicomweb import SCHEME, services

        if services(urls):
            # A frame is what a service sends: no less, no more; and it costs a request.
            settings = {**options.settings, "probe": "none"}
            options = replace(options, chunk_bytes=None, settings=settings)
        choices = self._choices(options, storage_options)
        report = ScanReport(urls[0].removeprefix(SCHEME) if urls else "", format=self.name)
        cost = Cost()
        found = read_all(urls, choices, cost)
        if not found.headers and not found.directories:
            if len(found.failures) == 1 or (found.services and found.failures):
                raise next(iter(found.failures.values()))
            raise UnknownFormatError(
                f"none of {len(urls)} files is a DICOM file that can be read",
                url=urls[0] if urls else None,
            )
        tree = found.planted(choices, report)
        found.account(tree, choices, report)
        report.requests, report.bytes_read = cost.requests, cost.bytes_read
        report.rounds = cost.rounds
        return tree.group, report

    def summary(self, group: Group) -> list[dict[str, Any]]:
        """Return the table of a reference set's images; see `refmaker.scanners.dicom.summary`.

        Parameters
        ----------
        group : Group
            What a scan returned, or what was read of a written set.
        """
        from refmaker.scanners.dicom.summary import summary

        return summary(group)

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open one file with pydicom; see `native_collection`."""
        with self.native_collection([source.url], source.storage_options) as native:
            yield native

    @contextmanager
    def native_collection(
        self, urls: Sequence[str], storage_options: Mapping[str, Any] | None
    ) -> Iterator[LibraryReader]:
        """Open many files with pydicom.

        Parameters
        ----------
        urls : sequence of str
            The files.
        storage_options : mapping or None
            Passed to fsspec.

        Raises
        ------
        MissingDependencyError
            If pydicom is not installed.
        """
        from refmaker.scanners.dicom.collection import read_all
        from refmaker.scanners.dicom.dicomweb import services
        from refmaker.scanners.dicom.pydicom_reader import PydicomReader
        from refmaker.scanning.options import ScanOptions

        options = ScanOptions(settings={"probe": "none"})
        if services(urls):
            options = replace(options, chunk_bytes=None)
        choices = self._choices(options, storage_options)
        found = read_all(urls, choices, Cost())
        tree = found.planted(choices, ScanReport("", format=self.name))
        yield PydicomReader(tree, storage_options)

    def _choices(
        self, options: ScanOptions, storage_options: Mapping[str, Any] | None
    ) -> DICOMOptions:
        """Return what users chose, in the terms of this format."""
        from refmaker.scanners.dicom.metadata import selection
        from refmaker.scanners.dicom.options import DICOMOptions

        values = setting_values(self, options)
        salt = os.environ.get(SALT, "").encode()
        if values["uids"] == "hash" and not salt:
            raise MetadataError(
                "hashing UIDs needs a secret, or anybody could find out which UIDs they were",
                hint=f"set the environment variable {SALT}",
            )
        return DICOMOptions(
            options,
            storage_options,
            selection(values["metadata"]),
            uids=values["uids"],
            salt=salt,
            trust_bits=values["unused-bits"] == "trust",
            slides=values["slide-axes"],
            strict=values["fail-on-phi"] == "yes",
            probe=values["probe"],
            ngff=values["ngff"],
            series_names=values["series-names"],
        )

"""The scanner of DICOM files: one, or the many that series and slides consist of."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refmaker.errors import FormatError, MetadataError, RefmakerError, UnknownFormatError
from refmaker.report import Outcome, ScanReport
from refmaker.scanner import Setting, setting_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refmaker.model import Group
    from refmaker.scan import ScanOptions
    from refmaker.scanner import Native
    from refmaker.scanners.dicom.header import Header
    from refmaker.scanners.dicom.tree import Tree
    from refmaker.scanners.dicom.volumes import Choices
    from refmaker.source import Source

__all__ = ["DICOMScanner"]

SALT = "REFMAKER_UID_SALT"
"""Environment variable with the key of ``--uids hash``: a secret has no place in a command."""


class DICOMScanner:
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

    name = "dicom"
    suffixes: tuple[str, ...] = (".dcm", ".dicom", ".ima")
    settings: tuple[Setting, ...] = (
        Setting(
            "metadata",
            "safe",
            "DICOM attributes to write: safe, all, none, or tags to add, such as 00181030.",
        ),
        Setting(
            "uids",
            "none",
            f"Unique identifiers to write; hash uses the secret in {SALT}.",
            ("none", "hash", "keep"),
        ),
        Setting(
            "fail-on-phi",
            "no",
            "Refuse to make a set that holds identifiers, in attributes or in file names.",
            ("no", "yes"),
        ),
        Setting(
            "bits",
            "check",
            "Trust that bits of a sample beyond BitsStored are clean; readers need no codec then.",
            ("check", "trust"),
        ),
        Setting(
            "slides",
            "ngff",
            "Order of a slide's axes: colour first, as NGFF wants it, or native, as stored.",
            ("ngff", "native"),
        ),
    )

    def sniff(self, head: bytes, url: str) -> float:  # noqa: ARG002 - the protocol's signature
        """Return how sure it is that a file is DICOM: 1.0 with ``DICM`` behind the preamble.

        Parameters
        ----------
        head : bytes
            The file's first bytes.
        url : str
            Not looked at: endings tell nothing in DICOM.
        """
        from refmaker.scanners.dicom.opening import resembles

        return resembles(head)

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
        from refmaker.scanners.dicom.header import read_header

        choices = _choices(self, options, source.storage_options)
        header = read_header(source, _wanted(choices))
        report = ScanReport(source.url, format=self.name)
        tree = _planted([header], choices, report)
        for _, error in tree.refused:
            if isinstance(error, FormatError):
                raise error
        _finish(tree, [header], [source.url], choices, self, options, report)
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
        choices = _choices(self, options, storage_options)
        report = ScanReport(urls[0] if urls else "", format=self.name)
        headers, failures = _headers(urls, choices, report)
        if not headers:
            if len(failures) == 1:
                raise next(iter(failures.values()))
            raise UnknownFormatError(
                f"none of {len(urls)} files is a DICOM file that can be read",
                url=urls[0] if urls else None,
            )
        tree = _planted(headers, choices, report)
        files = [*(header.url for header in headers), *failures]
        _finish(tree, headers, files, choices, self, options, report, failures)
        return tree.group, report

    @contextmanager
    def native(self, source: Source) -> Iterator[Native]:
        """Open one file with pydicom; see `native_collection`."""
        with self.native_collection([source.url], source.storage_options) as native:
            yield native

    @contextmanager
    def native_collection(
        self, urls: Sequence[str], storage_options: Mapping[str, Any] | None
    ) -> Iterator[Native]:
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
        from refmaker.scan import ScanOptions
        from refmaker.scanners.dicom.oracle import Oracle

        choices = _choices(self, ScanOptions(), storage_options)
        report = ScanReport(urls[0] if urls else "", format=self.name)
        headers, _ = _headers(urls, choices, report)
        tree = _planted(headers, choices, report)
        with Oracle(tree, storage_options) as oracle:
            yield oracle


def _choices(
    scanner: DICOMScanner, options: ScanOptions, storage_options: Mapping[str, Any] | None
) -> Choices:
    from refmaker.scanners.dicom.metadata import selection
    from refmaker.scanners.dicom.volumes import Choices

    values = setting_values(scanner, options)
    salt = os.environ.get(SALT, "").encode()
    if values["uids"] == "hash" and not salt:
        raise MetadataError(
            "hashing UIDs needs a secret, or anybody could find out which UIDs they were",
            hint=f"set the environment variable {SALT}",
        )
    return Choices(
        options,
        storage_options,
        selection(values["metadata"]),
        values["uids"],
        salt,
        values["bits"] == "trust",
        values["slides"],
    )


def _wanted(choices: Choices) -> frozenset[int] | None:
    from refmaker.scanners.dicom.wanted import WANTED

    if choices.selection.mode == "all":
        return None
    return WANTED | choices.selection.tags.keys()


def _headers(
    urls: Sequence[str], choices: Choices, report: ScanReport
) -> tuple[list[Header], dict[str, RefmakerError]]:
    """Return the headers of files and of those that their directories name, and the failures."""
    from refmaker.scanners.dicom.header import Failure, read_headers

    wanted = _wanted(choices)
    headers: list[Header] = []
    failures: dict[str, RefmakerError] = {}
    for found in read_headers(urls, choices.storage_options, wanted, cost=report):  # type: ignore[arg-type]
        if isinstance(found, Failure):
            failures[found.url] = found.error
        else:
            headers.append(found)
    return headers, failures


def _planted(headers: Sequence[Header], choices: Choices, report: ScanReport) -> Tree:
    from refmaker.scanners.dicom.tree import plant

    return plant(headers, choices, report)


def _finish(  # noqa: PLR0913, PLR0917 - all that the account is made of
    tree: Tree,
    headers: Sequence[Header],
    files: Sequence[str],
    choices: Choices,
    scanner: DICOMScanner,
    options: ScanOptions,
    report: ScanReport,
    failures: Mapping[str, RefmakerError] | None = None,
) -> None:
    """Account for the files that are not in the tree, and look for identifiers in it."""
    from refmaker.scanners.dicom.privacy import Identifiers, audit, told
    from refmaker.scanners.dicom.tree import code_of, short_names

    names = short_names(files)
    for url, error in (failures or {}).items():
        code = "not-dicom" if isinstance(error, UnknownFormatError) else code_of(error)
        report.add(names[url], Outcome.SKIPPED, error.message, code)
    for header, error in tree.refused:
        report.add(names[header.url], Outcome.SKIPPED, error.message, code_of(error))
    used = {url for _, array in tree.group.arrays() for url in array.chunks.urls}
    report.sources = {h.url: h.fingerprint for h in headers if h.url in used}
    identifiers = Identifiers()
    for header in headers:
        identifiers.add(header)
    found = audit(tree.group, identifiers, uids=choices.uids != "keep")
    if choices.selection.identifies or choices.uids == "keep":
        report.warn("the set holds attributes that may identify the patient, as was asked for")
    if found:
        account = f"the set holds identifiers: {told(found.items())}"
        if setting_values(scanner, options)["fail-on-phi"] == "yes":
            raise MetadataError(account, hint="rename the files, or choose other attributes")
        report.warn(account)

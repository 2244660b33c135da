"""Many files as one collection: read their headers, account for each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refmaker.errors import MetadataError, RefmakerError, UnknownFormatError
from refmaker.model.report import Cost, Outcome, ScanReport
from refmaker.scanners.dicom.copies import DUPLICATE
from refmaker.scanners.dicom.dicomdir import directory_files, is_directory
from refmaker.scanners.dicom.dicomweb import Service, services
from refmaker.scanners.dicom.header import Failure, Header, read_header, read_headers
from refmaker.scanners.dicom.parsed_tags import PARSED_TAGS
from refmaker.scanners.dicom.privacy import Identifiers, audit, told
from refmaker.scanners.dicom.tags import NEEDED
from refmaker.scanners.dicom.tree import Tree, code_of, plant, short_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refmaker.io.source import Source
    from refmaker.scanners.dicom.options import DICOMOptions

__all__ = ["Collection", "read_all", "read_one"]


@dataclass(slots=True)
class Collection:
    """The files of one scan.

    Parameters
    ----------
    headers : list of Header
        Those that hold an object.
    failures : dict of str to RefmakerError
        Those that could not be read, by URL.
    directories : dict of str to str
        Media directories by URL, and what is wrong with them or empty.
    services : dict of str to Service
        DICOMweb services by URL.
    """

    headers: list[Header] = field(default_factory=list)
    failures: dict[str, RefmakerError] = field(default_factory=dict)
    directories: dict[str, str] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    def planted(self, choices: DICOMOptions, report: ScanReport) -> Tree:
        """Return the tree of all studies and series; its arrays get their rows."""
        service = next(iter(self.services.values()), None)
        if service is None:
            return plant(self.headers, choices, report)
        looked = plant(self.headers, choices, ScanReport(report.url))
        refused = service.refused(looked.group, self.headers)
        self.headers = [header for header in self.headers if header.url not in refused]
        self.failures |= refused
        if refused and not self.headers:
            raise next(iter(refused.values()))
        tree = plant(self.headers, choices, report)
        tree.group = service.referenced(tree.group, self.headers, report)
        return tree

    def account(self, tree: Tree, choices: DICOMOptions, report: ScanReport) -> None:
        """Account for the files that are not in the tree, and look for identifiers in it.

        Raises
        ------
        MetadataError
            If there are identifiers in it, and none are allowed; tells kinds and counts.
        """
        files = [*(header.url for header in self.headers), *self.failures, *self.directories]
        names = short_names(files)
        taken = {row.path for row in report.rows}
        # A file may be called like an array.
        names = {url: f"{name} (file)" if name in taken else name for url, name in names.items()}
        for url, wrong in self.directories.items():
            report.add(names[url], Outcome.METADATA, "it names other files", "directory")
            if wrong:
                report.warn(wrong)
        for url, error in self.failures.items():
            code = "not-dicom" if isinstance(error, UnknownFormatError) else code_of(error)
            report.add(names[url], Outcome.SKIPPED, error.message, code)
        for header, error in tree.refused:
            code = code_of(error)
            outcome = Outcome.DUPLICATED if code == DUPLICATE else Outcome.SKIPPED
            report.add(names[header.url], outcome, error.message, code)
        used = {url for _, array in tree.group.arrays() for url in array.chunks.urls}
        if not self.services:
            report.sources = {h.url: h.fingerprint for h in self.headers if h.url in used}
        self._audit(tree, choices, report)

    def _audit(self, tree: Tree, choices: DICOMOptions, report: ScanReport) -> None:
        identifiers = Identifiers()
        identifiers.add(self.headers)
        if choices.identifies:
            report.sensitive = True
            report.warn("the set may identify the patient: more than safe attributes was asked for")
        found = audit(tree.group, identifiers, uids=choices.uids != "keep")
        if not found:
            return
        account = f"the set holds identifiers: {told(found.items())}"
        if choices.strict:
            raise MetadataError(account, hint="rename the files, or choose fewer attributes")
        report.warn(account)


def _wanted(choices: DICOMOptions) -> frozenset[int] | None:
    if choices.selection.mode == "all":
        return None
    return PARSED_TAGS | choices.selection.tags.keys()


def read_one(source: Source, choices: DICOMOptions) -> Header:
    """Return the header of an open file.

    Raises
    ------
    RefmakerError
        As for `header.read_header`.
    """
    return read_header(source, _wanted(choices))


def read_all(urls: Sequence[str], choices: DICOMOptions, cost: Cost) -> Collection:
    """Return the headers of files, and of the files that media directories among them name.

    Parameters
    ----------
    urls : sequence of str
        The files.
    choices : DICOMOptions
        What users chose.
    cost : Cost
        Counted up with every request.
    """
    found = Collection()
    asked = services(urls)
    for url in asked:
        _ask(found, url, choices, cost)
    if asked:
        return found
    named = _read(found, urls, choices, cost)
    while named:
        known = {header.url for header in found.headers} | found.failures.keys()
        # Directories may name others; none is read twice, so that there is no circle.
        known |= found.directories.keys()
        # Names in directories are in capitals, whatever those of the files are in.
        letters = {url.lower(): url for url in known}
        named = [letters.get(url.lower(), url) for url in named]
        further = [url for url in dict.fromkeys(named) if url not in known]
        named = _read(found, further, choices, cost)
    return found


def _ask(found: Collection, url: str, choices: DICOMOptions, cost: Cost) -> None:
    """Add the instances of a service to a collection."""
    wanted = _wanted(choices)
    service = found.services[url] = Service(url, choices.storage_options, cost)
    headers, failures = service.headers(None if wanted is None else wanted | NEEDED)
    found.headers += headers
    found.failures |= failures


def _read(found: Collection, urls: Sequence[str], choices: DICOMOptions, cost: Cost) -> list[str]:
    """Add files to a collection; return those that the media directories among them name."""
    named: list[str] = []
    for header in read_headers(urls, choices.storage_options, _wanted(choices), cost=cost):
        if isinstance(header, Failure):
            found.failures[header.url] = header.error
        elif header.pixels is None and is_directory(header):
            options = choices.storage_options
            files, found.directories[header.url] = directory_files(header, options)
            named += files
        else:
            found.headers.append(header)
    return named

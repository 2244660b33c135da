"""DMR++ documents: the variables of a granule, by what the document says of their places."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import (
    FormatError,
    LimitError,
    RefmakerError,
    SourceError,
    TruncatedError,
    UnsupportedError,
)
from refmaker.io.related_files import RelatedFiles
from refmaker.model import Array, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.tree import nested
from refmaker.scanners.dmrpp.arrays import ArrayBuilder
from refmaker.scanners.dmrpp.dataset import Dataset, attributes_of, maps_of
from refmaker.scanners.dmrpp.declared import FORMAT
from refmaker.scanners.dmrpp.document import MOST, parse_document
from refmaker.scanners.dmrpp.granule import Granule
from refmaker.scanning.declaration import DeclaredScanner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.scanners.dmrpp.dataset import Variable
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["DMRPPScanner"]


class DMRPPScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of DMR++ documents beside their granules."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a granule, by its document alone.

        Parameters
        ----------
        source : Source
            The document. Of its data file only the size is asked for, and small values are read.
        options : ScanOptions
            Data of up to ``inline_threshold`` bytes are inlined, contiguous ones cut towards
            ``chunk_bytes``. ``follow_external`` allows data files outside of the document's
            folder.

        Returns
        -------
        Group
            Groups and variables; the dimensions are named without their groups.
        ScanReport
            A row for every group and variable.

        Raises
        ------
        FormatError, LimitError
            If the document is damaged, or larger than any real one.
        UnsupportedError
            If it declares entities.
        """
        report = ScanReport(source.url, format=self.name)
        if source.size > MOST:
            raise LimitError(f"a document of {source.size} bytes", url=source.url)
        data = source.read(0, source.size)
        if not FORMAT.sniff(data, source.url):
            raise FormatError("not a document of DMR++", url=source.url, offset=0)
        dataset = Dataset(parse_document(data, source.url))
        nodes: dict[str, Array | Group] = {}
        for path, element in dataset.groups():
            nodes[path.lstrip("/")] = Group({}, attributes_of(element, report.warn))
            report.add(path or "/", Outcome.GROUP)
        with RelatedFiles(source, anywhere=options.follow_external) as files:
            granule = Granule(dataset.root, source, files)
            builder = ArrayBuilder(dataset, granule, report, options)
            variables: dict[str, Variable] = {}
            for path, kind, element in dataset.elements():
                try:
                    if path in nodes:
                        raise FormatError("another variable or group has its name")
                    variable = dataset.variable(path, kind, element)
                    nodes[path] = builder.array(variable, attributes_of(element, report.warn))
                    variables[path] = variable
                except RefmakerError as error:
                    _skip(path, error, report)
            report.sources.update((file.url, file.fingerprint) for file in granule.opened)
            report.missing += files.missing
        for path, variable in variables.items():
            array = nodes[path]
            if isinstance(array, Array):
                nodes[path] = _with_coordinates(array, variable, variables)
                _account(path, array, report)
        group = nested(nodes)
        assert isinstance(group, Group)  # noqa: S101 - the root of a document is one
        return group, report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the granule that a document describes with its own library.

        Raises
        ------
        SourceError
            If it is not there.
        UnsupportedError
            If it is of a kind that nothing here reads.
        """
        from refmaker.scanners.dmrpp.granule_reader import open_granule

        with open_granule(source) as reader:
            yield reader


def _skip(path: str, error: RefmakerError, report: ScanReport) -> None:
    """Add the row of a variable that is not kept; of two with one name the first has the row."""
    code = "dmrpp-document"
    if isinstance(error, UnsupportedError):
        code = error.code
    elif isinstance(error, LimitError):
        code = "limit"
    elif isinstance(error, TruncatedError):
        code = "dmrpp-data-size"
    elif isinstance(error, SourceError):
        code = "dmrpp-data-file"
    known = {row.path for row in report.rows}
    name = f"/{path}"
    while name in known:
        name += "_again"
    report.add(name, Outcome.SKIPPED, str(error), code)


def _with_coordinates(array: Array, variable: Variable, variables: dict[str, Variable]) -> Array:
    """Return an array with the attribute that tells its coordinates, where the maps do."""
    names = maps_of(variable, variables)
    if not names or "coordinates" in array.attributes:
        return array
    told: dict[str, Any] = {"coordinates": " ".join(names)}
    return replace(array, attributes={**array.attributes, **told})


def _account(path: str, array: Array, report: ScanReport) -> None:
    """Add the row of an array that is kept."""
    if array.chunks.inlined and not array.chunks.referenced:
        report.add(f"/{path}", Outcome.INLINED, "its values are in the set", "small")
    elif array.nbytes == 0:
        report.add(f"/{path}", Outcome.REFERENCED, "it has no elements", "empty")
    else:
        report.add(f"/{path}", Outcome.REFERENCED)

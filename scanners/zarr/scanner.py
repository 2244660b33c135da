"""Zarr stores: the same groups and arrays, whose chunks are referenced where they lie."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from refmaker.errors import FormatError, LimitError, RefmakerError, TruncatedError, UnsupportedError
from refmaker.io.many_files import FileRange
from refmaker.io.stores import STORE_DOCUMENTS
from refmaker.model import Array, ChunkTable, Group
from refmaker.model.report import Outcome, ScanReport
from refmaker.model.tree import nested
from refmaker.scanners.zarr.arrays import ArrayBuilder
from refmaker.scanners.zarr.declared import CHUNKS, FORMAT, METADATA
from refmaker.scanners.zarr.hierarchy import read_hierarchy
from refmaker.scanning.declaration import DeclaredScanner
from refmaker.scanning.key_store import DOCUMENT_MOST, FolderStore
from refmaker.scanning.protocol import SNIFF_BYTES, setting_values
from refmaker.storage.tree import strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refmaker.io.source import Source
    from refmaker.scanning.key_store import KeyStore
    from refmaker.scanning.options import ScanOptions
    from refmaker.scanning.protocol import LibraryReader

__all__ = ["ZarrScanner"]

_ALONE = "data"
"""Name of the array of a store that is nothing else."""
_SLACK = 1024
"""Bytes by which what codecs make of a small chunk may be larger."""


class ZarrScanner(DeclaredScanner, declaration=FORMAT):
    """Scanner of Zarr stores, version 2 and 3, in folders and zip archives."""

    def scan(self, source: Source, options: ScanOptions) -> tuple[Group, ScanReport]:
        """Return the reference set of a store and what became of each member.

        Parameters
        ----------
        source : Source
            The document at the root of a folder, or a zip archive.
        options : ScanOptions
            Arrays of one chunk and up to ``inline_threshold`` bytes are inlined.
            ``follow_external`` allows links that lead out of a local store; ``settings`` choose
            which metadata count, and what is taken for chunks where a store lists nothing.

        Returns
        -------
        Group
            The groups and arrays of the store. Inner chunks of shards are its chunks.
        ScanReport
            A row for every group and array.

        Raises
        ------
        FormatError, MetadataError, LimitError
            If the document at the root is damaged.
        UnsupportedError
            If the store can list nothing, and nothing is consolidated.
        """
        report = ScanReport(source.url, format=self.name)
        settings = setting_values(self, options)
        store, root = _opened(source, options)
        consolidated = settings[METADATA.name] == "consolidated"
        nodes = read_hierarchy(store, root, report, consolidated=consolidated)
        builder = ArrayBuilder(store, report, options, assume=settings[CHUNKS.name] == "assume")
        arrays: dict[str, Array] = {}
        groups: dict[str, Group] = {}
        in_files = isinstance(store, FolderStore)
        if nodes[""].is_array:
            report.add("/", Outcome.GROUP, *_elsewhere("", in_files=in_files))
        for path, node in sorted(nodes.items()):
            if not node.is_array:
                groups[path] = Group({}, strict(node.attributes))
                report.add(f"/{path}", Outcome.GROUP, *_elsewhere(path, in_files=in_files))
                continue
            name = path or _ALONE
            try:
                arrays[name] = builder.array(node)
            except RefmakerError as error:
                report.add(f"/{name}", Outcome.SKIPPED, str(error), _code(error))
        _inline_small(arrays, store, options)
        for path, array in arrays.items():
            _account(path, array, report)
        _account_links(store, report)
        group = nested({**groups, **arrays})
        assert isinstance(group, Group)  # noqa: S101 - an array has a name here
        return group, report

    @contextmanager
    def native(self, source: Source) -> Iterator[LibraryReader]:
        """Open the store with zarr.

        Raises
        ------
        FormatError
            If zarr does not open it.
        """
        from refmaker.scanners.zarr.zarr_reader import open_zarr

        with open_zarr(source) as reader:
            yield reader


def _opened(source: Source, options: ScanOptions) -> tuple[KeyStore, tuple[str, bytes]]:
    """Return a store, and name and content of the document at its root."""
    if source.read_upto(0, 4) == b"PK\x03\x04":
        from refmaker.scanners.zarr.zip_archive import ZipStore

        archive = ZipStore(source)
        names = archive.names
        name = next(name for name in STORE_DOCUMENTS if name in names)
        (data,) = archive.values([names.index(name)])
        if not isinstance(data, bytes):
            raise data
        return archive, (name, data)
    if source.size > DOCUMENT_MOST:
        raise LimitError(f"a metadata document of {source.size} bytes")
    data = source.read(0, source.size)
    if not FORMAT.sniff(data[:SNIFF_BYTES], source.url):
        raise FormatError("neither a metadata document of Zarr nor a zip archive", offset=0)
    return FolderStore(source, anywhere=options.follow_external), (_role(source.url, data), data)


def _role(url: str, data: bytes) -> str:
    """Return which document it is, by its name or else by what it says."""
    path = url.partition("?")[0] if url.startswith("http") else url
    name = path.rpartition("/")[2]
    if name in STORE_DOCUMENTS:
        return name
    if b'"zarr_consolidated_format"' in data:
        return ".zmetadata"
    if b'"node_type"' in data:
        return "zarr.json"
    return ".zarray" if b'"dtype"' in data else ".zgroup"


def _elsewhere(path: str, *, in_files: bool) -> tuple[str, str]:
    """Return what the row of the root says: that all depends on more than the scanned file."""
    return ("its members are files of their own", "store") if in_files and not path else ("", "")


def _code(error: RefmakerError) -> str:
    """Return the short form of an error."""
    if isinstance(error, UnsupportedError):
        return error.code
    if isinstance(error, LimitError):
        return "limit"
    if isinstance(error, TruncatedError):
        return "truncated"
    return "zarr-chunk" if isinstance(error, FormatError) else "zarr-metadata"


def _inline_small(arrays: dict[str, Array], store: KeyStore, options: ScanOptions) -> None:
    """Take small arrays of one chunk into the set, as they are encoded."""
    most = options.inline_threshold
    wanted = [
        path
        for path, array in arrays.items()
        if array.chunks.size == 1
        and array.chunks.referenced
        and array.nbytes <= most
        and 0 < int(array.chunks.length[0]) <= most + _SLACK
    ]
    ranges = []
    for path in wanted:
        found = arrays[path].chunks
        start = int(found.offset[0])
        ranges.append(FileRange(found.urls[0], start, start + int(found.length[0])))
    for path, data in zip(wanted, store.read(ranges) if ranges else (), strict=True):
        # What cannot be read now is left to whoever reads it: it may pass.
        if isinstance(data, bytes):
            table = ChunkTable.inline(arrays[path].chunks.grid, {0: data})
            arrays[path] = replace(arrays[path], chunks=table)


def _account(path: str, array: Array, report: ScanReport) -> None:
    """Add the row of an array that is kept."""
    if array.chunks.inlined and not array.chunks.referenced:
        reason = "its values are within the inlining threshold"
        report.add(f"/{path}", Outcome.INLINED, reason, "small")
    elif array.nbytes == 0:
        report.add(f"/{path}", Outcome.REFERENCED, "it has no elements", "empty")
    else:
        report.add(f"/{path}", Outcome.REFERENCED)


def _account_links(store: KeyStore, report: ScanReport) -> None:
    """Add rows of links that were not followed, but for those that cost an array."""
    known = {row.path for row in report.rows}
    for name in () if store.listing is None else store.listing.outside:
        parts = f"/{name}".split("/")
        above = {"/".join(parts[: count + 1]) for count in range(1, len(parts))}
        if not above & known:
            reason = "a link out of the store; `follow_external=True` allows it"
            report.add(f"/{name}", Outcome.SKIPPED, reason, "external-outside")

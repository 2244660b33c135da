"""Sets whose chunks lie in archives, as sets of the members that were scanned.

Which member a chunk lies in is told by the directory of the archive, not by the scan.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.io.archive_directory import archive_kind
from refmaker.io.archive_members import MemberName, member_name, member_place, open_archive
from refmaker.model.report import Fingerprint
from refmaker.scanning.protocol import TolerantReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from refmaker.io.archive_members import Archive
    from refmaker.model import Array
    from refmaker.model.chunk_table import ChunkTable
    from refmaker.scanning.protocol import LibraryReader, Tolerance
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["MemberReader", "by_members"]


class MemberReader:
    """A reader that knows the members of archives, for a set that knows the archives only.

    Parameters
    ----------
    reader : LibraryReader
        The reader.
    arrays : mapping of str to Array
        The set's arrays as `by_members` gives them.
    """

    def __init__(self, reader: LibraryReader, arrays: Mapping[str, Array]) -> None:
        self._reader, self._arrays = reader, arrays

    def read(self, path: str, array: Array, region: tuple[slice, ...]) -> NDArray[Any]:
        """Return the true values of a region of one array."""
        return self._reader.read(path, self._arrays.get(path, array), region)

    def tolerance(self, path: str, array: Array) -> Tolerance | None:
        """Return how far values of an array may be off."""
        if not isinstance(self._reader, TolerantReader):
            return None
        return self._reader.tolerance(path, self._arrays.get(path, array))


def by_members(refs: ReferenceSet, storage_options: Mapping[str, Any] | None) -> ReferenceSet:
    """Return a set whose chunks lie in the members of archives; itself if there are no archives.

    Parameters
    ----------
    refs : ReferenceSet
        The set.
    storage_options : mapping or None
        For its files, with its policy.

    Raises
    ------
    RefmakerError
        If an archive cannot be read.
    """
    if refs.report.format == "zarr":
        return refs
    archives = _archives(refs, storage_options)
    if not archives:
        return refs
    sources = {url: known for url, known in refs.report.sources.items() if url not in archives}

    def mapped(array: Array) -> Array:
        if not archives.keys() & set(array.chunks.urls):
            return array
        table = _mapped(array.chunks, archives)
        sources.update(_fingerprints(table, archives))
        return replace(array, chunks=table)

    group = refs.group.map_arrays(mapped)
    # The scanned member itself, of which nothing may be referenced.
    scanned = member_name(refs.report.url)
    if scanned is not None and scanned.archive in archives:
        archive = archives[scanned.archive].archive
        if scanned.member in archive.entries:
            sources[refs.report.url] = _fingerprint(archive, scanned.member)
    return replace(refs, group=group, report=replace(refs.report, sources=sources))


def _archives(refs: ReferenceSet, storage_options: Mapping[str, Any] | None) -> dict[str, _Members]:
    """Return the archives among the files of a set, by URL."""
    known = member_name(refs.report.url)
    found = {}
    for url in refs.urls():
        kind = known.kind if known is not None and known.archive == url else archive_kind(url)
        if kind:
            archive = open_archive(MemberName(kind, "", url), storage_options)
            found[url] = _Members(archive, storage_options)
    return found


def _fingerprints(
    table: ChunkTable, archives: Mapping[str, _Members]
) -> Iterator[tuple[str, Fingerprint]]:
    """Yield how the members that a table points into look."""
    for url in table.urls:
        name = member_name(url)
        if name is not None:
            yield url, _fingerprint(archives[name.archive].archive, name.member)


def _fingerprint(archive: Archive, member: str) -> Fingerprint:
    known = archive.fingerprint
    return Fingerprint(archive.entries[member].size, known.mtime, known.etag)


class _Members:
    """The members of one archive, by where they lie."""

    def __init__(self, archive: Archive, storage_options: Mapping[str, Any] | None) -> None:
        self.archive = archive
        self._options = storage_options
        plain = [(entry.start, name) for name, entry in archive.entries.items() if not entry.packed]
        self._names = [name for _, name in sorted(plain)]
        self._starts = np.array(sorted(start for start, _ in plain), np.int64)

    def find(self, offset: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the member that each of some bytes lies in; -1 for none."""
        return np.searchsorted(self._starts, offset, side="right") - 1

    def place(self, number: int) -> tuple[str, int]:
        """Return the URL of a member, and its first byte in the archive."""
        url = self.archive.name.url(self._names[number])
        found = member_place(url, self._options)
        return (url, 0) if found is None else (url, found[1])


def _mapped(table: ChunkTable, archives: Mapping[str, _Members]) -> ChunkTable:
    """Return a table whose rows in archives are rows in their members."""
    rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
    offset = table.offset.astype(np.int64)
    urls: dict[str, int] = {}
    which = np.zeros(offset.size, np.int32)
    for number, url in enumerate(table.urls):
        here = np.flatnonzero(rows == number)
        members = archives.get(url)
        if members is None:
            which[here] = urls.setdefault(url, len(urls))
            continue
        found = members.find(offset[here])
        for member in np.unique(found).tolist():
            own = here[found == member]
            name, base = (url, 0) if member < 0 else members.place(member)
            which[own] = urls.setdefault(name, len(urls))
            offset[own] -= base
    if offset.size and int(offset.min()) < 0:
        # Between two members there are no values.
        return table
    return replace(table, urls=tuple(urls), offset=offset.astype(np.uint64), url=which)

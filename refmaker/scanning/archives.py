"""What was found in members of archives, as parts of the archives: plain files to every reader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from refmaker.model import Array, Group
    from refmaker.model.chunk_table import ChunkTable
    from refmaker.model.report import ScanReport

__all__ = ["placed_in_archives"]

_SCHEMES = ("zip://", "tar://")


def placed_in_archives(
    group: Group, report: ScanReport, storage_options: Mapping[str, Any] | None
) -> Group:
    """Return a set whose chunks in members of archives are ranges of the archives themselves.

    Parameters
    ----------
    group : Group
        What a scan of members found.
    report : ScanReport
        Its account, whose sources become the archives.
    storage_options : mapping, optional
        Passed to fsspec for the archives.

    Raises
    ------
    UnsupportedError
        If a member is in an archive that is itself in one; code ``archive-nested``.
    RefmakerError
        If an archive cannot be read any more.
    """
    named = _members(report.sources)
    tables = [array.chunks for _, array in group.arrays()]
    used = {url for table in tables for url in _members(table.urls)}
    if not named and not used:
        return group
    from refmaker.io.archive_members import member_name, member_place

    places = {}
    for url in dict.fromkeys([*named, *sorted(used)]):
        if member_name(url) is None:
            raise UnsupportedError(
                "an archive in an archive: readers of reference sets open one",
                code="archive-nested",
                url=url,
                hint="unpack the outer one, and scan what is in it",
            )
        places[url] = member_place(url, storage_options)
    known = {url: place for url, place in places.items() if place is not None}
    if not known:
        return group
    sources = {}
    for url, fingerprint in report.sources.items():
        place = known.get(url)
        archive = None if place is None else place[0]
        sources[url if archive is None else archive.url] = (
            fingerprint if archive is None else archive.fingerprint
        )
    report.sources = sources
    ranges = {url: (archive.url, offset, size) for url, (archive, offset, size) in known.items()}

    def moved(array: Array) -> Array:
        if not any(url in ranges for url in array.chunks.urls):
            return array
        return replace(array, chunks=_moved(array.chunks, ranges))

    return group.map_arrays(moved)


def _members(urls: Iterable[str]) -> list[str]:
    """Return those that name members of archives; of very many files mostly none does."""
    text = "\n".join(urls)
    if not any(scheme in text for scheme in _SCHEMES):
        return []
    return [url for url in urls if url.startswith(_SCHEMES)]


def _moved(table: ChunkTable, ranges: Mapping[str, tuple[str, int, int]]) -> ChunkTable:
    """Return a table whose rows in members are rows in their archives."""
    import numpy as np

    places = [ranges.get(url, (url, 0, 0)) for url in table.urls]
    urls = tuple(dict.fromkeys(url for url, _, _ in places))
    position = {url: number for number, url in enumerate(urls)}
    rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
    base = np.array([offset for _, offset, _ in places], np.uint64)[rows]
    size = np.array([size for _, _, size in places], np.uint64)[rows]
    inside = np.array([url in ranges for url in table.urls], bool)[rows]
    whole = inside & (table.offset == 0) & (table.length == 0)
    length = np.where(whole, size, table.length.astype(np.uint64))
    if length.size and int(length.max()) < 2**32:
        length = length.astype(np.uint32)
    which = np.array([position[url] for url, _, _ in places], np.int32)[rows]
    return replace(
        table,
        urls=urls,
        offset=table.offset + base,
        length=length,
        url=None if len(urls) == 1 else which,
    )

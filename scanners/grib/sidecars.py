"""Index files beside GRIB files: where they are looked for, and a walk with their help.

NOAA's ``.idx`` and ECMWF's ``.index`` tell where messages begin, so that the headers of a remote
file are fetched together instead of one after the other. They go stale in practice, so they are
verified: every offset has to be that of a whole message, and what lies between listed messages
is walked as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from refmaker.io.first_bytes import read_first_bytes
from refmaker.scanners.grib.index_lists import listed_offsets, read_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from refmaker.io.source import Source
    from refmaker.model.report import Cost, ScanReport
    from refmaker.scanners.grib.index_lists import IndexList
    from refmaker.scanners.grib.walk import MessageWalk

__all__ = ["FoundList", "Offsets", "find_lists", "walk_file"]

_LARGEST = 64 * 1024**2
_SMALL = 16 * 1024**2
"""Remote files up to this size are fetched at once, sidecar or not."""
_FIRST = 4
"""Files of which lists of all names are looked for, to learn how they are named."""
_ENDING = re.compile(r"\.(grib2?|grb2?|gb2)$")


class Offsets(NamedTuple):
    """Where messages begin according to a list.

    Parameters
    ----------
    url : str
        The list; empty where there is none.
    offsets : sequence of int
        Ascending.
    """

    url: str
    offsets: Sequence[int]


class FoundList(NamedTuple):
    """A list beside a file.

    Parameters
    ----------
    url : str
        The list.
    lines : IndexList or None
        What it holds; None where that is not understood.
    written : float or None
        When it was modified, seconds since 1970.
    """

    url: str
    lines: IndexList | None
    written: float | None


def _beside(url: str) -> list[str]:
    """Return the names that a list of a file may have; none for a URL with a query."""
    if "?" in url:
        return []
    stem = _ENDING.sub("", url)
    names = (
        f"{url}.idx", f"{url}.index", f"{stem}.index", f"{stem}.idx", f"{stem}.inv", f"{url}.inv",
    )  # fmt: skip
    return list(dict.fromkeys(names))


def walk_file(
    walk: MessageWalk, source: Source, use: str, report: ScanReport, known: Offsets | None = None
) -> None:
    """Walk a file, with the help of a sidecar where that saves something.

    Parameters
    ----------
    use : {"verify", "trust", "ignore", "map"}
        ``verify`` uses a sidecar of a remote file as a list of places to look at, and walks
        whatever it leaves out; ``trust`` looks at the listed messages only, of local files too.
        Of one file there is nothing to be mapped.
    report : ScanReport
        Is warned of sidecars that are wrong.
    known : Offsets, optional
        The list, where it was looked for already.
    """
    trusted = use == "trust"
    small = source.path is not None or source.size < _SMALL
    if use == "ignore" or (small and not trusted and known is None):
        walk.all()
        return
    url, found = _sidecar(source) if known is None else known
    if not found:
        if trusted:
            report.warn("there is no sidecar to trust; the file was walked")
        walk.all()
        return
    inside = [offset for offset in found if offset < source.size]
    walk.listed(inside, between=not trusted)
    wrong = len(walk.missed) + len(found) - len(inside)
    if wrong:
        report.warn(
            f"{url} does not belong to this file: no message begins at {wrong} of the "
            f"{len(found)} offsets it lists"
        )
    if walk.unlisted:
        report.warn(f"{url} does not list {walk.unlisted} messages of the file; they are here")


def _sidecar(source: Source) -> Offsets:
    """Return what a sidecar lists; it is a help, never a need."""
    for url, data, _ in _read(_beside(source.url), source.storage_options, source):
        found = listed_offsets(data)
        if found:
            return Offsets(url, found)
    return Offsets("", ())


def _read(
    urls: Sequence[str], storage_options: Mapping[str, Any] | None, cost: Cost
) -> Iterator[tuple[str, bytes, float | None]]:
    """Yield those of some lists that are there, whole: name, content, time."""
    pieces = read_first_bytes(urls, storage_options, local=_LARGEST, remote=_LARGEST, cost=cost)
    for url, piece in zip(urls, pieces, strict=True):
        known = piece.fingerprint
        if known is not None and known.size == len(piece.data):
            yield url, piece.data, known.mtime


def find_lists(
    urls: Sequence[str], storage_options: Mapping[str, Any] | None, cost: Cost
) -> dict[str, FoundList]:
    """Return the lists of files by the files' names, where there are any.

    Parameters
    ----------
    urls : sequence of str
        The files. How the first list that is found is named is tried first for the others.
    cost : Cost
        Counted up with every request.
    """
    found: dict[str, FoundList] = {}
    spelling = 0
    asked = 0
    while asked < min(_FIRST, len(urls)) and not found:
        names = _beside(urls[asked])
        _take(found, dict.fromkeys(names, urls[asked]), storage_options, cost)
        spelling = next((names.index(listed.url) for listed in found.values()), 0)
        asked += 1
    others = {url: _beside(url) for url in urls[asked:]}
    first = {names[spelling]: url for url, names in others.items() if names}
    _take(found, first, storage_options, cost)
    missing = {
        name: url for url, names in others.items() if url not in found or not found[url].lines
        for at, name in enumerate(names) if at != spelling
    }  # fmt: skip
    _take(found, missing, storage_options, cost)
    return found


def _take(
    found: dict[str, FoundList],
    of_file: Mapping[str, str],
    storage_options: Mapping[str, Any] | None,
    cost: Cost,
) -> None:
    """Take those of some lists that are there; first what is understood, then what is not."""
    for name, data, written in _read(list(of_file), storage_options, cost):
        url, lines = of_file[name], read_list(data)
        known = found.get(url)
        if known is None or (known.lines is None and lines is not None):
            found[url] = FoundList(name, lines, written)

"""Whether the files of a reference set are there, long enough, and as they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from refmaker.model.report import Fingerprint
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["SourceCheck", "check_sources"]

_TOGETHER = 16
"""Files that are looked at at the same time."""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What looking at one file came to.

    Parameters
    ----------
    url : str
        The file.
    chunks : int
        Chunks that lie in it.
    end : int
        Bytes that it must have for all of them.
    size : int, optional
        Bytes that it has; None if it cannot be opened.
    problem : str
        What is wrong; empty if nothing is.

    Examples
    --------
    >>> (check,) = refmaker.check_sources(refmaker.scan("examples/air.nc"))
    >>> check.size >= check.end, check.chunks, check.problem
    (True, 1, '')
    """

    url: str
    chunks: int
    end: int
    size: int | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problem

    def as_dict(self) -> dict[str, Any]:
        """Return the check as a JSON object, in the form that ``verify --json`` prints."""
        return {
            "file": self.url,
            "chunks": self.chunks,
            "end": self.end,
            "size": self.size,
            "problem": self.problem,
        }


def check_sources(
    refs: ReferenceSet | str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> list[SourceCheck]:
    """Look at every file that a reference set points into, without reading it.

    Parameters
    ----------
    refs : ReferenceSet, str or os.PathLike
        A reference set, or the path or URL of one.
    storage_options : mapping, optional
        Passed to fsspec for the files.

    Returns
    -------
    list of SourceCheck
        One for each file: whether it is there, has all the bytes that chunks need, and has size,
        time and entity tag that were recorded.

    Raises
    ------
    SourceError
        If the reference file cannot be read.
    MetadataError
        If it is no reference set.
    PolicyError
        If it names files that it may not.

    Examples
    --------
    >>> refs = refmaker.scan("examples/ct")
    >>> [check.url for check in refmaker.check_sources(refs) if check.problem]
    []
    """
    from concurrent.futures import ThreadPoolExecutor

    from refmaker.storage.reference_set import ReferenceSet

    if not isinstance(refs, ReferenceSet):
        refs = ReferenceSet.read(refs)
    policy = refs.policy
    if policy.remote:
        policy.check_urls(refs.urls())
    options = policy.bound(storage_options)
    needs = dict.fromkeys(refs.report.sources, (0, 0))
    for url, chunks, end in _needs(refs):
        before, reach = needs.get(url, (0, 0))
        needs[url] = before + chunks, max(reach, end)
    known_files = refs.report.sources

    def look(url: str) -> SourceCheck:
        return _look(url, *needs[url], known_files.get(url), options)

    with ThreadPoolExecutor(_TOGETHER) as pool:
        return list(pool.map(look, needs))


def _needs(refs: ReferenceSet) -> list[tuple[str, int, int]]:
    """Return, for each array and file, the chunks and the last byte that is needed."""
    import numpy as np

    found = []
    for _, array in refs.group.arrays():
        table = array.chunks
        if not table.referenced:
            continue
        rows = np.zeros(table.referenced, np.int64) if table.url is None else table.url
        ends = np.zeros(len(table.urls), np.int64)
        np.maximum.at(ends, rows, (table.offset + table.length).astype(np.int64))
        counts = np.bincount(rows, minlength=len(table.urls))
        for url, count, end in zip(table.urls, counts.tolist(), ends.tolist(), strict=True):
            if count:
                found.append((url, count, end))
    return found


def _look(
    url: str,
    chunks: int,
    end: int,
    known: Fingerprint | None,
    storage_options: Mapping[str, Any] | None,
) -> SourceCheck:
    from refmaker.io.source import Source

    try:
        with Source(url, storage_options) as source:
            now = source.fingerprint
    except RefmakerError as error:
        return SourceCheck(url, chunks, end, None, str(error))
    problem = ""
    if now.size < end:
        problem = f"chunks reach to byte {end:,}, and the file has {now.size:,}"
    elif known is not None and known.size != now.size:
        problem = f"it had {known.size:,} bytes when it was scanned, and has {now.size:,}"
    elif known is not None:
        for what, then, found in (
            ("entity tag", known.etag, now.etag),
            ("time of modification", known.mtime, now.mtime),
        ):
            if then is not None and found is not None and then != found:
                problem = f"its {what} is not that of the file that was scanned"
    return SourceCheck(url, chunks, end, now.size, problem)

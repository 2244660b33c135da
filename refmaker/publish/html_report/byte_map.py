"""Who owns which bytes of files: arrays, nobody, or several at once; files alike told once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["FREE", "SHARED", "ByteMap", "byte_maps"]

CELLS = 512
"""Parts into which a file is cut to be drawn."""
FREE, SHARED = -1, -2
_ALL = 0.999
"""How much of a part a single owner has to have, for it not to be shared."""


@dataclass(frozen=True, slots=True, eq=False)
class ByteMap:
    """The ranges of one file that references point to, and of how many files it stands for.

    Parameters
    ----------
    url : str
        The file: of files alike the one in the middle by what is referenced of it.
    alike : int
        Files in which the same arrays have chunks, this one among them.
    smallest, largest : int
        Bytes referenced of the files alike.
    size : int
        Bytes; where it is not known, the end of the last range.
    owners : tuple of str
        Paths of the arrays that have chunks in it.
    owned, gaps, shared : int
        Bytes that one range or more covers, that none does, and that several do.
    widest_gap : tuple of int
        Offset and length of the longest run that nobody owns.
    cells : ndarray of int32, shape (n,)
        Who owns most of each part of the file: a number of `owners`, `FREE` or `SHARED`.
    """

    url: str
    alike: int
    smallest: int
    largest: int
    size: int
    owners: tuple[str, ...]
    owned: int
    gaps: int
    shared: int
    widest_gap: tuple[int, int]
    cells: NDArray[np.int32]


def byte_maps(refs: ReferenceSet, limit: int = 8) -> tuple[list[ByteMap], int]:
    """Return maps of the files with most bytes referenced, and how many kinds there are.

    Parameters
    ----------
    limit : int
        Kinds of files at most.

    Returns
    -------
    list of ByteMap
        One for each kind: files with chunks of the same arrays.
    int
        Kinds of files in all.
    """
    owners: dict[str, list[int]] = {}
    weights: dict[str, int] = {}
    arrays = [(path, array) for path, array in refs.group.arrays() if array.chunks.referenced]
    for number, (_, array) in enumerate(arrays):
        table = array.chunks
        files = np.zeros(table.referenced, np.int32) if table.url is None else table.url
        # Float sums are exact up to 2**53 bytes, beyond any file.
        nbytes = np.bincount(files, weights=table.length, minlength=len(table.urls))
        for at in np.unique(files).tolist():
            url = table.urls[at]
            owners.setdefault(url, []).append(number)
            weights[url] = weights.get(url, 0) + int(nbytes[at])
    kinds: dict[tuple[int, ...], list[str]] = {}
    for url, numbers in owners.items():
        kinds.setdefault(tuple(numbers), []).append(url)
    totals = {key: sum(weights[url] for url in urls) for key, urls in kinds.items()}
    found = []
    for key in sorted(kinds, key=lambda key: -totals[key])[:limit]:
        urls = sorted(kinds[key], key=lambda url: (weights[url], url))
        url = urls[len(urls) // 2]
        ranges = [(path, *_ranges(array, url)) for path, array in (arrays[n] for n in key)]
        ends = weights[urls[0]], weights[urls[-1]]
        found.append(_map(url, len(urls), ends, ranges, refs))
    return found, len(kinds)


def _ranges(array: Array, url: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first bytes, and the bytes behind the last, of an array's chunks in a file."""
    table = array.chunks
    rows = slice(None) if table.url is None else table.url == table.urls.index(url)
    start = table.offset[rows].astype(np.int64)
    return start, start + table.length[rows].astype(np.int64)


def _map(
    url: str,
    alike: int,
    ends: tuple[int, int],
    ranges: Sequence[tuple[str, NDArray[np.int64], NDArray[np.int64]]],
    refs: ReferenceSet,
) -> ByteMap:
    starts = np.concatenate([start for _, start, _ in ranges])
    stops = np.concatenate([stop for _, _, stop in ranges])
    known = refs.report.sources.get(url)
    size = max(int(stops.max()), 0 if known is None else known.size)
    # How many ranges cover each stretch between two neighbouring edges.
    edges, inverse = np.unique(np.concatenate([starts, stops, [0, size]]), return_inverse=True)
    steps = np.zeros(edges.size, np.int64)
    np.add.at(steps, inverse[: starts.size], 1)
    np.add.at(steps, inverse[starts.size : 2 * starts.size], -1)
    depth, lengths = np.cumsum(steps)[:-1], np.diff(edges)
    free = np.where(depth == 0, lengths, 0)
    widest = int(free.argmax()) if free.size else 0
    return ByteMap(
        url,
        alike,
        *ends,
        size,
        tuple(path for path, _, _ in ranges),
        owned=int(lengths[depth > 0].sum()),
        gaps=int(free.sum()),
        shared=int(lengths[depth > 1].sum()),
        widest_gap=(int(edges[widest]), int(free[widest])) if free.size else (0, 0),
        cells=_cells([(start, stop) for _, start, stop in ranges], size),
    )


def _cells(
    ranges: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], size: int
) -> NDArray[np.int32]:
    """Return who owns most of each cell; by areas under each owner's count of bytes."""
    bounds = np.linspace(0, size, min(CELLS, max(size, 1)) + 1)
    width = np.diff(bounds)
    best, most, total = np.full(width.size, FREE, np.int32), np.zeros(width.size), np.zeros(1)
    for number, (starts, stops) in enumerate(ranges):
        # The bytes below a position are those of ranges that began, less what is still open.
        covered = np.diff(_below(bounds, np.sort(starts)) - _below(bounds, np.sort(stops)))
        best[covered > most] = number
        most = np.maximum(most, covered)
        total = total + covered
    best[most < width / 2] = FREE
    best[total > width * (2 - _ALL)] = SHARED
    return best


def _below(bounds: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, for each bound, the sum of its distances from the edges below it."""
    sums = np.concatenate([[0.0], np.cumsum(edges, dtype=np.float64)])
    at = np.searchsorted(edges, bounds)
    found: NDArray[np.float64] = bounds * at - sums[at]
    return found

"""Who owns which bytes of a file: arrays, nobody, or several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.storage.reference_set import ReferenceSet

__all__ = ["ByteMap", "byte_maps"]

CELLS = 1024
"""Parts into which a file is cut to be drawn."""
FREE, SHARED = -1, -2


@dataclass(frozen=True, slots=True, eq=False)
class ByteMap:
    """The ranges of one file that references point to.

    Parameters
    ----------
    url : str
        The file.
    size : int
        Bytes; where it is not known, the end of the last range.
    owners : tuple of str
        Paths of the arrays that have chunks in it.
    owned, gaps, shared : int
        Bytes that one range or more covers, that none does, and that several do.
    widest_gap : tuple of int
        Offset and length of the longest run that nobody owns.
    cells : ndarray of int16, shape (n,)
        Who owns most of each part of the file: a number of `owners`, `FREE` or `SHARED`.
    """

    url: str
    size: int
    owners: tuple[str, ...]
    owned: int
    gaps: int
    shared: int
    widest_gap: tuple[int, int]
    cells: NDArray[np.int16]


def byte_maps(refs: ReferenceSet, limit: int = 12) -> list[ByteMap]:
    """Return the maps of the files with most bytes referenced.

    Parameters
    ----------
    limit : int
        Files at most.
    """
    found: dict[str, list[tuple[str, NDArray[np.uint64], NDArray[np.uint64]]]] = {}
    for path, array in refs.group.arrays():
        table = array.chunks
        for number, url in enumerate(table.urls):
            rows = slice(None) if table.url is None else table.url == number
            offset, length = table.offset[rows], table.length[rows]
            if offset.size:
                found.setdefault(url, []).append((path, offset, length))
    weights = {url: sum(int(n.sum()) for _, _, n in ranges) for url, ranges in found.items()}
    largest = sorted(found, key=lambda url: -weights[url])[:limit]
    return [_map(url, found[url], refs) for url in largest]


def _map(
    url: str, ranges: list[tuple[str, NDArray[np.uint64], NDArray[np.uint64]]], refs: ReferenceSet
) -> ByteMap:
    starts = np.concatenate([offset for _, offset, _ in ranges]).astype(np.int64)
    stops = starts + np.concatenate([length for _, _, length in ranges]).astype(np.int64)
    owner = np.repeat(np.arange(len(ranges)), [offset.size for _, offset, _ in ranges])
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
        size,
        tuple(path for path, _, _ in ranges),
        owned=int(lengths[depth > 0].sum()),
        gaps=int(free.sum()),
        shared=int(lengths[depth > 1].sum()),
        widest_gap=(int(edges[widest]), int(free[widest])) if free.size else (0, 0),
        cells=_cells(starts, stops, owner, size, len(ranges)),
    )


def _cells(
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    owner: NDArray[np.int64],
    size: int,
    owners: int,
) -> NDArray[np.int16]:
    """Return who owns most of each cell; by areas under each owner's count of bytes."""
    count = min(CELLS, max(size, 1))
    bounds = np.linspace(0, size, count + 1)
    covered = np.zeros((owners, count))
    for number in range(owners):
        mine = owner == number
        low, high = np.sort(starts[mine]), np.sort(stops[mine])
        # The bytes below a position are those of ranges that began, less what is still open.
        covered[number] = np.diff(_below(bounds, low) - _below(bounds, high))
    width = np.diff(bounds)
    best: NDArray[np.int16] = covered.argmax(0).astype(np.int16)
    total = covered.sum(0)
    best[covered.max(0) < width / 2] = FREE
    best[total > width * 1.001] = SHARED
    return best


def _below(bounds: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return, for each bound, the sum of its distances from the edges below it."""
    sums = np.concatenate([[0.0], np.cumsum(edges, dtype=np.float64)])
    at = np.searchsorted(edges, bounds)
    found: NDArray[np.float64] = bounds * at - sums[at]
    return found

"""Where the strips and tiles of pages lie.

Implements the fields StripOffsets, StripByteCounts, TileOffsets and TileByteCounts of TIFF 6.0
with the habits of real writers: tiles under the tags of strips, byte counts that are missing, 0 or
too large, and an offset and a byte count of 0 for what was never written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import FormatError, TruncatedError, UnsupportedError
from refmaker.scanners.tiff import tags
from refmaker.scanners.tiff.segment_length import segment_length
from refmaker.scanners.tiff.values import distinct

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.directory import Directory
    from refmaker.scanners.tiff.page_encoding import PageEncoding
    from refmaker.scanners.tiff.pages import Pages

__all__ = ["Segments", "segments"]

_MOST = 2**28
"""Segments of one page beyond which no file can be."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The strips or tiles of some pages of one kind.

    Parameters
    ----------
    offset, length : ndarray of int64, shape (m, samples or 1, rows, columns)
        Bytes of each segment: where they begin, how many they are. Length 0 for segments that
        were never written. Along the second axis planes that are stored separately.
    """

    offset: NDArray[np.int64]
    length: NDArray[np.int64]


def grid_of(facts: PageEncoding) -> tuple[int, int, int]:
    """Return the number of separate planes, rows and columns of segments of a page."""
    rows = -(-facts.length // facts.chunk_length)
    columns = -(-facts.width // facts.chunk_width)
    return (facts.samples if facts.separate else 1), rows, columns


def segments(pages: Pages, numbers: NDArray[np.int64]) -> Segments:
    """Return where the segments of pages of one kind lie.

    Parameters
    ----------
    numbers : ndarray of int64, shape (m,)
        The pages; not empty.

    Raises
    ------
    FormatError, TruncatedError
        If the data would lie outside of the file, or are shorter than they have to be.
    UnsupportedError
        If the file does not say where the data lie.
    """
    facts = pages.facts(int(numbers[0]))
    grid = grid_of(facts)
    total = grid[0] * grid[1] * grid[2]
    if total > _MOST:
        raise UnsupportedError(f"a page of {total} segments", code="limit")
    offset = np.zeros((numbers.size, total), np.int64)
    length = np.zeros((numbers.size, total), np.int64)
    for i, part in enumerate(pages.directories):
        mine = np.flatnonzero(pages.file[numbers] == i)
        if mine.size:
            local = numbers[mine] - pages.first[i]
            offset[mine], length[mine] = _of_file(pages, part, numbers[mine], local, total)
    if pages.facts(int(numbers[0])).stored:
        length = _needed(pages, numbers, facts, grid, length)
    _inside(pages, numbers, offset, length)
    shape = (numbers.size, *grid)
    return Segments(offset.reshape(shape), length.reshape(shape))


def _of_file(
    pages: Pages,
    part: Directory,
    numbers: NDArray[np.int64],
    local: NDArray[np.int64],
    total: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return offsets and byte counts as one file's tags list them."""
    tiled = bool(pages.tiled[numbers[0]])
    first = (tags.TILE_OFFSETS, tags.TILE_COUNTS)
    second = (tags.STRIP_OFFSETS, tags.STRIP_COUNTS)
    chosen, other = (first, second) if tiled else (second, first)
    offset, short = _list(part, chosen[0], local, total)
    if not bool((offset >= 0).any()):
        chosen = other
        offset, short = _list(part, chosen[0], local, total)
    if not bool((offset >= 0).any()):
        nowhere = np.ones(numbers.size, bool)
        raise _problem(pages, numbers, nowhere, "it does not say where its data lie", "no-offsets")
    length, _ = _list(part, chosen[1], local, total)
    if bool(short.any()):
        bad = short if not tiled else (offset < 0).all(axis=1)
        if bool(bad.any()):
            text = f"its data are {total} strips or tiles, but fewer offsets are listed"
            raise _problem(pages, numbers, bad, text, "offsets")
        text = "lists fewer tiles than it has; the rest was never written"
        pages.warnings += [f"{pages.path(int(page))} {text}" for page in numbers[short][:8]]
    if not bool((length > 0).all()):
        length = _lengths(pages, numbers, offset, length)
    absent = (offset <= 0) | (length == 0)
    return np.where(absent, 0, offset), np.where(absent, 0, length)


def _lengths(
    pages: Pages, numbers: NDArray[np.int64], offset: NDArray[np.int64], length: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return byte counts, those that are missing or 0 from what else is known."""
    there = offset > 0
    if length.shape[1] == 1:
        # As libtiff has it: a page of one segment needs no byte count.
        open_ended = np.flatnonzero((there & (length <= 0))[:, 0])
        if pages.facts(int(numbers[0])).stored:
            length[open_ended] = 2**62
        else:
            for at in open_ended.tolist():
                length[at] = segment_length(pages, int(numbers[at]), int(offset[at, 0]))
        text = "does not say how many bytes its data are; taken are those that it needs"
        pages.warnings += [
            f"{pages.path(page)} {text}" for page in numbers[open_ended][:8].tolist()
        ]
    empty = (there & (length == 0)).any(axis=1)
    if bool(empty.any()):
        text = "a byte count of 0 of strips or tiles that have an offset: are they there or not?"
        raise _problem(pages, numbers, empty, text, "byte-counts")
    if pages.facts(int(numbers[0])).stored:
        # Where uncompressed data have no byte count, their size says it.
        return np.where(length < 0, 2**62, length)
    unknown = (there & (length < 0)).any(axis=1)
    if bool(unknown.any()):
        text = "it does not say how long its compressed data are"
        raise _problem(pages, numbers, unknown, text, "no-lengths")
    return length


def _list(
    part: Directory, code: int, local: NDArray[np.int64], total: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a tag's first `total` values, -1 for what is not there, and who lists fewer."""
    found = np.full((local.size, total), -1, np.int64)
    offset, count, kind = part.place(code, local)
    pairs = count * 256 + kind
    different = distinct(pairs)
    for pair in different[different > 255]:
        mine = slice(None) if different.size == 1 else np.flatnonzero(pairs == pair)
        here = offset[mine], count[mine], kind[mine]
        values = part.stacked(code, local[mine], total, here)
        if values is not None and values.dtype.kind in "iu" and values.ndim == 2:
            values = np.minimum(values, np.uint64(2**62)) if values.itemsize == 8 else values
            found[mine, : values.shape[1]] = values.astype(np.int64)
    return found, count < total


def _needed(
    pages: Pages,
    numbers: NDArray[np.int64],
    facts: PageEncoding,
    grid: tuple[int, int, int],
    length: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the bytes that uncompressed segments must have, after a look whether they do."""
    full = facts.row_bytes * facts.chunk_length
    if full >= 2**62:
        raise _problem(pages, numbers, np.ones(1, bool), "its strips are absurdly large", "limit")
    need = np.full(grid, full, np.int64)
    if not facts.tiled and facts.length % facts.chunk_length:
        need[:, -1] = facts.row_bytes * (facts.length % facts.chunk_length)
    need = np.broadcast_to(need.reshape(1, -1), length.shape)
    short = ((length > 0) & (length < need)).any(axis=1) & (length.shape[1] > 1)
    if bool(short.any()):
        text = "the byte counts of its uncompressed data are too small for its size"
        raise _problem(pages, numbers, short, text, "byte-counts")
    return np.where(length > 0, need, 0)


def _inside(
    pages: Pages, numbers: NDArray[np.int64], offset: NDArray[Any], length: NDArray[Any]
) -> None:
    """Refuse data that reach beyond the end of the file."""
    sizes = np.array([source.size for source in pages.sources], np.int64)[pages.file[numbers]]
    # Neither sum can overflow: both are below 2**62.
    bad = (offset + length > sizes[:, None]).any(axis=1)
    if bool(bad.any()):
        at = int(np.flatnonzero(bad)[0])
        page = int(numbers[at])
        raise TruncatedError(
            f"its data end at byte {int((offset[at] + length[at]).max())}, the file at "
            f"{int(sizes[at])}",
            url=pages.urls[int(pages.file[page])],
            path=pages.path(page),
            hint="the file is incomplete or damaged",
        )
    early = ((length > 0) & (offset < 8)).any(axis=1)
    if bool(early.any()):
        page = int(numbers[int(np.flatnonzero(early)[0])])
        raise FormatError(
            "its data begin inside the header",
            url=pages.urls[int(pages.file[page])],
            path=pages.path(page),
        )


def _problem(
    pages: Pages, numbers: NDArray[np.int64], bad: Any, text: str, code: str
) -> UnsupportedError:
    page = int(numbers[int(np.flatnonzero(bad)[0])])
    return UnsupportedError(
        text, code=code, url=pages.urls[int(pages.file[page])], path=pages.path(page)
    )

"""Columns of lists of different lengths, which lie in the heap behind a binary table.

Implements section 7.3.5 of the FITS Standard 4.0: each row holds the number of elements and the
offset of the first one. Lists of one length make an array of one row each; others make the
contiguous ragged array of the CF conventions (section 9.3.3): all elements behind each other, and
how many there are in each row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from refmaker.errors import FormatError, UnsupportedError
from refmaker.model import Array, ChunkTable
from refmaker.model.contiguous import strided_table
from refmaker.model.inline import TEXTS, encode_texts, inline_array
from refmaker.scanners.fits.columns import HEAP_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from refmaker.io.source import Source
    from refmaker.scanners.fits.columns import Column
    from refmaker.scanners.fits.images import Coding
    from refmaker.scanning.options import ScanOptions

__all__ = ["Heap", "Lists", "list_arrays", "read_lists"]

_LEAST: Final = 4096
"""Bytes of a row from which on each may be a chunk of its own."""


class Lists(NamedTuple):
    """The lists of a column: bytes of an element, and for each row count and first byte."""

    itemsize: int
    counts: NDArray[np.int64]
    start: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self.counts.sum()) * self.itemsize


class Heap(NamedTuple):
    """Where the heap of a table lies.

    Attributes
    ----------
    origin : int
        The byte that offsets count from.
    first, end : int
        The byte behind the rows, before which no list may begin, and the one behind the heap.
    """

    origin: int
    first: int
    end: int


def read_lists(descriptors: NDArray[np.uint8], column: Column, heap: Heap) -> Lists:
    """Return where the lists of a column lie.

    Raises
    ------
    FormatError
        If one of them leads out of the heap.
    UnsupportedError
        If its elements are of no type that has whole bytes.
    """
    if column.inner not in HEAP_BYTES or column.repeat != 1:
        raise UnsupportedError(
            f"lists of the type {column.inner!r} in the heap, {column.repeat} in a row",
            code="fits-heap",
            hint="astropy.io.fits reads it",
        )
    found = np.ascontiguousarray(descriptors).view(">i4" if column.code == "P" else ">i8")
    counts, offset = found.astype(np.int64).T
    if found.size and (found.min() < 0 or found.max() >= 2**48):
        raise FormatError("descriptors lead out of the heap", offset=heap.origin)
    itemsize = HEAP_BYTES[column.inner]
    start = heap.origin + offset
    outside = (counts > 0) & ((start + counts * itemsize > heap.end) | (start < heap.first))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise FormatError(f"the list of row {row} lies outside of the heap", offset=int(start[row]))
    return Lists(itemsize, counts, start)


def list_arrays(
    lists: Lists,
    column: Column,
    names: tuple[str, str, str],
    made: Coding,
    source: Source,
    options: ScanOptions,
) -> dict[str, Array]:
    """Return a column of lists as arrays.

    Parameters
    ----------
    lists : Lists
        As of `read_lists`.
    column : Column
        Of the type ``P`` or ``Q``.
    names : tuple of str
        Of the elements, of their numbers in each row where these differ, and of the dimension of
        all rows.
    made : Coding
        What the elements mean.
    source : Source
        The file.
    options : ScanOptions
        Elements that are scattered over the heap are inlined up to ``inline_budget``.

    Returns
    -------
    dict of str to Array
        One array of shape (rows, elements); or one of shape (all elements,) and one of int64 and
        shape (rows,) with the attribute ``sample_dimension``; of texts one of shape (rows,).

    Raises
    ------
    UnsupportedError
        If the elements lie scattered, and are more than may be inlined.
    """
    rows = names[2]
    if column.inner == "A":
        return {names[0]: _texts(lists, source, options, rows)}
    if lists.counts.size and int(lists.counts.min()) == int(lists.counts.max()) > 0:
        shape = lists.counts.size, int(lists.counts[0])
        return {names[0]: _equal(lists, made, source, options, shape, (rows, f"{names[0]}_1"))}
    along = f"{names[0]}_element"
    values = _ragged(lists, made, source, options, along)
    attributes = {"sample_dimension": along, "long_name": f"number of elements of {names[0]}"}
    counts = inline_array(lists.counts, (rows,), attributes)
    return {names[0]: values, names[1]: counts}


def _equal(
    lists: Lists,
    made: Coding,
    source: Source,
    options: ScanOptions,
    shape: tuple[int, int],
    names: tuple[str, str],
) -> Array:
    """Return lists of one length as an array, shape (rows, elements)."""
    width = shape[1] * lists.itemsize
    steps = np.diff(lists.start)
    if lists.nbytes <= options.inline_threshold:
        return _inlined(lists, made, source, shape, names)
    even = steps.size == 0 or int(steps.min()) == int(steps.max())
    if even and (steps.size == 0 or steps[0] == width or steps[0] > width >= _LEAST):
        stride = int(steps[0]) if steps.size else width
        target, first = options.chunk_bytes, int(lists.start[0])
        chunk, table = strided_table(
            shape[0], stride, shape[1:], lists.itemsize, first, source.url, target
        )
        return made.array(table, shape, chunk, names)
    if width >= _LEAST:
        table = ChunkTable.from_columns(
            (shape[0], 1),
            (source.url,),
            offset=lists.start.astype(np.uint64),
            length=np.full(shape[0], width, np.uint64),
        )
        return made.array(table, shape, (1, shape[1]), names)
    _within_budget(lists, options)
    return _inlined(lists, made, source, shape, names)


def _ragged(lists: Lists, made: Coding, source: Source, options: ScanOptions, along: str) -> Array:
    """Return all elements behind each other, shape (elements,)."""
    total = int(lists.counts.sum())
    if not total:
        return made.array(ChunkTable.empty((0,)), (0,), (1,), (along,))
    used = lists.counts > 0
    start, nbytes = lists.start[used], lists.counts[used] * lists.itemsize
    follows = bool((start[1:] == (start + nbytes)[:-1]).all())
    if lists.nbytes > options.inline_threshold and follows:
        chunk, table = strided_table(
            1, 0, (total,), lists.itemsize, int(start[0]), source.url, options.chunk_bytes,
            outer=False,
        )  # fmt: skip
        return made.array(table, (total,), chunk, (along,))
    _within_budget(lists, options)
    return _inlined(lists, made, source, (total,), (along,))


def _within_budget(lists: Lists, options: ScanOptions) -> None:
    if lists.nbytes > options.inline_budget:
        raise UnsupportedError(
            f"{lists.nbytes} bytes of lists lie scattered over the heap",
            code="fits-heap",
            hint=f"scan with `inline_budget={lists.nbytes}`",
        )


def _inlined(
    lists: Lists, made: Coding, source: Source, shape: tuple[int, ...], names: tuple[str, ...]
) -> Array:
    """Return an array that keeps its elements itself."""
    data = b"".join(_pieces(lists, source))
    table = ChunkTable.inline((1,) * len(shape), {0: data})
    return made.array(table, shape, shape, names)


def _pieces(lists: Lists, source: Source) -> list[bytes]:
    """Return the bytes of each list."""
    sizes = (lists.counts * lists.itemsize).tolist()
    starts = lists.start.tolist()
    used = [(start, size) for start, size in zip(starts, sizes, strict=True) if size]
    found = iter(source.read_many(used) if used else ())
    return [next(found) if size else b"" for size in sizes]


def _texts(lists: Lists, source: Source, options: ScanOptions, rows: str) -> Array:
    """Return texts of different lengths, shape (rows,)."""
    _within_budget(lists, options)
    # Section 7.3.3.1: a NUL ends a text before its length does.
    raw = [piece.partition(b"\0")[0] for piece in _pieces(lists, source)]
    if not b"".join(raw).isascii():
        raise UnsupportedError("texts that are not ASCII", code="fits-text")
    data = encode_texts(piece.decode("ascii") for piece in raw)
    count = lists.counts.size
    table = ChunkTable.inline((1,), {0: data}) if count else ChunkTable.empty((0,))
    filters: tuple[Mapping[str, Any], ...] = (TEXTS,)
    return Array(
        (count,), (max(1, count),), np.dtype(object), table, filters=filters,
        dimension_names=(rows,),
    )  # fmt: skip

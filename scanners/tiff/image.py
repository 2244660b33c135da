"""One array from equal pages."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError, TruncatedError, UnsupportedError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.model.contiguous import contiguous_table
from refmaker.scanners.tiff.dimension_order import DimensionOrder
from refmaker.scanners.tiff.probe import probed
from refmaker.scanners.tiff.rechunk import joined, strip_parts
from refmaker.scanners.tiff.segments import Segments, segments
from refmaker.scanners.tiff.strips import filled_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.codecs import ChunkCodecs
    from refmaker.scanners.tiff.page_encoding import PageEncoding
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanning.options import ScanOptions

__all__ = ["following_array", "image_array"]

_FILE = 44
"""Bits of an offset below the number of its file, where pages are of several files."""


def image_array(  # noqa: PLR0913 - what an array is made of
    pages: Pages,
    numbers: NDArray[np.int64],
    prefix: Sequence[int],
    names: Sequence[str],
    attributes: Mapping[str, Any],
    options: ScanOptions,
    *,
    sample_axis: int = -1,
    merge_samples: bool = False,
    fill_value: Any = None,
) -> Array:
    """Return equal pages stacked along leading dimensions.

    Parameters
    ----------
    numbers : ndarray of int64, shape (prod(prefix),)
        One page for each place, in C order of `prefix`; -1 where there is none, which makes
        absent chunks.
    prefix : sequence of int
        Extents of the leading dimensions; ``()`` for a single page.
    names : sequence of str
        One name for each dimension of the result.
    options : ScanOptions
        ``chunk_bytes`` is the target to which uncompressed contiguous data are cut or joined.
    sample_axis : int
        Where the dimension of the samples stands in the result, if the pages have several;
        -1 is last. ``len(prefix)`` gives (..., s, y, x); a smaller number puts it before some of
        the leading dimensions, as in (c, z, y, x) of RGB pages along z with ``sample_axis=0``.
    merge_samples : bool
        The samples are no dimension of their own, but multiply the leading dimension
        `sample_axis`: c = channel * samples + sample.
    fill_value : object
        Value of absent chunks, such as a declared nodata value; None if nothing declares one.

    Returns
    -------
    Array
        Without samples (..., y, x); dtype in file byte order where chunks are stored plainly.

    Raises
    ------
    UnsupportedError
        If the pages cannot be referenced: tells the page, the tag and the reason. Its ``code``
        goes into the report.
    FormatError
        If a page contradicts itself or the file's size.
    """
    numbers = np.asarray(numbers, np.int64).reshape(-1)
    prefix = tuple(int(extent) for extent in prefix)
    there = np.flatnonzero(numbers >= 0)
    if numbers.size != math.prod(prefix) or not there.size:
        raise MetadataError(f"{numbers.size} pages for {prefix}, {there.size} of them given")
    pages.tried[numbers[there]] = True
    page = _common_page(pages, numbers[there])
    place = DimensionOrder.of(pages.facts(page), prefix, sample_axis, merge_samples)
    chunks = _chunks(pages, numbers, place, options)
    table = _table(pages, chunk_grid(place.shape, chunks.shape), chunks)
    filters, compressor = chunks.code.split()
    return Array(
        place.shape,
        chunks.shape,
        chunks.code.dtype,
        table,
        fill_value=fill_value,
        filters=filters,
        compressor=compressor,
        dimension_names=tuple(names),
        attributes=attributes,
    )


def _common_page(pages: Pages, numbers: NDArray[np.int64]) -> int:
    """Return the first of some pages, if all are of one kind that can be referenced."""
    page = int(numbers[0])
    kinds = pages.kind[numbers]
    for number in numbers[kinds < 0][:1].tolist():
        raise pages.problem(number) or UnsupportedError("it cannot be referenced")
    other = numbers[kinds != kinds[0]][:1].tolist()
    if other:
        raise UnsupportedError(
            f"{pages.path(page)} and {pages.path(other[0])} differ in size or storage",
            code="pages-differ",
            url=pages.urls[int(pages.file[page])],
            path=pages.path(page),
        )
    return page


@dataclass(frozen=True, slots=True, eq=False)
class _Chunks:
    """The chunks of an array: their shape, how they are decoded, and where they lie.

    Offset and length are in C order of the chunk grid, length 0 for absent chunks; `inlined` is
    by flat chunk number.
    """

    shape: tuple[int, ...]
    code: ChunkCodecs
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    inlined: Mapping[int, bytes] = field(default_factory=dict)


def _chunks(
    pages: Pages, numbers: NDArray[np.int64], place: DimensionOrder, options: ScanOptions
) -> _Chunks:
    """Choose chunks for the data of some pages."""
    facts = place.facts
    there = np.flatnonzero(numbers >= 0)
    code = pages.encoding(int(numbers[there[0]]))
    real = segments(pages, numbers[there])
    found = _spread(pages, numbers, there, real)
    code = probed(pages, numbers[there], code, real, options.settings.get("probe", "auto"))
    if facts.samples > 1 and not facts.separate and not place.samples_last:
        step = _samples_first(facts, code.dtype.itemsize)
        code = code._replace(steps=(*code.steps, step), ragged=max(code.ragged, 0))
    short = not facts.tiled and facts.length % facts.chunk_length > 0
    rows = facts.chunk_length
    if code.plain:
        pieces = joined(place, found, code.dtype.itemsize, options.chunk_bytes)
        if pieces is not None:
            return _Chunks(pieces[0], code, pieces[1], pieces[2])
        parts = strip_parts(place, found) if short else None
        if parts is not None:
            (rows, found), short = parts, False
    kept: Mapping[int, bytes] | None = {}
    if short:
        tail = facts.length % facts.chunk_length
        kept = filled_up(pages, numbers[there], code, real, tail, options.inline_budget)
        if kept is None:
            code, kept = code.padded(tail), {}
    order = place.order(found.offset.shape[1:])
    offset, length = found.offset.reshape(-1)[order], found.length.reshape(-1)[order]
    inlined = {}
    if kept:
        per_page = math.prod(found.offset.shape[1:])
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        for number, data in kept.items():
            at = int(back[int(there[number // per_page]) * per_page + number % per_page])
            inlined[at] = data
            length[at] = 0
    return _Chunks(place.chunk(rows, facts.chunk_width), code, offset, length, inlined)


def _samples_first(facts: PageEncoding, itemsize: int) -> dict[str, Any]:
    """Return the codec that puts the samples of a segment before its rows and columns."""
    if itemsize == 1:
        # Every reader has this one: samples come apart as the bytes of a huge element.
        return {"id": "shuffle", "elementsize": facts.chunk_length * facts.chunk_width}
    return {
        "id": "refmaker.tiff_samples_first",
        "samples": facts.samples,
        "itemsize": itemsize,
    }


def _spread(
    pages: Pages, numbers: NDArray[np.int64], there: NDArray[np.int64], real: Segments
) -> Segments:
    """Return segments for all places: absent pages have none, and offsets tell the file, too."""
    offset = real.offset
    if len(pages.urls) > 1:
        files = pages.file[numbers[there]].astype(np.int64)
        offset = offset + (files << _FILE).reshape(-1, 1, 1, 1)
    if there.size == numbers.size:
        return Segments(offset, real.length)
    spread = np.zeros((2, numbers.size, *offset.shape[1:]), np.int64)
    spread[0][there], spread[1][there] = offset, real.length
    return Segments(spread[0], spread[1])


def _table(pages: Pages, grid: tuple[int, ...], chunks: _Chunks) -> ChunkTable:
    offset, length = chunks.offset, chunks.length
    index = None
    if not bool((length > 0).all()):
        index = np.flatnonzero(length > 0)
        offset, length = offset[index], length[index]
    url = None
    if len(pages.urls) > 1:
        url, offset = offset >> _FILE, offset & ((1 << _FILE) - 1)
    return ChunkTable.from_columns(
        grid,
        pages.urls,
        offset=offset,
        length=length,
        index=index,
        url=url,
        inlined=chunks.inlined,
    )


def following_array(
    pages: Pages,
    page: int,
    prefix: Sequence[int],
    names: Sequence[str],
    attributes: Mapping[str, Any],
    options: ScanOptions,
    *,
    skip: int = 0,
) -> Array:
    """Return images of which only the first has a page: the others follow its data.

    As ImageJ writes hyperstacks beyond 4 GB, MetaMorph its stacks, and tifffile volumes.

    Parameters
    ----------
    page : int
        The page whose data come first; uncompressed, in one piece.
    prefix : sequence of int
        Leading dimensions; their product is the number of images.
    names : sequence of str
        One name for each dimension of the result: leading ones, y, x, and s if the page has
        several samples side by side; s before y and x if it has them one after another.
    options : ScanOptions
        ``chunk_bytes`` is the target to which the data are cut.
    skip : int
        Bytes between the start of the page's data and the first image.

    Raises
    ------
    UnsupportedError
        If the page's data are compressed or packed, or lie in several pieces.
    TruncatedError
        If the images would reach beyond the end of the file.
    """
    prefix = tuple(int(extent) for extent in prefix)
    pages.tried[page] = True
    code, facts = pages.encoding(page), pages.facts(page)
    url = pages.urls[int(pages.file[page])]
    found = segments(pages, np.array([page]))
    plane = DimensionOrder.of(facts, (), 0 if facts.separate else -1, False)
    whole = joined(plane, found, code.dtype.itemsize, 2**62) if code.plain else None
    if whole is None or whole[1].size != 1 or int(whole[2][0]) == 0:
        raise UnsupportedError(
            "images that follow it without pages of their own, though its data are not plain "
            "and in one piece",
            code="not-contiguous",
            url=url,
            path=pages.path(page),
        )
    shape = (*prefix, *plane.shape)
    start, nbytes = int(whole[1][0]) + skip, math.prod(shape) * code.dtype.itemsize
    size = pages.sources[int(pages.file[page])].size
    if start + nbytes > size:
        raise TruncatedError(
            f"{math.prod(prefix)} images end at byte {start + nbytes}, the file at {size}",
            url=url,
            path=pages.path(page),
        )
    chunk, table = contiguous_table(
        shape, code.dtype.itemsize, start, url, options.chunk_bytes or 2**62
    )
    return Array(
        shape,
        chunk,
        code.dtype,
        table,
        dimension_names=tuple(names),
        attributes=attributes,
    )

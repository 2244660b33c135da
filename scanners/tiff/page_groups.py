"""Which pages are stored alike, so that they can be stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.codecs.codestream import describe
from refmaker.scanners.tiff import tags
from refmaker.scanners.tiff.page_encoding import PageEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.codecs.codestream import CodestreamInfo
    from refmaker.scanners.tiff.page_columns import PageColumns

__all__ = ["group_by_storage", "page_encoding_of"]

_NAMES = (
    "width", "length", "samples", "bits", "sample_format", "compression", "predictor",
    "photometric", "planar", "fill_order", "tiled", "tile_width", "tile_length",
)  # fmt: skip
_SINGLE = (tags.T4_OPTIONS, tags.DEPTH, 65007, 65008, 65009)
_LISTS = (tags.EXTRA_SAMPLES, tags.SUBSAMPLING, tags.JPEG_TABLES)
_TILES, _STRIPS = (tags.TILE_OFFSETS, tags.TILE_COUNTS), (tags.STRIP_OFFSETS, tags.STRIP_COUNTS)
_LOOKED_AT = 4096
"""Segments of a page among which one is looked for that was written."""
_NEAR, _AHEAD = 1024, 1 << 17
"""Bytes of a JPEG stream in which its frame header is looked for: profiles may precede it."""


def group_by_storage(pages: PageColumns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort pages by all that decides how they are decoded.

    Returns
    -------
    kinds : ndarray of int64, shape (n,)
        Equal numbers for pages that are stored alike, counted in order of first appearance.
    firsts : ndarray of int64, shape (k,)
        The first page of each kind.
    """
    columns = [getattr(pages, name).astype(np.int64, copy=False) for name in _NAMES]
    columns += [pages.column(code) for code in _SINGLE if pages.has(code).any()]
    columns += [_digits(pages, code) for code in _LISTS if pages.has(code).any()]
    orders = np.array([part.form.byteorder == "<" for part in pages.directories])
    columns.append(orders[pages.file].astype(np.int64))
    columns = [column for column in columns if bool((column != column[0]).any())]
    if not columns:
        return np.zeros(len(pages), np.int64), np.zeros(1, np.int64)
    table = np.ascontiguousarray(np.stack(columns, axis=1))
    rows = table.view(f"V{table.shape[1] * 8}").reshape(-1)
    _, firsts, kinds = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank[kinds].astype(np.int64), firsts[order].astype(np.int64)


def _digits(pages: PageColumns, code: int) -> NDArray[np.int64]:
    """Return equal numbers for pages whose tag has equal values; -1 for those without it."""
    found = np.full(len(pages), -1, np.int64)
    where = np.flatnonzero(pages.has(code))
    known: dict[object, int] = {}
    for page, value in zip(where.tolist(), pages.values(code, where), strict=True):
        key = value.tobytes() if isinstance(value, np.ndarray) else value
        found[page] = known.setdefault(key, len(known))
    return found


def page_encoding_of(pages: PageColumns, page: int) -> PageEncoding:
    """Return what decides how one page is decoded."""
    factors = pages.integers(page, tags.SUBSAMPLING) or (2, 2)
    tables = pages.tag(page, tags.JPEG_TABLES, b"")
    compression = int(pages.compression[page])
    stream = _stream(pages, page) if compression in tags.JPEG else None
    return PageEncoding(
        byteorder=pages.directories[int(pages.file[page])].form.byteorder,
        width=int(pages.width[page]),
        length=int(pages.length[page]),
        samples=int(pages.samples[page]),
        bits=int(pages.bits[page]),
        sample_format=int(pages.sample_format[page]),
        compression=compression,
        predictor=int(pages.predictor[page]),
        photometric=int(pages.photometric[page]),
        planar=int(pages.planar[page]),
        fill_order=int(pages.fill_order[page]),
        tiled=bool(pages.tiled[page]),
        chunk_width=int(pages.tile_width[page]),
        chunk_length=int(pages.tile_length[page]),
        extra_samples=pages.integers(page, tags.EXTRA_SAMPLES),
        subsampling=(factors[0], factors[-1]),
        t4_options=next(iter(pages.integers(page, tags.T4_OPTIONS)), 0),
        tables=tables if isinstance(tables, bytes) else b"",
        stream=stream,
        skip_bits=_skip_bits(pages, page),
    )


def _skip_bits(pages: PageColumns, page: int) -> tuple[int, int, int]:
    skip, horizontal, vertical = (
        next(iter(pages.integers(page, code)), default)
        for code, default in ((65007, 7), (65008, 2), (65009, 2))
    )
    return skip, horizontal, vertical


def _stream(pages: PageColumns, page: int) -> CodestreamInfo | None:
    """Return what a page's first segment that was written says of itself."""
    for places, counts in (_TILES, _STRIPS):
        lengths = pages.integers(page, counts, _LOOKED_AT)
        for at, offset in enumerate(pages.integers(page, places, _LOOKED_AT)):
            if offset <= 0 or (at < len(lengths) and lengths[at] == 0 and len(lengths) > 1):
                continue
            source = pages.sources[int(pages.file[page])]
            known = lengths[at] if at < len(lengths) and lengths[at] > 0 else _AHEAD
            for most in (_NEAR, _AHEAD):
                found = describe(source.read_upto(offset, min(most, known)))
                if found is not None or known <= most:
                    return found
            return None
    return None

"""Which pages are stored alike, so that they can be stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.scanners.tiff import tags
from refmaker.scanners.tiff.page_encoding import PageEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refmaker.scanners.tiff.page_columns import PageColumns

__all__ = ["group_by_storage", "page_encoding_of"]

_NAMES = (
    "width", "length", "samples", "bits", "sample_format", "compression", "predictor",
    "photometric", "planar", "fill_order", "tiled", "tile_width", "tile_length",
)  # fmt: skip
_SINGLE = (tags.T4_OPTIONS, tags.DEPTH, 65007, 65008, 65009)
_LISTS = (tags.EXTRA_SAMPLES, tags.SUBSAMPLING, tags.JPEG_TABLES)


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
    extra = np.atleast_1d(pages.tag(page, tags.EXTRA_SAMPLES, ()))
    if isinstance(pages.tag(page, tags.EXTRA_SAMPLES), bytes):
        extra = np.frombuffer(pages.tag(page, tags.EXTRA_SAMPLES), np.uint8)
    factors = np.atleast_1d(pages.tag(page, tags.SUBSAMPLING, (2, 2))).tolist()
    tables = pages.tag(page, tags.JPEG_TABLES, b"")
    compression = int(pages.compression[page])
    start = _start(pages, page) if compression in tags.JPEG else b""
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
        extra_samples=tuple(int(value) for value in extra),
        subsampling=(int(factors[0]), int(factors[-1])),
        t4_options=int(pages.tag(page, tags.T4_OPTIONS, 0)),
        tables=tables if isinstance(tables, bytes) else b"",
        jfif=start[6:10] == b"JFIF",
        whole=start[:2] == b"\xff\xd8",
        skip_bits=(
            int(pages.tag(page, 65007, 7)),
            int(pages.tag(page, 65008, 2)),
            int(pages.tag(page, 65009, 2)),
        ),
    )


def _start(pages: PageColumns, page: int) -> bytes:
    """Return the first bytes of a page's first segment."""
    for code in (tags.TILE_OFFSETS, tags.STRIP_OFFSETS):
        value = pages.tag(page, code)
        if isinstance(value, int | np.ndarray):
            offset = int(np.atleast_1d(value)[0])
            source = pages.sources[int(pages.file[page])]
            return source.read_upto(offset, 11) if offset > 0 else b""
    return b""

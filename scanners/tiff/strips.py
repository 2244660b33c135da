"""The last strip of an image, where it is shorter than the others.

Chunks of an array have one size. What is missing of the last strip is made up for when it is
small and its compression easy: the strip, filled up with zeros, is kept in the reference set
itself, readable by everyone. Zeros stay zeros through predictors and packing, and lie beyond
the image's edge, where nobody looks. Otherwise a codec fills it up when it is read.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import RefmakerError
from refmaker.scanners.tiff.bounded_decoders import BOUNDED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from refmaker.scanners.tiff.codecs import ChunkCodecs
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanners.tiff.segments import Segments

__all__ = ["filled_up"]

_MOST = 64
"""Strips of one array that are kept in the reference set at most."""


def filled_up(
    pages: Pages,
    numbers: NDArray[np.int64],
    code: ChunkCodecs,
    found: Segments,
    tail_rows: int,
    budget: int,
) -> dict[int, bytes] | None:
    """Return the last strips of pages, filled up to full size.

    Parameters
    ----------
    numbers : ndarray of int64, shape (m,)
        The pages.
    code : ChunkCodecs
        How they are decoded.
    tail_rows : int
        Rows of the last strip of each.
    budget : int
        Decoded bytes that may be kept in the reference set.

    Returns
    -------
    dict of int to bytes, or None
        The strips by their number in C order over `found`; None if they are too many, too
        large, or compressed in a way that is not easily repeated.
    """
    steps = code.steps[: max(code.ragged, 0)]
    if len(steps) > 1 or (steps and steps[0]["id"] not in _ENCODERS):
        return None
    places = np.argwhere(found.length[:, :, -1, 0] > 0)
    if len(places) > _MOST or len(places) * code.segment_bytes > budget:
        return None
    name = str(steps[0]["id"]) if steps else ""
    encode = _ENCODERS.get(name, bytes)
    tail = code.row_bytes * tail_rows
    kept = {}
    rows, columns = found.offset.shape[2:]
    for page, plane in places.tolist():
        source = pages.sources[int(pages.file[numbers[page]])]
        at = (page, plane, rows - 1, columns - 1)
        data = source.read(int(found.offset[at]), int(found.length[at]))
        try:
            plain = BOUNDED[name](data, code.segment_bytes) if name else data
        except (zlib.error, RuntimeError, ValueError, ImportError, RefmakerError):
            # Damaged: left to whoever reads it, who will be told.
            return None
        if len(plain) < tail:
            return None
        plain = plain[: code.segment_bytes].ljust(code.segment_bytes, b"\0")
        kept[int(np.ravel_multi_index(at, found.offset.shape))] = encode(plain)
    return kept


def _xz(data: bytes) -> bytes:
    import lzma

    return lzma.compress(data)


def _zstd(data: bytes) -> bytes:
    return bytes(import_module("numcodecs").get_codec({"id": "zstd"}).encode(data))


def _lzw(data: bytes) -> bytes:
    return bytes(import_module("imagecodecs").lzw_encode(data))


def _packbits(data: bytes) -> bytes:
    return bytes(import_module("imagecodecs").packbits_encode(data))


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "lzma": _xz,
    "zstd": _zstd,
    "imagecodecs_lzw": _lzw,
    "imagecodecs_packbits": _packbits,
}

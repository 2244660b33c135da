"""The last strip of an image, where it is shorter than the others.

Chunks of an array have one size. What is missing of the last strip is made up for when it is
small and its compression easy: the strip, filled up with zeros, is kept in the reference set
itself, readable by everyone. Zeros stay zeros through predictors and packing, and lie beyond
the image's edge, where nobody looks. Otherwise a codec fills it up when it is read.
"""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import RefmakerError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    budget: int,
) -> dict[int, bytes] | None:
    """Return the last strips of pages, filled up to full size.

    Parameters
    ----------
    pages : Pages
        Where the pages are from.
    numbers : ndarray of int64, shape (m,)
        The pages.
    code : ChunkCodecs
        How they are decoded.
    found : Segments
        Where their strips lie.
    budget : int
        Decoded bytes that may be kept in the reference set.

    Returns
    -------
    dict of int to bytes, or None
        The strips by their number in C order over `found`; None if they are too many, too
        large, or compressed in a way that is not easily repeated.
    """
    steps = code.steps[: max(code.ragged, 0)]
    if len(steps) > 1 or (steps and steps[0]["id"] not in _TOOLS):
        return None
    places = np.argwhere(found.length[:, :, -1, 0] > 0)
    if len(places) > _MOST or len(places) * code.segment_bytes > budget:
        return None
    decode, encode = _TOOLS[str(steps[0]["id"])] if steps else (_same, _same)
    kept = {}
    rows, columns = found.offset.shape[2:]
    for page, plane in places.tolist():
        source = pages.sources[int(pages.file[numbers[page]])]
        at = (page, plane, rows - 1, columns - 1)
        data = source.read(int(found.offset[at]), int(found.length[at]))
        try:
            plain = decode(data, code.segment_bytes)
        except (zlib.error, RuntimeError, ValueError, RefmakerError):
            # Damaged: left to whoever reads it, who will be told.
            return None
        plain = plain[: code.segment_bytes].ljust(code.segment_bytes, b"\0")
        kept[int(np.ravel_multi_index(at, found.offset.shape))] = encode(plain, 0)
    return kept


def _same(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    return data


def _inflate(data: bytes, most: int) -> bytes:
    return zlib.decompressobj().decompress(data, most)


def _deflate(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    return zlib.compress(data)


def _unxz(data: bytes, most: int) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor(memlimit=256 * 1024**2).decompress(data, most)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from error


def _xz(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    import lzma

    return lzma.compress(data)


def _codec(config: Mapping[str, Any]) -> Any:
    return import_module("numcodecs").get_codec(dict(config))


def _unzstd(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    return bytes(_codec({"id": "zstd"}).decode(data))


def _zstd(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    return bytes(_codec({"id": "zstd"}).encode(data))


def _unlzw(data: bytes, most: int) -> bytes:
    return bytes(import_module("imagecodecs").lzw_decode(data, out=most))


def _lzw(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    return bytes(import_module("imagecodecs").lzw_encode(data))


def _unpackbits(data: bytes, most: int) -> bytes:
    return bytes(import_module("imagecodecs").packbits_decode(data, out=most))


def _packbits(data: bytes, most: int) -> bytes:  # noqa: ARG001 - one signature for all
    return bytes(import_module("imagecodecs").packbits_encode(data))


_TOOLS = {
    "zlib": (_inflate, _deflate),
    "lzma": (_unxz, _xz),
    "zstd": (_unzstd, _zstd),
    "imagecodecs_lzw": (_unlzw, _lzw),
    "imagecodecs_packbits": (_unpackbits, _packbits),
}

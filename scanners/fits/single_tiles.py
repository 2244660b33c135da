"""Compressed images whose tiles all have one shape, as an array with a tile in each chunk.

Such chunks need no table of lengths, scales and places: their codecs are the same in all files of
a series, which can be combined, and stock ones but for HCOMPRESS_1 and PLIO_1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.fits.images import Coding
    from refmaker.scanning.options import ScanOptions

__all__ = ["is_single", "single_codecs"]

_NARROW: Final = 2
_LARGE: Final = 64 * 1024
"""Decoded bytes from which on a tile is a chunk of its own."""


def is_single(
    wanted: str,
    settings: Mapping[str, Any],
    kinds: NDArray[np.uint8],
    shape: Sequence[int],
    tile: Sequence[int],
    itemsize: int,
    options: ScanOptions,
) -> bool:
    """Tell whether each tile of an image becomes a chunk of its own.

    Parameters
    ----------
    wanted : {"auto", "single"}
        The setting ``fits-tiles``.
    settings : mapping
        As of `tile_settings`.
    kinds : ndarray of uint8
        How each tile is stored; 0 for the algorithm of the image.
    shape, tile : sequence of int
        Of the image, and of a tile.
    itemsize : int
        Bytes of an element.
    options : ScanOptions
        ``chunk_bytes``.
    """
    if "scales" in settings or bool(kinds.any()):
        return False
    if any(extent % side for extent, side in zip(shape, tile, strict=True)):
        return False
    if settings["compression"] == "RICE_1" and settings["width"] != itemsize:
        return False
    nbytes = math.prod(tile) * itemsize
    target = options.chunk_bytes
    return wanted == "single" or target is None or nbytes >= min(_LARGE, target)


def single_codecs(
    settings: Mapping[str, Any], made: Coding, tile: Sequence[int]
) -> tuple[np.dtype[Any], tuple[Mapping[str, Any], ...], Mapping[str, Any] | None]:
    """Return the type of the elements, filters and compressor of chunks that are a tile each.

    Parameters
    ----------
    settings : mapping
        As of `tile_settings`.
    made : Coding
        What the elements mean.
    tile : sequence of int
        Shape of a tile.
    """
    algorithm, dtype = settings["compression"], made.dtype
    if algorithm == "NOCOMPRESS":
        return dtype, made.filters, None
    # Some programs compress small integers as wider ones: stock codecs would not see that.
    stock = algorithm == "GZIP_2" or (algorithm == "GZIP_1" and dtype.itemsize > _NARROW)
    if stock:
        planes = algorithm == "GZIP_2" and dtype.itemsize > 1
        shuffle = {"id": "shuffle", "elementsize": dtype.itemsize}
        filters = (*made.filters, shuffle) if planes else made.filters
        return dtype, filters, {"id": "gzip", "level": 1}
    if algorithm == "RICE_1":
        # Its decoder gives elements in the order of the machine.
        filters = tuple(
            {k: v.replace(">", "<") if isinstance(v, str) else v for k, v in config.items()}
            for config in made.filters
        )
        kind = np.dtype(settings["dtype"]).newbyteorder("<")
        return dtype.newbyteorder("<"), filters, {
            "id": "imagecodecs_rcomp",
            "shape": [math.prod(tile)],
            "dtype": kind.str,
            "nblock": settings["block"],
        }  # fmt: skip
    one = list(tile)
    return dtype, made.filters, dict(settings) | {"shape": one, "tile": one, "chunk": one}

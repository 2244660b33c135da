"""Planes that lie behind each other where one directory has its data.

ImageJ writes stacks above 4 GB so, tifffile those that it calls truncated, MetaMorph its STK.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import TruncatedError
from refmaker.model import ChunkTable
from refmaker.scanners.tiff.image import following_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from refmaker.model import Array
    from refmaker.scanners.tiff.pages import Pages
    from refmaker.scanning.options import ScanOptions

__all__ = ["data_start", "stacked_array"]

_STRIPS = 273
_PLAIN_BITS = frozenset({8, 16, 32, 64})


def data_start(pages: Pages, page: int) -> int | None:
    """Return where a page's data begin; None if planes cannot follow them plainly."""
    plain = (
        pages.compression[page] == 1
        and pages.predictor[page] == 1
        and pages.fill_order[page] == 1
        and not pages.tiled[page]
        and int(pages.bits[page]) in _PLAIN_BITS
        and pages.problem(page) is None
    )
    offsets = pages.integers(page, _STRIPS, 1)
    return offsets[0] if plain and offsets else None


def stacked_array(
    pages: Pages,
    planes: NDArray[np.int64],
    names: Sequence[str],
    attributes: Mapping[str, Any],
    options: ScanOptions,
) -> Array:
    """Return planes that lie behind each other as one array.

    Parameters
    ----------
    pages : Pages
        All pages; the first has the data of the first plane.
    planes : ndarray of int64
        Which plane, counted from the first in the file, is at each place of the leading axes.
    options : ScanOptions
        ``chunk_bytes`` is the target size of chunks.

    Raises
    ------
    UnsupportedError
        If the data are not stored plainly.
    TruncatedError
        If the file ends before the last plane.
    """
    flat = planes.reshape(-1)
    if np.array_equal(flat, np.arange(flat.size)):
        return following_array(pages, 0, planes.shape, names, attributes, options)
    # In another order than the file's no plane has its neighbours beside it: each is a chunk.
    whole = replace(options, chunk_bytes=None)
    one = following_array(pages, 0, (), names[planes.ndim :], attributes, whole)
    start, nbytes, source = int(one.chunks.offset[0]), one.nbytes, pages.sources[0]
    if start + flat.size * nbytes > source.size:
        raise TruncatedError(
            f"{flat.size} planes end at byte {start + flat.size * nbytes}, the file at "
            f"{source.size}",
            url=source.url,
            path=pages.path(0),
        )
    table = ChunkTable.from_columns(
        (*planes.shape, *(1,) * len(one.shape)),
        (source.url,),
        offset=flat * nbytes + start,
        length=np.full(flat.size, nbytes, np.int64),
    )
    return replace(
        one,
        shape=(*planes.shape, *one.shape),
        chunk_shape=(*(1,) * planes.ndim, *one.shape),
        chunks=table,
        dimension_names=tuple(names),
    )

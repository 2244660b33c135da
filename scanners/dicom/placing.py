"""Frames moved to the cells of a grid: chunks change their places, not a byte is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refmaker.errors import MetadataError
from refmaker.model import Array, ChunkTable, chunk_grid
from refmaker.scanners.dicom.frames import Frames, instance_array, stack
from refmaker.scanners.dicom.pixels import frame_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from refmaker.scanners.dicom.options import DICOMOptions
    from refmaker.scanners.dicom.series import Image

__all__ = ["frames_of", "joined", "moved"]


def frames_of(image: Image, choices: DICOMOptions) -> Frames:
    """Return the frames of an image in the order of its columns.

    Raises
    ------
    RefmakerError
        If an instance cannot be referenced; names the file.
    """
    headers, source = image.headers, image.source
    common: dict[str, Any] = {
        "storage_options": choices.storage_options,
        "trust_bits": choices.trust_bits,
    }
    if all(frame_count(header) == 1 for header in headers):
        used = [headers[number] for number in source[:, 0].tolist()]
        return stack(used, choices.options, **common)
    whole = source.shape[0] == sum(map(frame_count, headers))
    apart = not (whole and image.one_run and len(headers) == 1)
    parts = [instance_array(h, choices.options, per_frame=apart, **common) for h in headers]
    frames = parts[0]
    if len(parts) > 1:
        frames = frames._replace(array=joined([part.array for part in parts]))
    if whole:
        return frames
    starts = np.cumsum([0, *(part.array.shape[0] for part in parts)])
    rows = starts[source[:, 0]] + source[:, 1]
    return frames._replace(array=_taken(frames.array, rows))


def joined(arrays: Sequence[Array]) -> Array:
    """Return the frames of several instances as one array, one after the other.

    Raises
    ------
    MetadataError
        If they are encoded in different ways, or frames share bytes.
    """
    first = arrays[0]
    if len(arrays) == 1:
        return first
    alike = {(a.shape[1:], a.chunk_shape, a.dtype, str(a.codecs)) for a in arrays}
    if len(alike) != 1 or first.chunk_shape[0] != 1:
        raise MetadataError("the instances of one image are encoded in different ways")
    table = ChunkTable.concatenate([array.chunks for array in arrays], 0)
    frames = sum(array.shape[0] for array in arrays)
    return replace(first, shape=(frames, *first.shape[1:]), chunks=table)


def _per_frame(array: Array) -> int:
    """Return the number of chunks of each frame."""
    return int(np.prod(array.chunks.grid[1:], dtype=np.int64))


def _taken(array: Array, rows: NDArray[np.int64]) -> Array:
    """Return some frames of an array."""
    if array.chunk_shape[0] != 1:
        raise MetadataError("frames that share bytes cannot be taken apart")
    target = np.full(array.shape[0], -1, np.int64)
    target[rows] = np.arange(rows.size)
    return moved(array, target, (rows.size,), ("frame",))


def moved(
    array: Array, cell: NDArray[np.int64], shape: Sequence[int], names: Sequence[str]
) -> Array:
    """Return an array whose frames lie in the cells of a grid.

    Parameters
    ----------
    array : Array
        Frames one after the other, each in chunks of its own.
    cell : ndarray of int64, shape (n,)
        Flat number of each frame's cell; negative for frames that are left out.
    shape, names : sequence
        Extents and names of the grid's dimensions.
    """
    table, each = array.chunks, _per_frame(array)
    numbers = table.numbers().astype(np.int64)
    target = cell[numbers // each]
    kept = target >= 0
    index = (target * each + numbers % each)[kept]
    tail = ("y", "x", "c")[: len(array.shape) - 1]
    full, chunk = (*shape, *array.shape[1:]), (*(1,) * len(shape), *array.chunk_shape[1:])
    chunks = ChunkTable.from_columns(
        chunk_grid(full, chunk),
        table.urls,
        offset=table.offset[kept],
        length=table.length[kept],
        url=None if table.url is None else table.url[kept],
        index=index,
    )
    return replace(
        array, shape=full, chunk_shape=chunk, chunks=chunks, dimension_names=(*names, *tail)
    )

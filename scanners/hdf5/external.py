"""External storage: raw data of a contiguous dataset in other files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import TruncatedError, UnsupportedError
from refmaker.model import ChunkTable, chunk_grid
from refmaker.model.contiguous import piece_shape

if TYPE_CHECKING:
    from refmaker.io.related_files import RelatedFiles
    from refmaker.scanners.hdf5.dataset import OpenDataset

__all__ = ["external_table"]


def external_table(
    dataset: OpenDataset, siblings: RelatedFiles, target: int | None
) -> tuple[tuple[int, ...], ChunkTable]:
    """Return chunk shape and table of a dataset in external files.

    Parameters
    ----------
    dataset : OpenDataset
        A dataset with an external file list.
    target : int or None
        Bytes wanted in a chunk.

    Raises
    ------
    UnsupportedError
        If pieces of the data do not fall on chunk boundaries.
    TruncatedError
        If a file is too short.
    """
    need = dataset.nbytes
    names: list[str] = []
    starts: list[int] = []
    sizes: list[int] = []
    for i in range(dataset.plist.get_external_count()):
        name, offset, size = dataset.plist.get_external(i)
        rest = need - sum(sizes)
        sizes.append(min(int(size), rest))
        names.append(name.decode("utf-8", "surrogateescape"))
        starts.append(int(offset))
        if sum(sizes) >= need:
            break
    if sum(sizes) < need:
        raise TruncatedError(f"the external file list holds {sum(sizes)} bytes of {need}")
    files = [siblings.open(name) for name in names]
    for file, start, size in zip(files, starts, sizes, strict=True):
        if start + size > file.size:
            raise TruncatedError(
                f"the external file has {file.size} bytes, {start + size} are needed",
                url=file.url,
                hint="HDF5 would read what is missing as zeros",
            )
    shape = dataset.zarr_shape
    itemsize = dataset.element.stored
    # A chunk is one range: a cut between two files must be a cut between chunks.
    cuts = math.gcd(*np.cumsum(sizes).tolist()) if len(sizes) > 1 else None
    chunk = piece_shape(shape, itemsize, target if cuts is None else min(cuts, target or cuts))
    nbytes = math.prod(chunk) * itemsize
    if cuts is not None and cuts % nbytes:
        raise UnsupportedError(
            "its external files do not end on chunk boundaries", code="external-split"
        )
    grid = chunk_grid(shape, chunk)
    at = np.arange(math.prod(grid), dtype=np.uint64) * np.uint64(nbytes)
    ends = np.cumsum(np.array(sizes, np.uint64))
    which = np.searchsorted(ends, at, side="right").astype(np.int32)
    begins = ends - np.array(sizes, np.uint64)
    offset = at - begins[which] + np.array(starts, np.uint64)[which]
    return chunk, ChunkTable.from_columns(
        grid,
        tuple(file.url for file in files),
        offset=offset,
        length=np.full(at.size, nbytes),
        url=which,
    )

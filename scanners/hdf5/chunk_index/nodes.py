"""Checks that the tree readers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError

if TYPE_CHECKING:
    from refmaker.scanners.hdf5.chunk_index.columns import U64

__all__ = ["check_disjoint"]


def check_disjoint(offsets: U64, length: int, what: str) -> None:
    """Refuse blocks that overlap.

    Blocks that do not overlap cannot be larger in sum than the file, whatever counts and
    links a corrupt file holds: this bounds the memory and the time that it can cost.

    Parameters
    ----------
    offsets : ndarray of uint64, shape (n,)
        Absolute byte offsets.
    length : int
        Bytes per block.
    what : str
        Name of the structure, for the error.

    Raises
    ------
    FormatError
        Two blocks overlap.
    """
    ordered = np.sort(offsets)
    near = np.flatnonzero(ordered[1:] - ordered[:-1] < np.uint64(length))
    if len(near):
        raise FormatError(f"two blocks overlap: {what}", offset=int(ordered[near[0] + 1]))

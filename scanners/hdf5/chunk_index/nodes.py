"""What the readers of trees and arrays share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import FormatError
from refmaker.scanners.hdf5.batched_reads import Steps, fetch
from refmaker.scanners.hdf5.checksum import check_blocks

if TYPE_CHECKING:
    from refmaker.scanners.hdf5.chunk_index.columns import U64

__all__ = ["check_disjoint", "read_header"]


def read_header(start: int, length: int, end: int, signature: bytes, what: str) -> Steps[bytes]:
    """Read a header that begins with a signature and ends with its checksum."""
    blocks = yield from fetch([start], length, end, what)
    header: bytes = blocks[0].tobytes()
    if header[:4] != signature:
        raise FormatError(f"there is no {what}", offset=start)
    check_blocks(blocks, length - 4, np.array([start], np.uint64), what)
    return header


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

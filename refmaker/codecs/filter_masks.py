"""Which chunks skipped which filters, told by the stored length of a chunk alone.

For ``refmaker.hdf5_masked``, in whatever form a scanner reads the masks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from refmaker.errors import UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MaskPolicy", "mask_policy"]

_MAX_MASKS = 4096
"""Stored lengths that may be listed."""


@dataclass(frozen=True, slots=True)
class MaskPolicy:
    """How the filter masks of a dataset's chunks are expressed.

    Parameters
    ----------
    uniform : int
        Mask common to all chunks; these filters are dropped for good.
    masks : dict of int to int
        Stored length to mask, for datasets with several masks; chunks of other lengths have 0.
    inline : ndarray of int64, shape (m,)
        Indices of chunks whose mask cannot be told from their length: to be inlined decoded.
    pad_to : int
        Length, above the decoded one, that no chunk has: inlined chunks get it. 0 if there are
        none.
    """

    uniform: int = 0
    masks: dict[int, int] = field(default_factory=dict)
    inline: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    pad_to: int = 0


def mask_policy(lengths: NDArray[np.uint64], masks: NDArray[np.uint32], nbytes: int) -> MaskPolicy:
    """Decide how to express that single chunks skipped filters.

    HDF5 keeps a mask with each chunk: bit *i* says that filter *i* was skipped. References have
    no such field. One mask for all chunks means fewer filters; several masks are told apart by
    the stored length of the chunks, which works as long as no length has two masks.

    Parameters
    ----------
    lengths : ndarray of uint64, shape (n,)
        Stored length of each chunk that exists, in bytes.
    masks : ndarray of uint32, shape (n,)
        Its filter mask. Edge chunks that are never filtered come with all bits set.
    nbytes : int
        Size of a decoded chunk.

    Returns
    -------
    MaskPolicy
        Where a length has several masks, the mask of the most chunks keeps it; the others are
        to be inlined.

    Raises
    ------
    UnsupportedError
        With code ``filter-mask-conflict``, if masks occur with too many lengths.
    """
    if masks.size == 0 or not masks.any():
        return MaskPolicy()
    if (masks == masks[0]).all():
        return MaskPolicy(uniform=int(masks[0]))
    pairs, inverse, counts = np.unique(
        np.stack([lengths.astype(np.uint64), masks.astype(np.uint64)]),
        axis=1,
        return_inverse=True,
        return_counts=True,
    )
    # Of each length, the pair with the highest count stands last: it wins.
    order = np.lexsort((counts, pairs[0]))
    last = np.append(pairs[0][order][1:] != pairs[0][order][:-1], True)
    winners = order[last]
    listed = winners[pairs[1][winners] != 0]
    if listed.size > _MAX_MASKS:
        raise UnsupportedError(
            f"filters were skipped in chunks of {listed.size} different stored lengths",
            code="filter-mask-conflict",
            hint="rewrite the dataset with h5repack",
        )
    lost = np.ones(counts.size, bool)
    lost[winners] = False
    inline = np.flatnonzero(lost[inverse.reshape(-1)])
    pad_to = 0
    if inline.size:
        above = np.unique(lengths[lengths > nbytes])
        free = np.flatnonzero(above != nbytes + 1 + np.arange(above.size, dtype=np.uint64))
        pad_to = nbytes + 1 + int(free[0] if free.size else above.size)
    table = {int(pairs[0][index]): int(pairs[1][index]) for index in listed}
    return MaskPolicy(masks=table, inline=inline, pad_to=pad_to)

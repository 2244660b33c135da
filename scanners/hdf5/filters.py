"""From an HDF5 filter pipeline to the ``filters`` of a Zarr array.

Zarr v2 applies its filter list in order when writing and in reverse when reading, as HDF5 does
with its pipeline, so that one codec stands for one filter, in storage order. A pipeline of which
one filter has no codec of its own goes as a whole to ``refmaker.hdf5_filters``, which asks HDF5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refmaker.codecs.filter_masks import MaskPolicy, mask_policy
from refmaker.codecs.hdf5_registry import IDENTITY_ON_READ, describe_filter, remedy
from refmaker.errors import UnsupportedError
from refmaker.scanners.hdf5.filter_codecs import B3D_FILTER, Config, Stage, direct_codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "ChunkCodecs",
    "Filter",
    "MaskPolicy",
    "codecs_for",
    "encoding_for",
    "mask_policy",
    "read_pipeline",
]


class Filter(NamedTuple):
    """One filter of a pipeline, as the file describes it.

    Parameters
    ----------
    id : int
        Filter id as registered with The HDF Group.
    flags : int
        Bit 0: optional.
    values : tuple of int
        Client values (``cd_values``), unsigned 32-bit.
    name : str
        The filter's name in the file, empty for many.
    """

    id: int
    flags: int
    values: tuple[int, ...]
    name: str


@dataclass(frozen=True, slots=True)
class ChunkCodecs:
    """Everything an array needs to have its chunks decoded.

    Parameters
    ----------
    codecs : tuple of dict
        Codec configurations in storage order, Zarr's ``filters``.
    inline : ndarray of int64, shape (m,)
        Indices (into the arrays given) of chunks that must be inlined, see `inlined`.
    nbytes : int
        Size of a decoded chunk.
    pad_to : int
        Size of an inlined chunk.
    """

    codecs: tuple[Config, ...]
    inline: NDArray[np.int64]
    nbytes: int
    pad_to: int

    def inlined(self, decoded: bytes) -> bytes:
        """Return the bytes to inline for a chunk that was decoded while scanning.

        Raises
        ------
        ValueError
            If the chunk does not have the size of a decoded chunk.
        """
        if len(decoded) != self.nbytes:
            raise ValueError(f"a decoded chunk has {self.nbytes} bytes, not {len(decoded)}")
        return decoded.ljust(self.pad_to, b"\0")


def read_pipeline(dcpl: Any) -> tuple[Filter, ...]:
    """Read the filter pipeline of a dataset.

    Returns
    -------
    tuple of Filter
        In storage order: the first filter was applied first when writing.
    """
    filters = []
    for index in range(dcpl.get_nfilters()):
        filter_id, flags, values, name = dcpl.get_filter(index)
        text = bytes(name or b"").split(b"\0")[0].decode("utf-8", "replace")
        filters.append(Filter(int(filter_id), int(flags), tuple(int(v) for v in values), text))
    return tuple(filters)


def codecs_for(
    pipeline: Sequence[Filter],
    *,
    dtype: np.dtype[Any],
    itemsize: int,
    chunk_shape: tuple[int, ...],
) -> tuple[Config, ...]:
    """Map a filter pipeline to codec configurations.

    Parameters
    ----------
    pipeline : sequence of Filter
        In storage order, as `read_pipeline` gives it.
    dtype : numpy.dtype
        Type of an element in the file.
    itemsize : int
        Bytes per element in the file (for variable-length types not numpy's).
    chunk_shape : tuple of int
        Elements per chunk and dimension.

    Returns
    -------
    tuple of dict
        Numcodecs configurations in storage order, fit for Zarr v2's ``filters``.

    Raises
    ------
    UnsupportedError
        If nothing here decodes a filter: ``filter-unavailable`` for filters that HDF5 knows
        with a plugin that is not installed, ``filter-unknown`` for all others, or
        ``filter-undecodable`` if a filter's settings are beyond its decoder.
    """
    return tuple(
        codec for codecs in _plan(pipeline, dtype, itemsize, chunk_shape) for codec in codecs
    )


def _plan(
    pipeline: Sequence[Filter], dtype: np.dtype[Any], itemsize: int, chunk_shape: tuple[int, ...]
) -> list[tuple[Config, ...]]:
    """Return for each filter the codecs that stand for it.

    A pipeline for HDF5 has its one codec in the place of the first filter.
    """
    nbytes = size = math.prod(chunk_shape) * itemsize
    plan = []
    known: int | None = size
    for entry in pipeline:
        codecs = direct_codec(entry.id, Stage(entry.values, known, dtype, chunk_shape))
        if codecs is None:
            return _through_hdf5(pipeline, nbytes)
        plan.append(codecs)
        if entry.id == 3 and known is not None:
            known += 4  # the checksum
        elif codecs and entry.id != 2:
            known = None
    return plan


def _through_hdf5(pipeline: Sequence[Filter], nbytes: int) -> list[tuple[Config, ...]]:
    from refmaker.codecs.hdf5_stub import check_available

    kept = [entry for entry in pipeline if entry.id not in IDENTITY_ON_READ]
    for entry in kept:
        if entry.id == B3D_FILTER:
            raise UnsupportedError(
                "B3D (HDF5 filter 32016) together with filters that only HDF5 decodes",
                code="filter-undecodable",
                hint=remedy(entry.id),
            )
        try:
            check_available([entry.id])
        except UnsupportedError as error:
            code = error.code if remedy(entry.id).startswith("install") else "filter-unknown"
            raise UnsupportedError(
                f"no decoder for the filter {describe_filter(entry.id, entry.name)}",
                code=code,
                hint=remedy(entry.id),
            ) from error
    stub: Config = {
        "id": "refmaker.hdf5_filters",
        "filters": [[entry.id, list(entry.values)] for entry in kept],
        "nbytes": nbytes,
    }
    return [(stub,)] + [()] * (len(pipeline) - 1)


def encoding_for(
    pipeline: Sequence[Filter],
    lengths: NDArray[np.uint64],
    masks: NDArray[np.uint32],
    *,
    dtype: np.dtype[Any],
    itemsize: int,
    chunk_shape: tuple[int, ...],
) -> ChunkCodecs:
    """Map a filter pipeline and the masks of all chunks to codecs.

    Parameters
    ----------
    lengths, masks : ndarray, shape (n,)
        Stored length and filter mask of each chunk that exists; see `mask_policy`.
    dtype, itemsize, chunk_shape
        See `codecs_for`.

    Returns
    -------
    ChunkCodecs
        Codecs, and which chunks have to be inlined.

    Raises
    ------
    UnsupportedError
        As `codecs_for` and `mask_policy` do.
    """
    nbytes = math.prod(chunk_shape) * itemsize
    everything = np.uint32((1 << len(pipeline)) - 1)
    policy = mask_policy(lengths, masks & everything, nbytes)
    kept = [entry for index, entry in enumerate(pipeline) if not policy.uniform >> index & 1]
    plan = _plan(kept, dtype, itemsize, chunk_shape)
    codecs = tuple(codec for group in plan for codec in group)
    if policy.masks or policy.inline.size:
        wrapper: Config = {
            "id": "refmaker.hdf5_masked",
            "filters": list(codecs),
            "masks": {
                str(length): _renumber(mask, kept, plan) for length, mask in policy.masks.items()
            },
        }
        if policy.inline.size:
            wrapper["padded"] = {str(policy.pad_to): nbytes}
        codecs = (wrapper,)
    return ChunkCodecs(codecs, policy.inline, nbytes, policy.pad_to)


def _renumber(mask: int, pipeline: Sequence[Filter], plan: list[tuple[Config, ...]]) -> int:
    """Return a mask whose bits count codecs, or the filters inside of a stub, not HDF5 filters."""
    if plan and plan[0] and plan[0][0]["id"] == "refmaker.hdf5_filters":
        present = [entry.id not in IDENTITY_ON_READ for entry in pipeline]
    else:
        present = [bool(codecs) for codecs in plan]
    places = [index for index, there in enumerate(present) if there]
    return sum(1 << place for place, index in enumerate(places) if mask >> index & 1)

"""Codecs of Zarr version 3 that decode to no more than a chunk has; see `refmaker.codecs.bounded`.

It needs zarr.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

from refmaker.codecs import CODECS, register
from refmaker.codecs.bounded import Bounded, bound_after, chunk_bytes
from refmaker.codecs.zarr3 import Crop
from refmaker.errors import CodecError, MetadataError, UnsupportedError
from refmaker.model.zarr_v3_reader import codec_from_document_v3

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zarr.abc.codec import Codec
    from zarr.core.buffer import Buffer

__all__ = ["bounded_codecs_v3", "largest_chunk"]


def largest_chunk(metadata: Any) -> tuple[int, ...]:
    """Return the extents of the largest chunk of an array of version 3."""
    grid = metadata.chunk_grid
    extents = getattr(grid, "chunk_shape", None)
    if extents is None:
        extents = [max(n) if isinstance(n, tuple) else n for n in grid.chunk_shapes]
    return tuple(int(extent) for extent in extents)


def bounded_codecs_v3(
    codecs: Iterable[Codec], shape: Sequence[int], dtype: np.dtype[Any]
) -> list[Codec]:
    """Return codecs, in the order in which they encode, of which none decodes to too much.

    Parameters
    ----------
    codecs : iterable of zarr.abc.codec.Codec
        Those of an array, or of the chunks in a shard.
    shape : sequence of int
        Elements of the largest chunk along each dimension.
    dtype : numpy.dtype
        Type of the elements.
    """
    most = chunk_bytes(tuple(shape), dtype.itemsize, objects=dtype.hasobject or dtype.kind == "T")
    found: list[Codec] = []
    for codec in codecs:
        if isinstance(codec, ShardingCodec):
            found.append(
                ShardingCodec(
                    chunk_shape=codec.chunk_shape,
                    codecs=bounded_codecs_v3(codec.codecs, codec.chunk_shape, dtype),
                    index_codecs=codec.index_codecs,
                    index_location=codec.index_location,
                )
            )
        elif isinstance(codec, Crop):
            found.append(codec)
            most = codec.most(shape, dtype.itemsize)
        elif isinstance(codec, BytesBytesCodec):
            wrapped, most = _bounded(codec, most)
            found.append(wrapped)
        else:
            found.append(codec)
    return found


def _bounded(codec: BytesBytesCodec, most: int) -> tuple[BytesBytesCodec, int]:
    """Return a codec with its bound, and how much the next one may decode to."""
    told: Any = codec.to_dict()
    try:
        config = codec_from_document_v3(told["name"], told.get("configuration") or {})
    except (UnsupportedError, MetadataError):
        # Of somebody else, for version 3 alone.
        return _Measured(codec, most), bound_after(None, most)
    from numcodecs import get_codec

    if config["id"] in CODECS:
        register()
    made = get_codec(config)
    return _Numcodec(Bounded(made, most), codec), bound_after(made, most)


class _DecodeOnly(BytesBytesCodec):
    """What reads chunks of references, which nobody writes."""

    is_fixed_size = False

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: the size depends on the values."""
        raise UnsupportedError("the size follows from the values", code="codec-decode-only")

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        raise UnsupportedError("chunks of references are only decoded", code="codec-decode-only")


@dataclass(frozen=True)
class _Numcodec(_DecodeOnly):
    bounded: Bounded
    codec: BytesBytesCodec

    def to_dict(self) -> dict[str, Any]:
        """Write the entry in ``codecs`` as it was."""
        return self.codec.to_dict()

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> Buffer:
        data = await asyncio.to_thread(self.bounded.decode, chunk_bytes.as_numpy_array())
        flat = np.frombuffer(data, "u1") if not isinstance(data, np.ndarray) else data
        buffer: Buffer = chunk_spec.prototype.buffer.from_array_like(flat.reshape(-1).view("u1"))
        return buffer


@dataclass(frozen=True)
class _Measured(_DecodeOnly):
    codec: BytesBytesCodec
    most: int

    def to_dict(self) -> dict[str, Any]:
        """Write the entry in ``codecs`` as it was."""
        return self.codec.to_dict()

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> Buffer:
        (found,) = await self.codec.decode([(chunk_bytes, chunk_spec)])
        if found is not None and len(found) > self.most:
            raise CodecError(
                f"the chunk decodes to {len(found)} bytes, where it has {self.most} at most"
            )
        return found  # type: ignore[return-value]

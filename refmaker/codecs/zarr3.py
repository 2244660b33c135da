"""Codecs of Zarr version 3: ``refmaker.numcodec`` and ``refmaker.crop``.

Version 3 documents name codecs otherwise than version 2, and for most of the ids that references
use there is no name. ``{"name": "refmaker.numcodec", "configuration": {"id": "refmaker.hdf5_lzf",
"nbytes": 4096}}`` decodes as version 2 does with the configuration alone.

Chunks of one length that are padded, and followed by others, are cut to what counts of them by
``{"name": "refmaker.crop", "configuration": {"chunk_shape": [10, 2, 6]}}``. It needs zarr.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from zarr.abc.codec import BytesBytesCodec

from refmaker.codecs import CODECS, register
from refmaker.codecs.crop import corner, stored_extents, stored_shape
from refmaker.errors import CodecError, MetadataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zarr.abc.buffer import Buffer

__all__ = ["CROP", "NAME", "Crop", "Numcodec", "register_codec"]

NAME = "refmaker.numcodec"
CROP = "refmaker.crop"
_PREFIXES = ("refmaker.", "imagecodecs_")
"""How the ids begin that are decoded: a document is not to call any codec that is installed."""


@dataclass(frozen=True)
class Numcodec(BytesBytesCodec):
    """A codec of numcodecs, decoding only.

    Parameters
    ----------
    config : dict
        Its configuration, with ``id``.
    """

    is_fixed_size = False
    config: dict[str, Any]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read the codec's entry in ``codecs``.

        Raises
        ------
        MetadataError
            If it names no codec.
        """
        config = data.get("configuration")
        if not isinstance(config, dict) or not str(config.get("id")).startswith(_PREFIXES):
            raise MetadataError(f"{NAME}: no codec for chunks of references: {config!r:.200}")
        return cls(config)

    def to_dict(self) -> dict[str, Any]:
        """Write the codec's entry in ``codecs``."""
        return {"name": NAME, "configuration": dict(self.config)}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: the size depends on the values."""
        raise UnsupportedError("the size follows from the values", code="codec-decode-only")

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> Buffer:
        data = await asyncio.to_thread(self._decoded, chunk_bytes.as_numpy_array())
        buffer: Buffer = chunk_spec.prototype.buffer.from_bytes(data)
        return buffer

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        raise UnsupportedError(f"{NAME} only decodes", code="codec-decode-only")

    def _decoded(self, data: Any) -> bytes:
        from numcodecs import get_codec

        if self.config["id"] in CODECS:
            _register_once()
        decoded = get_codec(dict(self.config)).decode(data)
        return decoded.tobytes("A") if isinstance(decoded, np.ndarray) else bytes(decoded)


@dataclass(frozen=True)
class Crop(BytesBytesCodec):
    """Chunks that were stored at their full size, of which the first elements count.

    It stands right behind ``bytes``, so that it is given the elements of a chunk. How many of them
    count along each dimension, the grid says.

    Parameters
    ----------
    chunk_shape : tuple
        For each dimension the extent that chunks are stored with; or a list of those of all
        chunks in turn, or of runs of them, as in the grid; or None, where chunks are as large as
        the grid says.
    """

    is_fixed_size = False
    chunk_shape: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_extents", tuple(map(stored_extents, self.chunk_shape)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read the codec's entry in ``codecs``.

        Raises
        ------
        MetadataError
            If it names no extents.
        """
        config = data.get("configuration")
        if not isinstance(config, dict) or config.keys() != {"chunk_shape"}:
            raise MetadataError(f"{CROP}: no 'chunk_shape' alone in {config!r:.200}")
        if not isinstance(config["chunk_shape"], list | tuple):
            raise MetadataError(f"{CROP}: {config['chunk_shape']!r:.200} are no extents")
        return cls(tuple(config["chunk_shape"]))

    def to_dict(self) -> dict[str, Any]:
        """Write the codec's entry in ``codecs``."""
        return {"name": CROP, "configuration": {"chunk_shape": list(self.chunk_shape)}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: the size depends on the chunk."""
        raise UnsupportedError("the size follows from the values", code="codec-decode-only")

    def most(self, shape: Sequence[int], itemsize: int) -> int:
        """Return the bytes of the largest chunk as it is stored.

        Parameters
        ----------
        shape : sequence of int
            What counts of the largest chunk.
        itemsize : int
            Bytes of an element.
        """
        extents: Any = self._extents  # type: ignore[attr-defined]
        return itemsize * math.prod(
            n if sizes is None else max(sizes) for n, sizes in zip(shape, extents, strict=True)
        )

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> Buffer:
        return self._decode_sync(chunk_bytes, chunk_spec)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: Any) -> Buffer:
        shape, data = tuple(chunk_spec.shape), chunk_bytes.as_numpy_array()
        itemsize = chunk_spec.dtype.to_native_dtype().itemsize
        extents: Any = self._extents  # type: ignore[attr-defined]
        if len(extents) != len(shape):
            raise CodecError(f"{CROP}: chunks of {len(extents)} dimensions, not {len(shape)}")
        stored = stored_shape(data.size, shape, extents, itemsize)
        if stored == shape:
            return chunk_bytes
        part = corner(data, stored, shape, itemsize)
        buffer: Buffer = chunk_spec.prototype.buffer.from_array_like(part)
        return buffer

    async def _encode_single(self, chunk_bytes: Buffer, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        raise UnsupportedError(f"{CROP} only decodes", code="codec-decode-only")


@cache
def _register_once() -> None:
    register()


def register_codec() -> None:
    """Register the codecs with zarr, as entry points do where refmaker is installed."""
    registry = import_module("zarr.registry")
    registry.register_codec(NAME, Numcodec)
    registry.register_codec(CROP, Crop)
    from refmaker.codecs.zarr3_pieces import Pieces

    registry.register_codec("refmaker.pieces", Pieces)

"""Codec ``refmaker.pieces`` of Zarr version 3; what it says is in `refmaker.codecs.pieces`.

Zarr tells a codec the place of a chunk where it may decode parts of it, and nowhere else. So this
codec stands alone, and has those of the packed values in its configuration. It needs zarr.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin

from refmaker.codecs import CODECS, register
from refmaker.codecs.bounded import bounded_codecs
from refmaker.codecs.crop import corner, stored_extents, stored_shape
from refmaker.codecs.packing import unpacked
from refmaker.codecs.pieces import PIECES, parsed_pieces
from refmaker.errors import CodecError, MetadataError, UnsupportedError
from refmaker.model.zarr_v3 import BYTES_CODECS

if TYPE_CHECKING:
    from refmaker.codecs.pieces import Pieces as Packings

__all__ = ["Pieces"]

_PREFIXES = ("refmaker.", "imagecodecs_")


@dataclass(frozen=True)
class Pieces(ArrayBytesCodec, ArrayBytesCodecPartialDecodeMixin):
    """Packed chunks of several files, each with a packing of its own.

    Parameters
    ----------
    config : str
        The configuration as JSON: a codec has to be hashable.
    """

    is_fixed_size = False
    config: str
    _known: list[Any] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read the codec's entry in ``codecs``.

        Raises
        ------
        MetadataError
            If it says nothing that can be.
        """
        config = data.get("configuration")
        if not isinstance(config, dict):
            raise MetadataError(f"{PIECES} without a configuration")
        made = cls(json.dumps(config))
        packings, _, _ = made._parsed()
        for codec in packings.codecs:
            name = str(codec["id"])
            if name == PIECES or not (name in BYTES_CODECS or name.startswith(_PREFIXES)):
                raise MetadataError(f"{PIECES}: {name!r:.80} is no codec for packed values")
        return made

    def to_dict(self) -> dict[str, Any]:
        """Write the codec's entry in ``codecs``."""
        return {"name": PIECES, "configuration": json.loads(self.config)}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.config,)

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Compare the configuration with the array's.

        Raises
        ------
        MetadataError
            If the packings are those of other chunks, or of other types.
        """
        packings, extents, _ = self._parsed()
        native = dtype.to_native_dtype()
        if packings.axis >= len(shape) or (extents and len(extents) != len(shape)):
            raise MetadataError(f"{PIECES}: {len(shape)} dimensions, packed along {packings.axis}")
        if native.newbyteorder("=") != packings.decoded:
            raise MetadataError(f"{PIECES} decodes to {packings.decoded}, not to {native}")
        size = getattr(chunk_grid, "chunk_shape", None) or chunk_grid.chunk_shapes
        along = size[packings.axis]
        count = len(along) if isinstance(along, tuple) else -(-shape[packings.axis] // along)
        if count != int(packings.chunks.sum()):
            raise MetadataError(
                f"{PIECES}: {count} chunks, packings of {int(packings.chunks.sum())}"
            )

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: the size depends on the values."""
        raise UnsupportedError("the size follows from the values", code="codec-decode-only")

    def _parsed(self) -> tuple[Packings, Any, list[Any]]:
        """Return the packings, the extents that chunks are stored with, and their ends."""
        if not self._known:
            config = json.loads(self.config)
            shape = config.pop("chunk_shape", None)
            extents = None if shape is None else tuple(map(stored_extents, shape))
            packings = parsed_pieces(config)
            self._known.append((packings, extents, np.cumsum(packings.chunks)))
        found: tuple[Packings, Any, list[Any]] = self._known[0]
        return found

    def _decoded(self, path: str, data: Any, chunk_spec: Any) -> Any:
        packings, extents, ends = self._parsed()
        shape, itemsize = tuple(chunk_spec.shape), packings.dtype.itemsize
        at = int(path.rsplit("/", len(shape))[1 + packings.axis])
        number = int(np.searchsorted(ends, at, side="right"))
        if number >= len(packings.packing):
            raise CodecError(f"{PIECES}: no packing of chunk {at} along {packings.axis}")
        extents = extents or (None,) * len(shape)
        largest = [
            n if sizes is None else max(sizes) for n, sizes in zip(shape, extents, strict=True)
        ]
        register_codecs(packings.codecs)
        for codec in reversed(_chain(packings.codecs, itemsize * math.prod(largest))):
            data = codec.decode(data)
        flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
        flat = np.ascontiguousarray(flat).reshape(-1).view(np.uint8)
        if packings.order == "F":
            shape, extents = shape[::-1], extents[::-1]
        stored = stored_shape(flat.size, shape, extents, itemsize)
        raw = corner(flat, stored, shape, itemsize).view(packings.dtype).reshape(shape)
        raw = raw.T if packings.order == "F" else raw
        values = unpacked(raw, packings.packing[number])
        return values.astype(chunk_spec.dtype.to_native_dtype(), copy=False)

    async def _decode_partial_single(
        self, byte_getter: Any, selection: Any, chunk_spec: Any
    ) -> Any:
        data = await byte_getter.get(prototype=chunk_spec.prototype)
        if data is None:
            return None
        values = await asyncio.to_thread(
            self._decoded, byte_getter.path, data.as_numpy_array(), chunk_spec
        )
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(values[selection])

    def _decode_partial_sync(self, byte_getter: Any, selection: Any, chunk_spec: Any) -> Any:
        data = byte_getter.get_sync(prototype=chunk_spec.prototype)
        if data is None:
            return None
        values = self._decoded(byte_getter.path, data.as_numpy_array(), chunk_spec)
        return chunk_spec.prototype.nd_buffer.from_ndarray_like(values[selection])

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        raise CodecError(f"{PIECES} needs to be told which chunk it decodes")

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> NoReturn:  # noqa: ARG002
        raise UnsupportedError(f"{PIECES} only decodes", code="codec-decode-only")


def register_codecs(codecs: Any) -> None:
    """Make numcodecs know those of this package."""
    if any(codec["id"] in CODECS for codec in codecs):
        register()


def _chain(codecs: Any, most: int) -> list[Any]:
    from numcodecs import get_codec

    named = [get_codec(dict(codec)) for codec in codecs]
    # They were given in the order in which they encode, the last of which bounds the most.
    return list(bounded_codecs(named, most))

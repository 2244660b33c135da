"""Any numcodecs codec from bytes to bytes, in Zarr version 3: the codec ``refmaker.numcodec``.

Version 3 documents name codecs otherwise than version 2, and for most of the ids that references
use there is no name. ``{"name": "refmaker.numcodec", "configuration": {"id": "refmaker.hdf5_lzf",
"nbytes": 4096}}`` decodes as version 2 does with the configuration alone. It needs zarr.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from zarr.abc.codec import BytesBytesCodec

from refmaker.codecs import CODECS, register
from refmaker.errors import MetadataError, UnsupportedError

if TYPE_CHECKING:
    from zarr.abc.buffer import Buffer

__all__ = ["NAME", "Numcodec", "register_codec"]

NAME = "refmaker.numcodec"
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

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> NoReturn:
        """Refuse: the size depends on the values."""
        raise NotImplementedError

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


@cache
def _register_once() -> None:
    register()


def register_codec() -> None:
    """Register the codec with zarr, as its entry point does where refmaker is installed."""
    registry = import_module("zarr.registry")
    registry.register_codec(NAME, Numcodec)

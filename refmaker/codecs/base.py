"""What the codecs of this package share: checked input, checked output, no encoder."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import ensure_contiguous_ndarray
from numpy.typing import NDArray

from refmaker.codecs.checks import MAX_CHUNK, bounded, expect, library
from refmaker.errors import UnsupportedError

__all__ = [
    "MAX_CHUNK",
    "Buffer",
    "DecodeOnly",
    "bounded",
    "deliver",
    "expect",
    "input_bytes",
    "library",
]

#: What the codecs work on: a flat run of bytes.
Buffer = NDArray[np.uint8]


class DecodeOnly(Codec):  # type: ignore[misc]  # numcodecs carries no types
    """A codec that reads what another library wrote.

    Subclasses list the names of their configuration in `fields`, keep each as an attribute of
    the same name in a form that JSON can hold, and implement ``decode``, which raises
    `refmaker.errors.CodecError` for bytes that are not what the configuration says.
    """

    codec_id: ClassVar[str]
    fields: ClassVar[tuple[str, ...]] = ()

    def get_config(self) -> dict[str, Any]:
        """Return the configuration: the codec id and what JSON needs to rebuild the codec."""
        return {"id": self.codec_id} | {name: getattr(self, name) for name in self.fields}

    @property
    def rewrites(self) -> bool:
        """Whether chunks hold more of a file than values, so that `shareable` changes them."""
        return False

    def shareable(self, buf: Any) -> bytes:
        """Return a chunk that decodes to the same values, and holds nothing else of the file.

        Parameters
        ----------
        buf : bytes-like
            A chunk as it lies in the file.

        Raises
        ------
        CodecError
            If the chunk cannot be decoded.
        """
        return bytes(buf)

    def encode(self, buf: Any) -> NoReturn:  # noqa: ARG002 - the name is part of the interface
        """Refuse: references are read, their targets are never written.

        Raises
        ------
        UnsupportedError
            Always, with code ``codec-decode-only``.
        """
        raise UnsupportedError(f"{self.codec_id} only decodes", code="codec-decode-only")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({values})"


def input_bytes(buf: Any) -> Buffer:
    """View any contiguous buffer as flat bytes, shape (length,), without a copy."""
    flat: Buffer = ensure_contiguous_ndarray(buf).view(np.uint8)
    return flat


def deliver(codec_id: str, decoded: NDArray[Any], out: Any) -> Any:
    """Hand a decoded chunk to the caller, in `out` if one was given.

    Raises
    ------
    CodecError
        If `out` has another size than the decoded chunk.
    """
    if out is None:
        return decoded
    target = ensure_contiguous_ndarray(out).view(np.uint8)
    expect(codec_id, decoded.nbytes, target.nbytes, "the decoded chunk")
    target[:] = decoded.reshape(-1).view(np.uint8)
    return out
